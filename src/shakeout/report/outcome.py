"""A journal folded into one typed tree, which every report is made from.

::

    RunOutcome ── parts: PartOutcome ──┬─ hosts: HostOutcome
                                       ├─ jobs: JobOutcome
                                       └─ steps: what is reported, in order (see Step)
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from shakeout.journal.events import (
    Evaluated,
    Header,
    HostLost,
    HostSetAside,
    JobFinished,
    JobStarted,
    Json,
    Log,
    ResultAdded,
    UndoFinished,
)
from shakeout.journal.reader import State
from shakeout.journal.verdict import Verdict
from shakeout.report.moments import Moment
from shakeout.report.series import SeriesOutcome


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One job, finished or not."""

    started: JobStarted
    #: None: it did not finish, or has not yet.
    finished: JobFinished | None = None
    #: Controller's time since the run began, from the host's own clock where its offset is known.
    began_ns: int = 0
    ended_ns: int | None = None
    #: What it measured over time.
    series: tuple[SeriesOutcome, ...] = ()
    #: Files that it left, in the run's folder.
    artifacts: tuple[str, ...] = ()
    #: Where each was on the host -> where it is now.
    fetched: dict[str, str] = {}

    @property
    def host(self) -> str:
        """The host's name in the recipe."""
        return self.started.host

    @property
    def job(self) -> int:
        """The id, unique on the host."""
        return self.started.job

    @property
    def title(self) -> str:
        """The user's description, else what was run."""
        return self.started.desc or self.started.what or self.started.kind

    @property
    def passed(self) -> bool | None:
        """None if it did not finish."""
        return self.finished.passed if self.finished else None

    @property
    def duration_s(self) -> float | None:
        """Seconds on the host's clock; None if it did not finish."""
        return self.finished.duration_s if self.finished else None

    @property
    def anchor(self) -> str:
        """An identifier within the run."""
        return f"part{self.started.part}-{self.host}-job{self.job}"


class JobRan(msgspec.Struct, frozen=True):
    """A job started and finished with nothing reported in between."""

    job: JobOutcome


class JobBegan(msgspec.Struct, frozen=True):
    """A job started; other things were reported before it finished, if it did."""

    job: JobOutcome


class JobEnded(msgspec.Struct, frozen=True):
    """A job finished that began further up."""

    job: JobOutcome


#: One thing that a report says, in the order of the run.
Step: TypeAlias = JobRan | JobBegan | JobEnded | ResultAdded | Evaluated | HostLost | HostSetAside | UndoFinished


class HostOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One host of a part."""

    #: In the recipe.
    name: str
    #: In the laboratory.
    machine: str = ""
    props: dict[str, Json] = {}
    #: Why the connection ended in mid-session; "" if it did not.
    lost: str = ""
    #: What could not be undone, and why.
    undo_failed: tuple[str, ...] = ()
    #: Error of the clock's offset in seconds, as last measured; None if it never was.
    clock_error_s: float | None = None


class PartOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a run: a recipe on a match, a task …"""

    number: int
    recipe: str = ""
    file: str = ""
    params: dict[str, Json] = {}
    match_index: int = 0
    match_description: tuple[str, ...] = ()
    #: Name in the recipe -> name in the laboratory.
    match_hosts: dict[str, str] = {}
    networks: dict[str, str] = {}
    hosts: tuple[HostOutcome, ...] = ()
    jobs: tuple[JobOutcome, ...] = ()
    steps: tuple[Step, ...] = ()
    #: What the recipe itself measured over time.
    series: tuple[SeriesOutcome, ...] = ()
    #: What was done to hosts between jobs, or happened to them; the first thousand.
    moments: tuple[Moment, ...] = ()
    #: Warnings and errors that were logged; the first hundred.
    logs: tuple[Log, ...] = ()
    #: None while it goes on.
    verdict: Verdict | None = None
    error: str = ""
    traceback: str = ""
    began_ns: int = 0
    ended_ns: int = 0
    duration_s: float = 0.0

    @property
    def title(self) -> str:
        """The recipe's name, or the part's number if it has none."""
        return self.recipe or f"Part {self.number}"

    @property
    def results(self) -> tuple[ResultAdded, ...]:
        """The recipe's own records."""
        return tuple(step for step in self.steps if isinstance(step, ResultAdded))

    @property
    def values(self) -> tuple[Evaluated, ...]:
        """The measured values that the recipe had judged."""
        return tuple(step for step in self.steps if isinstance(step, Evaluated))


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    header: Header
    state: State
    parts: tuple[PartOutcome, ...] = ()
    #: None while it goes on; ``aborted`` if its controller was killed.
    verdict: Verdict | None = None
    error: str = ""
    #: Seconds; up to the last event if the run did not finish.
    duration_s: float = 0.0
    #: Hosts that were set aside before any part began.
    set_aside: tuple[HostSetAside, ...] = ()
    #: What a reader should know of this account: skipped lines, outputs left out.
    notes: tuple[str, ...] = ()

    def count(self, *verdicts: Verdict) -> int:
        """How many parts have one of *verdicts*."""
        return sum(part.verdict in verdicts for part in self.parts)

    @property
    def passed(self) -> int:
        """Parts that passed."""
        return self.count(Verdict.PASSED)

    @property
    def failed(self) -> int:
        """Parts that failed or were aborted: those whose word is FAIL."""
        return self.count(Verdict.FAILED, Verdict.ABORTED)

    @property
    def errors(self) -> int:
        """Parts that broke or were cancelled: those whose word is ERROR."""
        return self.count(Verdict.ERROR, Verdict.CANCELLED)
