"""Breakpoints: a prompt at a terminal, an error without one, nothing with --no-breakpoints."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest
from tests.e2e.user import SHAKEOUT, User

pytestmark = pytest.mark.needs("namespaces", "ip")

STOPS = """
    class Stops(BaseRecipe):
        m1 = HostReq()
        m1.eth0 = DeviceReq(label="net1")
        m2 = HostReq()
        m2.eth0 = DeviceReq(label="net1")

        def test(self):
            self.matched.m1.eth0.ip_add("192.0.2.1/24")
            self.matched.m2.run("sleep 600", bg=True, desc="sleeper")
            self.breakpoint("addresses are set")
            self.matched.m1.run("true", desc="after")
"""

PROMPT = r"\(shakeout\) "


@contextmanager
def at_breakpoint(user: User, *arguments: str) -> Iterator[pexpect.spawn]:
    """A terminal in which the recipe has stopped."""
    user.recipe(STOPS)
    child = pexpect.spawn(
        SHAKEOUT, ["run", "my.py", *arguments], cwd=str(user.folder), env={**user.environment, "TERM": "dumb"},
        encoding="utf-8", timeout=20, dimensions=(40, 200),
    )  # fmt: skip
    child.delaybeforesend = None
    try:
        child.expect(r"Breakpoint: addresses are set\. Hosts: m1, m2\. Type help, continue or abort\.")
        child.expect(PROMPT)
        yield child
    finally:
        child.close(force=True)


def said(child: pexpect.spawn, line: str) -> str:
    """What the prompt answers to *line*."""
    child.sendline(line)
    child.expect(PROMPT)
    return str(child.before).replace("\r\n", "\n").split("\n", 1)[1]


def wait_for_journal(user: User, text: str) -> None:
    """Until *text* stands in the journal of the only run."""
    deadline = time.monotonic() + 20
    while text not in user.journal():
        assert time.monotonic() < deadline, f"no {text!r} in the journal"
        time.sleep(0.01)


def end_of(child: pexpect.spawn) -> tuple[int, str]:
    """The exit status, and what came until then."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus is None
    return int(child.exitstatus), str(child.before)


def test_look_around_and_continue(user: User) -> None:
    with at_breakpoint(user) as child:
        assert "HOST: COMMAND" in said(child, "help")
        hosts = said(child, "hosts")
        assert "192.0.2.1/24" in hosts
        assert "job 1: running: sleeper" in hosts
        assert "inet 192.0.2.1/24" in said(child, "m1: ip addr show eth0")
        assert said(child, "").strip() == ""
        assert said(child, "1 + 1").strip() == "2"
        assert said(child, "m1.eth0.mtu").strip() == "1500"
        assert said(child, "for host in matched: print(host.name)\n").split() == ["...........", "m1", "m2"]
        assert "'m3'" in said(child, "matched.m3")
        assert "Traceback" not in said(child, "m1.eth7.mtu")
        assert "ZeroDivisionError" in said(child, "1 / 0")
        assert "a command on a host: m1: COMMAND" in said(child, "ip addr")
        assert said(child, "m3: ip addr").strip() == "no host is called 'm3' (known: m1, m2)"
        assert "Traceback" not in said(child, "m1.eth0.mtuu")
        assert "type abort" in said(child, "raise SystemExit")
        child.sendline("continue")
        status, rest = end_of(child)
    assert status == 0
    assert "RESULT PASS" in rest
    assert "after PASS" in rest


def test_what_fails_at_the_prompt_is_no_part_of_the_verdict(user: User) -> None:
    with at_breakpoint(user) as child:
        assert "(exit status 3)" in said(child, "m1: exit 3")
        said(child, "job = m2.run('false')")
        child.sendline("c")
        status, rest = end_of(child)
    assert status == 0, rest
    assert "breakpoint: exit 3 FAIL" in rest


@pytest.mark.parametrize("how", ["abort", "q", "\x04"])
def test_abort(user: User, how: str) -> None:
    with at_breakpoint(user) as child:
        if how == "\x04":
            child.sendeof()
        else:
            child.sendline(how)
        status, rest = end_of(child)
    assert status == 1
    assert "Aborted: aborted at a breakpoint: addresses are set" in rest
    assert "RESULT FAIL (0 passed, 1 failed, 0 errors" in rest
    assert "after" not in rest
    assert user.journal().count('"undo-finished"') == 2


def test_control_c_at_the_prompt_only_clears_the_line(user: User) -> None:
    with at_breakpoint(user) as child:
        child.send("half a li")
        child.expect("half a li")
        child.sendintr()
        child.expect("type abort to end the recipe, continue to go on")
        child.expect(PROMPT)
        child.sendline("m1: sleep 600")
        wait_for_journal(user, "breakpoint: sleep 600")
        child.sendintr()
        child.expect("interrupted")
        child.expect(PROMPT)
        child.sendline("while True: pass\n")
        child.expect(r"\.\.\. ")
        child.sendintr()
        child.expect(PROMPT)
        child.sendline("continue")
        status, rest = end_of(child)
    assert status == 0, rest
    assert "RESULT PASS" in rest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_at_the_prompt_end_the_run(user: User, number: signal.Signals) -> None:
    with at_breakpoint(user) as child:
        child.kill(number)
        status, _ = end_of(child)
    assert status == 130
    assert user.journal().count('"undo-finished"') == 2


def test_time_at_the_prompt_is_not_the_recipes(user: User) -> None:
    with at_breakpoint(user, "--timeout", "2") as child:
        said(child, "import time; time.sleep(2.5)")
        child.sendline("continue")
        status, rest = end_of(child)
    assert status == 0, rest


def test_without_a_terminal_it_is_an_error_and_everything_is_undone(user: User) -> None:
    user.recipe(STOPS)
    done = user.shakeout("run", "my.py")
    assert done.status == 2
    assert "the recipe reached a breakpoint (addresses are set), but there is no terminal" in done.err
    assert "--no-breakpoints" in done.err
    assert "Traceback" not in done.err
    assert user.journal().count('"undo-finished"') == 2


def test_no_breakpoints_passes_over_them(user: User) -> None:
    user.recipe(STOPS)
    done = user.shakeout("run", "my.py", "--no-breakpoints")
    assert done.status == 0
    assert "after PASS" in done.out


def test_the_output_may_go_to_a_file_meanwhile(user: User) -> None:
    """Standard output leads to a pipe; the prompt is on standard error."""
    user.recipe(STOPS)
    child = pexpect.spawn(
        "bash", ["-c", f"'{SHAKEOUT}' run my.py | cat > out.txt"], cwd=str(user.folder), env=user.environment,
        encoding="utf-8", timeout=20,
    )  # fmt: skip
    try:
        child.expect(PROMPT)
        child.sendline("continue")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert "RESULT PASS" in (user.folder / "out.txt").read_text()
    assert "shakeout" not in (user.folder / "out.txt").read_text()
