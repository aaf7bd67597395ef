"""Folds the events of a journal into a :class:`~shakeout.report.outcome.RunOutcome`.

One pass. Memory grows with the number of jobs, not with what they printed: outputs and results are kept
up to a budget, those of failed jobs from one of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from shakeout.journal.artifacts import is_artifact
from shakeout.journal.clock import ClockOffset
from shakeout.journal.events import (
    ClockMeasured,
    DeviceChanged,
    Evaluated,
    Event,
    FileTransfer,
    Header,
    HostConnected,
    HostLost,
    HostSetAside,
    JobFinished,
    JobStarted,
    Log,
    Match,
    PartFinished,
    PartStarted,
    ResultAdded,
    RunFinished,
    SeriesStarted,
    Setting,
    UndoFinished,
)
from shakeout.journal.reader import JournalReader, State, state
from shakeout.journal.verdict import Verdict, combine
from shakeout.report.moments import Moment, moment
from shakeout.report.outcome import (
    HostOutcome,
    JobBegan,
    JobEnded,
    JobOutcome,
    JobRan,
    PartOutcome,
    RunOutcome,
    Step,
)
from shakeout.report.series import SeriesOutcome, measured

#: Bytes of output and results kept of jobs that passed, and of those that failed.
KEPT_OUTPUT = 16 << 20
_LOGS = 100
_MOMENTS = 1000
_ARTIFACTS = 100
_OUTPUTS = ("stdout_head", "stdout_tail", "stderr_head", "stderr_tail", "error")

_JobKey = tuple[str, int]


class _Begin(msgspec.Struct, frozen=True):
    key: _JobKey


class _End(msgspec.Struct, frozen=True):
    key: _JobKey


def load(folder: Path) -> RunOutcome:
    """The outcome of the run in *folder*, as far as its journal goes.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    now = state(folder)  # asked before reading: a run that ends meanwhile is then read to its end
    reader = JournalReader(folder)
    outcome = fold(reader.header, reader.events(), now, reader.folder)
    notes = list(outcome.notes)
    if reader.unknown:
        notes.append(f"{reader.unknown} events of a newer version of shakeout were left out")
    if reader.garbage:
        notes.append(f"{reader.garbage} lines of the journal are damaged and were left out")
    if reader.torn and outcome.state is State.ABORTED:
        notes.append("the last line of the journal is cut off")
    return msgspec.structs.replace(outcome, notes=tuple(notes))


def fold(
    header: Header, events: Iterable[Event], state: State = State.FINISHED, folder: Path | None = None
) -> RunOutcome:
    """The outcome that *events* amount to, with what samples in *folder* do.

    With the verdict among them the run is finished, whatever *state* says. Without it, a run that is not
    running was aborted, and so were its unfinished parts.
    """
    run = _Run(folder)
    for event in events:
        run.add(event)
    if run.finished:
        state = State.FINISHED
    elif state is State.FINISHED:
        state = State.ABORTED
    return run.outcome(header, state)


class _Run:
    """What is known so far of a run."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.parts: dict[int, _Part] = {}
        self.finished: RunFinished | None = None
        self.set_aside: list[HostSetAside] = []
        self.last_ns = 0
        self.budget = _Budget()

    def add(self, event: Event) -> None:
        self.last_ns = max(self.last_ns, event.t_ns)
        if isinstance(event, RunFinished):
            self.finished = event
        elif event.part or not isinstance(event, (Log, HostSetAside)):
            self.part(event).add(event)
        elif isinstance(event, HostSetAside):
            self.set_aside.append(event)

    def part(self, event: Event) -> _Part:
        part = self.parts.get(event.part)
        if part is None:
            part = self.parts[event.part] = _Part(event.part, event.t_ns, self.budget, self.folder)
        return part

    def outcome(self, header: Header, state: State) -> RunOutcome:
        aborted = state is not State.RUNNING
        shown = [part for number, part in sorted(self.parts.items()) if number or part.steps]
        parts = tuple(part.outcome(self.last_ns, aborted) for part in shown)
        verdict: Verdict | None = None
        if self.finished:
            verdict = self.finished.verdict
        elif aborted:
            verdict = combine([Verdict.ABORTED, *(part.verdict for part in parts if part.verdict)])
        dropped = self.budget.dropped
        return RunOutcome(
            header=header,
            state=state,
            parts=parts,
            verdict=verdict,
            error=self.finished.error if self.finished else "",
            duration_s=self.finished.duration_s if self.finished else self.last_ns / 1e9,
            set_aside=tuple(self.set_aside),
            notes=(f"the outputs of {dropped} jobs are left out here; the journal has them",) if dropped else (),
        )


class _Part:
    """What is known so far of a part."""

    def __init__(self, number: int, began_ns: int, budget: _Budget, folder: Path | None) -> None:
        self.folder = folder
        self.series: dict[_JobKey, list[SeriesStarted]] = {}
        self.fields: dict[str, Any] = {"number": number, "began_ns": began_ns}
        self.budget = budget
        self.jobs: dict[_JobKey, JobOutcome] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        self.offsets: dict[str, ClockOffset] = {}
        self.steps: list[_Begin | _End | Step] = []
        self.logs: list[Log] = []
        self.moments: list[Moment] = []
        self.finished: PartFinished | None = None

    def add(self, event: Event) -> None:
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def host(self, name: str) -> dict[str, Any]:
        return self.hosts.setdefault(name, {"name": name})

    def started(self, event: PartStarted) -> None:
        self.fields |= {
            "recipe": event.recipe,
            "file": event.file,
            "params": event.params,
            "match_index": event.match_index,
            "began_ns": event.t_ns,
        }

    def matched(self, event: Match) -> None:
        self.fields |= {
            "match_description": event.description,
            "match_hosts": event.hosts,
            "networks": event.networks,
        }
        # In the order of the recipe, whichever was connected first.
        self.hosts = {name: self.host(name) for name in event.hosts} | self.hosts
        for name, machine in event.hosts.items():
            self.host(name)["machine"] = machine

    def connected(self, event: HostConnected) -> None:
        host = self.host(event.host)
        host["props"] = event.props
        host["machine"] = event.machine or host.get("machine", "")

    def clock(self, event: ClockMeasured) -> None:
        best = self.offsets.setdefault(event.host, ClockOffset())
        best.take(event.offset_ns, event.error_ns, event.t_ns)
        self.host(event.host)["clock_error_s"] = (best.error_ns or 0) / 1e9

    def job_started(self, event: JobStarted) -> None:
        key = (event.host, event.job)
        self.host(event.host)
        self.jobs[key] = JobOutcome(started=event, began_ns=event.t_ns)
        self.steps.append(_Begin(key))

    def job_finished(self, event: JobFinished) -> None:
        key = (event.host, event.job)
        job = self.jobs.get(key)
        if job is None:  # a damaged journal
            started = JobStarted(host=event.host, job=event.job, part=event.part, what="(its start is missing)")
            job = JobOutcome(started=started, began_ns=event.t_ns - int(event.duration_s * 1e9))
        began, ended = self.on_run_time(event, job)
        self.jobs[key] = msgspec.structs.replace(job, finished=self.budget.keep(event), began_ns=began, ended_ns=ended)
        self.steps.append(_End(key))

    def on_run_time(self, event: JobFinished, job: JobOutcome) -> tuple[int, int]:
        """Beginning and end of a job on the controller's clock, the host's own times if they can be told."""
        best = self.offsets.get(event.host)
        if best is not None and event.started_host_ns and event.finished_host_ns:
            return event.started_host_ns - best.offset_ns, event.finished_host_ns - best.offset_ns
        return job.began_ns, event.t_ns

    def series_started(self, event: SeriesStarted) -> None:
        self.series.setdefault((event.host, event.job), []).append(event)

    def happened(self, event: DeviceChanged | FileTransfer | HostLost | Setting) -> None:
        # A loss is the last that happens to a host, and what explains all the rest.
        if len(self.moments) < _MOMENTS or isinstance(event, HostLost):
            self.moments.append(moment(event))

    def transferred(self, event: FileTransfer) -> None:
        if not event.job:
            self.happened(event)
        job = self.jobs.get((event.host, event.job))
        if job is not None and is_artifact(event.artifact) and len(job.artifacts) < _ARTIFACTS:
            artifacts = (*job.artifacts, event.artifact)
            fetched = job.fetched | {event.source: event.artifact}
            self.jobs[event.host, event.job] = msgspec.structs.replace(job, artifacts=artifacts, fetched=fetched)

    def lost(self, event: HostLost) -> None:
        self.happened(event)
        self.host(event.host)["lost"] = event.reason or "the connection ended"
        self.steps.append(event)

    def undone(self, event: UndoFinished) -> None:
        if event.failed:
            self.host(event.host)["undo_failed"] = event.failed
            self.steps.append(event)

    def reported(self, event: ResultAdded | Evaluated | HostSetAside) -> None:
        self.steps.append(event)

    def logged(self, event: Log) -> None:
        if event.level in ("warning", "error") and len(self.logs) < _LOGS:
            self.logs.append(event)

    def ended(self, event: PartFinished) -> None:
        self.finished = event

    def outcome(self, last_ns: int, run_is_over: bool) -> PartOutcome:
        end = self.finished
        ended_ns = end.t_ns if end else last_ns
        began_ns = self.fields["began_ns"]
        own = self._measured()
        return PartOutcome(
            **self.fields,
            hosts=tuple(HostOutcome(**fields) for fields in self.hosts.values()),
            jobs=tuple(self.jobs.values()),
            steps=tuple(self._collapsed()),
            series=own,
            moments=tuple(self.moments),
            logs=tuple(self.logs),
            verdict=end.verdict if end else Verdict.ABORTED if run_is_over else None,
            error=end.error if end else "the controller ended before this part did" if run_is_over else "",
            traceback=end.traceback if end else "",
            ended_ns=ended_ns,
            duration_s=(end.duration_s if end else 0.0) or (ended_ns - began_ns) / 1e9,
        )

    def _measured(self) -> tuple[SeriesOutcome, ...]:
        """Give each job its series; those of the recipe itself."""
        own: tuple[SeriesOutcome, ...] = ()
        for key, events in self.series.items():
            offset = self.offsets.get(key[0], ClockOffset()).offset_ns
            series = tuple(measured(event, self.folder, offset) for event in events)
            job = self.jobs.get(key)
            if job is not None:
                self.jobs[key] = msgspec.structs.replace(job, series=series)
            else:
                own += series
        return own

    def _collapsed(self) -> list[Step]:
        """The steps, with a job's beginning and end as one where nothing was reported in between."""
        collapsed: list[Step] = []
        begun: set[_JobKey] = set()
        for step in self.steps:
            if isinstance(step, _Begin):
                begun.add(step.key)
                collapsed.append(JobBegan(self.jobs[step.key]))
            elif not isinstance(step, _End):
                collapsed.append(step)
            elif step.key not in begun:
                collapsed.append(JobRan(self.jobs[step.key]))
            elif _is_begin_of(collapsed[-1], self.jobs[step.key]):
                collapsed[-1] = JobRan(self.jobs[step.key])
            else:
                collapsed.append(JobEnded(self.jobs[step.key]))
        return collapsed


def _is_begin_of(step: Step, job: JobOutcome) -> bool:
    return isinstance(step, JobBegan) and step.job is job


#: The events that leave a trace in the outcome of a part; all others do not.
_HANDLERS: dict[type, Callable[[_Part, Any], None]] = {
    PartStarted: _Part.started,
    Match: _Part.matched,
    HostConnected: _Part.connected,
    ClockMeasured: _Part.clock,
    JobStarted: _Part.job_started,
    JobFinished: _Part.job_finished,
    SeriesStarted: _Part.series_started,
    DeviceChanged: _Part.happened,
    Setting: _Part.happened,
    FileTransfer: _Part.transferred,
    HostLost: _Part.lost,
    HostSetAside: _Part.reported,
    ResultAdded: _Part.reported,
    Evaluated: _Part.reported,
    UndoFinished: _Part.undone,
    Log: _Part.logged,
    PartFinished: _Part.ended,
}


class _Budget:
    """How much of jobs' outputs is kept in memory."""

    def __init__(self) -> None:
        self.left = {True: KEPT_OUTPUT, False: KEPT_OUTPUT}
        self.dropped = 0

    def keep(self, event: JobFinished) -> JobFinished:
        """*event*, without its output and result if there is no more room for them."""
        size = sum(len(getattr(event, name)) for name in _OUTPUTS)
        if event.result is not None:
            size += len(msgspec.json.encode(event.result))
        if size <= self.left[event.passed]:
            self.left[event.passed] -= size
            return event
        self.dropped += 1
        return msgspec.structs.replace(event, result=None, **dict.fromkeys(_OUTPUTS, ""))
