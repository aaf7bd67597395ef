"""Signals: the first interrupts the recipe and hosts are restored, the second leaves that to their agents."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.faults.command import PATIENCE, SHAKEOUT, Command, recipe
from tests.faults.processes import Watched, descendants, named, until
from tests.faults.standing import StandingAgent
from tests.faults.test_agent_killed import CHANGES, ONE_HOST

from shakeout.agent.snapshot import differences
from shakeout.journal.events import JobFinished, PartFinished, UndoFinished
from shakeout.journal.reader import JournalReader, State
from shakeout.journal.runs import RunStore
from shakeout.journal.verdict import Verdict

pytestmark = pytest.mark.needs("root", "namespaces", "ip")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[StandingAgent]:
    with StandingAgent(tmp_path) as standing:
        yield standing


def cancelled(command: Command) -> str:
    """The command ended as an interrupted one should; its standard error."""
    status, out, err = command.end()
    assert status == 130, out + err
    assert "Traceback" not in err
    entry = command.run
    assert (entry.state, entry.verdict) == (State.FINISHED, Verdict.CANCELLED)
    return err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_once(number: signal.Signals, agent: StandingAgent, tmp_path: Path) -> None:
    """The host is as before, its jobs are gone, the run is cancelled, and the summary is printed."""
    before, own = agent.snapshot(), set(agent.processes())
    file = recipe(tmp_path, CHANGES + "tell('ready')\nm1.run('sleep 1000', timeout=0)\ntell('goes on')", head=ONE_HOST)
    with Command(file, "--pool", str(agent.pool(tmp_path / "pool"))) as command:
        command.await_word("ready")
        until(lambda: len(agent.processes("sleep")) == 4, what="its jobs")
        with Watched(set(agent.processes()) - own) as theirs:
            command.signal(number)
            err = cancelled(command)
            assert theirs.left_after(0.5) == []
        assert f"{number.name}: interrupting the recipe, then hosts are restored" in err
        assert differences(before, agent.snapshot()) == []
        (undone,) = [event for event in command.events() if isinstance(event, UndoFinished)]
        assert undone.failed == ()
        reasons = [event.reason for event in command.events() if isinstance(event, JobFinished) and event.signal]
        # The last one was waited for, unless the signal came just before that.
        assert reasons[-1] in ("interrupted, killed", "still running at the end of the recipe, killed")


WAITS = {
    "sleep": "time.sleep(1000)",
    "a job": "m1.run('sleep 1000', bg=True).wait()",
    "a job's output": "m1.run('sleep 1000', bg=True).wait_output('never', timeout=1000)",
    "a command's success": "m1.wait_for('false', timeout=1000)",
    "a module": "m1.run(TcpListen(), timeout=0)",
    "all hosts": "self.matched.run('sleep 1000', timeout=0)",
    "a file": "m1.run('mkfifo /tmp/f'); m1.run('cat /tmp/f', timeout=0)",
    "other threads": "import threading; threading.Event().wait()",
    "a child": "import subprocess; subprocess.run(['sleep', '1000'], start_new_session=True)",
    "Python": "while True: pass",
}


def test_whatever_the_recipe_waits_for(tmp_path: Path) -> None:
    """All at once, to save time: each ends by one signal, with all hosts restored and no laboratory left."""
    with ExitStack() as stack:
        commands = {}
        for name, body in WAITS.items():
            folder = tmp_path / name.replace(" ", "-")
            folder.mkdir()
            commands[name] = stack.enter_context(Command(recipe(folder, f"tell('ready')\n{body}\ntell('goes on')")))
        for name, command in commands.items():
            command.await_word("ready")
            if name == "a child":
                until(lambda: named(commands["a child"].pid, "sleep"), what="its child")
            with Watched(command.lab()) as lab:
                command.signal(signal.SIGINT)
                cancelled(command)
                assert lab.left_after(5) == [], name
            undone = [event for event in command.events() if isinstance(event, UndoFinished)]
            assert [event.failed for event in undone] == [(), ()], name


def test_twice_leaves_undo_to_the_agents(agent: StandingAgent, tmp_path: Path) -> None:
    before = agent.snapshot()
    file = recipe(tmp_path, CHANGES + "tell('ready')\ntime.sleep(1000)", head=ONE_HOST)
    with Command(file, "--pool", str(agent.pool(tmp_path / "pool"))) as command:
        command.await_word("ready")
        agent.process.send_signal(signal.SIGSTOP)  # so that restoring takes until the second signal
        try:
            command.signal(signal.SIGINT)
            _await_error(command, "once more to leave that to their agents")
            command.signal(signal.SIGINT)
            err = cancelled(command)
            assert "undo was left to the agents" in err
        finally:
            agent.process.send_signal(signal.SIGCONT)
    until(lambda: differences(before, agent.snapshot()) == [], what="the host as it was")


def _await_error(command: Command, text: str) -> None:
    """Wait until *text* stands on standard error (which is read here, and not told again)."""
    assert command.process.stderr is not None
    said, deadline = b"", time.monotonic() + PATIENCE
    while text.encode() not in said:
        ready, _, _ = select.select([command.process.stderr], (), (), max(0.0, deadline - time.monotonic()))
        data = os.read(command.process.stderr.fileno(), 65536) if ready else b""
        assert data, f"it never said {text!r} but {said!r}"
        said += data


# -- a recipe that does not end ------------------------------------------------------------------------

DEAF = {
    "swallows": "while True:\n    try:\n        time.sleep(1000)\n    except BaseException:\n        pass",
    "goes on using hosts": "while True:\n    try: m1.run('sleep 1000')\n    except BaseException: pass",
    "sits in C": "libc, lock = ctypes.CDLL(None), ctypes.create_string_buffer(128)\n"
    "libc.pthread_mutex_lock(lock)\nlibc.pthread_mutex_lock(lock)",
}


def _await_futex(command: Command) -> None:
    """Until its main thread waits for the lock that it has itself."""
    until(lambda: "futex" in Path(f"/proc/{command.pid}/wchan").read_text(), what="the deadlock")


def test_a_recipe_that_hears_nothing_is_left_behind(tmp_path: Path) -> None:
    """After some seconds its hosts are restored without it, and the program ends. All at once, to save time."""
    with ExitStack() as stack:
        commands = {}
        for number, (name, body) in enumerate(DEAF.items()):
            for way in ("SIGINT", "--timeout"):
                folder = tmp_path / f"{number}{way}"
                folder.mkdir()
                agent = stack.enter_context(StandingAgent(folder))
                options = ("--timeout", "1") if way == "--timeout" else ()
                file = recipe(folder, f"{CHANGES}\ntell('ready')\n{body}", head=ONE_HOST)
                before = agent.snapshot()
                command = stack.enter_context(Command(file, "--pool", str(agent.pool(folder / "pool")), *options))
                commands[name, way] = (command, agent, before)
        for (name, way), (command, _, _) in commands.items():
            command.await_word("ready")
            if name == "sits in C":
                _await_futex(command)
            if way == "SIGINT":
                command.signal(signal.SIGINT)
        for (name, way), (command, agent, before) in commands.items():
            if way == "SIGINT":
                err = cancelled(command)
            else:
                status, out, err = command.end()
                assert status == 1, out + err
                assert "took longer than the 1 s" in out
                assert command.run.verdict is Verdict.FAILED
            assert "its hosts are restored without it" in err, name
            assert "Traceback" not in err
            assert differences(before, agent.snapshot()) == [], name


def test_a_second_signal_does_not_wait_for_it(tmp_path: Path) -> None:
    with Command(recipe(tmp_path, "tell('ready')\n" + DEAF["sits in C"])) as command:
        command.await_word("ready")
        _await_futex(command)
        with Watched(command.lab()) as lab:
            command.signal(signal.SIGINT)
            command.signal(signal.SIGTERM)
            err = cancelled(command)
            assert "left to their agents" in err
            assert lab.left_after(5) == []


def test_a_recipe_that_cleans_up_has_time_for_it(tmp_path: Path) -> None:
    body = """
try:
    tell('ready')
    time.sleep(1000)
finally:
    job = m1.run('sleep 0.3; echo cleaned')
    tell(f'said {job.stdout.strip()}')
"""
    with Command(recipe(tmp_path, body)) as command:
        command.await_word("ready")
        command.signal(signal.SIGINT)
        command.await_word("said cleaned")
        cancelled(command)


def test_a_recipe_that_swallows_the_signal_and_ends_is_cancelled(tmp_path: Path) -> None:
    body = "try:\n    tell('ready')\n    time.sleep(1000)\nexcept KeyboardInterrupt: pass\nm1.run('true')"
    with Command(recipe(tmp_path, body)) as command:
        command.await_word("ready")
        command.signal(signal.SIGINT)
        cancelled(command)


def test_a_recipe_whose_time_is_up(tmp_path: Path) -> None:
    with Command(recipe(tmp_path, "m1.run('sleep 1000', timeout=0)"), "--timeout", "0.3") as command:
        status, out, err = command.end()
        assert status == 1, out + err
        assert "the recipe took longer than the 0.3 s" in out
        (part,) = [event for event in command.events() if isinstance(event, PartFinished)]
        assert part.verdict is Verdict.FAILED
        assert command.run.verdict is Verdict.FAILED


# -- outside of the recipe -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["loading", "making"])
def test_before_the_recipe_begins(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    hosts = "\n".join(f"    h{n} = HostReq()\n    h{n}.eth0 = DeviceReq(label='n')" for n in range(40))
    stop = "time.sleep(1000)\n" if moment == "loading" else ""
    file = tmp_path / "r.py"
    file.write_text(
        f"import os, time\nos.write(1, b'ready\\n')\n{stop}"
        f"from shakeout import *\nclass R(BaseRecipe):\n{hosts}\n    def test(self): time.sleep(1000)\n"
    )
    with Command(file) as command:
        command.await_word("ready")
        if moment == "making":
            until(lambda: len(command.lab()) > 10, what="hosts that are being made")
        with Watched(descendants(command.pid)) as theirs:
            command.signal(number)
            status, out, err = command.end()
            assert status in (130, -number), out + err
            assert theirs.left_after(5) == []
        assert "Traceback" not in err
        if RunStore(command.out).ids():
            assert command.run.verdict is Verdict.CANCELLED


def test_while_connecting(agent: StandingAgent, tmp_path: Path) -> None:
    agent.process.send_signal(signal.SIGSTOP)
    try:
        with Command(recipe(tmp_path, "pass", head=ONE_HOST), "--pool", str(agent.pool(tmp_path / "pool"))) as command:
            until(lambda: RunStore(command.out).ids(), what="its run")
            command.signal(signal.SIGINT)
            cancelled(command)
    finally:
        agent.process.send_signal(signal.SIGCONT)


def test_the_terminals_interrupt_reaches_the_controller_alone(tmp_path: Path) -> None:
    """Ctrl-C is sent to the whole foreground group: spawner and agents are in sessions of their own, and go on."""
    file = recipe(tmp_path, CHANGES + "m2.run('sleep 1000', bg=True)\ntell('ready')\nm1.run('sleep 1000', timeout=0)")
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [SHAKEOUT, "run", str(file), "--out", str(tmp_path / "runs")],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads yet
    )
    os.close(theirs)
    said = b""
    try:
        while b"ready" not in said:
            said += os.read(ours, 4096)
        with Watched(descendants(process.pid)) as lab:
            os.write(ours, b"\x03")
            while True:
                try:
                    said += os.read(ours, 4096)
                except OSError:  # its last user has closed it
                    break
            assert process.wait(PATIENCE) == 130, said.decode()
            assert lab.left_after(5) == []
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "RESULT ERROR" in said.decode()
    (entry,) = RunStore(tmp_path / "runs").list()
    assert entry.verdict is Verdict.CANCELLED
    undone = [event for event in JournalReader(entry.folder).events() if isinstance(event, UndoFinished)]
    assert [event.failed for event in undone] == [(), ()]
    assert max(event.steps for event in undone) >= 5
