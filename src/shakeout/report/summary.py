"""The result summary of a run, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from shakeout.journal.events import Evaluated, HostLost, HostSetAside, JobFinished, ResultAdded, UndoFinished
from shakeout.journal.reader import State
from shakeout.report.brevity import shortened, with_places
from shakeout.report.outcome import JobBegan, JobEnded, JobOutcome, JobRan, PartOutcome, RunOutcome, Step
from shakeout.report.series import series_lines
from shakeout.report.text import (
    data_lines,
    ending,
    excerpt,
    harmless,
    one_line,
    output,
    parameters,
    raised,
    result_lines,
    seconds,
    with_units,
)
from shakeout.report.values import details, title, verdict_word

_INDENT = "    "
#: How much of a failed job's outputs is shown: the last lines and characters.
_LINES, _CHARACTERS = 20, 2000
#: A summary of more lines repeats what failed at its end, so much of it at most.
_LONG, _MOST_WRONG = 40, 10
_COLOURS = {"PASS": "\x1b[32m", "FAIL": "\x1b[31m", "ERROR": "\x1b[1;31m", "started": "\x1b[2m"}


def summary(outcome: RunOutcome, *, color: bool = False, tracebacks: bool = False) -> str:
    """The summary of a run with a line end at its end; its last line is the result of the whole::

        RESULTS SUMMARY:
            Host m1 Job 1 ping 192.168.1.2 PASS (0.214 s)
                Formatted results: …
        RESULT PASS (1 passed, 0 failed, 0 errors, 1.31 s) run 20261120-134501-4000

    Args:
        color: mark verdicts with a terminal's colours.
        tracebacks: those of recipes that ended with an exception, too.
    """
    return "\n".join(lines(outcome, color=color, tracebacks=tracebacks)) + "\n"


def lines(outcome: RunOutcome, *, color: bool = False, tracebacks: bool = False) -> Iterator[str]:
    """The lines of :func:`summary`, one by one."""
    paint = _Paint(color)
    number = 0
    for number, line in enumerate(_body(outcome, paint, tracebacks=tracebacks), 1):  # noqa: B007 - used below
        yield line
    if number > _LONG:
        yield from _wrong(outcome)
    yield result_line(outcome, paint=paint)


def _body(outcome: RunOutcome, paint: _Paint, *, tracebacks: bool) -> Iterator[str]:
    yield "RESULTS SUMMARY:"
    for event in outcome.set_aside:
        yield from _step(event, paint)
    for part in outcome.parts:
        if len(outcome.parts) > 1:
            yield _heading(part, paint)
        yield from _part(part, paint, running=outcome.state is State.RUNNING)
        if tracebacks and part.traceback:
            yield f"{_INDENT}Traceback:"
            yield from _indented(excerpt(harmless(part.traceback), 2 * _LINES, 2 * _CHARACTERS), 2)
    if outcome.error:
        yield from _labelled("Error", outcome.error)
    for note in outcome.notes:
        yield f"{_INDENT}Note: {one_line(note, 400)}"


def _wrong(outcome: RunOutcome) -> Iterator[str]:
    """Once more what failed, a line each, where the summary is too long for it to be seen at a glance."""
    found = 0
    for part in outcome.parts:
        about = f"Part {part.number}: " if len(outcome.parts) > 1 else ""
        for text in _failures(part):
            found += 1
            if found == 1:
                yield "WHAT WENT WRONG:"
            if found <= _MOST_WRONG:
                yield f"{_INDENT}{about}{text}"
    if found > _MOST_WRONG:
        yield f"{_INDENT}… and {found - _MOST_WRONG} more"


def _failures(part: PartOutcome) -> Iterator[str]:
    for job in part.jobs:
        if job.finished and not job.finished.passed:
            how = raised(job.finished.error) or ending(job.started, job.finished)
            yield one_line(f"{_job(job)}: {how}", 400)
    for record in part.results:
        if record.passed is False:
            yield one_line(record.description)
    for value in part.values:
        if value.passed is False:
            yield title(value)
    if part.error:
        yield one_line(part.error, 400)


def result_line(outcome: RunOutcome, *, paint: _Paint | None = None) -> str:
    """The last line: the result of the whole run, with its id."""
    counts = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.errors} errors"
    time = f"{outcome.duration_s:.2f} s"
    if outcome.verdict is None:
        return f"RUNNING ({counts}, {time} so far) run {outcome.header.run}"
    word = (paint or _Paint(False))(outcome.verdict.word)
    return f"RESULT {word} ({counts}, {time}) run {outcome.header.run}"


class _Paint:
    """Colours a word, if asked to."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, word: str) -> str:
        return f"{_COLOURS[word]}{word}\x1b[0m" if self.color else word


def _heading(part: PartOutcome, paint: _Paint) -> str:
    words = [f"Part {part.number}: {one_line(part.title)}"]
    if part.params:
        words.append(parameters(part.params))
    if part.match_index:
        hosts = " ".join(f"{name}={machine}" for name, machine in part.match_hosts.items())
        words.append(one_line(f"match {part.match_index} {hosts}", 400))
    verdict = f"{paint(part.verdict.word)} ({seconds(part.duration_s)})" if part.verdict else paint("started")
    return f"{', '.join(words)} {verdict}"


def _part(part: PartOutcome, paint: _Paint, *, running: bool) -> Iterator[str]:
    for step in part.steps:
        yield from _step(step, paint)
    for line in series_lines(part.series):
        yield f"{_INDENT}{line}"
    for job in part.jobs:
        if job.finished is None:
            if not running:
                yield f"{_INDENT}{_job(job)} did not finish"
            for line in series_lines(job.series):
                yield f"{_INDENT * 2}{line}"
    for log in part.logs:
        about = f"Host {log.host} " if log.host else ""
        yield f"{_INDENT}{about}{log.level.capitalize()}: {one_line(log.text, 400)}"
    if part.error:
        yield from _labelled(f"{part.verdict.value.capitalize() if part.verdict else 'Error'}", part.error)


def _step(step: Step, paint: _Paint) -> Iterator[str]:
    match step:
        case JobBegan(job):
            yield f"{_INDENT}{_job(job)} {paint('started')}"
        case JobRan(job) | JobEnded(job):
            if job.finished:
                yield from _finished(job, job.finished, paint)
        case ResultAdded():
            verdict = "" if step.passed is None else " " + paint("PASS" if step.passed else "FAIL")
            yield f"{_INDENT}Custom summary record: {one_line(step.description)}{verdict}"
            yield from _results(data_lines(step.data) if step.data is not None else [])
        case Evaluated():
            word = verdict_word(step)
            yield f"{_INDENT}{title(step)}{' ' + paint(word) if word else ''}"
            for line in details(step):
                yield f"{_INDENT * 2}{line}"
        case HostLost():
            yield f"{_INDENT}Host {step.host} was lost: {one_line(step.reason, 400)}"
        case HostSetAside():
            yield f"{_INDENT}Host {step.host} was set aside: {one_line(step.reason, 400)}"
        case UndoFinished():
            yield f"{_INDENT}Host {step.host} could not be put back as it was:"
            yield from _indented([one_line(line, 400) for line in step.failed[:_LINES]], 2)
        case _:
            assert_never(step)


def _job(job: JobOutcome) -> str:
    return f"Host {one_line(job.host)} Job {job.job} {one_line(job.title)}"


def _finished(job: JobOutcome, finished: JobFinished, paint: _Paint) -> Iterator[str]:
    verdict = paint("PASS" if finished.passed else "FAIL")
    yield f"{_INDENT}{_job(job)} {verdict} ({seconds(finished.duration_s)})"
    how = ending(job.started, finished)
    if how and (not finished.passed or job.started.expected_fail or finished.reason):
        known = how.startswith(("signal ", "exit status "))
        yield f"{_INDENT * 2}Ended with {how}" if known else f"{_INDENT * 2}{how[:1].upper()}{how[1:]}"
    told = with_units(shortened(with_places(finished.result, job.fetched), job.series), finished.result_units)
    yield from _results(result_lines(told) if told not in (None, {}) else [])
    for line in series_lines(job.series):
        yield f"{_INDENT * 2}{line}"
    if job.artifacts:
        yield f"{_INDENT * 2}Files: {one_line(' '.join(job.artifacts), 400)}"
    if not finished.passed:
        yield from _evidence(finished)


def _evidence(finished: JobFinished) -> Iterator[str]:
    """What a failed job printed and raised."""
    outputs = (
        ("stderr", output(finished.stderr_head, finished.stderr_tail, finished.stderr_bytes)),
        ("stdout", output(finished.stdout_head, finished.stdout_tail, finished.stdout_bytes)),
        ("error", harmless(finished.error)),
    )
    for name, text in outputs:
        if text.strip():
            yield f"{_INDENT * 2}{name}:"
            yield from _indented(excerpt(text, _LINES, _CHARACTERS), 3)
    whole = [path for path in (finished.stdout_artifact, finished.stderr_artifact) if path]
    if whole:
        yield f"{_INDENT * 2}Whole output: {one_line(' '.join(whole), 400)}"


def _results(shown: list[str]) -> Iterator[str]:
    if len(shown) == 1:
        yield f"{_INDENT * 2}Formatted results: {shown[0]}"
    elif shown:
        yield f"{_INDENT * 2}Formatted results:"
        yield from _indented(shown, 3)


def _labelled(label: str, text: str) -> Iterator[str]:
    """A paragraph behind its label; further lines below it."""
    first, *rest = harmless(text[:_CHARACTERS]).strip().split("\n")[:_LINES]
    yield f"{_INDENT}{label}: {first}"
    yield from _indented(rest, 2)


def _indented(shown: list[str], depth: int) -> Iterator[str]:
    for line in shown:
        yield (_INDENT * depth + line).rstrip()
