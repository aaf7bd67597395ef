"""A run in the Kernel Test Anything Protocol, version 1: a subtest a part, a line a job or record.

Source of the format: Documentation/dev-tools/ktap.rst of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

from shakeout.journal.verdict import Verdict
from shakeout.report.outcome import JobOutcome, PartOutcome, RunOutcome
from shakeout.report.text import ending, excerpt, harmless, one_line, output
from shakeout.report.values import details, title

_INDENT = "  "
_LINES, _CHARACTERS = 20, 2000


def ktap(outcome: RunOutcome) -> str:
    """The run as KTAP text with a line end at its end."""
    return "\n".join(_run(outcome)) + "\n"


def _run(outcome: RunOutcome) -> Iterator[str]:
    yield "KTAP version 1"
    yield f"# run {_words(outcome.header.run)}"
    yield f"1..{len(outcome.parts)}"
    for number, part in enumerate(outcome.parts, 1):
        for line in _part(part):
            yield _INDENT + line
        directive = _DIRECTIVE.get(part.verdict, "")
        good = part.verdict is Verdict.PASSED
        yield _result(good, number, part.title, directive)


_DIRECTIVE: dict[Verdict | None, str] = {
    Verdict.ERROR: "ERROR",
    Verdict.CANCELLED: "ERROR cancelled",
    Verdict.ABORTED: "ERROR aborted",
    None: "SKIP still running",
}


def _part(part: PartOutcome) -> Iterator[str]:
    yield "KTAP version 1"
    yield f"# Subtest: {_words(part.title)}"
    yield f"1..{len(part.jobs) + len(part.results) + len(part.values)}"
    number = 0
    for job in part.jobs:
        number += 1
        yield from _job(job, number, running=part.verdict is None)
    for record in part.results:
        number += 1
        yield _result(record.passed is not False, number, record.description or "record", "")
    for value in part.values:
        number += 1
        yield from _diagnostics("\n".join(details(value)))
        yield _result(value.passed is not False, number, title(value), "")
    if part.error:
        yield from _diagnostics(part.error)
    for host in part.hosts:
        if host.lost:
            yield from _diagnostics(f"host {host.name} was lost: {host.lost}")
        yield from _diagnostics("\n".join(f"host {host.name} not put back: {line}" for line in host.undo_failed))


def _job(job: JobOutcome, number: int, *, running: bool) -> Iterator[str]:
    name = f"Host {job.host} Job {job.job} {job.title}"
    finished = job.finished
    if finished is None:
        yield _result(running, number, name, "SKIP still running" if running else "ERROR did not finish")
        return
    if not finished.passed:
        yield from _diagnostics(ending(job.started, finished))
        yield from _diagnostics(finished.error)
        yield from _diagnostics(output(finished.stderr_head, finished.stderr_tail, finished.stderr_bytes))
    late = not finished.passed and finished.reason.startswith("timed out")
    yield _result(finished.passed, number, name, "TIMEOUT" if late else "")


def _result(passed: bool, number: int, name: str, directive: str) -> str:
    line = f"{'ok' if passed else 'not ok'} {number} {_words(name)}"
    return f"{line} # {directive}" if directive else line


def _words(text: str) -> str:
    """One line in which nothing can be taken for a directive."""
    return one_line(text).replace("#", "")


def _diagnostics(text: str) -> Iterator[str]:
    if text.strip():
        for line in excerpt(harmless(text), _LINES, _CHARACTERS):
            yield f"# {line}".rstrip()
