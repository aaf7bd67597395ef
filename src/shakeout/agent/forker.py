"""The agent's side of its zygote."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

import msgspec

from shakeout.agent.forking import Exited, Forked, ForkOrder, Reports, SourceOrder
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.reactor import READ, Reactor
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
        on_lost: called when the zygote is gone; nothing more can be forked then.
    """

    def __init__(self, zygote: socket.socket, reactor: Reactor, on_lost: Callable[[], None]) -> None:
        self._zygote = zygote
        self._reader = FrameReader()
        self._on_lost = on_lost
        self._orders: dict[int, tuple[OnForked, OnExit]] = {}
        self._children: dict[int, OnExit] = {}
        self._sources: set[str] = set()
        self._sequence = 0
        self._lost = False
        self._fd = zygote.fileno()
        self._reactor = reactor
        reactor.watch(self._fd, READ, self._receive)

    def next_sequence(self) -> int:
        """A number for the next order."""
        self._sequence += 1
        return self._sequence

    def source(self, sha256: str, filename: str, text: bytes) -> None:
        """Have the zygote keep (and compile) the source of a module."""
        if sha256 not in self._sources:
            self._sources.add(sha256)
            self._zygote.sendall(frame(_encode(SourceOrder(sha256, filename, text))))

    def fork(self, order: ForkOrder, fds: tuple[int, int, int, int], on_forked: OnForked, on_exit: OnExit) -> None:
        """Have a child forked; the caller keeps (and closes) its own copies of *fds*.

        Args:
            on_forked: called with the child's pid and the moment of the fork (ns, monotonic).
            on_exit: called with its status, as `os.waitpid` gives it, and the moment of its end.
        """
        self._orders[order.sequence] = (on_forked, on_exit)
        data = frame(_encode(order))
        sent = socket.send_fds(self._zygote, [data], list(fds))
        if sent < len(data):
            self._zygote.sendall(data[sent:])

    def settle(self) -> None:
        """Wait until it is known as which process every order runs: what is to be ended must have a number."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        deadline = time.monotonic() + _PATIENCE
        while self._orders and not self._lost and (rest := deadline - time.monotonic()) > 0:
            if poll.poll(rest * 1000):
                self._receive(select.POLLIN)

    def _receive(self, events: int) -> None:
        try:
            data = self._zygote.recv(READ_SIZE)
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
