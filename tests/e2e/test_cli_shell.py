"""`shakeout shell`: on kept hosts, at a breakpoint, with a terminal and without, and when the host goes away."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from tests.e2e.user import SHAKEOUT, User

pytestmark = pytest.mark.needs("namespaces", "ip")

RECIPE = """
class Two(BaseRecipe):
    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net1")

    def test(self):
        m1 = self.matched.m1
        m1.eth0.ip_add("192.168.101.1/24")
        m1.run("while sleep 0.05; do :; done", bg=True, desc="goes on")
        if self.params.stop:
            self.breakpoint("look around")

    stop = BoolParam(default=False)
"""
PROMPT = r"[#$] $"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody whose last run kept its hosts."""
    user = User(tmp_path_factory.mktemp("kept"))
    user.recipe(RECIPE)
    ran = user.shakeout("run", "my.py", "--keep")
    try:
        assert ran.status == 0, ran.err
        yield user
    finally:
        user.shakeout("runs", "rm", "last")


@pytest.fixture
def terminal() -> Iterator[Callable[..., pexpect.spawn]]:
    """Opens command lines on terminals."""
    opened = []

    def open_one(user: User, command: str, *, rows: int = 24, columns: int = 80) -> pexpect.spawn:
        path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        child = pexpect.spawn(
            "bash", ["--norc", "-c", command], cwd=str(user.folder), encoding="utf-8", timeout=20,
            env={**user.environment, "PATH": path, "TERM": "xterm", "NO_COLOR": "1"}, dimensions=(rows, columns),
        )  # fmt: skip
        opened.append(child)
        return child

    yield open_one
    for child in opened:
        child.close(force=True)


def test_one_word_is_read_by_bash(kept: User) -> None:
    ended = kept.shakeout("shell", "last", "m1", "--", "hostname; ip -br addr show eth0 | tr -s ' '")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("m1\neth0")
    assert "192.168.101.1/24" in ended.out


def test_several_words_are_arguments_as_they_are(kept: User) -> None:
    ended = kept.shakeout("shell", "last", "m2", "--", "printf", "%s|", "a b", "$HOME", "-x")
    assert (ended.status, ended.out) == (0, "a b|$HOME|-x|")


def test_what_the_recipe_left_is_there(kept: User) -> None:
    assert "while sleep" in kept.shakeout("shell", "last", "m1", "--", "ps ax").out
    assert "while sleep" not in kept.shakeout("shell", "last", "m2", "--", "ps ax").out


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -TERM $$", 128 + 15), ("true", 0)])
def test_the_exit_status_is_that_of_the_command(kept: User, command: str, status: int) -> None:
    assert kept.shakeout("shell", "last", "m1", "--", command).status == status


def test_streams_are_kept_apart_and_whole(kept: User, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    file = tmp_path / "data"
    file.write_bytes(data)
    for feed in (f"cat {file} |", f"< {file}"):
        line = f"{feed} {SHAKEOUT} shell last m1 -- 'echo said >&2; tee /dev/null'"
        done = subprocess.run(["bash", "-c", line], env=kept.environment, capture_output=True, check=False)
        assert done.returncode == 0
        assert done.stdout == data
        assert done.stderr == b"said\n"


def test_a_reader_that_leaves_ends_the_command(kept: User) -> None:
    line = f"{SHAKEOUT} shell last m1 -- 'yes shakeout-yes' | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=kept.environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (141, b"shakeout-yes\n", b"")
    assert "shakeout-yes" not in kept.shakeout("shell", "last", "m1", "--", "ps ax | grep -v grep").out


def test_nothing_is_written_to_the_journal(kept: User) -> None:
    before = kept.journal()
    kept.shakeout("shell", "last", "m1", "--", "true")
    assert kept.journal() == before


def test_a_host_that_there_is_not(kept: User) -> None:
    ended = kept.shakeout("shell", "last", "m3", "--", "true")
    assert ended.status == 2
    assert "no host of this run is called 'm3'" in ended.complaint
    assert "m1, m2" in ended.complaint or "did you mean" in ended.complaint


def test_a_program_that_there_is_not(kept: User) -> None:
    ended = kept.shakeout("shell", "last", "m1", "--", "no-such-program", "x")
    assert ended.status == 2
    assert "m1: there is no program 'no-such-program'" in ended.complaint


def test_a_shell_without_a_terminal_says_what_to_do(kept: User) -> None:
    ended = kept.shakeout("shell", "last", "m1")
    assert ended.status == 2
    assert ended.complaint.endswith("shakeout shell last m1 -- COMMAND")


def test_a_shell_on_a_terminal(kept: User, terminal: Callable[..., pexpect.spawn]) -> None:
    child = terminal(kept, 'shakeout shell last m1; echo "status=$?"; stty -a', rows=31, columns=97)
    child.expect(PROMPT)
    child.sendline("stty size; hostname; test -t 0 -a -t 1 -a -t 2 && echo all-terminals")
    child.expect("31 97\r\n")
    child.expect("m1\r\n")
    child.expect("all-terminals\r\n")
    child.expect(PROMPT)
    child.setwinsize(17, 60)
    child.sendline("sh -c 'echo begun-$((1+1)); exec sleep 1000'")  # Ctrl-C before it has begun would be the shell's
    child.expect("begun-2\r\n")
    child.sendintr()
    child.expect(PROMPT)
    child.sendline("echo after=$?; stty size")
    child.expect("after=130\r\n")
    child.expect("17 60\r\n")
    child.expect(PROMPT)
    child.sendline("exit 5")
    child.expect("status=5\r\n")
    child.expect(r"[^-]icanon")
    child.expect(r"[^-]echo ")
    child.expect(pexpect.EOF)


def test_a_command_on_a_terminal_has_one(kept: User, terminal: Callable[..., pexpect.spawn]) -> None:
    child = terminal(kept, "shakeout shell last m1 -- 'test -t 1 && tty'")
    child.expect(r"/dev/pts/\d+\r\n")
    child.expect(pexpect.EOF)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_back_when_the_shell_is_killed(
    kept: User, terminal: Callable[..., pexpect.spawn], number: signal.Signals
) -> None:
    child = terminal(kept, 'set -m; shakeout shell last m1; echo "status=$?"; stty -a')
    child.expect(PROMPT)
    pids = subprocess.run(["pgrep", "-P", str(child.pid)], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["kill", f"-{int(number)}", pids[0]], check=True)
    child.expect(f"status={128 + number}\r\n")
    child.expect(r"[^-]icanon")
    child.expect(pexpect.EOF)


def test_a_shell_at_a_breakpoint(user: User, terminal: Callable[..., pexpect.spawn]) -> None:
    user.recipe(RECIPE)
    child = terminal(user, "shakeout run my.py -- stop=yes")
    child.expect(r"\(shakeout\) $")
    ended = user.shakeout(
        "shell", "last", "m1", "--", "ip -br addr show eth0; touch /left-by-shell; sleep 1000 & echo bg"
    )
    assert ended.status == 0, ended.err
    assert "192.168.101.1/24" in ended.out
    assert "(in use; shakeout shell" in user.shakeout("runs", "show", "last").out
    child.sendline("continue")
    child.expect(r"RESULT .*PASS")
    child.expect(pexpect.EOF)
    after = user.shakeout("shell", "last", "m1", "--", "true")
    assert after.status == 2
    assert "has no hosts now" in after.complaint


def test_the_host_goes_away_under_a_shell(user: User) -> None:
    user.recipe(RECIPE)
    assert user.shakeout("run", "my.py", "--keep").status == 0
    command = [SHAKEOUT, "shell", "last", "m1", "--", "echo begun; sleep 1000"]
    with subprocess.Popen(
        command,
        env=user.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stderr is not None
        assert shell.stdout.readline() == "begun\n"
        assert user.shakeout("runs", "rm", "last").status == 0
        assert shell.wait(20) == 3
        assert "because the host is gone" in shell.stderr.read()


def test_a_laboratory_that_is_gone(user: User) -> None:
    user.recipe(RECIPE)
    assert user.shakeout("run", "my.py", "--keep").status == 0
    (run,) = user.runs()
    book = (run / "hosts.json").read_text()
    user.shakeout("runs", "rm", "last")
    user.shakeout("run", "my.py")
    (run,) = user.runs()
    (run / "hosts.json").write_text(book)
    ended = user.shakeout("shell", "last", "m1", "--", "true")
    assert ended.status == 2
    assert "is gone" in ended.complaint
    assert "Hosts:" not in user.shakeout("runs", "show", "last").out
    assert user.shakeout("runs", "rm", "last").status == 0
