"""`Controller` in a script of one's own."""

from __future__ import annotations

import pytest
from tests.e2e.user import IMPORTS, User

from shakeout.testing import StandaloneAgent

pytestmark = pytest.mark.needs("namespaces")


def script(user: User, text: str, *arguments: str) -> tuple[int, str, str]:
    """Run a script that begins with the usual imports; exit status, output, error output."""
    import textwrap

    user.write("script.py", IMPORTS + textwrap.dedent(text))
    done = user.python("script.py", *arguments)
    return done.status, done.out, done.err


SMALL = """
class Small(BaseRecipe):
    m1 = HostReq()
    code = IntParam(default=0)
    def test(self): self.matched.m1.run(f"exit {self.params.code}")

"""


def test_a_run_is_printed_and_returned(user: User) -> None:
    status, out, err = script(
        user,
        SMALL + "run = Controller().run(Small())\n"
        "print(run.verdict, run.verdict.value, [part.value for part in run.parts], run.journal.name, run.exit_status)\n"
        "print(run.folder.name == run.id)\n",
    )
    assert status == 0, err
    *summary, line, same = out.splitlines()
    assert summary[0] == "RESULTS SUMMARY:"
    assert summary[-1].startswith("RESULT PASS (1 passed")
    assert line == "passed passed ['passed'] journal.jsonl 0"
    assert same == "True"
    assert err == "Small runs on:\n    m1 = m1 (pool netns)\n"


def test_quiet(user: User) -> None:
    status, out, err = script(user, SMALL + "Controller(quiet=True).run(Small())\n")
    assert (status, out, err) == (0, "", "")


def test_a_failed_run_is_returned_not_raised(user: User) -> None:
    status, out, err = script(
        user, SMALL + "import sys\nsys.exit(Controller(quiet=True).run(Small(code=3)).exit_status)\n"
    )
    assert (status, out, err) == (1, "", "")


def test_what_test_raises_is_raised_again_after_hosts_are_restored(user: User) -> None:
    status, out, err = script(
        user,
        """
        class Mine(Exception): pass

        class Breaks(BaseRecipe):
            m1 = HostReq()
            def test(self):
                self.matched.m1.procfs_set("sys/net/ipv4/ip_forward", 1)
                raise Mine("over")

        try:
            Controller().run(Breaks())
        except Mine as error:
            print("caught", error, error.__notes__)
        """,
    )
    assert status == 0, err
    assert out.splitlines()[-1].startswith("caught over ['in run ")
    assert "recipe Breaks was terminated by an unexpected exception" in err
    assert user.journal().count('"undo-finished"') == 1
    assert "RESULT ERROR" in out


def test_an_assertion_is_raised_again_too(user: User) -> None:
    status, out, err = script(
        user,
        """
        class Fails(BaseRecipe):
            m1 = HostReq()
            def test(self): assert self.matched.m1.run("false").passed

        Controller().run(Fails())
        """,
    )
    assert status == 1
    assert 'assert self.matched.m1.run("false").passed' in err
    assert "RESULT FAIL" in out


def test_several_runs_of_one_controller(user: User) -> None:
    status, out, err = script(
        user,
        SMALL + "ctl = Controller(quiet=True)\nprint(len({ctl.run(Small()).id for n in range(4)}))\n"
        "recipe = Small()\nctl.run(recipe); ctl.run(recipe)\n",
    )
    assert (status, out, err) == (0, "4\n", "")
    assert len(user.runs()) == 6


def test_runs_in_threads(user: User) -> None:
    status, out, err = script(
        user,
        SMALL + "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    runs = list(pool.map(lambda n: Controller(quiet=True).run(Small(code=n)), range(4)))\n"
        "print([run.verdict.value for run in runs])\n",
    )
    assert (status, err) == (0, "")
    assert out == "['passed', 'failed', 'failed', 'failed']\n"


def test_modules_and_device_kinds_of_the_script_itself(user: User) -> None:
    status, out, err = script(
        user,
        """
        import argparse

        class Mine(BaseTestModule):
            word = StrParam(mandatory=True)
            def run(self):
                import socket
                return f"{self.params.word} from {socket.gethostname()}"

        class TwoFaced(BridgeDevice):
            greeting = "hello"

            @property
            def shouted(self):
                return self.greeting.upper() + " " + self.name

            def repeat(self, times):
                return [self.greeting] * times

        class Uses(BaseRecipe):
            m1 = HostReq()
            word = StrParam()
            def test(self):
                m1 = self.matched.m1
                assert m1.run(Mine(word=self.params.word)).result == "hi from m1"
                m1.br0 = TwoFaced()
                assert m1.br0.shouted == "HELLO br0"
                m1.br0.greeting = "ciao"
                assert m1.br0.repeat(2) == ["ciao", "ciao"]

        if __name__ == "__main__":
            parser = argparse.ArgumentParser()
            parser.add_argument("word")
            Controller(quiet=True).run(Uses(word=parser.parse_args().word))
            print("done")
        """,
        "hi",
    )
    assert (status, out) == (0, "done\n"), err


def test_no_match_is_raised_with_the_explanation_and_leaves_no_run(user: User) -> None:
    status, out, err = script(
        user,
        """
        from shakeout.errors import NoMatch
        class Wants(BaseRecipe):
            m1 = HostReq(arch="sparc64")
            def test(self): pass
        try:
            Controller().run(Wants())
        except NoMatch as error:
            print(error)
        """,
    )
    assert status == 0, err
    assert "arch=sparc64" in out
    assert user.runs() == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("Controller().run(Small(), all_match=True)", "'all_match' (did you mean 'all_matches'?)"),
        ("Controller().run(Small(), share_networks=3)", "share_networks"),
        ("Controller().run(Small)", "run() takes a recipe's instance: Small(...)"),
        ("Controller().run('my.py')", "run() takes a recipe's instance"),
        ("Controller(pools='lab')", "say pools=['lab']"),
        ("Controller(pools=['lab'])", "no pool is called 'lab'"),
        ("Controller(config='no.toml')", "no.toml"),
        ("Controller(mapper=3)", "mapper"),
        ("Controller(mapper=object)", "matches"),
        ("Controller(pool_manager=3)", "pool_manager"),
        ("Controller(timeout=-1)", "timeout"),
        ("Small(colour='red')", "'colour' is no parameter"),
        ("Small().matched", "only there while the recipe runs"),
        ("Small().breakpoint()", "only there while the recipe runs"),
        ("BaseRecipe()", "has no test()"),
    ],
)
def test_mistakes(user: User, line: str, named: str) -> None:
    status, out, err = script(
        user,
        SMALL
        + f"from shakeout.errors import UsageError\ntry:\n    {line}\nexcept UsageError as error:\n    print(error)\n",
    )
    assert status == 0, err
    assert named in out
    assert user.runs() == []


def test_a_mapper_of_ones_own(user: User) -> None:
    """Its options are those of `run`; it decides which hosts are used, and how often."""
    status, out, err = script(
        user,
        SMALL
        + """
from shakeout.matching.mapper import Match

class Often:
    def matches(self, requirements, inventory, *, times=1, exclude=(), **options):
        for _ in range(times):
            yield Match({name: inventory.hosts[0] for name, req in requirements})

class Never:
    def matches(self, requirements, inventory, **options):
        return iter(())

print(Controller(mapper=Often, quiet=True).run(Small()).verdict)
print(Controller(mapper=Often(), quiet=True).run(Small(), times=3).parts)
from shakeout.errors import NoMatch
try:
    Controller(mapper=Never, quiet=True).run(Small())
except NoMatch as error:
    print("no match:", error)
""",
    )
    assert status == 0, err
    first, second, third = out.splitlines()
    assert first == "passed"
    assert second.count("passed") == 3
    assert "by shakeout's own" in third
    assert "Never" in third


@pytest.mark.needs("root")
@pytest.mark.leaks("processes")
def test_a_pool_manager_of_ones_own(user: User) -> None:
    with StandaloneAgent("mine") as agent:
        status, out, err = script(
            user,
            SMALL
            + f"""
from shakeout.hosts.unix import connect_unix
from shakeout.labs.provider import Opened
from shakeout.matching.inventory import HostEntry, Inventory

class MyPool:
    name = "mine"
    released = closed = 0
    def inventory(self, requirements): return Inventory([HostEntry("box", "mine", {{"rack": 7}})])
    def open(self, match): return Opened({{id: connect_unix({agent.path!r}) for id in match.hosts}})
    def release(self): self.released += 1
    def keep(self): return "nothing"
    def close(self): self.closed += 1

class Where(Small):
    m1 = HostReq(rack=7)
    def test(self): self.add_result(True, self.matched.m1.run("hostname").stdout.strip())

pool = MyPool()
run = Controller(pool_manager=pool).run(Where())
print(run.verdict, pool.released, pool.closed)
""",
        )
    assert status == 0, err
    assert out.splitlines()[-1] == "passed 1 0"
    assert "Custom summary record: mine PASS" in out
    assert "m1 = box (pool mine)" in err


def test_a_host_that_does_not_answer_with_and_without_pool_checks(user: User) -> None:
    user.write("lab/a.yaml", "host: {name: a, address: ./nobody.sock, via: unix}\n")
    status, out, err = script(
        user,
        SMALL
        + """
from shakeout.errors import AgentUnreachable, NoMatch
for checks, error in ((True, NoMatch), (False, AgentUnreachable)):
    try:
        Controller(pools=["lab"], pool_checks=checks, quiet=True).run(Small())
    except error as caught:
        print(type(caught).__name__, "a" in str(caught))
""",
    )
    assert status == 0, err
    assert out == "NoMatch True\nAgentUnreachable True\n"


def test_breakpoints_keep_debug_and_timeout(user: User) -> None:
    status, out, err = script(
        user,
        """
        from shakeout.errors import NotInteractive
        class Stops(BaseRecipe):
            m1 = HostReq()
            def test(self): self.breakpoint("here")

        class Slow(BaseRecipe):
            m1 = HostReq()
            def test(self): self.matched.m1.run("sleep 60")

        assert Controller(breakpoints=False, quiet=True).run(Stops()).verdict == "passed"
        try:
            Controller(quiet=True).run(Stops())
        except NotInteractive as error:
            print("not interactive")
        try:
            Controller(quiet=True, timeout=0.2).run(Slow())
        except Exception as error:
            print(error)
        Controller(debug=1, quiet=True, breakpoints=False).run(Stops())
        """,
    )
    assert status == 0, err
    assert out.splitlines() == ["not interactive", "the recipe took longer than the 0.2 s that it may take"]
    assert "ms shakeout: part 1: PartStarted" in err


def test_which_matches_there_would_be(user: User) -> None:
    status, out, err = script(
        user, SMALL + "print([match.hosts['m1'].pool for match in Controller().matches(Small())])\n"
    )
    assert (status, out, err) == (0, "['netns']\n", "")
    assert user.runs() == []


def test_the_signal_handlers_of_the_script_are_its_own_again_afterwards(user: User) -> None:
    status, out, err = script(
        user,
        "import signal\nmine = lambda *_: None\nnumbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)\n"
        "for n in numbers: signal.signal(n, mine)\n" + SMALL + "Controller(quiet=True).run(Small())\n"
        "print([signal.getsignal(n) is mine for n in numbers])\n",
    )
    assert (status, out, err) == (0, "[True, True, True]\n", "")


def test_a_recipe_may_be_interrupted_at_any_moment(user: User) -> None:
    """Whatever it was doing with its host: the host is restored at once, and nothing is waited for in vain."""
    status, out, err = script(
        user,
        """
        class Busy(BaseRecipe):
            m1 = HostReq()
            m1.eth0 = DeviceReq(label="net1")
            def test(self):
                m1 = self.matched.m1
                for number in range(10_000):
                    m1.run("true")
                    m1.eth0.mtu = 1400 + number % 100
                    job = m1.run("sleep 5", bg=True)
                    m1.procfs_set("sys/net/ipv4/ip_forward", number % 2)
                    job.kill()

        for number in range(12):
            try:
                Controller(quiet=True, timeout=0.0007 * 1.4**number).run(Busy())
            except Exception as error:
                print(type(error).__name__)
        """,
    )
    assert (status, err) == (0, "")
    assert out.split() == ["RecipeTimeout"] * 12
    for run in user.runs():
        journal = (run / "journal.jsonl").read_text()
        assert journal.count('"undo-finished"') == 1
        assert '"failed":[' not in journal
