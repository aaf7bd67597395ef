"""The kernel's books of TCP connections that other processes have: those of an ssh client, or of the sshd beside us.

`shakeout.wire.lifeline` asks its own socket; here the kernel is asked by a connection's addresses (sock_diag(7)), which
anybody may do.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator

import msgspec

from shakeout.wire.lifeline import BOOKS, LOOK_EVERY, Silence
from shakeout.wire.reactor import Reactor

#: linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h.
_NETLINK_SOCK_DIAG, _BY_FAMILY, _REQUEST, _DUMP, _ERROR, _DONE = 4, 20, 0x1, 0x300, 2, 3
_INFO = 2
_HEADER = struct.Struct("=IHHII")
#: struct inet_diag_req_v2, and what struct inet_diag_msg has before and after the connection.
_QUERY = struct.Struct("=BBBBI")
_MESSAGE_SIZE = 72
_ENDS = struct.Struct("!HH16s16s")
_ANY_SOCKET = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
_ESTABLISHED = 1 << 1
_READ_SIZE = 1 << 16
#: Bytes before an IPv4 address in an IPv6 one that stands for it.
_MAPPED = bytes(10) + b"\xff\xff"


class TcpEnds(msgspec.Struct, frozen=True):
    """Which connection: both ends, as this machine sees them; addresses are 4 or 16 bytes."""

    local: bytes
    local_port: int
    remote: bytes
    remote_port: int

    @property
    def local_address(self) -> str:
        """The address of this machine, as text."""
        return socket.inet_ntop(socket.AF_INET if len(self.local) == 4 else socket.AF_INET6, self.local)


class TcpBooks:
    """Asks the kernel; in the network namespace in which it is made."""

    def __init__(self) -> None:
        self._asking: socket.socket | None = None
        try:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._asking = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)
        except OSError:
            return  # this kernel is not to be asked: nothing is known

    def close(self) -> None:
        """Ask no more; harmless the second time."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.close()

    def read(self, ends: TcpEnds) -> bytes | None:
        """What is known of a connection (struct tcp_info); None if nothing is."""
        family = socket.AF_INET if len(ends.local) == 4 else socket.AF_INET6
        packed = _ENDS.pack(ends.local_port, ends.remote_port, ends.local, ends.remote)
        query = _QUERY.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, 0xFFFFFFFF) + packed + _ANY_SOCKET
        for message in self._ask(query, _REQUEST):
            place = _MESSAGE_SIZE
            while place + 4 <= len(message):
                size, kind = struct.unpack_from("=HH", message, place)
                if kind == _INFO and size >= 4 + BOOKS.size:
                    return message[place + 4 : place + size]
                place += max(4, (size + 3) & ~3)
        return None

    def connections_of(self, process: int) -> tuple[TcpEnds, ...]:
        """The established TCP connections of a process and all below it."""
        inodes = frozenset().union(*(_socket_inodes(pid) for pid in _family_of(process)))
        found = []
        for family in (socket.AF_INET, socket.AF_INET6) if inodes else ():
            query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, 0, _ESTABLISHED) + bytes(48)
            for message in self._ask(query, _REQUEST | _DUMP):
                if len(message) >= _MESSAGE_SIZE and struct.unpack_from("=I", message, 68)[0] in inodes:
                    local_port, remote_port, local, remote = _ENDS.unpack_from(message, 4)
                    size = 4 if message[0] == socket.AF_INET else 16
                    found.append(TcpEnds(local[:size], local_port, remote[:size], remote_port))
        return tuple(found)

    def _ask(self, query: bytes, flags: int) -> Iterator[bytes]:
        """The kernel's answers to one question; none if it does not answer such."""
        asking = self._asking
        if asking is None:
            return
        try:
            asking.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, flags, 1, 0) + query)
            while True:
                data = asking.recv(_READ_SIZE)  # it has been answered by now
                place = 0
                while place + _HEADER.size <= len(data):
                    size, kind, *_ = _HEADER.unpack_from(data, place)
                    if kind in (_ERROR, _DONE):
                        return
                    yield data[place + _HEADER.size : place + size]
                    place += max(_HEADER.size, (size + 3) & ~3)
                if not flags & _DUMP:
                    return
        except OSError:
            return


class BooksWatch:
    """Looks at connections of somebody else's until one leads nowhere, or `close`.

    Args:
        books: closed with it.
        on_dead: called once, with why one of *connections* is taken for cut.
    """

    def __init__(
        self, reactor: Reactor, books: TcpBooks, connections: Iterable[TcpEnds], on_dead: Callable[[str], None]
    ) -> None:
        self._reactor = reactor
        self._books = books
        self._silences = [(ends, Silence()) for ends in connections]
        self._on_dead = on_dead
        self._closed = False
        if self._silences:
            reactor.call_soon_threadsafe(self._look)

    def close(self) -> None:
        """Look no more."""
        self._closed = True
        self._books.close()

    def _look(self) -> None:
        if self._closed:
            return
        for ends, silence in self._silences:
            books = self._books.read(ends)
            if books is not None and (why := silence.look(books)):
                self.close()
                self._on_dead(why)
                return
        self._reactor.call_later(LOOK_EVERY, self._look)


def ends_of(text: str) -> TcpEnds | None:
    """The connection that sshd tells its children of (SSH_CONNECTION); None if that says none."""
    words = text.split()
    if len(words) != 4 or not (words[1].isdecimal() and words[3].isdecimal()):
        return None
    remote, local = _address(words[0]), _address(words[2])
    if not remote or len(remote) != len(local):
        return None
    return TcpEnds(local, int(words[3]) & 0xFFFF, remote, int(words[1]) & 0xFFFF)


def _address(text: str) -> bytes:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, text.partition("%")[0])
        except OSError:
            continue
        return packed.removeprefix(_MAPPED) if family == socket.AF_INET6 else packed
    return b""


def _family_of(process: int) -> list[int]:
    """It, and all below it."""
    found = [process]
    for pid in found:
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
                found += map(int, file.read().split())
        except (OSError, ValueError):
            continue
    return found


def _socket_inodes(pid: int) -> frozenset[int]:
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)  # noqa: PTH115
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except (OSError, ValueError):
        pass
    return frozenset(found)
