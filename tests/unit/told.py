"""What a journal tells, for tests of its readers."""

from __future__ import annotations

from shakeout.journal.events import Header, JobFinished, JobStarted

HEADER = Header(run="20261120-134501-4000", kind="recipe", started="2026-11-20T13:45:01.250000Z", command=("x",))


def began(host: str, job: int, what: str = "XYZ", **more: object) -> JobStarted:
    return JobStarted(t_ns=1, part=1, host=host, job=job, what=what, **more)  # type: ignore[arg-type]


def ended(host: str, job: int, passed: bool = True, **more: object) -> JobFinished:
    more = {"t_ns": 2, "part": 1, "duration_s": 0.25, "exit_status": 0 if passed else 1, **more}
    return JobFinished(host=host, job=job, passed=passed, **more)  # type: ignore[arg-type]
