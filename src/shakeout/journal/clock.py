"""The clock of a journal."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where a journal takes its times from; a test gives its own."""

    def now_ns(self) -> int:
        """Nanoseconds on a clock that never goes back; where it begins does not matter."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, UTC. Asked once, at the start of a run."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """The monotonic clock, which agents on this machine share."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """The wall clock."""
        return time.time_ns()


class ClockOffset:
    """What a host's clock is ahead of the run's axis: the best of all measurements so far.

    A measurement gets worse with time, as clocks drift apart; a later one counts as soon as it is better than that.

    Attributes:
        offset_ns: 0 until something was measured.
        error_ns: how far that may be off; None until something was measured.
    """

    #: Nanoseconds that two clocks may drift apart in a second (quartz: 100 parts in a million).
    DRIFT = 100_000

    def __init__(self) -> None:
        self.offset_ns = 0
        self.error_ns: int | None = None
        self._at_ns = 0

    def take(self, offset_ns: int, error_ns: int, at_ns: int) -> None:
        """A measurement was made at *at_ns*."""
        aged = None if self.error_ns is None else self.error_ns + max(0, at_ns - self._at_ns) * self.DRIFT // 10**9
        if aged is None or error_ns <= aged:
            self.offset_ns, self.error_ns, self._at_ns = offset_ns, error_ns, at_ns


def utc_text(wall_ns: int) -> str:
    """A wall time as ISO 8601 in UTC with microseconds: ``2026-11-20T13:45:01.250000Z``."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
