"""`shakeout run` on what it cannot run: one paragraph that says what, where and what to try; exit status 2, no run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User

pytestmark = pytest.mark.needs("namespaces")

GOOD = "class Good(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.matched.m1.run('true')\n"


def refused(user: User, *arguments: str | Path) -> str:
    """The one paragraph that `shakeout run` refuses *arguments* with."""
    done = user.shakeout("run", *arguments)
    assert done.status == 2, done.err + done.out
    assert done.out == ""
    assert user.runs() == []
    return done.complaint


# -- files --------------------------------------------------------------------------------------------


def test_no_file_is_given(user: User) -> None:
    assert "FILE" in refused(user)


def test_a_file_that_is_not_there(user: User) -> None:
    user.recipe(GOOD)
    assert "there is no file mine.py" in refused(user, "mine.py")
    assert "did you mean 'my.py'" in refused(user, "mi.py")
    assert "there is no file no/where.py" in refused(user, "no/where.py:Good")


def test_a_folder(user: User) -> None:
    assert "is no file" in refused(user, ".")


def test_a_device(user: User) -> None:
    assert "/dev/null is no file" in refused(user, "/dev/null")


def test_a_name_that_is_too_long(user: User) -> None:
    assert "name too long" in refused(user, "x" * 5000 + ".py")


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x00\x00", b"\xff\xfe\x00", "# naïve\n".encode("latin-1")])
def test_a_binary_file(user: User, content: bytes) -> None:
    (user.folder / "my.py").write_bytes(content)
    assert "my.py" in refused(user, "my.py")


def test_an_empty_file(user: User) -> None:
    user.write("my.py", "")
    assert "my.py has no recipe class: define one" in refused(user, "my.py")


def test_a_syntax_error(user: User) -> None:
    user.recipe("class Bad(BaseRecipe):\n    def test(self:\n        pass\n")
    complaint = refused(user, "my.py")
    assert "my.py:4: " in complaint
    assert "def test(self:" in complaint


def test_a_syntax_error_in_what_it_imports(user: User) -> None:
    user.write("beside.py", "x = = 1\n")
    user.recipe("import beside\n")
    assert "beside.py:1: invalid syntax" in refused(user, "my.py")


def test_an_error_while_it_is_imported(user: User) -> None:
    user.write("beside.py", "def broken():\n    return 1 / 0\n")
    user.recipe("import beside\n\nbeside.broken()\n")
    assert "my.py:5: ZeroDivisionError: division by zero" in refused(user, "my.py")


def test_a_module_that_is_not_there(user: User) -> None:
    user.recipe("import nosuchmodule\n")
    complaint = refused(user, "my.py")
    assert "my.py:3: ModuleNotFoundError" in complaint
    assert "install 'nosuchmodule'" in complaint


def test_a_name_that_shakeout_does_not_have(user: User) -> None:
    user.write("my.py", "from shakeout import HostRek\n")
    complaint = refused(user, "my.py")
    assert "my.py:1: " in complaint
    assert "HostRek" in complaint


def test_a_file_that_ends_the_program(user: User) -> None:
    user.recipe("import sys\nsys.exit(7)\n")
    assert "my.py:4: the file ended the program while it was imported (7)" in refused(user, "my.py")


# -- classes ------------------------------------------------------------------------------------------


def test_no_recipe_class(user: User) -> None:
    user.recipe("class Plain:\n    def test(self): pass\n")
    assert "my.py has no recipe class" in refused(user, "my.py")


def test_a_class_that_is_not_there(user: User) -> None:
    user.recipe(GOOD)
    assert "no recipe class 'Godo' (did you mean 'Good'?)" in refused(user, "my.py:Godo")


def test_a_class_that_is_no_recipe(user: User) -> None:
    user.recipe("class Plain:\n    def test(self): pass\n")
    assert "Plain in my.py is no recipe" in refused(user, "my.py:Plain")


def test_an_abstract_class(user: User) -> None:
    user.recipe(
        """
        import abc

        class Base(BaseRecipe, abc.ABC):
            m1 = HostReq()

            @abc.abstractmethod
            def traffic(self): ...

            def test(self): self.traffic()
        """
    )
    assert "Base: it is abstract: traffic must be overridden" in refused(user, "my.py")
    assert "abstract: traffic" in refused(user, "my.py:Base")


def test_a_class_without_test(user: User) -> None:
    user.recipe("class Lazy(BaseRecipe):\n    m1 = HostReq()\n")
    assert "Lazy: it has no test()" in refused(user, "my.py")
    assert "it has no test()" in refused(user, "my.py:Lazy")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("m1.run = DeviceReq()", "'run' is reserved"),
        ("m1.params = DeviceReq()", "'params' is reserved"),
        ("m1.devs = DeviceReq()", "'devs' is reserved"),
        ("m1.props = DeviceReq()", "'props' is reserved"),
        ("matched = HostReq()", "'matched'"),
        ("req = HostReq()", "'req'"),
        ("reqs = HostReq()", "'reqs'"),
        ("m1.test = DeviceReq()", "'test' is reserved"),
        ("eth0 = DeviceReq()", "an interface belongs to a host"),
        ("m1.eth0 = DeviceReq(label=7)", "label=7"),
        ("m1.eth0 = DeviceReq", "DeviceReq(...)"),
        ("m2 = HostReq", "write HostReq()"),
        ("m1.eth0 = HostReq()", "DeviceReq(...)"),
        ("m1.class_ = object()", "class_"),
        ("req = IntParam()", "req: the name is taken"),
    ],
)
def test_requirements_that_make_no_sense(user: User, line: str, named: str) -> None:
    user.recipe(f"class Odd(BaseRecipe):\n    m1 = HostReq()\n    {line}\n    def test(self): pass\n")
    complaint = refused(user, "my.py")
    assert named in complaint


# -- parameters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("colour=red", "takes none"),
        ("noequals", "not of the form name=value"),
        ("=3", "name=value"),
        ("", "name=value"),
        ("--mtu=3", "'--mtu' is no parameter"),
    ],
)
def test_parameters_for_a_recipe_without_any(user: User, argument: str, named: str) -> None:
    user.recipe(GOOD)
    assert named in refused(user, "my.py", "--", argument)


def test_a_parameter_given_twice(user: User) -> None:
    user.recipe("class P(BaseRecipe):\n    m1 = HostReq()\n    n = IntParam()\n    def test(self): pass\n")
    assert "'n' is given twice" in refused(user, "my.py", "--", "n=1", "n=2")


# -- hosts --------------------------------------------------------------------------------------------


def test_a_requirement_that_nobody_can_meet_is_explained(user: User) -> None:
    user.recipe(
        """
        class Wants(BaseRecipe):
            m1 = HostReq(arch="sparc64")
            m1.if1 = DeviceReq(label="net1")
            m2 = HostReq()
            m2.if1 = DeviceReq(label="net1")
            def test(self): pass
        """
    )
    for words in ((), ("--match-only",)):
        complaint = refused(user, "my.py", *words)
        assert "m1" in complaint
        assert "arch=sparc64" in complaint


def test_one_of_many_recipes_that_cannot_be_matched_stops_all(user: User) -> None:
    user.recipe(
        """
        class First(BaseRecipe):
            m1 = HostReq()
            def test(self): open("first-ran", "w").close()

        class Second(BaseRecipe):
            m1 = HostReq(memory=AtLeast(1 << 60))
            def test(self): pass
        """
    )
    refused(user, "my.py")
    assert not (user.folder / "first-ran").exists()


# -- options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--lab", "mars"], "'netns'"),
        (["--lab", "uml"], "netns"),
        (["--timeout", "soon"], "soon"),
        (["--timeout", "-1"], "timeout"),
        (["--timeout", "0"], "timeout"),
        (["--timeout", "nan"], "timeout"),
        (["--livee"], "--live"),
        (["--pool", "nowhere"], "no pool is called 'nowhere'"),
        (["--html", "no/such/folder.html"], "there is no folder"),
        (["--junit", "."], "it is a folder"),
        (["--json", "/proc/report.json"], "/proc/report.json"),
        (["--out", "/proc/runs"], "/proc/runs"),
        (["--out", "/dev/null"], "/dev/null"),
        (["--out", "my.py"], "my.py"),
        (["--out", ""], "out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_make_no_sense(user: User, arguments: list[str], named: str) -> None:
    user.recipe("class Good(BaseRecipe):\n    m1 = HostReq()\n    def test(self): open('ran', 'w').close()\n")
    assert named in refused(user, "my.py", *arguments)
    assert not (user.folder / "ran").exists()


def test_places_that_cannot_be_written_are_found_before_the_run(user: User) -> None:
    user.recipe("class Good(BaseRecipe):\n    m1 = HostReq()\n    def test(self): open('ran', 'w').close()\n")
    sealed = user.folder / "sealed"
    sealed.mkdir()
    mount = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o ro none "{sealed}" && exec "$@"', "sh"]
    for option in (["--out", f"{sealed}/runs"], ["--html", f"{sealed}/report.html"], ["--junit", f"{sealed}/x.xml"]):
        done = user.command(*mount, SHAKEOUT, "run", "my.py", *option)
        assert done.status == 2, done.err
        assert str(sealed) in done.complaint
        assert not (user.folder / "ran").exists()


def test_a_setting_that_is_misspelt(user: User) -> None:
    user.recipe(GOOD)
    user.write("shakeout.toml", 'run_dir = "here"\n')
    done = user.shakeout("run", "my.py")
    assert done.status == 2
    assert "shakeout.toml:1" in done.err
    assert "did you mean 'runs_dir'" in done.err
    assert user.runs() == []
