"""What a lying agent sends as files: nothing of it leaves the destination."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shakeout
from shakeout.errors import HostLost, ShakeoutError, TransferError
from shakeout.hosts.devices import HostDevices
from shakeout.hosts.host import Host
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.wire.connection import Connection
from shakeout.wire.messages import (
    PROTOCOLS,
    Answer,
    FileData,
    GetFiles,
    Hello,
    Listing,
    Refusal,
    Welcome,
    agent_decoder,
)
from shakeout.wire.parts import Entry  # fmt: skip
from shakeout.wire.plain import pack
from shakeout.wire.transports import UnixTransport

Script = Callable[[Connection, GetFiles], None]


class Liar:
    """An agent that answers a GetFiles as it is told."""

    def __init__(self, loop: LoopThread, connected: socket.socket, script: Script) -> None:
        self._script = script
        self.connection = Connection(
            UnixTransport(connected), loop.reactor, agent_decoder(), self._message, lambda reason: None
        )

    def _message(self, message: object) -> None:
        if isinstance(message, Hello):
            self.connection.send(Welcome(PROTOCOLS[1], 1, "boot", {}, "lease", shakeout.__version__))
        elif isinstance(message, GetFiles):
            self._script(self.connection, message)


@pytest.fixture
def lying(tmp_path: Path) -> Iterator[Callable[[Script], Host]]:
    """Makes a host whose agent follows a script."""
    loop = LoopThread()
    sessions: list[Session] = []
    liars: list[Liar] = []

    def make(script: Script) -> Host:
        ours, theirs = socket.socketpair()
        liars.append(Liar(loop, theirs, script))
        session = Session("liar", UnixTransport(ours), loop.reactor)
        sessions.append(session)
        session.begin()
        session.welcome()
        return Host(session, HostDevices(session, {}))

    (tmp_path / "into").mkdir()
    yield make
    for session in sessions:
        session.abandon()
    for liar in liars:
        loop.reactor.call_soon_threadsafe(liar.connection.close)
    loop.close()


def telling(*entries: Entry, content: bytes = b"") -> Script:
    def script(connection: Connection, order: GetFiles) -> None:
        connection.send(Listing(order.id, entries))
        connection.send(Answer(order.id, pack(None)))
        if content:
            connection.send(FileData(order.id, content))

    return script


TOP = Entry("", "dir", 0o755)


@pytest.mark.parametrize("entries", [
    (TOP, Entry("../evil", "file", 0o644, 1)), (TOP, Entry("/etc/evil", "file", 0o644, 1)),
    (TOP, Entry("a/../../evil", "file", 0o644, 1)), (TOP, Entry(".", "file", 0o644, 1)),
    (TOP, Entry("not-announced/evil", "file", 0o644, 1)), (TOP, Entry("a//b", "file", 0o644, 1)),
    (TOP, Entry("evil\0", "file", 0o644, 1)), (TOP, Entry("out", "link", 0o777, target="/etc")),
    (TOP, Entry("out", "link", 0o777, target="../..")), (TOP, Entry("out", "link", 0o777, target="")),
    (TOP, Entry("d", "link", 0o777, target="."), Entry("d", "dir", 0o755)),
    (TOP, Entry("d", "link", 0o777, target="."), Entry("d/evil", "file", 0o644, 1)),
    (TOP, Entry("same", "file", 0o644, 1), Entry("same", "file", 0o644, 1)),
    (TOP, Entry("f", "file", 0o644, -1)), (TOP, Entry("d", "dir", 0o755, 5)), (TOP, TOP),
    (Entry("", "link", 0o777, target="/etc/passwd"),), (Entry("x", "file", 0o644, 1),),
])  # fmt: skip
def test_names_that_leave_the_destination(
    lying: Callable[[Script], Host], tmp_path: Path, entries: tuple[Entry, ...]
) -> None:
    host = lying(telling(*entries, content=b"xx"))
    with pytest.raises(ShakeoutError):
        host.recv_file("anything", str(tmp_path / "into"), recursive=True)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("into")]


def test_the_rights_of_other_users_are_stripped(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    host = lying(telling(TOP, Entry("su", "file", 0o6755, 2), Entry("d", "dir", 0o3777), content=b"su"))
    got = host.recv_file("x", str(tmp_path / "into"), recursive=True)
    assert (got / "su").stat().st_mode & 0o7777 == 0o755
    assert (got / "d").stat().st_mode & 0o7777 == 0o777


def test_a_link_made_earlier_is_not_followed(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "into" / "x").mkdir()
    (tmp_path / "into" / "x" / "d").symlink_to(tmp_path / "outside")
    host = lying(telling(TOP, Entry("d", "dir", 0o755), Entry("d/evil", "file", 0o644, 1), content=b"x"))
    with pytest.raises(TransferError):
        host.recv_file("x", str(tmp_path / "into"), recursive=True)
    assert list((tmp_path / "outside").iterdir()) == []


def test_more_content_than_was_announced(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    host = lying(telling(TOP, Entry("f", "file", 0o644, 2), content=b"xxxxxx"))
    with pytest.raises(TransferError, match="more content came than was announced"):
        host.recv_file("x", str(tmp_path / "into"), recursive=True)
    assert list((tmp_path / "into").iterdir()) == []


def test_a_size_that_no_disk_has(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    def script(connection: Connection, order: GetFiles) -> None:
        connection.send(Listing(order.id, (Entry("", "file", 0o644, 1 << 60),)))
        connection.send(Answer(order.id))
        connection.send(FileData(order.id, b"x" * 1000))
        connection.send(Refusal(order.id, "transfer", "enough"))

    host = lying(script)
    with pytest.raises(TransferError, match="enough"):
        host.recv_file("x", str(tmp_path / "into"))
    assert list((tmp_path / "into").iterdir()) == []


def test_a_descriptor_that_is_no_file(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    def script(connection: Connection, order: GetFiles) -> None:
        read, write = os.pipe()
        connection.send(Listing(order.id, (Entry("", "file", 0o644, 10),), by_fd=True), (read,))
        os.close(read)
        os.close(write)

    with pytest.raises(TransferError, match="no file"):
        lying(script).recv_file("x", str(tmp_path / "into"))
    assert list((tmp_path / "into").iterdir()) == []


def test_a_descriptor_with_less_than_was_announced(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    def script(connection: Connection, order: GetFiles) -> None:
        with Path("/etc/hostname").open("rb") as file:
            connection.send(Listing(order.id, (Entry("", "file", 0o644, 1 << 50),), by_fd=True), (file.fileno(),))

    with pytest.raises(TransferError, match="became shorter"):
        lying(script).recv_file("x", str(tmp_path / "into"))
    assert list((tmp_path / "into").iterdir()) == []


def test_a_descriptor_that_does_not_come(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    def script(connection: Connection, order: GetFiles) -> None:
        connection.send(Listing(order.id, (Entry("", "file", 0o644, 10),), by_fd=True))

    with pytest.raises((HostLost, TransferError)):
        lying(script).recv_file("x", str(tmp_path / "into"))
    assert list((tmp_path / "into").iterdir()) == []


def test_an_agent_that_goes_away_in_the_middle(lying: Callable[[Script], Host], tmp_path: Path) -> None:
    def script(connection: Connection, order: GetFiles) -> None:
        connection.send(Listing(order.id, (Entry("", "file", 0o644, 1000),)))
        connection.send(FileData(order.id, b"x" * 10))
        connection.close()

    with pytest.raises(HostLost):
        lying(script).recv_file("x", str(tmp_path / "into"))
    assert list((tmp_path / "into").iterdir()) == []
