"""`shakeout run`: which classes of which files run, and with which parameters."""

from __future__ import annotations

import pytest
from tests.e2e.user import User

pytestmark = pytest.mark.needs("namespaces")

THREE = """
    class Beta(BaseRecipe):
        m1 = HostReq()
        def test(self): self.add_result(True, "beta ran")

    class Alpha(BaseRecipe):
        m1 = HostReq()
        mtu = IntParam(default=1500, desc="bytes a packet")
        def test(self): self.add_result(True, f"alpha ran with {self.params.mtu!r}")

    class _Base(BaseRecipe):
        m1 = HostReq()
        def test(self): self.add_result(False, "a base ran")

    class Gamma(_Base):
        def test(self): self.add_result(True, "gamma ran")

    Again = Gamma
"""


def ran(out: str) -> list[str]:
    """What the recipes said, in order."""
    return [line.split("record: ")[1].removesuffix(" PASS") for line in out.splitlines() if "record: " in line]


def test_all_classes_of_a_file_in_their_order(user: User) -> None:
    user.recipe(THREE)
    done = user.shakeout("run", "my.py")
    assert done.status == 0, done.err
    assert ran(done.out) == ["beta ran", "alpha ran with 1500", "gamma ran"]
    assert done.result.startswith("RESULT PASS (3 passed, 0 failed, 0 errors, ")
    assert done.result.endswith(f" run {user.runs()[0].name}")


def test_one_class_by_name_even_a_hidden_one(user: User) -> None:
    user.recipe(THREE)
    assert ran(user.shakeout("run", "my.py:Gamma").out) == ["gamma ran"]
    assert ran(user.shakeout("run", "my.py:_Base").out) == ["a base ran FAIL"]


def test_several_files_and_classes_are_one_run(user: User) -> None:
    user.recipe(THREE)
    user.recipe(
        "class Other(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.add_result(None, 'other')\n", "b.py"
    )
    done = user.shakeout("run", "b.py", "my.py:Gamma", "my.py:Beta")
    assert ran(done.out) == ["other", "gamma ran", "beta ran"]
    assert len(user.runs()) == 1


def test_parameters_go_to_the_chosen_class(user: User) -> None:
    user.recipe(THREE)
    done = user.shakeout("run", "my.py:Alpha", "--", "mtu=8000")
    assert ran(done.out) == ["alpha ran with 8000"]


def test_parameters_go_to_the_class_that_bears_the_name_of_the_file(user: User) -> None:
    user.recipe(THREE, "Alpha.py")
    done = user.shakeout("run", "Alpha.py", "--", "mtu=8000")
    assert ran(done.out) == ["alpha ran with 8000"]


def test_parameters_go_to_the_only_class(user: User) -> None:
    user.recipe(
        """
        class Only(BaseRecipe):
            m1 = HostReq()
            n = IntParam()
            def test(self): self.add_result(True, f"{self.params.n}")
        """
    )
    assert ran(user.shakeout("run", "my.py", "--", "n=3").out) == ["3"]


def test_parameters_for_nobody_in_particular_are_an_error_that_lists_the_classes(user: User) -> None:
    user.recipe(THREE)
    done = user.shakeout("run", "my.py", "--", "mtu=8000")
    assert done.status == 2
    assert "Beta, Alpha, Gamma" in done.complaint
    assert "my.py:Beta" in done.complaint
    two_files = user.shakeout("run", "my.py:Alpha", "my.py:Beta", "--", "mtu=8000")
    assert two_files.status == 2
    assert "my.py:Alpha, my.py:Beta" in two_files.complaint
    assert user.runs() == []


def test_a_class_that_lacks_mandatory_parameters_is_reported_and_nothing_runs(user: User) -> None:
    user.recipe(
        """
        class Fine(BaseRecipe):
            m1 = HostReq()
            def test(self): raise SystemExit

        class Wants(BaseRecipe):
            m1 = HostReq()
            peer = IpParam(mandatory=True)
            size = IntParam(mandatory=True)
            def test(self): pass

        class WantsToo(BaseRecipe):
            m1 = HostReq()
            name = StrParam(mandatory=True)
            def test(self): pass
        """
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 2
    for word in ("Wants: ", "'peer'", "'size'", "WantsToo: ", "'name'"):
        assert word in done.complaint
    assert user.runs() == []


def test_everything_wrong_with_the_parameters_is_in_one_message(user: User) -> None:
    user.recipe(
        """
        class Wants(BaseRecipe):
            m1 = HostReq()
            peer = IpParam(mandatory=True)
            size = IntParam(default=3)
            mode = ChoiceParam(["active", "backup"], default="active")
            def test(self): pass
        """
    )
    done = user.shakeout("run", "my.py", "--", "sise=4", "size=big", "mode=bakcup", "peer")
    assert done.status == 2
    for word in ("'sise'", "did you mean 'size'", "size='big'", "bakcup", "'peer' is missing", "name=value"):
        assert word in done.complaint, done.complaint
    assert user.runs() == []


def test_an_init_of_its_own_may_consume_what_is_no_parameter(user: User) -> None:
    user.recipe(
        """
        class Adjusts(BaseRecipe):
            m1 = HostReq()
            m1.if1 = DeviceReq(label="net1")
            mtu = IntParam(default=1500)

            def __init__(self, driver="veth", hosts="1", **kwargs):
                super().__init__(**kwargs)
                self.req.m1.if1.driver = driver
                for number in range(2, int(hosts) + 1):
                    setattr(self.req, f"m{number}", HostReq())
                    setattr(self.req[f"m{number}"], "if1", DeviceReq(label="net1"))

            def test(self):
                self.add_result(True, f"{len(self.matched)} hosts, mtu {self.params.mtu}")
        """
    )
    done = user.shakeout("run", "my.py", "--", "hosts=3", "mtu=9000")
    assert ran(done.out) == ["3 hosts, mtu 9000"]
    assert ran(user.shakeout("run", "my.py").out) == ["1 hosts, mtu 1500"]
    other = user.shakeout("run", "my.py", "--", "drivr=mlx5")
    assert other.status == 2
    assert "drivr" in other.complaint
    unmet = user.shakeout("run", "my.py", "--", "driver=mlx5_core")
    assert unmet.status == 2
    assert "mlx5_core" in unmet.complaint


def test_what_an_init_lacks_is_said_with_its_line(user: User) -> None:
    user.recipe(
        """
        class Old(BaseRecipe):
            m1 = HostReq()
            def __init__(self, **kwargs):
                super().__init__()
                self.req.m1.name = kwargs["machine"]
            def test(self): pass
        """
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 2
    assert "my.py:8: Old() ended with KeyError: 'machine'" in done.complaint
    assert user.shakeout("run", "my.py", "--", "machine=m1").status == 0


def test_an_init_that_forgets_the_base_is_told_so(user: User) -> None:
    user.recipe(
        """
        class Forgets(BaseRecipe):
            m1 = HostReq()
            def __init__(self): self.count = 3
            def test(self): pass
        """
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 2
    assert "super().__init__" in done.complaint


def test_requirements_refer_to_parameters(user: User) -> None:
    user.recipe(
        """
        class Refers(BaseRecipe):
            driver = StrParam(default="veth")
            net = StrParam(default="net1")
            m1 = HostReq()
            m1.eth0 = DeviceReq(label=net, driver=driver)
            def test(self): self.add_result(True, self.matched.m1.eth0.driver)
        """
    )
    assert ran(user.shakeout("run", "my.py").out) == ["veth"]
    done = user.shakeout("run", "my.py", "--", "driver=e1000")
    assert done.status == 2
    assert "m1.eth0" in done.complaint
    assert "driver=e1000" in done.complaint


def test_ten_thousand_parameters(user: User) -> None:
    user.recipe(
        """
        class Many(BaseRecipe):
            m1 = HostReq()
            for number in range(10_000):
                locals()[f"p{number}"] = IntParam()
            def test(self):
                self.add_result(True, f"{sum(value for _, value in self.params if value is not None)}")
        """
    )
    given = [f"p{number}={number}" for number in range(10_000)]
    done = user.shakeout("run", "my.py", "--", *given)
    assert ran(done.out) == [str(sum(range(10_000)))], done.err[:1000]
    wrong = user.shakeout("run", "my.py", "--", *(f"q{number}={number}" for number in range(10_000)))
    assert wrong.status == 2
    assert len(wrong.complaint) < 10_000


def test_very_long_values(user: User) -> None:
    user.recipe(
        """
        class Long(BaseRecipe):
            m1 = HostReq()
            text = StrParam(default="")
            size = IntParam(default=0)
            def test(self):
                done = self.matched.m1.run(["printf", "%s", self.params.text])
                self.add_result(len(done.stdout) == len(self.params.text), "all of it")
        """
    )
    done = user.shakeout("run", "my.py", "--", "text=" + "x" * 100_000)
    assert done.status == 0, done.err
    assert max(map(len, done.out.splitlines())) < 1000
    wrong = user.shakeout("run", "my.py", "--", "size=" + "x" * 100_000)
    assert wrong.status == 2
    assert len(wrong.complaint) < 1000


def test_debug_before_and_after_the_command(user: User) -> None:
    user.recipe("class Only(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.matched.m1.run('true')\n")
    for words in (("-d", "run", "my.py"), ("run", "-d", "my.py"), ("run", "my.py", "-d"), ("run", "my.py", "--debug")):
        done = user.shakeout(*words)
        assert done.status == 0
        assert " ms shakeout: part 1: JobStarted" in done.err
    assert " ms shakeout" not in user.shakeout("run", "my.py").err


def test_an_interrupt_names_the_recipes_that_are_not_run(user: User) -> None:
    user.recipe(
        """
        import os, signal

        class First(BaseRecipe):
            def test(self):
                os.kill(os.getpid(), signal.SIGINT)

        class Second(First): pass
        class Third(First): pass
        """
    )
    done = user.shakeout("run", "my.py")
    assert done.status == 130
    assert "not run any more: Second, Third" in done.err
