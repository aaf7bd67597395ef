"""Programs that an agent runs for itself: beside its loop, or waited for; ended when they hang."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shakeout.agent.children import Children
from shakeout.agent.program import Outcome, Program, run
from shakeout.wire.reactor import Reactor

Run = Callable[[tuple[str, ...], float], Outcome]


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


@pytest.fixture
def children(reactor: Reactor) -> Iterator[Children]:
    """As in an agent; what it does with signals is taken back."""
    before = signal.getsignal(signal.SIGCHLD)
    made = Children(reactor)
    yield made
    wake = signal.set_wakeup_fd(-1)
    os.close(wake)
    os.close(made._ready)
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture(params=["beside", "waited for"])
def carry_out(request: pytest.FixtureRequest, reactor: Reactor, children: Children) -> Run:
    def beside(argv: tuple[str, ...], timeout: float) -> Outcome:
        ended: list[Outcome] = []
        Program(reactor, children, argv, timeout, ended.append)
        while not ended:
            reactor.turn(10)
        return ended[0]

    return beside if request.param == "beside" else run


def test_its_status_and_what_it_prints(carry_out: Run) -> None:
    assert carry_out(("sh", "-c", "echo out; echo err >&2; exit 3"), 20) == Outcome(3, "out\nerr")
    assert carry_out(("sh", "-c", "kill -9 $$"), 20).status == -9
    nowhere = carry_out(("no-such-program",), 20)
    assert (nowhere.status, nowhere.late) == (127, False)
    assert "no-such-program" in nowhere.output


def test_one_that_hangs_is_killed_with_all_that_it_started(carry_out: Run, tmp_path: Path) -> None:
    outcome = carry_out(("sh", "-c", f"sleep 1000 & echo $! >{tmp_path}/pid; wait"), 0.3)
    assert outcome.late
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline


def test_a_daemon_that_keeps_its_output_open_is_not_waited_for(carry_out: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    outcome = carry_out(("sh", "-c", f"setsid sleep 1000 & echo $! >{tmp_path}/pid; echo started"), 20)
    try:
        assert outcome == Outcome(0, "started")
        assert time.monotonic() - began < 15
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_the_loop_goes_on_meanwhile(reactor: Reactor, children: Children) -> None:
    ended: list[Outcome] = []
    ticked: list[float] = []
    program = Program(reactor, children, ("sleep", "1000"), 1000, ended.append)
    reactor.call_later(0.01, lambda: ticked.append(time.monotonic()))
    while not ticked:
        reactor.turn(10)
    program.kill()
    program.kill()
    reactor.turn(10)
    assert not ended
