"""Transports: how bytes (and, where both ends share a kernel, descriptors) get to the other side.

A transport is non-blocking. `fileno()` is readable when `receive` has something. A new one needs nothing but these
methods.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from typing import Protocol

#: Descriptors accepted with one read; the kernel closes what is over.
MAX_FDS = 8
READ_SIZE = 256 << 10


class Transport(Protocol):
    """A two-way byte stream that never blocks."""

    #: Whether `send` can pass descriptors.
    passes_fds: bool
    #: Who is at the other side, as the connection itself vouches for it (a certificate's name); "" if it does not.
    identity: str
    #: The address of this end, if it is one of this machine's network; "" for a connection within the machine.
    local_address: str

    def fileno(self) -> int:
        """What to watch: readable when `receive` has something."""

    def write_fileno(self) -> int:
        """What to watch for room to write; the same descriptor but for a pair of pipes."""

    def receive(self) -> tuple[bytes, list[int]] | None:
        """Bytes and descriptors that have arrived; b"" at the end; None when there is nothing now."""

    def send(self, data: bytes | memoryview, fds: tuple[int, ...] = ()) -> int:
        """Send some of *data*; how many bytes went (0: try again when writable)."""

    def close(self) -> None:
        """End the connection; harmless when it is closed."""


class UnixTransport:
    """A connected unix stream socket."""

    passes_fds = True
    identity = ""
    local_address = ""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._space = socket.CMSG_SPACE(MAX_FDS * 4)

    def fileno(self) -> int:
        return self._socket.fileno()

    def write_fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> tuple[bytes, list[int]] | None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(READ_SIZE, self._space, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return None
        except (ConnectionError, OSError):
            return b"", []
        return data, descriptors(ancillary) if ancillary else []

    def send(self, data: bytes | memoryview, fds: tuple[int, ...] = ()) -> int:
        try:
            if not fds:
                return self._socket.send(data)
            packed = struct.pack(f"{len(fds)}i", *fds)
            return self._socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)])
        except (BlockingIOError, InterruptedError):
            return 0

    def close(self) -> None:
        self._socket.close()

    def peer(self) -> tuple[int, int]:
        """Process id and user id of the other side, as the kernel vouches for them."""
        raw = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", raw)
        return pid, uid


class PipesTransport:
    """Two pipes, one for each direction: a process's standard input and output. It owns both descriptors.

    Args:
        local_address: where what is at the other end of the pipes (sshd, say) has its connection.
    """

    passes_fds = False
    identity = ""

    def __init__(self, read: int, write: int, local_address: str = "") -> None:
        self.local_address = local_address
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        self._read = read
        self._write = write

    def fileno(self) -> int:
        return self._read

    def write_fileno(self) -> int:
        return self._write

    def receive(self) -> tuple[bytes, list[int]] | None:
        try:
            return os.read(self._read, READ_SIZE), []
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b"", []

    def send(self, data: bytes | memoryview, fds: tuple[int, ...] = ()) -> int:
        try:
            return os.write(self._write, data)
        except (BlockingIOError, InterruptedError):
            return 0

    def close(self) -> None:
        for fd in {self._read, self._write} - {-1}:
            os.close(fd)
        self._read = self._write = -1


class MemoryTransport:
    """One end of a pair that lives in this process: for tests and for an agent in the same interpreter."""

    passes_fds = True
    identity = ""
    local_address = ""

    def __init__(self) -> None:
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._arrived: deque[tuple[bytes, list[int]]] = deque()
        self._peer: MemoryTransport | None = None
        self._closed = False

    @classmethod
    def pair(cls) -> tuple[MemoryTransport, MemoryTransport]:
        """Two connected ends."""
        one, two = cls(), cls()
        one._peer, two._peer = two, one
        return one, two

    def fileno(self) -> int:
        return -1 if self._closed else self._ready

    def write_fileno(self) -> int:
        return self.fileno()

    def receive(self) -> tuple[bytes, list[int]] | None:
        if self._arrived:
            data, fds = self._arrived.popleft()
            if not self._arrived and data:
                self._drain()
            return data, fds
        return None if self._peer is not None else (b"", [])

    def send(self, data: bytes | memoryview, fds: tuple[int, ...] = ()) -> int:
        peer = self._peer
        if peer is None or peer._closed:
            raise BrokenPipeError("the other end is closed")
        peer._arrived.append((bytes(data), [os.dup(fd) for fd in fds]))
        os.eventfd_write(peer._ready, 1)
        return len(data)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        peer, self._peer = self._peer, None
        if peer is not None and not peer._closed:
            peer._peer = None
            peer._arrived.append((b"", []))
            os.eventfd_write(peer._ready, 1)
        for _, fds in self._arrived:
            for fd in fds:
                os.close(fd)
        self._arrived.clear()
        os.close(self._ready)

    def _drain(self) -> None:
        try:
            os.eventfd_read(self._ready)
        except BlockingIOError:
            pass
        if self._arrived:  # something came between the look and the read
            os.eventfd_write(self._ready, 1)


def descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors in what `recvmsg` received beside the data."""
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            count = len(data) // 4
            fds.extend(struct.unpack(f"{count}i", data[: count * 4]))
    return fds
