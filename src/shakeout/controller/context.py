"""What a recipe may do, carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from shakeout.controller.judging import Judge, event_of
from shakeout.errors import NotInteractive, RunAborted, UsageError
from shakeout.hosts.matched import Matched
from shakeout.hosts.ownseries import RecipeSeries
from shakeout.hosts.recorder import Recorder
from shakeout.journal.events import Breakpoint, Log, ResultAdded

if TYPE_CHECKING:
    from shakeout.evaluation.baseline import Baseline
    from shakeout.evaluation.judgement import Judgement
    from shakeout.evaluation.measured import Measured
    from shakeout.evaluation.threshold import Threshold
    from shakeout.hosts.joblist import JobList


class Prompt(Protocol):
    """Somebody to ask at a breakpoint."""

    def ask(self, text: str, matched: Matched) -> bool:
        """Let them look around; True to go on, False to abort.

        Raises:
            NotInteractive: there is nobody.
        """


class PartContext:
    """The run, as the recipe of one part sees it.

    Args:
        jobs: those of each host.
        judge: judges measured values.

    Attributes:
        failures: descriptions of results that failed.
    """

    def __init__(
        self,
        matched: Matched,
        recorder: Recorder,
        prompt: Prompt | None,
        jobs: Mapping[str, JobList] | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._matched = matched
        self._recorder = recorder
        self._prompt = prompt
        self._judge = judge or Judge(None, "", False, {}, None)
        self._series: list[RecipeSeries] = []
        self.failures: list[str] = []
        self._jobs = dict(jobs or {})
        #: (host, its last job before a breakpoint, its last job after that).
        self._looking: list[tuple[str, int, int]] = []

    @property
    def matched(self) -> Matched:
        """The hosts of this match."""
        return self._matched

    def add_result(self, passed: bool | None, description: str, data: Any) -> None:
        """A record of the recipe's own."""
        if passed is False:
            self.failures.append(description)
        self._recorder.write(ResultAdded(passed=passed, description=description, data=data))

    def evaluate(self, name: str, measured: Measured, criterion: Threshold | Baseline | None) -> Judgement:
        """Judge a measured value."""
        judgement = self._judge.judge(measured, criterion)
        if judgement.passed is False:
            self.failures.append(name)
        self._recorder.write(event_of(name, judgement))
        return judgement

    def series(self, name: str, columns: Mapping[str, str]) -> RecipeSeries:
        """Begin a series of the recipe's own."""
        series = RecipeSeries(name, columns, self._recorder)
        self._series.append(series)
        return series

    def close(self) -> None:
        """The recipe is over."""
        for series in self._series:
            series.close()

    def breakpoint(self, text: str) -> None:
        """Stop and let somebody look around; None as the prompt passes over it."""
        self._recorder.write(Breakpoint(action="reached", text=text))
        if self._prompt is None:
            return
        before = self._last_jobs()
        try:
            go_on = self._prompt.ask(text, self._matched)
        except NotInteractive:
            self._recorder.write(Breakpoint(action="aborted", text="nobody to ask"))
            raise
        finally:
            self._looking += [(host, before[host], last) for host, last in self._last_jobs().items()]
        self._recorder.write(Breakpoint(action="continued" if go_on else "aborted", text=text))
        if not go_on:
            raise RunAborted("aborted at a breakpoint" + (f": {text}" if text else ""))

    def failed_jobs(self) -> Iterator[tuple[str, int]]:
        """Host and number of the jobs that ended otherwise than expected.

        Not those that were started at a breakpoint: they are no part of the test, and their ends none of the verdict.
        """
        for host, jobs in self._jobs.items():
            for number in jobs.failed:
                if not any(host == name and after < number <= last for name, after, last in self._looking):
                    yield host, number

    def _last_jobs(self) -> dict[str, int]:
        return {host: jobs.last for host, jobs in self._jobs.items()}

    def log(self, text: str, level: str) -> None:
        """A line in the journal."""
        if level not in ("debug", "info", "warning", "error"):
            raise UsageError(f"there is no log level {level!r}; use debug, info, warning or error")
        self._recorder.write(Log(level=level, text=text))
