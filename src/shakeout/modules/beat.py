"""The clock of modules that measure or watch: moments at a fixed distance, events in between, an end in order."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypedDict

_SECOND = 10**9


class Sampling(TypedDict):
    """How well a module kept its time.

    Keys:
        seconds: from the beginning to the end.
        samples: that were taken.
        missed: moments at which none was taken, because the host was busy for a whole interval or longer.
        late_ms, late_max_ms: milliseconds that samples were taken later than they should: the mean, and the worst.
        cpu: what the module itself used, in percent of one CPU.
    """

    seconds: float
    samples: int
    missed: int
    late_ms: float
    late_max_ms: float
    cpu: float


class Beat:
    """Moments at a fixed distance from each other, which do not drift, and in between whatever happens.

    Iterating gives each moment as it comes, in nanoseconds of CLOCK_MONOTONIC. The last one is the end: when
    *duration* is over, when SIGINT has come (``job.kill(signal.SIGINT)``), or when `stop` was called. SIGINT is no
    exception in between, so that what is being added up is never half done. A second one is KeyboardInterrupt.

    Args:
        interval: seconds from one moment to the next; None: none but the end.
        duration: seconds until the end; None: there is none.
    """

    def __init__(self, interval: float | None, duration: float | None = None) -> None:
        self._interval = None if interval is None else max(1, round(interval * _SECOND))
        self._duration = None if duration is None else round(duration * _SECOND)
        self._attended: dict[int, Callable[[], None]] = {}
        self._poll = select.epoll()
        self._wake = -1
        self._before: Any = None
        self._begin_cpu = 0
        self._late = self._late_max = 0
        self.begin_ns = 0
        #: Moments so far, and those that were left out.
        self.samples = self.missed = 0
        #: Whether it was ended by SIGINT.
        self.interrupted = False
        #: Whether nothing more will come.
        self.stopped = False
        #: Seconds that this moment is after the last whole one.
        self.elapsed = 0.0
        #: Whether that is half an interval at least, so that a rate over it means something.
        self.whole = False

    def __enter__(self) -> Beat:
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        self.begin_ns = time.monotonic_ns()
        self._begin_cpu = time.process_time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        os.close(self._wake)
        self._poll.close()

    def attend(self, fd: int, callback: Callable[[], None]) -> None:
        """Call *callback* whenever *fd* can be read, while this is iterated over."""
        self._attended[fd] = callback
        self._poll.register(fd, select.EPOLLIN)

    def leave(self, fd: int) -> None:
        """No longer attend to *fd*; nothing if nobody did."""
        if self._attended.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def stop(self) -> None:
        """End it now: one more moment, and it is over."""
        self.stopped = True

    def seconds(self) -> float:
        """Seconds since it began."""
        return (time.monotonic_ns() - self.begin_ns) / _SECOND

    def __iter__(self) -> Iterator[int]:
        end = None if self._duration is None else self.begin_ns + self._duration
        last, number = self.begin_ns, 0
        while True:
            number += 1
            due = None if self._interval is None else self.begin_ns + number * self._interval
            if end is not None and (due is None or due >= end):
                due = end
            self._wait(due)
            now = time.monotonic_ns()
            self.stopped = self.stopped or (end is not None and now >= end)
            if self._interval is not None and due is not None and now >= due:
                self._note(now - due)
                behind = max(0, (now - self.begin_ns) // self._interval - number)
                if due != end:
                    self.missed += behind
                    number += behind
            self.elapsed = (now - last) / _SECOND
            self.whole = self._interval is not None and (not self.samples or 2 * (now - last) >= self._interval)
            self.samples += 1
            over = self.stopped  # what stops it from now on shall have a moment of its own
            yield now
            if over:
                return
            if self.whole or self._interval is None:
                last = now

    def sampling(self) -> Sampling:
        """How it went so far."""
        seconds = max(1e-9, self.seconds())
        return Sampling(
            seconds=round(seconds, 6),
            samples=self.samples,
            missed=self.missed,
            late_ms=round(self._late / max(1, self.samples) / 1e6, 3),
            late_max_ms=round(self._late_max / 1e6, 3),
            cpu=round(100 * (time.process_time_ns() - self._begin_cpu) / 1e9 / seconds, 3),
        )

    def _note(self, late: int) -> None:
        self._late += late
        self._late_max = max(self._late_max, late)

    def _wait(self, due: int | None) -> None:
        """Attend to what happens until *due* (for ever if None), or until it is stopped."""
        while not self.stopped:
            # epoll itself knows only milliseconds.
            left = None if due is None else max(0.0, (due - time.monotonic_ns()) / _SECOND)
            ready, _, _ = select.select([self._poll], [], [], left)
            for fd, _ in self._poll.poll(0) if ready else ():
                callback = self._attended.get(fd)
                if fd == self._wake:
                    os.eventfd_read(fd)
                elif callback is not None:
                    callback()
            if due is not None and time.monotonic_ns() >= due:
                return

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = self.stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.eventfd_write(self._wake, 1)
