"""What a recipe may do, carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shakeout.errors import NotInteractive, RunAborted, UsageError
from shakeout.hosts.matched import Matched
from shakeout.hosts.recorder import Recorder
from shakeout.journal.events import Breakpoint, Log, ResultAdded

if TYPE_CHECKING:
    from shakeout.hosts.job import Job


class Prompt(Protocol):
    """Somebody to ask at a breakpoint."""

    def ask(self, text: str, matched: Matched) -> bool:
        """Let them look around; True to go on, False to abort.

        Raises:
            NotInteractive: there is nobody.
        """


class PartContext:
    """The run, as the recipe of one part sees it.

    Attributes:
        failures: descriptions of results that failed.
    """

    def __init__(self, matched: Matched, recorder: Recorder, prompt: Prompt | None) -> None:
        self._matched = matched
        self._recorder = recorder
        self._prompt = prompt
        self.failures: list[str] = []
        self._looking: set[tuple[str, int]] = set()

    @property
    def matched(self) -> Matched:
        """The hosts of this match."""
        return self._matched

    def add_result(self, passed: bool | None, description: str, data: Any) -> None:
        """A record of the recipe's own."""
        if passed is False:
            self.failures.append(description)
        self._recorder.write(ResultAdded(passed=passed, description=description, data=data))

    def breakpoint(self, text: str) -> None:
        """Stop and let somebody look around; None as the prompt passes over it."""
        self._recorder.write(Breakpoint(action="reached", text=text))
        if self._prompt is None:
            return
        before = self._jobs()
        try:
            go_on = self._prompt.ask(text, self._matched)
        except NotInteractive:
            self._recorder.write(Breakpoint(action="aborted", text="nobody to ask"))
            raise
        finally:
            self._looking |= self._jobs() - before
        self._recorder.write(Breakpoint(action="continued" if go_on else "aborted", text=text))
        if not go_on:
            raise RunAborted("aborted at a breakpoint" + (f": {text}" if text else ""))

    def looked_around(self, job: Job) -> bool:
        """Whether *job* was started at a breakpoint: it is no part of the test, and its end no part of the verdict."""
        return (job.host, job.id) in self._looking

    def _jobs(self) -> set[tuple[str, int]]:
        return {(job.host, job.id) for host in self._matched for job in host.jobs}

    def log(self, text: str, level: str) -> None:
        """A line in the journal."""
        if level not in ("debug", "info", "warning", "error"):
            raise UsageError(f"there is no log level {level!r}; use debug, info, warning or error")
        self._recorder.write(Log(level=level, text=text))
