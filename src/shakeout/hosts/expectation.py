"""Waiting for a job to print something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shakeout.errors import JobError
from shakeout.hosts.capture import text
from shakeout.hosts.waiter import Waiter
from shakeout.wire.messages import STDERR, STDOUT

if TYPE_CHECKING:
    from shakeout.hosts.job import Job

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

    def give_up(self, job: Job) -> None:
        """The job has ended."""
        why = job.reason or (job.error.message if job.error is not None else "")
        if not why and job.exit_status is not None:
            why = f"exit status {job.exit_status}"
        text = f"job {job.id} on {job.host} ended without printing {self.pattern.pattern!r}"
        self.found.fail(JobError(text + (f" ({why})" if why else "")))
