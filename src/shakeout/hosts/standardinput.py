"""A job's standard input on its way: never more of it than the agent has room for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from shakeout.wire.framing import CHUNK
from shakeout.wire.messages import WINDOW


class StandardInput:
    """Sends pieces, and waits with the next while `WINDOW` bytes have not been taken by the job.

    Args:
        send: sends one piece, and whether it is the last.
    """

    def __init__(self, send: Callable[[bytes, bool], None]) -> None:
        self._send = send
        self._moved = threading.Condition()
        self._waiting: deque[tuple[memoryview, bool]] = deque()
        self._under_way = 0
        self._closed = False

    def write(self, data: bytes, *, end: bool = False) -> None:
        """Send *data*; returns when all of it is on its way, or nobody is there to take it."""
        with self._moved:
            self._add(data, end)
            self._moved.wait_for(lambda: self._closed or not self._waiting)

    def feed(self, data: bytes) -> None:
        """Send *data* and the end after it, as room comes; returns at once."""
        with self._moved:
            self._add(data, end=True)

    def taken(self, size: int) -> None:
        """The job took *size* bytes."""
        with self._moved:
            self._under_way = max(0, self._under_way - max(0, size))
            self._go_on()

    def close(self) -> None:
        """Nobody takes anything any more."""
        with self._moved:
            self._closed = True
            self._waiting.clear()
            self._moved.notify_all()

    def _add(self, data: bytes, end: bool) -> None:
        if not self._closed:
            self._waiting.append((memoryview(data), end))
            self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._under_way < WINDOW:
            data, end = self._waiting.popleft()
            piece, rest = data[:CHUNK], data[CHUNK:]
            self._under_way += len(piece)
            if rest:
                self._waiting.appendleft((rest, end))
            self._send(bytes(piece), end and not rest)
        if not self._waiting:
            self._moved.notify_all()
