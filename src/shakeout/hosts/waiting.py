"""Waiting for several jobs, of one host or of many."""

from __future__ import annotations

import time
from collections.abc import Iterable

from shakeout.errors import UsageError
from shakeout.hosts.job import Job
from shakeout.hosts.waiter import Waiter


def wait_all(jobs: Iterable[Job], timeout: float = 0) -> bool:
    """Wait until all *jobs* have ended, at most *timeout* seconds (0: for ever); whether they have."""
    deadline = time.monotonic() + timeout if timeout else None
    for job in jobs:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            if not job.finished:
                return False
        elif not job.wait(left or 0):
            return False
    return True


def wait_any(jobs: Iterable[Job], timeout: float = 0) -> list[Job]:
    """Wait until at least one of *jobs* has ended, at most *timeout* seconds (0: for ever); those that have.

    An empty list means that the time was up.
    """
    waiting = list(jobs)
    if not waiting:
        raise UsageError("wait_any() was called without a job to wait for")
    first: Waiter[bool] = Waiter()

    def one_ended() -> None:
        first.set(True)

    for job in waiting:
        job.when_done(one_ended)
    first.wait(timeout or None)
    for job in waiting:
        job.forget_callback(one_ended)
    return [job for job in waiting if job.finished]
