"""The agent's side of its zygote."""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable

import msgspec

from shakeout.agent.forking import Exited, Forked, ForkOrder, Reports, Rest, SourceOrder
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.reactor import READ, WRITE, Reactor
from shakeout.wire.transports import READ_SIZE

#: Seconds that the zygote, which answers in less than one thousandth of them, is waited for.
_PATIENCE = 5.0

# Made before any fork: making one touches hundreds of pages, each of which is copied in the process that does it.
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Reports)

OnForked = Callable[[int, int], None]
OnExit = Callable[[int, int], None]


class Forker:
    """Has children forked by the zygote and hears of their ends.

    Args:
        zygote: its socket; or what starts it when it is first needed, so that a host that runs nothing but commands
            costs less time and memory.
        on_lost: called when the zygote is gone; nothing more can be forked then.
    """

    def __init__(
        self, zygote: socket.socket | Callable[[], socket.socket], reactor: Reactor, on_lost: Callable[[], None]
    ) -> None:
        self._start = zygote
        self._zygote: socket.socket | None = None
        self._reader = FrameReader()
        self._on_lost = on_lost
        self._orders: dict[int, tuple[OnForked, OnExit]] = {}
        self._children: dict[int, OnExit] = {}
        self._sources: set[str] = set()
        self._sequence = 0
        self._lost = False
        #: What the zygote has not taken yet. Never waited for: it may be waiting itself, for its reports to be read.
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._fd = -1
        self._reactor = reactor
        if isinstance(zygote, socket.socket):
            self._engage()

    def next_sequence(self) -> int:
        """A number for the next order."""
        self._sequence += 1
        return self._sequence

    def source(self, sha256: str, filename: str, text: bytes) -> None:
        """Have the zygote keep (and compile) the source of a module."""
        if sha256 not in self._sources:
            self._sources.add(sha256)
            self._send(frame(_encode(SourceOrder(sha256, filename, text))), ())

    def fork(self, order: ForkOrder, fds: tuple[int, int, int, int], on_forked: OnForked, on_exit: OnExit) -> None:
        """Have a child forked; the caller keeps (and closes) its own copies of *fds*.

        Args:
            on_forked: called with the child's pid and the moment of the fork (ns, monotonic).
            on_exit: called with its status, as `os.waitpid` gives it, and the moment of its end.
        """
        self._orders[order.sequence] = (on_forked, on_exit)
        try:
            self._send(frame(_encode(order)), fds)
        except BaseException:
            del self._orders[order.sequence]  # or it would be waited for
            raise

    def rest(self) -> None:
        """The host is free: the zygote need keep nothing ready."""
        if self._zygote is not None:
            self._send(frame(_encode(Rest())), ())

    def settle(self) -> None:
        """Wait until it is known as which process every order runs: what is to be ended must have a number."""
        poll = select.poll()
        deadline = time.monotonic() + _PATIENCE
        while self._orders and not self._lost and (rest := deadline - time.monotonic()) > 0:
            poll.register(self._fd, READ | WRITE if self._waiting else READ)
            for _, events in poll.poll(rest * 1000):
                self._ready(events)

    def _engage(self) -> socket.socket:
        """The zygote, which may have to be started."""
        if self._zygote is None:
            self._zygote = self._start if isinstance(self._start, socket.socket) else self._start()
            self._zygote.setblocking(False)
            self._fd = self._zygote.fileno()
            self._reactor.watch(self._fd, READ, self._ready)
        return self._zygote

    def _send(self, data: bytes, fds: tuple[int, ...]) -> None:
        if not self._waiting:
            sent = self._try(data, fds)
            if sent == len(data):
                return
            data, fds = data[sent:], () if sent else fds
            self._reactor.modify(self._fd, READ | WRITE)
        self._waiting.append((data, tuple(os.dup(fd) for fd in fds)))

    def _try(self, data: bytes, fds: tuple[int, ...]) -> int:
        """Send as much as goes now; 0 also if the zygote is gone, which reading tells."""
        try:
            zygote = self._engage()
            return socket.send_fds(zygote, [data], list(fds)) if fds else zygote.send(data)
        except OSError:
            return 0

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & ~WRITE:
            self._receive()

    def _flush(self) -> None:
        while self._waiting:
            data, fds = self._waiting.popleft()
            sent = self._try(data, fds)
            if not sent:
                self._waiting.appendleft((data, fds))
                return
            for fd in fds:
                os.close(fd)
            if sent < len(data):
                self._waiting.appendleft((data[sent:], ()))
                return
        self._reactor.modify(self._fd, READ)

    def _receive(self) -> None:
        try:
            data = self._engage().recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost = True
            self._reactor.forget(self._fd)
            self._on_lost()
            return
        for payload in self._reader.feed(data):
            report = _decoder.decode(payload)
            if isinstance(report, Forked):
                on_forked, self._children[report.pid] = self._orders.pop(report.sequence)
                on_forked(report.pid, report.host_ns)
            elif isinstance(report, Exited):
                on_exit = self._children.pop(report.pid, None)
                if on_exit is not None:
                    on_exit(report.status, report.host_ns)
