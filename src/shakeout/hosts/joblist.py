"""The jobs of one host, as far as they are worth memory: a session may start any number of them."""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING

from shakeout.errors import ProtocolError

if TYPE_CHECKING:
    from shakeout.hosts.job import Job


class JobList:
    """Those that run (or have left processes behind), and of those that have ended whatever somebody holds.

    Used by the recipe's threads and the loop's.

    Attributes:
        failed: numbers of all jobs that ended otherwise than expected.
    """

    def __init__(self) -> None:
        self.failed: list[int] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._last = 0
        self._open: dict[int, Job] = {}
        self._ended: weakref.WeakValueDictionary[int, Job] = weakref.WeakValueDictionary()
        #: Held here, because their files are fetched at the end if nobody did so before.
        self._with_files: list[Job] = []

    @property
    def last(self) -> int:
        """The number that was given last, 0 before the first."""
        return self._last

    def next_number(self) -> int:
        """The number of the next job on this host."""
        with self._lock:
            self._last = next(self._numbers)
            return self._last

    def add(self, job: Job) -> None:
        """*job* is about to start."""
        with self._lock:
            self._open[job.id] = job

    def ended(self, job: Job, *, survived: bool) -> None:
        """*job* has ended; if it has *survived*, processes of it still write."""
        with self._lock:
            if not job.passed:
                self.failed.append(job.id)
            if not survived and self._open.pop(job.id, None) is not None:
                self._ended[job.id] = job
                if job.files.expected:
                    self._with_files.append(job)

    def find(self, number: int) -> Job | None:
        """Job *number*; None if it has ended and nobody holds it.

        Raises:
            ProtocolError: no such job was ever started.
        """
        job = self._open.get(number) or self._ended.get(number)
        if job is None and not 0 < number <= self._last:
            raise ProtocolError(f"it spoke of a job {number} that was never started")
        return job

    def held(self) -> list[Job]:
        """All that are there, in the order of their numbers."""
        with self._lock:
            return sorted([*self._open.values(), *self._ended.values()], key=lambda job: job.id)

    def open(self) -> list[Job]:
        """Those that run, or have left processes behind."""
        with self._lock:
            return list(self._open.values())
