"""An agent that lies in every message: refused, or contained to what its own host's results say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.faults.command import RECIPE, Command, recipe
from tests.faults.liar import PATIENCE, Liar, Line, Say, done, on, welcome
from tests.faults.standing import StandingAgent

from shakeout.errors import (
    AgentUnreachable,
    HostError,
    HostLost,
    LeaseHeld,
    VersionMismatch,
)
from shakeout.hosts import job as jobs
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.hosts.unix import connect_unix
from shakeout.journal.events import ClockMeasured, JobFinished
from shakeout.modules import Ping
from shakeout.testing.connection import Connected
from shakeout.testing.recording import Recording
from shakeout.wire.framing import frame
from shakeout.wire.messages import (
    OUTCOME,
    STDOUT,
    Answer,
    Ended,
    EndSession,
    FileData,
    JobDone,
    JobStarted,
    Listing,
    Output,
    Refusal,
    Refused,
    Signal,
    StartJob,
    SyncReply,
)
from shakeout.wire.parts import Step
from shakeout.wire.plain import pack


def _half_a_frame(line: Line) -> None:
    line.raw(b"\x00\x00\x00\x10abc")
    line.hang_up()


def _descriptors(line: Line) -> None:
    for _ in range(4):
        line.raw(b"\0", (0,) * 8)


def _descriptors_with_an_answer(line: Line) -> None:
    line.raw(frame(msgspec.msgpack.encode(Answer(7))), (0, 1, 2))
    line.say(done())


REFUSED: dict[str, Say] = {
    "a job that was never started": lambda line: line.say(Output(999, STDOUT, b"x")),
    "the end of a job that was never started": lambda line: line.say(done(7)),
    "job 0": lambda line: line.say(done(0)),
    "a negative job": lambda line: line.say(JobStarted(-1, 1, 1)),
    "a stream that is none": lambda line: line.say(Output(1, 77, b"x")),
    "an outcome of a shell command": lambda line: line.say(Output(1, OUTCOME, b"x")),
    "two ends of one job": lambda line: line.say(done(1, 0, 9)),
    "no end at all": lambda line: line.say(done(1, None, None)),
    "words for numbers": lambda line: line.pack(["JobDone", "one", 0, None, 1, 2]),
    "too few fields": lambda line: line.pack(["JobDone"]),
    "no field at all": lambda line: line.pack([]),
    "an unknown message": lambda line: line.pack(["Execute", "import os"]),
    "a message for agents": lambda line: line.say(StartJob(1, shell="id")),
    "a map": lambda line: line.pack({"type": "JobDone"}),
    "a number": lambda line: line.pack(1),
    "an extension": lambda line: line.pack(msgspec.msgpack.Ext(5, b"boo")),
    "deep nesting": lambda line: line.raw(len(b"\x91" * 100_000).to_bytes(4, "big") + b"\x91" * 100_000),
    "garbage": lambda line: line.raw(b"HTTP/1.1 200 OK\r\n\r\n"),
    "an oversized frame": lambda line: line.raw(b"\xff\xff\xff\xff"),
    "an empty frame": lambda line: line.raw(bytes(4)),
    "half a frame": _half_a_frame,
    "a second welcome": lambda line: line.say(welcome()),
    "a late refusal": lambda line: line.say(Refused("lease", "no")),
    "an end nobody asked for": lambda line: line.say(Ended()),
    "text that is no UTF-8": lambda line: line.raw(b"\x00\x00\x00\x04\x91\xa2\xff\xfe"),
    "descriptors without end": _descriptors,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_lie_ends_the_session_and_says_why(name: str, tmp_path: Path, loop: LoopThread) -> None:
    lie = REFUSED[name]
    with Liar(tmp_path / "s", on(StartJob, lie)) as liar:
        host = Connected("m1", connect_unix(liar.path), loop.reactor).host
        job = host.run("true", timeout=PATIENCE)
        assert not job.passed
        assert job.reason.startswith("host m1 was lost: "), job.reason
        assert len(job.reason) < 400
        with pytest.raises(HostLost):
            host.run("true")


TOLERATED: dict[str, tuple[Say, bool]] = {
    "output after the end": (lambda line: line.say(done(), Output(1, STDOUT, b"x" * 60_000), done(1, 5)), True),
    "answers nobody waits for": (
        lambda line: line.say(Answer(99), Refusal(98, "usage", "no"), FileData(97, b"x"), Listing(96, ()), done()),
        True,
    ),
    "descriptors nobody wants": (_descriptors_with_an_answer, True),
    "a status beyond all": (lambda line: line.say(done(1, 2**63)), False),
    "a signal beyond all": (lambda line: line.say(done(1, None, 2**40)), False),
    "times from nowhere": (lambda line: line.say(JobDone(1, 0, None, -(2**62), 2**62)), True),
    "a pid from nowhere": (lambda line: line.say(JobStarted(1, -(2**60), 2**60), done()), True),
    "control characters": (lambda line: line.say(Output(1, STDOUT, b"\x1b]0;boo\x07\xff\x00"), done()), True),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_a_lie_about_a_job_is_that_jobs_alone(name: str, tmp_path: Path, loop: LoopThread) -> None:
    lie, passed = TOLERATED[name]
    recording = Recording(tmp_path)
    with Liar(tmp_path / "s", on(StartJob, lie)) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor, recording)
        job = connected.host.run("true", timeout=PATIENCE)
        assert job.passed is passed
        assert [event.passed for event in recording.of(JobFinished)] == [passed]
        connected.end()


@pytest.mark.parametrize(
    "outcome",
    [b"", b"junk", b"\x93\xc3\xc4\x00\xc0", b"\x91" * 5000, pack({"a": 1}), msgspec.msgpack.encode([True, b"\xc1", 0])],
)
def test_an_outcome_that_is_none(outcome: bytes, tmp_path: Path, loop: LoopThread) -> None:
    lie = on(StartJob, lambda line: line.say(Output(1, OUTCOME, outcome), done()))
    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        job = connected.host.run(Ping(dst="192.0.2.1"), timeout=PATIENCE)
        assert not job.passed
        assert job.result is None
        assert "outcome" in job.reason or "refused" in job.reason
        connected.end()


def test_a_result_that_takes_a_parser_to_its_end(tmp_path: Path, loop: LoopThread) -> None:
    deep = b"[" * 50_000
    with Liar(tmp_path / "s", on(StartJob, lambda line: line.say(Output(1, STDOUT, deep), done()))) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor, Recording(tmp_path))
        job = connected.host.run("true", json=True, timeout=PATIENCE)
        assert not job.passed
        assert "no JSON" in job.reason
        connected.end()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (welcome(version=99), AgentUnreachable),
        (welcome(version=0), AgentUnreachable),
        (Refused("version", "no"), VersionMismatch),
        (Refused("lease", "no", (1, 1), "x" * 1000), LeaseHeld),
        (done(), AgentUnreachable),
        (Ended(), AgentUnreachable),
        (["Welcome", 1, 1, "boot", {"arch": {"a": 1}}, "lease"], AgentUnreachable),
        (["Welcome", 1, 1, 5, [], "lease"], AgentUnreachable),
        (b"junk", AgentUnreachable),
    ],
)
def test_a_lie_in_answer_to_hello(said: Any, error: type[HostError], tmp_path: Path, loop: LoopThread) -> None:
    def lie(message: Any, line: Line) -> None:
        if isinstance(said, bytes):
            line.raw(said)
        else:
            line.pack(said)

    with Liar(tmp_path / "s", lie, whole=True) as liar, pytest.raises(error, match=r"^m1: "):
        Connected("m1", connect_unix(liar.path), loop.reactor)


def test_clocks_that_nobody_asked_for_are_not_recorded(tmp_path: Path, loop: LoopThread) -> None:
    lie = on(StartJob, lambda line: line.say(*[SyncReply(n, 0, 2**62) for n in range(1000)], done()))
    recording = Recording(tmp_path)
    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor, recording)
        assert connected.host.run("true").passed
        connected.end()
    assert len(recording.of(ClockMeasured)) == 1


# -- silence ------------------------------------------------------------------------------------------


def test_a_killed_job_whose_end_is_never_told(
    tmp_path: Path, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_KILL_PATIENCE", 0.2)
    with Liar(tmp_path / "s", on(Signal, lambda line: None)) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        with pytest.raises(HostLost, match="was killed, but its end was not reported in time"):
            connected.host.run("sleep 1000", timeout=0.1)
        connected.session.abandon()


def test_no_answer_to_hello(tmp_path: Path, loop: LoopThread) -> None:
    with Liar(tmp_path / "s", lambda message, line: None, whole=True) as liar:
        session = Session("m1", connect_unix(liar.path), loop.reactor)
        session.begin()
        with pytest.raises(AgentUnreachable, match="did not answer"):
            session.welcome(timeout=0.1)


# -- in a whole run -----------------------------------------------------------------------------------

BOTH = RECIPE.replace('m1.eth0 = DeviceReq(label="net1")', "").replace('m2.eth0 = DeviceReq(label="net1")', "").replace(
    "m1 = HostReq()", "m1 = HostReq(role='liar')"
).replace("m2 = HostReq()", "m2 = HostReq(role='dut')")  # fmt: skip


@pytest.mark.needs("root", "namespaces", "ip")
@pytest.mark.parametrize("lie", ["a job that was never started", "an oversized frame", "an unknown message"])
def test_the_other_hosts_go_on(lie: str, tmp_path: Path) -> None:
    """One of two agents lies in mid-recipe: its host is lost, the other's results count, and it is restored."""
    pool = tmp_path / "pool"
    body = "honest = m2.run('sleep 0.1; echo honest', bg=True)\nm1.run('true')\nhonest.wait()\nm2.run('echo again')"
    with StandingAgent(tmp_path) as agent, Liar(tmp_path / "liar.sock", on(StartJob, REFUSED[lie])) as liar:
        agent.pool(pool)
        described = pool / "dut.yaml"
        described.write_text(described.read_text() + "params: {role: dut}\n")
        (pool / "liar.yaml").write_text(
            f"host: {{name: liar, address: {liar.path}, via: unix}}\nparams: {{role: liar}}\n"
        )
        with Command(recipe(tmp_path, body, head=BOTH), "--pool", str(pool)) as command:
            status, out, err = command.end()
            assert status == 3, out + err
            assert "host m1 was lost" in out
            honest = [event for event in command.events() if isinstance(event, JobFinished) and event.host == "m2"]
            assert [event.passed for event in honest] == [True, True]
            assert "Traceback" not in err


def test_an_undo_that_is_told_to_have_failed(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    steps = tuple(Step(f"step {n}", "\x1b[31mno" if n % 2 else "") for n in range(4))

    def lie(message: Any, line: Line) -> None:
        if isinstance(message, StartJob):
            line.say(done(message.id))
        elif isinstance(message, EndSession):
            line.say(Ended(steps, ("\x1b[2Jrm -rf",)))

    head = RECIPE.replace('    m2 = HostReq()\n    m2.eth0 = DeviceReq(label="net1")\n', "").replace(
        'm1.eth0 = DeviceReq(label="net1")', ""
    ).replace("m1, m2 = self.matched.m1, self.matched.m2", "m1 = self.matched.m1")  # fmt: skip
    with Liar(tmp_path / "liar.sock", lie) as liar:
        (pool / "liar.yaml").write_text(f"host: {{name: liar, address: {liar.path}, via: unix}}\n")
        with Command(recipe(tmp_path, "m1.run('true')", head=head), "--pool", str(pool)) as command:
            status, out, err = command.end()
    assert status == 3, out + err
    assert "step 1" in out and "step 3" in out
    assert "\x1b" not in out + err
