"""What `shakeout run` shows: the summary, progress, live lines, colours, matches, reports, kept hosts."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pexpect
import pytest
from tests.e2e.user import SHAKEOUT, User

pytestmark = pytest.mark.needs("namespaces")

STEPS = """
    class Steps(BaseRecipe):
        m1 = HostReq()
        m1.eth0 = DeviceReq(label="net1")
        m2 = HostReq()
        m2.eth0 = DeviceReq(label="net1")

        def test(self):
            m1, m2 = self.matched.m1, self.matched.m2
            m1.run("echo hello", desc="greet")
            job = m2.run("read line", bg=True, stdin=PIPE, desc="wait")
            m1.run("exit 3")
            job.write("go\\n", end=True)
            job.wait()
            m2.run("true", bg=True, desc="quick").wait()
            m1.run("echo '{\\"a\\": [1, 2]}'", json=True, desc="data")
            self.add_result(True, "bandwidth", {"mbit": 941.5})
            self.add_result(None, "just so")
"""


def without_times(lines: list[str]) -> list[str]:
    return [re.sub(r" \([\d.]+ s\)$", "", line) for line in lines]


def test_the_summary_is_as_specified(user: User) -> None:
    user.recipe(STEPS)
    done = user.shakeout("run", "my.py")
    assert done.status == 1
    assert without_times(done.out.splitlines()[:-1]) == [
        "RESULTS SUMMARY:",
        "    Host m1 Job 1 greet PASS",
        "    Host m2 Job 1 wait started",
        "    Host m1 Job 2 exit 3 FAIL",
        "        Ended with exit status 3",
        "    Host m2 Job 1 wait PASS",
        "    Host m2 Job 2 quick PASS",
        "    Host m1 Job 3 data PASS",
        "        Formatted results: a: 1, 2",
        "    Custom summary record: bandwidth PASS",
        "        Formatted results: mbit: 941.5",
        "    Custom summary record: just so",
    ]
    assert re.fullmatch(
        r"RESULT FAIL \(0 passed, 1 failed, 0 errors, \d+\.\d\d s\) run \d{8}-\d{6}-[0-9a-f]{4}", done.result
    )
    assert done.err.startswith("Steps runs on:\n    m1 = m1 (pool netns): eth0 = eth0 on net1\n    m2 = m2 (pool")


def test_live_lines(user: User) -> None:
    user.recipe(STEPS)
    done = user.shakeout("run", "my.py", "--live")
    lines = [line.split(" s  ", 1)[1] for line in done.err.splitlines() if re.match(r" +\d+\.\d{3} s  ", line)]
    for line in ("m1 job 1 started: greet", "m2 job 1 started: wait", "result: PASS bandwidth", "verdict: failed"):
        assert line in lines, done.err
    assert any(line.startswith("m1 job 2 FAIL: exit 3 (") for line in lines)
    assert "             m1 | hello" in done.err
    assert any(line.startswith("m1 is restored (") for line in lines)


def test_what_a_host_prints_cannot_reach_the_terminal(user: User) -> None:
    user.recipe(
        "class R(BaseRecipe):\n    m1 = HostReq()\n"
        "    def test(self): self.matched.m1.run(r\"printf '\\033[2J\\007\\xff'; exit 1\", desc='a\\x1b[31mb')\n"
    )
    for words in ((), ("--live",), ("-d",)):
        done = user.shakeout("run", "my.py", *words)
        assert "\x1b" not in done.out + done.err
        assert "\x07" not in done.out + done.err


def test_no_colours_and_no_status_line_in_a_file(user: User) -> None:
    user.recipe(STEPS)
    done = user.shakeout("run", "my.py")
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err
    assert "\x1b[32mPASS\x1b[0m" in user.shakeout("run", "my.py", FORCE_COLOR="1").out
    assert "\x1b" not in user.shakeout("run", "my.py", FORCE_COLOR="1", NO_COLOR="1").out


def on_a_terminal(user: User, *arguments: str, **more: str) -> str:
    """All that `shakeout run` writes to a terminal."""
    environment = {"TERM": "xterm", **user.environment, **more}
    child = pexpect.spawn(
        SHAKEOUT, ["run", *arguments], cwd=str(user.folder), env=environment, encoding="utf-8", timeout=30,
        dimensions=(24, 100),
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    return str(child.before)


def as_seen(written: str) -> list[str]:
    """What stands on the terminal in the end: lines, with what was overwritten or erased left out."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        shown = line.rsplit("\r", 1)[-1]
        lines.append(re.sub(r"\x1b\[[\d;]*[mK]", "", shown))
    return lines


def test_on_a_terminal_there_is_a_status_line_and_colour_and_nothing_is_left_of_it(user: User) -> None:
    user.recipe(STEPS)
    written = on_a_terminal(user, "my.py")
    assert re.search(r"\r\x1b\[KSteps: \d jobs done", written)
    assert "\x1b[32mPASS\x1b[0m" in written
    seen = as_seen(written)
    assert not [line for line in seen if "jobs done" in line]
    assert seen[0] == "Steps runs on:"
    assert "RESULTS SUMMARY:" in seen
    assert "\x1b[32m" not in on_a_terminal(user, "my.py", NO_COLOR="1")


def test_what_a_recipe_prints_does_not_stand_behind_the_status_line(user: User) -> None:
    user.recipe(
        "class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self):\n"
        "        for n in range(3):\n            self.matched.m1.run('true')\n            print('round', n)\n"
        "        self.log('careful', 'warning')\n"
    )
    seen = as_seen(on_a_terminal(user, "my.py"))
    assert [line for line in seen if "round" in line] == ["round 0", "round 1", "round 2"]
    assert not [line for line in seen if "jobs done" in line]


def test_long_titles_do_not_wrap_the_status_line(user: User) -> None:
    user.recipe(
        "class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self):\n"
        "        for n in range(5): self.matched.m1.run(f'echo {\"x\" * 200} {n}\\nsleep 0.01', desc='日本' * 80)\n"
    )
    written = on_a_terminal(user, "my.py")
    shown = re.findall(r"\r\x1b\[K(R: [^\r\n]*)", written)
    assert len(shown) > 5
    for piece in shown:
        assert sum(2 if ord(c) > 0x2E80 else 1 for c in piece) < 100


def test_match_only_runs_nothing(user: User) -> None:
    user.recipe(STEPS)
    done = user.shakeout("run", "--match-only", "my.py")
    assert done.status == 0
    assert done.out.splitlines() == [
        "Steps:",
        "    m1 = m1 (pool netns): eth0 = eth0 on net1",
        "    m2 = m2 (pool netns): eth0 = eth0 on net1",
    ]
    assert user.runs() == []


def test_reports(user: User) -> None:
    user.recipe(STEPS)
    words = ["--html", "r.html", "--junit", "r.xml", "--json", "r.json", "--out", "here/runs"]
    done = user.shakeout("run", "my.py", *words)
    assert done.status == 1
    (run,) = (user.folder / "here/runs").iterdir()
    assert user.runs() == []
    assert f"journal: {run}/journal.jsonl" in done.err
    page = (user.folder / "r.html").read_text()
    assert "greet" in page
    assert run.name in page
    suite = ET.fromstring((user.folder / "r.xml").read_text())
    assert "1" in [element.get("failures") for element in suite.iter()]
    data = json.loads((user.folder / "r.json").read_text())
    assert data["verdict"] == "failed"
    for form in ("html", "junit", "json"):
        assert f"{form}: " in done.err


def test_an_existing_report_is_replaced(user: User) -> None:
    user.recipe(STEPS)
    user.write("r.json", "old")
    user.shakeout("run", "my.py", "--json", "r.json")
    assert json.loads((user.folder / "r.json").read_text())["verdict"] == "failed"


def test_a_report_to_standard_output(user: User) -> None:
    user.recipe("class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): pass\n")
    done = user.shakeout("run", "my.py", "--json", "/dev/stdout")
    assert '"verdict"' in done.out
    assert "RESULT PASS" in done.out


@pytest.mark.parametrize(
    "name", ["a b.py", "naïve ü.py", "quote'\"s.py", "-dash.py", "two.dots.py", "7.py", "no_suffix", "ü:x.py"]
)
def test_names_of_recipe_files(user: User, name: str) -> None:
    user.recipe("class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): assert False\n", f"a 'b' ü/{name}")
    done = user.shakeout("run", f"a 'b' ü/{name}", "--junit", "r.xml", "--html", "r.html")
    assert done.status == 1, done.err
    assert f"a 'b' ü/{name}:5" in done.out
    ET.fromstring((user.folder / "r.xml").read_text())


def test_a_recipe_in_a_folder_that_cannot_be_written(user: User) -> None:
    user.recipe(
        "import beside\nclass R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): beside.check(self.matched.m1)\n",
        "ro/my.py",
    )
    user.write("ro/beside.py", "def check(host): host.run('true')\n")
    mount = f'mount --bind "{user.folder}/ro" "{user.folder}/ro" && mount -o remount,bind,ro "{user.folder}/ro"'
    environment = {"PYTHONDONTWRITEBYTECODE": ""}
    done = user.command("unshare", "-m", "sh", "-c", f'{mount} && exec "$0" run ro/my.py', SHAKEOUT, **environment)
    assert done.status == 0, done.err


def test_a_run_leaves_no_files_beside_the_recipe(user: User) -> None:
    user.recipe(STEPS)
    user.shakeout("run", "my.py", PYTHONDONTWRITEBYTECODE="")
    assert sorted(path.name for path in user.folder.iterdir()) == [".state", "my.py"]


def test_a_recipe_that_was_just_changed_runs_as_it_is_now(user: User) -> None:
    text = "class R(BaseRecipe):\n    m1 = HostReq()\n    def test(self): self.add_result(True, 'version {}')\n"
    for version in (1, 2):  # within one second, of one length: what a cache would not notice
        user.recipe(text.format(version))
        assert f"version {version} PASS" in user.shakeout("run", "my.py", PYTHONDONTWRITEBYTECODE="").out


@pytest.mark.parametrize(
    "name", ["signal", "test", "json", "shakeout", "random", "socket", "asyncio", "msgspec", "code", "types"]
)
def test_recipe_files_with_the_name_of_a_known_module(user: User, name: str) -> None:
    user.recipe(
        """
        import json, random, signal

        class Mine(BaseTestModule):
            def run(self):
                return json.dumps(["from", "there"])

        class R(BaseRecipe):
            m1 = HostReq()
            def test(self):
                assert json.loads("[1]") == [1]
                job = self.matched.m1.run(Mine())
                assert job.result == '["from", "there"]', job.result
                self.matched.m1.run(Ping(dst="127.0.0.1", count=1))
                job = self.matched.m1.run("sleep 60", bg=True)
                job.kill(signal.SIGTERM)
                job.wait()
        """,
        f"{name}.py",
    )
    done = user.shakeout("run", f"{name}.py", "--html", "r.html")
    assert done.status == 0, done.out + done.err


def test_files_beside_the_recipe_can_be_imported_and_are_preferred_to_installed_ones(user: User) -> None:
    user.write("rich.py", "mine = True\n")
    user.write("package/__init__.py", "from .inner import value\n")
    user.write("package/inner.py", "value = 7\n")
    user.recipe(
        """
        import rich
        from package import value

        class R(BaseRecipe):
            m1 = HostReq()
            def test(self):
                import late
                assert rich.mine and value == 7 and late.value == 8
        """
    )
    user.write("late.py", "value = 8\n")
    done = user.shakeout("run", str(user.folder / "my.py"))
    assert done.status == 0, done.out + done.err


def test_secrets_are_written_nowhere(user: User) -> None:
    user.recipe(
        """
        class R(BaseRecipe):
            password = StrParam(mandatory=True, secret=True)
            pin = IntParam(default=97531, secret=True)
            m1 = HostReq()

            def test(self):
                assert self.params.password == "hunter2"
        """
    )
    ended = user.shakeout("run", "my.py", "--html", "page.html", "--live", "--", "password=hunter2")
    assert ended.status == 0, ended.err
    written = [path.read_text(errors="replace") for path in user.runs()[0].rglob("*") if path.is_file()]
    written += [(user.folder / "page.html").read_text(), ended.out, ended.err]
    written.append(user.shakeout("runs", "show", "last").out)
    assert "password=***" in "".join(written)
    assert "hunter2" not in "".join(written)
    assert "97531" not in "".join(written)
