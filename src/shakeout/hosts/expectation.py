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
#: Bytes of what came instead that are shown.
_SHOWN = 200


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

    def so_far(self) -> str:
        """What was printed instead, in words: the last line of each stream."""
        said = []
        for name, stream in (("last it printed", STDOUT), ("on its error output", STDERR)):
            last = text(bytes(self._recent[stream][-_SHOWN:])).rstrip().rpartition("\n")[2].strip()
            if last:
                said.append(f"{name} {last!r}")
        return " and ".join(said) if said else "it printed nothing"

    def give_up(self, job: Job) -> None:
        """The job has ended."""
        why = job.reason or (job.error.message if job.error is not None else "")
        if not why and job.exit_status is not None:
            why = f"exit status {job.exit_status}"
        text = f"job {job.id} on {job.host} ended without printing {self.pattern.pattern!r}"
        self.found.fail(JobError(text + (f" ({why})" if why else "")))
