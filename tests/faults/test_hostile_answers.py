"""An agent that lies in answer to requests: settings, services, devices, files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.faults.liar import PATIENCE, Liar, Line, done, on

from shakeout.devices.base import Device
from shakeout.errors import (
    ProtocolError,
    ShakeoutError,
    TransferError,
)
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.unix import connect_unix
from shakeout.testing.connection import Connected
from shakeout.wire.framing import frame
from shakeout.wire.messages import (
    Answer,
    Credit,
    DeviceCall,
    Ended,
    EndSession,
    FileData,
    GetFiles,
    JobInput,
    Listing,
    PutFiles,
    ReadService,
    ReadSetting,
    SetService,
    SetSetting,
    StartJob,
)
from shakeout.wire.parts import Entry
from shakeout.wire.plain import pack

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
