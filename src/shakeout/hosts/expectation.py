"""Waiting for a job to print something."""

from __future__ import annotations

import re

from shakeout.errors import JobError
from shakeout.hosts.capture import text
from shakeout.hosts.waiter import Waiter
from shakeout.wire.messages import STDERR, STDOUT

#: Bytes of earlier output that a pattern may begin in.
_LOOK_BACK = 64 << 10


class Expectation:
    """Somebody waits for output that matches; each stream is looked at by itself."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.found: Waiter[re.Match[str]] = Waiter()
        self._recent = {STDOUT: bytearray(), STDERR: bytearray()}

    def look(self, stream: int, data: bytes) -> None:
        """More came: look at it, and at what came shortly before."""
        if self.found.done:
            return
        recent = self._recent[stream]
        recent += data
        match = self.pattern.search(text(bytes(recent)))
        if match is not None:
            self.found.set(match)
        elif len(recent) > 2 * _LOOK_BACK:
            del recent[:-_LOOK_BACK]

    def give_up(self, job: str, reason: str) -> None:
        """The job (so called) has ended."""
        why = f" ({reason})" if reason else ""
        self.found.fail(JobError(f"{job} ended without printing {self.pattern.pattern!r}{why}"))
