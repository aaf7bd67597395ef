"""What the HTML page of a run says, chosen so that its size is bounded whatever ran.

There is room for so many rows and so much text on a page; what failed gets it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from shakeout.journal.events import Evaluated, Json, ResultAdded
from shakeout.journal.verdict import Verdict
from shakeout.report.charts import MAX_CHARTS, SeriesTable, series_tables
from shakeout.report.moments import Moment
from shakeout.report.outcome import HostOutcome, JobOutcome, PartOutcome, RunOutcome
from shakeout.report.text import (
    data_lines,
    ending,
    excerpt,
    harmless,
    one_line,
    output,
    raised,
    result_lines,
    scalar,
    seconds,
    with_units,
)
from shakeout.report.timeline import Timeline, timeline
from shakeout.report.values import details, origin, value_words, verdict_word

#: Most parts, rows (jobs, records, hosts) and characters of output on a page.
MAX_PARTS, MAX_ROWS, MAX_TEXT = 300, 3000, 1_000_000
#: Most entries of the list of failures.
MAX_FAILURES = 200
#: What one output may take, in lines and characters.
_LINES, _CHARACTERS = 200, 8000
_PROPERTIES = 60


class Block(msgspec.Struct, frozen=True):
    """Text as it was printed, under a title."""

    title: str
    text: str


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of jobs."""

    id: str
    host: str
    job: int
    title: str
    #: PASS, FAIL, or "unfinished".
    verdict: str
    duration: str
    began: str
    ending: str
    flags: tuple[str, ...]
    blocks: tuple[Block, ...]


class RecordRow(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the recipe's own."""

    id: str
    #: PASS, FAIL or "".
    verdict: str
    description: str
    data: str


class ValueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value that the recipe had judged."""

    id: str
    #: PASS, FAIL or "".
    verdict: str
    name: str
    value: str
    limit: str
    details: tuple[str, ...]


class HostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of hosts."""

    name: str
    machine: str
    props: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    """A section of the page."""

    id: str
    title: str
    #: PASS, FAIL, ERROR or "running".
    verdict: str
    detail: str
    duration: str
    file: str
    params: tuple[tuple[str, str], ...]
    match: tuple[str, ...]
    error: str
    traceback: str
    hosts: tuple[HostRow, ...]
    jobs: tuple[JobRow, ...]
    records: tuple[RecordRow, ...]
    values: tuple[ValueRow, ...]
    logs: tuple[tuple[str, str], ...]
    timeline: Timeline | None
    series: tuple[SeriesTable, ...]
    #: What is not shown for want of room.
    omitted: str


class Failure(msgspec.Struct, frozen=True):
    """An entry of the list of failures: where it is on the page, and what it says."""

    href: str
    label: str
    reason: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page."""

    run: str
    kind: str
    #: PASS, FAIL, ERROR or "running".
    verdict: str
    detail: str
    counts: str
    duration: str
    started: str
    command: str
    controller: str
    version: str
    error: str
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    parts: tuple[PartView, ...]


def page(outcome: RunOutcome) -> Page:
    """The page of a run."""
    header = outcome.header
    choice = _Choice(outcome)
    views = tuple(_part(part, choice) for part in choice.parts)
    notes = [*outcome.notes]
    notes += [f"Host {event.host} was set aside: {event.reason}" for event in outcome.set_aside]
    if missing := len(outcome.parts) - len(choice.parts):
        notes.append(f"{missing} parts are not shown on this page; the JSON report has them.")
    return Page(
        run=one_line(header.run),
        kind=one_line(header.kind),
        verdict=_word(outcome.verdict),
        detail=_detail(outcome.verdict),
        counts=f"{outcome.passed} passed, {outcome.failed} failed, {outcome.errors} errors",
        duration=seconds(outcome.duration_s),
        started=one_line(header.started),
        command=one_line(" ".join(header.command), 1000),
        controller=one_line(header.hostname),
        version=one_line(header.version),
        error=_cut(outcome.error),
        notes=tuple(one_line(note, 400) for note in notes[:100]),
        failures=tuple(_failures(views)),
        parts=views,
    )


#: What has a row on the page.
_Row: TypeAlias = JobOutcome | ResultAdded | Evaluated


class _Choice:
    """What is shown: all that failed as long as there is room, then the rest in its order."""

    def __init__(self, outcome: RunOutcome) -> None:
        ranked = sorted(outcome.parts, key=lambda part: part.verdict is Verdict.PASSED)[:MAX_PARTS]
        self.parts = sorted(ranked, key=lambda part: part.number)
        self.text_left = MAX_TEXT
        rows: list[_Row] = []
        for part in self.parts:
            rows += part.jobs
            rows += part.results
            rows += part.values
        failed = [row for row in rows if row.passed is False]
        others = [row for row in rows if row.passed is not False]
        self._rows = {id(row) for row in [*failed, *others][:MAX_ROWS]}
        self._texts = {id(row): self._texts_of(row) for row in [*failed, *others] if id(row) in self._rows}
        self.hosts_left = self.moments_left = MAX_ROWS
        self.charts_left = MAX_CHARTS

    def shows(self, row: _Row) -> bool:
        return id(row) in self._rows

    def texts(self, row: JobOutcome | ResultAdded) -> tuple[Block, ...]:
        return self._texts[id(row)]

    def hosts(self, part: PartOutcome) -> tuple[HostOutcome, ...]:
        chosen = part.hosts[: self.hosts_left]
        self.hosts_left -= len(chosen)
        return chosen

    def series(self, part: PartOutcome) -> tuple[tuple[SeriesTable, ...], int]:
        tables, missing = series_tables(part, self.charts_left)
        self.charts_left -= sum(table.size for table in tables)
        return tables, missing

    def moments(self, part: PartOutcome) -> tuple[Moment, ...]:
        chosen = part.moments[: self.moments_left]
        self.moments_left -= len(chosen)
        return chosen

    def _texts_of(self, row: _Row) -> tuple[Block, ...]:
        if isinstance(row, Evaluated):
            return ()
        if isinstance(row, ResultAdded):
            return self._blocks([("data", _data(row.data))])
        finished = row.finished
        what = harmless(row.started.what)
        kind = "module" if row.started.kind == "module" else "command"
        found = [(kind, what)] if what != one_line(row.title) else []
        if finished:
            artifacts = [path for path in (finished.stdout_artifact, finished.stderr_artifact) if path]
            cut = f" (cut after {finished.truncated_at} bytes)" if finished.truncated_at else ""
            found += [
                ("error", harmless(finished.error)),
                ("result", _data(with_units(finished.result, finished.result_units), result_lines)),
                ("stderr", output(finished.stderr_head, finished.stderr_tail, finished.stderr_bytes)),
                ("stdout", output(finished.stdout_head, finished.stdout_tail, finished.stdout_bytes)),
                (f"whole output, in the run's folder{cut}", harmless("\n".join(artifacts))),
                ("files, in the run's folder", harmless("\n".join(row.artifacts))),
            ]
        return self._blocks(found)

    def _blocks(self, found: Iterable[tuple[str, str]]) -> tuple[Block, ...]:
        blocks = []
        for title, text in found:
            if text.strip():
                shown = "\n".join(excerpt(text, _LINES, min(_CHARACTERS, max(self.text_left, 1))))
                self.text_left -= len(shown)
                blocks.append(Block(title, shown if self.text_left > 0 else "… (no more room on this page)"))
        return tuple(blocks)


def _part(part: PartOutcome, choice: _Choice) -> PartView:
    key = f"part{part.number}"
    jobs = [job for job in part.jobs if choice.shows(job)]
    records = [record for record in part.results if choice.shows(record)]
    values = [value for value in part.values if choice.shows(value)]
    missing = len(part.jobs) + len(part.results) + len(part.values) - len(jobs) - len(records) - len(values)
    omitted = f"{missing} more jobs and records are not shown; the JSON report has them." if missing else ""
    drawn, undrawn = choice.series(part)
    if undrawn:
        omitted = f"{omitted} {undrawn} more columns of samples are not drawn; the JSON report has them.".strip()
    match = part.match_description or tuple(f"{n} is {machine}" for n, machine in part.match_hosts.items())
    return PartView(
        id=key,
        title=one_line(part.title) + (f", match {part.match_index}" if part.match_index else ""),
        verdict=_word(part.verdict),
        detail=_detail(part.verdict),
        duration=seconds(part.duration_s),
        file=one_line(part.file, 400),
        params=_pairs(part.params),
        match=tuple(one_line(line, 400) for line in match[:50]),
        error=_cut(part.error),
        traceback=_cut(part.traceback),
        hosts=tuple(_host(host) for host in choice.hosts(part)),
        jobs=tuple(_job(job, part, f"{key}-job{number}", choice) for number, job in enumerate(jobs, 1)),
        records=tuple(_record(r, f"{key}-record{number}", choice) for number, r in enumerate(records, 1)),
        values=tuple(_value(value, f"{key}-value{number}") for number, value in enumerate(values, 1)),
        logs=tuple((log.level, one_line(f"{log.host} {log.text}", 400)) for log in part.logs),
        timeline=timeline(jobs, part.began_ns, part.ended_ns, choice.moments(part)) if jobs or part.moments else None,
        series=drawn,
        omitted=omitted,
    )


def _job(job: JobOutcome, part: PartOutcome, key: str, choice: _Choice) -> JobRow:
    flags = ["background"] if job.started.bg else []
    flags += [job.started.netns] if job.started.netns else []
    return JobRow(
        id=key,
        host=one_line(job.host),
        job=job.job,
        title=one_line(job.title),
        verdict="unfinished" if job.passed is None else "PASS" if job.passed else "FAIL",
        duration="" if job.duration_s is None else seconds(job.duration_s),
        began=seconds(max(0.0, (job.began_ns - part.began_ns) / 1e9)),
        ending=ending(job.started, job.finished) if job.finished else "",
        flags=tuple(one_line(flag) for flag in flags),
        blocks=choice.texts(job),
    )


def _record(record: ResultAdded, key: str, choice: _Choice) -> RecordRow:
    return RecordRow(
        id=key,
        verdict="" if record.passed is None else "PASS" if record.passed else "FAIL",
        description=one_line(record.description, 400),
        data="\n".join(block.text for block in choice.texts(record)),
    )


def _value(value: Evaluated, key: str) -> ValueRow:
    return ValueRow(
        id=key,
        verdict=verdict_word(value),
        name=one_line(value.name),
        value=value_words(value),
        limit=one_line(value.limit, 200),
        details=tuple(line for line in (origin(value), *details(value)) if line),
    )


def _host(host: HostOutcome) -> HostRow:
    problems = [f"lost: {host.lost}"] if host.lost else []
    problems += [f"not put back: {line}" for line in host.undo_failed[:20]]
    return HostRow(
        name=one_line(host.name),
        machine=one_line(host.machine),
        props=_pairs(host.props),
        problems=tuple(one_line(problem, 400) for problem in problems),
    )


def _failures(views: Iterable[PartView]) -> Iterable[Failure]:
    found = 0
    for view in views:
        entries = [Failure(view.id, view.title, view.error.partition("\n")[0])] if view.error else []
        for host in view.hosts:
            entries += [Failure(view.id, f"Host {host.name}", problem) for problem in host.problems]
        for job in view.jobs:
            if job.verdict != "PASS" and view.verdict != "running":
                name = f"{view.title}: Host {job.host} Job {job.job} {job.title}"
                entries.append(Failure(job.id, name, _reason(job)))
        failed = [record for record in view.records if record.verdict == "FAIL"]
        entries += [Failure(record.id, f"{view.title}: {record.description}", "") for record in failed]
        broken = [value for value in view.values if value.verdict == "FAIL"]
        entries += [Failure(v.id, f"{view.title}: {v.name}", f"{v.value} {v.limit}") for v in broken]
        for entry in entries:
            found += 1
            if found > MAX_FAILURES:
                return
            yield entry


def _reason(job: JobRow) -> str:
    """How a job ended, and the line that tells most about it: its exception, else the last of its error output."""
    last = {
        block.title: raised(block.text) if block.title == "error" else one_line(_last_line(block.text), 200)
        for block in job.blocks
    }
    if "error" in last and job.ending.startswith("exit status") and ":" not in job.ending:
        return last["error"]  # the exit status of a test module says nothing
    how = "did not finish" if job.verdict == "unfinished" else job.ending
    return ": ".join(text for text in (how, last.get("error") or last.get("stderr")) if text)


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]


def _word(verdict: Verdict | None) -> str:
    return verdict.word if verdict else "running"


def _detail(verdict: Verdict | None) -> str:
    """What the word leaves out."""
    return verdict.value if verdict in (Verdict.CANCELLED, Verdict.ABORTED) else ""


def _pairs(values: dict[str, Json]) -> tuple[tuple[str, str], ...]:
    shown = list(values.items())[:_PROPERTIES]
    return tuple((one_line(name), one_line(scalar(value), 200)) for name, value in shown)


def _data(value: Json, shown: Callable[[Json, int], list[str]] = data_lines) -> str:
    return "" if value is None else "\n".join(shown(value, _LINES))


def _cut(text: str) -> str:
    return "\n".join(excerpt(harmless(text), _LINES, _CHARACTERS)) if text else ""
