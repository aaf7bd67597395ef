"""An agent that lies in every message: refused, or contained to what its own host's results say."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.faults.command import RECIPE, Command, recipe
from tests.faults.liar import Liar, Lie, Line, welcome
from tests.faults.standing import StandingAgent

from shakeout.devices.base import Device
from shakeout.errors import (
    AgentUnreachable,
    HostError,
    HostLost,
    LeaseHeld,
    ProtocolError,
    ShakeoutError,
    TransferError,
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
    Credit,
    DeviceCall,
    Ended,
    EndSession,
    FileData,
    GetFiles,
    JobDone,
    JobInput,
    JobStarted,
    Listing,
    Output,
    PutFiles,
    ReadService,
    ReadSetting,
    Refusal,
    Refused,
    SetService,
    SetSetting,
    Signal,
    StartJob,
    Sync,
    SyncReply,
)
from shakeout.wire.parts import Entry, Step
from shakeout.wire.plain import pack

Say = Callable[[Line], None]
#: Nothing may take longer: a lie must not hang anybody.
PATIENCE = 30.0


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    assert thread.reactor is not None
    alive = threading.Event()
    thread.reactor.call_soon_threadsafe(alive.set)
    assert alive.wait(PATIENCE), "the loop that all hosts share has ended"
    thread.close()


def on(kind: type, say: Say) -> Lie:
    """A lie in answer to messages of one kind; the rest is answered honestly."""

    def lie(message: Any, line: Line) -> None:
        if isinstance(message, kind):
            say(line)
        elif isinstance(message, EndSession):
            line.say(Ended())
        elif isinstance(message, Sync):
            line.say(SyncReply(message.sequence, message.t_ns, message.t_ns))

    return lie


def done(number: int = 1, status: int | None = 0, signal: int | None = None, **more: Any) -> JobDone:
    return JobDone(number, status, signal, 1000, 2000, **more)


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


# -- answers to requests ------------------------------------------------------------------------------

WRONG = (5, 10**15, [1, 2], {"a": b"b"}, None, "x", (1,))
ANSWERS = [b"", b"junk", b"\xc1", *map(pack, WRONG)]
DEVICE_ANSWERS = [
    *ANSWERS,
    pack((5, {})),
    pack(((1, 2, 3, 4, 5), {})),
    pack(("abcde", {})),
    pack((("1", "eth0", "Device", "", ""), {})),
    pack(((1, "eth0", ["Device"], "", ""), {})),
    pack(((1, "eth0", "Device", "", ""), {1: 2})),
    pack(([[1, 2, 3]], {})),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_setting_that_is_none(answer: bytes, tmp_path: Path, loop: LoopThread) -> None:
    def lie(message: Any, line: Line) -> None:
        if isinstance(message, SetSetting | ReadSetting):
            line.say(Answer(message.id, answer))
        elif isinstance(message, EndSession):
            line.say(Ended())

    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        with pytest.raises(ProtocolError):
            connected.host.procfs_get("sys/net/ipv4/ip_forward")
        with pytest.raises(ProtocolError):
            connected.host.procfs_set("sys/net/ipv4/ip_forward", 1)
        connected.end()


STATE = {"name": "x", "manager": "systemd", "exists": True}
SERVICE_ANSWERS = [
    *ANSWERS, pack([STATE]), pack([STATE, 5]), pack([{**STATE, "active": "yes"}] * 2), pack({**STATE, "main_pid": "1"})
]  # fmt: skip


@pytest.mark.parametrize("answer", SERVICE_ANSWERS)
def test_a_service_that_is_none(answer: bytes, tmp_path: Path, loop: LoopThread) -> None:
    def lie(message: Any, line: Line) -> None:
        if isinstance(message, SetService | ReadService):
            line.say(Answer(message.id, answer))
        elif isinstance(message, EndSession):
            line.say(Ended())

    with Liar(tmp_path / "s", lie) as liar, Connected("m1", connect_unix(liar.path), loop.reactor) as host:
        for ask in (host.service, host.enable_service, host.disable_service):
            with pytest.raises(ProtocolError):
                ask("x")


def test_credit_that_was_not_due(tmp_path: Path, loop: LoopThread) -> None:
    """What a job is said to have read has no sense; its input still goes, and its end is its end."""
    lie = on(StartJob, lambda line: line.say(*(Credit(1, stream, size) for stream in (0, 7) for size in (-5, 1 << 60))))

    def then(message: Any, line: Line) -> None:
        lie(message, line)
        if isinstance(message, JobInput) and message.end:
            line.say(done())

    with Liar(tmp_path / "s", then) as liar:
        one = Connected("m1", connect_unix(liar.path), loop.reactor)
        assert one.host.run("cat", stdin=b"x" * 300_000, timeout=PATIENCE).passed
        one.session.leave()


@pytest.mark.parametrize("answer", DEVICE_ANSWERS)
def test_a_device_that_is_none(answer: bytes, tmp_path: Path, loop: LoopThread) -> None:
    def lie(message: Any, line: Line) -> None:
        if isinstance(message, DeviceCall):
            line.say(Answer(message.id, answer))
        elif isinstance(message, EndSession):
            line.say(Ended())

    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        host = connected.host
        for attempt in (lambda: host.eth0, lambda: list(host)):
            try:
                found = attempt()
            except ShakeoutError:
                continue
            assert isinstance(found, Device | list)  # it said of something that it is a device: so be it
        connected.end()


LISTINGS: dict[str, tuple[Entry, ...]] = {
    "up": (Entry("", "dir", 0o755), Entry("../evil", "file", 0o644, 4)),
    "absolute": (Entry("", "dir", 0o755), Entry("/tmp/evil", "file", 0o644, 4)),
    "inner up": (Entry("", "dir", 0o755), Entry("a", "dir", 0o755), Entry("a/../../evil", "file", 0o644, 4)),
    "dot": (Entry("", "dir", 0o755), Entry("./x", "file", 0o644, 4)),
    "nul": (Entry("", "dir", 0o755), Entry("x\0y", "file", 0o644, 4)),
    "link out": (Entry("", "dir", 0o755), Entry("l", "link", 0o777, 0, "../../outside")),
    "absolute link": (Entry("", "dir", 0o755), Entry("l", "link", 0o777, 0, "/etc")),
    "through a link": (
        Entry("", "dir", 0o755), Entry("d", "dir", 0o755), Entry("l", "link", 0o777, 0, "d"),
        Entry("l/x", "file", 0o644, 4),
    ),
    "a link for the whole": (Entry("", "link", 0o777, 0, "/etc"),),
    "a negative size": (Entry("", "dir", 0o755), Entry("x", "file", 0o644, -5)),
    "twice the same": (Entry("", "dir", 0o755), Entry("x", "file", 0o644, 4), Entry("x", "link", 0o777, 0, "y")),
    "no parent": (Entry("a/b", "file", 0o644, 4),),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("recursive", [True, False])
def test_names_that_leave_their_destination(name: str, recursive: bool, tmp_path: Path, loop: LoopThread) -> None:
    def lie(message: Any, line: Line) -> None:
        if isinstance(message, GetFiles):
            line.say(Listing(message.id, LISTINGS[name]), Answer(message.id), FileData(message.id, b"evil"))
        elif isinstance(message, EndSession):
            line.say(Ended())

    there = tmp_path / "there"
    there.mkdir()
    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        with pytest.raises(TransferError):
            connected.host.recv_file("/srv/data", str(there / "data"), recursive=recursive)
        connected.end()
    assert list(there.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "there"]


def test_a_tree_where_a_file_was_asked_for(tmp_path: Path, loop: LoopThread) -> None:
    def lie(message: Any, line: Line) -> None:
        if isinstance(message, GetFiles):
            tree = (Entry("", "dir", 0o755), Entry("x", "file", 0o644, 4))
            line.say(Listing(message.id, tree), Answer(message.id), FileData(message.id, b"evil"))
        elif isinstance(message, EndSession):
            line.say(Ended())

    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        with pytest.raises(TransferError, match="more than the file that was asked for"):
            connected.host.recv_file("/srv/data", str(tmp_path / "data"))
        connected.end()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


def _file() -> Entry:
    return Entry("", "file", 0o6777, 4)


def _break_off(number: int, line: Line) -> None:
    line.say(Listing(number, (_file(),)), Answer(number), FileData(number, b"ev"))
    line.hang_up()


TRANSFERS: dict[str, Callable[[int, Line], None]] = {
    "more than announced": lambda n, line: line.say(Listing(n, (_file(),)), Answer(n), FileData(n, b"evilevil")),
    "a descriptor that does not come": lambda n, line: line.say(Listing(n, (_file(),), by_fd=True)),
    "a directory's descriptor": lambda n, line: _pass(n, line, os.open("/", os.O_RDONLY)),
    "a pipe that never ends": lambda n, line: _pass(n, line, os.pipe()[0]),
    "a device": lambda n, line: _pass(n, line, os.open("/dev/zero", os.O_RDONLY)),
    "an empty file": lambda n, line: _pass(n, line, os.memfd_create("empty")),
    "an end in the middle": _break_off,
}


def _pass(number: int, line: Line, fd: int) -> None:
    line.raw(frame(msgspec.msgpack.encode(Listing(number, (_file(),), by_fd=True))), (fd,))
    os.close(fd)


@pytest.mark.leaks("descriptors")  # the other end of the pipe that never ends
@pytest.mark.parametrize("name", TRANSFERS)
def test_a_file_that_does_not_come_as_announced(name: str, tmp_path: Path, loop: LoopThread) -> None:
    def lie(message: Any, line: Line) -> None:
        if isinstance(message, GetFiles):
            TRANSFERS[name](message.id, line)
        elif isinstance(message, EndSession):
            line.say(Ended())

    old = tmp_path / "data"
    old.write_text("as it was")
    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        with pytest.raises(ShakeoutError):
            connected.host.recv_file("/srv/data", str(old))
        connected.session.abandon()
    assert old.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "s"]


def test_a_file_that_nobody_takes(tmp_path: Path, loop: LoopThread) -> None:
    """Refused in the middle, or answered with nonsense: an error, and the session goes on."""

    def lie(message: Any, line: Line) -> None:
        if isinstance(message, PutFiles):
            line.say(Answer(message.id, b"junk"))
        elif isinstance(message, EndSession):
            line.say(Ended())

    (tmp_path / "data").write_text("mine")
    with Liar(tmp_path / "s", lie) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor)
        with pytest.raises(ProtocolError):
            connected.host.send_file(str(tmp_path / "data"), "/tmp/data")
        connected.end()


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
