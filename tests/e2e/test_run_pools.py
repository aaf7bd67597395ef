"""`shakeout run --pool`: hosts that are there already, described in directories."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pexpect
import pytest
from tests.e2e.user import SHAKEOUT, User

from shakeout.testing import StandaloneAgent

# The agents of the whole file start their own helpers when they like.
pytestmark = [pytest.mark.needs("root", "namespaces"), pytest.mark.leaks("processes")]

ONE = """
    class One(BaseRecipe):
        m1 = HostReq(%s)
        def test(self):
            self.add_result(None, f"on {self.matched.m1.params.rack}")
            self.matched.m1.run("hostname")
"""


@pytest.fixture(scope="module")
def agents() -> Iterator[list[StandaloneAgent]]:
    """Three machines with an agent each."""
    with ExitStack() as stack:
        yield [stack.enter_context(StandaloneAgent(f"machine{number}")) for number in range(3)]


def host(user: User, name: str, address: str, file: str = "", extra: str = "", rack: int = 0) -> Path:
    """A host's file in the pool "lab"."""
    return user.write(
        file or f"lab/{name}.yaml",
        f"host: {{name: {name}, address: {address}, via: unix}}\nparams: {{arch: x86_64, rack: {rack}}}\n{extra}",
    )


def pool(user: User, agents: list[StandaloneAgent]) -> None:
    """A pool "lab" of all agents: dut0, dut1, dut2 in racks 0, 1, 2."""
    for number, agent in enumerate(agents):
        host(user, f"dut{number}", agent.path, rack=number)


def test_a_directory_as_pool(user: User, agents: list[StandaloneAgent]) -> None:
    pool(user, agents)
    user.recipe(ONE % "rack=1")
    done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 0, done.err
    assert "m1 = dut1 (pool lab)" in done.err
    assert "on 1" in done.out


@pytest.mark.parametrize("given", ["lab/", "./lab/", "../{}/lab//"])
@pytest.mark.parametrize("configured", ["", '[pools]\nlab = "lab"\n', '[pools]\nlab = "other"\n'])
def test_a_pool_is_called_as_its_directory_however_that_is_written(user: User, given: str, configured: str) -> None:
    host(user, "dut0", "/nowhere.sock")
    user.write("shakeout.toml", configured)
    host(user, "dut1", "/nowhere.sock", "other/dut1.yaml")
    shown = user.shakeout("pool", "list", "--pool", given.format(user.folder.name), "--format", "json")
    (one,) = json.loads(shown.out)
    assert one["name"] == "dut0"
    assert not one["pool"].endswith("/")
    assert (one["pool"] == "lab") == ("other" not in configured)  # that is another one


def test_a_pool_by_its_name_and_all_of_them_if_none_is_named(user: User, agents: list[StandaloneAgent]) -> None:
    pool(user, agents)
    user.write("shakeout.toml", '[pools]\nracks = "lab"\n')
    user.recipe(ONE % "rack=2")
    for words in (("--pool", "racks"), ()):
        done = user.shakeout("run", "my.py", *words)
        assert done.status == 0, done.err
        assert "m1 = dut2 (pool racks)" in done.err
    twice = user.shakeout("run", "my.py", "--pool", "racks", "--pool", "lab")
    assert twice.status == 0, twice.err
    done = user.shakeout("run", "my.py", "--pool", "rakcs")
    assert done.status == 2
    assert "no pool is called 'rakcs' (did you mean 'racks'?)" in done.complaint


def test_hosts_of_several_pools_that_bear_one_name(user: User, agents: list[StandaloneAgent]) -> None:
    host(user, "dut0", agents[0].path, file="north/lab/dut0.yaml", rack=7)
    host(user, "dut1", agents[1].path, file="south/lab/dut1.yaml", rack=8)
    user.recipe(ONE % "rack=AnyOf(7, 8)")
    done = user.shakeout("run", "my.py", "--pool", "north/lab", "--pool", "south/lab", "--all-matches")
    assert done.result.startswith("RESULT PASS (2 passed")


def test_all_matches(user: User, agents: list[StandaloneAgent]) -> None:
    pool(user, agents)
    user.recipe(ONE % "")
    done = user.shakeout("run", "my.py", "--pool", "lab", "--all-matches")
    assert done.status == 0, done.err
    assert done.result.startswith("RESULT PASS (3 passed, 0 failed, 0 errors")
    assert [line.split("on ")[1] for line in done.out.splitlines() if "record" in line] == ["0", "1", "2"]
    assert "match 2 m1=dut1" in done.out
    shown = user.shakeout("run", "my.py", "--pool", "lab", "--all-matches", "--match-only")
    assert [line for line in shown.out.splitlines() if "dut" in line] == [
        f"    m1 = dut{n} (pool lab)" for n in range(3)
    ]
    assert len(user.runs()) == 1


def test_one_match_that_fails_does_not_stop_the_others(user: User, agents: list[StandaloneAgent]) -> None:
    pool(user, agents)
    user.recipe(
        "class One(BaseRecipe):\n    m1 = HostReq()\n"
        "    def test(self): self.matched.m1.run(f'exit {self.matched.m1.params.rack == 1:d}')\n"
    )
    done = user.shakeout("run", "my.py", "--pool", "lab", "--all-matches")
    assert done.status == 1
    assert done.result.startswith("RESULT FAIL (2 passed, 1 failed, 0 errors")


def test_a_host_that_does_not_answer_is_set_aside(user: User, agents: list[StandaloneAgent]) -> None:
    host(user, "alpha", str(user.folder / "nobody.sock"))
    host(user, "beta", agents[0].path, rack=5)
    user.recipe(ONE % "")
    done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 0, done.err
    assert "host alpha is set aside: " in done.err
    assert "m1 = beta (pool lab)" in done.err
    assert "Host alpha was set aside: " in done.out
    done = user.shakeout("run", "my.py", "--pool", "lab", "--all-matches")
    assert done.result.startswith("RESULT PASS (1 passed")


def test_a_host_that_hangs_up_is_set_aside(user: User, agents: list[StandaloneAgent]) -> None:
    """Something listens, but it is no agent."""
    path = user.folder / "other.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))  # and never listens
        host(user, "alpha", str(path))
        host(user, "beta", agents[0].path, rack=5)
        user.recipe(ONE % "")
        done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 0, done.err
    assert "host alpha is set aside: " in done.err


def test_hosts_are_made_if_the_user_says_so(user: User) -> None:
    host(user, "alpha", str(user.folder / "nobody.sock"))
    user.write("shakeout.toml", '[pools]\nlab = "lab"\n')
    user.recipe("class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.matched.m1.run('true')\n")
    asked = user.shakeout("run", "--match-only", "my.py")
    assert "= alpha (pool lab)" in asked.out
    done = user.shakeout("run", "--lab", "netns", "my.py")
    assert done.status == 0, done.err
    assert "(pool netns)" in done.err


def test_nobody_answers(user: User) -> None:
    for name in ("alpha", "beta"):
        host(user, name, str(user.folder / "nobody.sock"))
    user.recipe(ONE % "")
    done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 2, done.out
    assert "set aside, because they did not answer: alpha, beta" in done.err
    assert "Traceback" not in done.err
    assert done.result.startswith("RESULT ERROR (0 passed, 0 failed, 0 errors")


def test_on_a_terminal_an_error_is_said_once(user: User) -> None:
    host(user, "alpha", str(user.folder / "nobody.sock"))
    user.recipe(ONE % "")
    words = ["run", "my.py", "--pool", "lab"]
    separate = user.shakeout(*words)
    assert "no host is left" in separate.err, "who reads only one of the two must find it"
    assert "no host is left" in separate.out
    child = pexpect.spawn(
        SHAKEOUT, words, cwd=user.folder, env=user.environment, encoding="utf-8", timeout=20, dimensions=(24, 200)
    )  # fmt: skip
    with child:
        child.expect(pexpect.EOF)
    assert child.before is not None
    assert child.before.count("no host is left") == 1, child.before


def test_a_host_in_use_is_set_aside(user: User, agents: list[StandaloneAgent]) -> None:
    host(user, "alpha", agents[0].path)
    host(user, "beta", agents[1].path, rack=1)
    user.recipe(
        """
        import subprocess, sys

        class Outer(BaseRecipe):
            m1 = HostReq(rack=0)
            def test(self):
                words = [sys.argv[0], "run", "my.py:Inner", "--pool", "lab", "--out", "inner"]
                done = subprocess.run(words, capture_output=True, text=True)
                for line in done.stderr.splitlines():
                    self.add_result(done.returncode == 0, line)

        class Inner(BaseRecipe):
            m1 = HostReq()
            def test(self): self.matched.m1.run("true")
        """
    )
    done = user.shakeout("run", "my.py:Outer", "--pool", "lab")
    assert done.status == 0, done.out
    assert "host alpha is set aside" in done.out
    assert "m1 = beta" in done.out


def test_what_a_recipe_did_to_a_host_is_undone_before_the_next(user: User, agents: list[StandaloneAgent]) -> None:
    host(user, "alpha", agents[0].path)
    user.recipe(
        """
        class Changes(BaseRecipe):
            m1 = HostReq()
            def test(self):
                m1 = self.matched.m1
                before = m1.procfs_set("sys/net/ipv4/ip_forward", 1)
                assert before == "0", before
                m1.br7 = BridgeDevice()
                m1.br7.ip_add("192.0.2.1/24")
                m1.eth0.mtu = 1400
                m1.run("setsid sleep 600 > /dev/null 2>&1 &")

        class Looks(BaseRecipe):
            m1 = HostReq()
            def test(self):
                m1 = self.matched.m1
                assert m1.procfs_get("sys/net/ipv4/ip_forward") == "0"
                assert "br7" not in [device.name for device in m1]
                assert m1.eth0.mtu == 1500
                m1.run("pgrep sleep", fail=True)
        """
    )
    done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 0, done.out


# -- pools that are none ------------------------------------------------------------------------------


def refused(user: User) -> str:
    """What is said about the pool "lab"."""
    user.recipe(ONE % "")
    done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 2, done.err
    assert "Traceback" not in done.err
    assert user.runs() == []
    return done.err


def test_an_empty_pool(user: User) -> None:
    (user.folder / "lab").mkdir()
    said = refused(user)
    assert "there are no hosts in lab: " in said


def test_a_pool_whose_folder_is_gone(user: User) -> None:
    user.write("shakeout.toml", '[pools]\nlab = "no/such/folder"\n')
    assert "no/such/folder" in refused(user)


def test_bad_yaml(user: User) -> None:
    user.write("lab/a.yaml", "host: {name: a, address: x\nparams: {\n")
    assert "lab/a.yaml:" in refused(user)


def test_everything_wrong_in_all_files_of_a_pool(user: User) -> None:
    user.write("lab/a.yaml", "host: {name: a, addres: /x.sock, via: unix}\n")
    user.write("lab/b.yaml", "host: {name: b, address: /x.sock, via: pigeon}\ninterfaces:\n  - {network: n}\n")
    said = refused(user)
    assert "lab/a.yaml:1" in said
    assert "addres" in said
    assert "lab/b.yaml:1" in said
    assert "pigeon" in said
    assert "lab/b.yaml:3" in said


def test_two_hosts_of_one_name(user: User) -> None:
    host(user, "twin", "/x.sock", file="lab/a.yaml")
    host(user, "twin", "/y.sock", file="lab/b.yaml")
    said = refused(user)
    assert "twin" in said
    assert "a.yaml" in said
    assert "b.yaml" in said


def test_one_hardware_address_twice(user: User) -> None:
    port = 'interfaces:\n  - {id: eth1, hwaddr: "52:54:00:00:00:11", network: net1}\n'
    host(user, "a", "/x.sock", extra=port)
    host(user, "b", "/y.sock", extra=port)
    assert "52:54:00:00:00:11" in refused(user)


@pytest.mark.parametrize(("via", "said"), [("tls", "certificate"), ("ssh", "Could not resolve hostname")])
def test_a_host_that_cannot_be_reached_from_here(user: User, via: str, said: str) -> None:
    user.write("lab/a.yaml", f"host: {{name: a, address: 'dut1.invalid:9999', via: {via}}}\nparams: {{rack: 1}}\n")
    user.recipe(ONE % "")
    done = user.shakeout("run", "my.py", "--pool", "lab")
    assert done.status == 2
    assert said in done.err
    assert "Traceback" not in done.err
