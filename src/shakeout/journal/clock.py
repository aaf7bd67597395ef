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


def utc_text(wall_ns: int) -> str:
    """A wall time as ISO 8601 in UTC with microseconds: ``2026-11-20T13:45:01.250000Z``."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
