"""A run: all recipes of one invocation, on all their matches, in one journal."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import shakeout
from shakeout.controller.candidates import Candidates
from shakeout.controller.failure import one_paragraph
from shakeout.controller.hostbook import HostBook, drop_book, write_book
from shakeout.controller.interrupts import Interrupts
from shakeout.controller.kept import give_back_earlier
from shakeout.controller.part import Part, PartResult
from shakeout.controller.recorder import Observer, PartRecorder, Trouble
from shakeout.errors import AgentUnreachable, HostError, UsageError
from shakeout.hosts.dialing import Access
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.journal.events import HostSetAside, Log, PartStarted, RunFinished
from shakeout.journal.events import Match as MatchEvent
from shakeout.journal.verdict import Verdict, combine
from shakeout.journal.writer import JournalWriter, create_run
from shakeout.labs.mac_pool import MacPool
from shakeout.labs.provider import Opened, PoolManager
from shakeout.matching.mapper import Mapper, Match, describe
from shakeout.params.secrets import masked
from shakeout.recipe.base import BaseRecipe
from shakeout.wire.reactor import Reactor


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is done.

    Attributes:
        keep: leave the hosts of the last part as they are.
        timeout: seconds that each recipe may take; 0: any.
        prompt: whom to ask at breakpoints; None passes over them.
        artifact_limit: bytes after which an artifact is cut.
        pool_checks: whether a host that does not answer is set aside and the next match tried.
        mapper_options: for the mapper: all_matches and so on.
        access: what hosts of pools are reached with.
        command: for the journal: what was called, without secrets.
        leave: called, in another thread, when the run has ended without its recipe, which does not end although it was
            told to; should end the program.
    """

    keep: bool = False
    timeout: float = 0
    prompt: Any = None
    artifact_limit: int = 4 << 30
    pool_checks: bool = True
    mapper_options: Mapping[str, Any] = {}
    access: Access = Access()
    command: tuple[str, ...] = ()
    leave: Callable[[Run], None] | None = None


class Run:
    """A run that is being made, and afterwards what came of it.

    Use as a context manager: leaving it writes the verdict and frees everything.

    Attributes:
        id: the run's id.
        folder: its folder, with the journal and the artifacts.
        parts: the verdicts of its parts.
        kept: how the kept laboratory is called; "" if nothing was kept.
    """

    def __init__(
        self,
        runs_dir: Path,
        pools: PoolManager,
        mapper: Mapper,
        options: Options,
        *,
        observers: tuple[Observer, ...] = (),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._pools = pools
        self._mapper = mapper
        self._options = options
        self._observers = observers
        self._say = say
        self._journal: JournalWriter = create_run(
            runs_dir, kind="recipe", command=options.command, version=shakeout.__version__
        )
        self._trouble = Trouble()
        self._recorder = PartRecorder(self._journal, 0, observers, self._trouble)
        self._interrupts = Interrupts(say)
        self._macs = MacPool("02:5b")
        self._loop: LoopThread | None = None
        self._finished = False
        self._evacuating = threading.Lock()
        self._sessions: dict[str, Session] = {}
        _runs.add(self)
        self.id = self._journal.run
        self.folder = self._journal.folder
        self.parts: list[Verdict] = []
        self.results: list[PartResult] = []
        self.usage_error: UsageError | None = None
        self.kept = ""
        #: What broke the run outside of its parts; "" if nothing did.
        self.broken = ""

    def __enter__(self) -> Run:
        self._interrupts.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self.broken = self.broken or one_paragraph(error)
        try:
            self.finish()
        finally:
            self._interrupts.__exit__()

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.verdict.value if self._finished else 'running'}>"

    @property
    def verdict(self) -> Verdict:
        """Of all its parts together."""
        if self.interrupted:
            return Verdict.CANCELLED
        if self.broken or self._trouble.error is not None or (self.usage_error is not None and not self.parts):
            return Verdict.ERROR
        return combine(self.parts)

    @property
    def exit_status(self) -> int:
        """0 passed, 1 failed, 2 not done as asked, 3 broken, 130 interrupted."""
        broken = self.broken or self._trouble.error is not None
        broken = broken or any(result.verdict is Verdict.ERROR and not result.usage for result in self.results)
        if self.usage_error is not None and not broken and not self.interrupted:
            return 2
        return self.verdict.exit_status

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked for its end."""
        return self._interrupts.interrupted

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.folder / "journal.jsonl"

    def leave_out(self, recipes: Sequence[str]) -> None:
        """Say which recipes will not be run, because the run was interrupted before."""
        if recipes:
            text = f"not run any more: {', '.join(recipes)}"
            self._recorder.write(Log(level="warning", text=text))
            self._say(text)

    def recipe(self, recipe: BaseRecipe) -> list[PartResult]:
        """Run *recipe* on its match, or with ``all_matches`` on all of them.

        Raises:
            NoMatch: no hosts meet its requirements; with the explanation.
        """
        candidates = Candidates(recipe, self._pools, self._mapper, self._options.mapper_options)
        results: list[PartResult] = []
        silent: set[str] = set()
        done: list[str] = []
        while True:
            before, set_aside = set(done), False
            for match in candidates.find(silent):
                if str(match) in before:
                    continue  # it was found before a host was set aside, too
                outcome = self._on_match(recipe, match, len(results) + 1)
                if not isinstance(outcome, PartResult):
                    silent.update(outcome)
                    set_aside = True
                    break
                done.append(str(match))
                results.append(outcome)
                if self.interrupted or outcome.usage:
                    return results
            if not set_aside:
                break
        if not results:
            raise candidates.nothing(silent)
        return results

    def finish(self) -> None:
        """Write the verdict and free everything; harmless the second time."""
        if self._finished:
            return
        self._finished = True
        self._recorder.quiet = True
        if self._loop is not None:
            self._loop.close()  # what comes late from a host stands before the verdict
        if self._trouble.error is not None:
            self.broken = self.broken or str(self._trouble.error)
        counts: dict[str, int] = {}
        for verdict in self.parts:
            counts[verdict.value] = counts.get(verdict.value, 0) + 1
        try:
            told = any(result.error is self.usage_error for result in self.results)
            error = self.broken or ("" if self.usage_error is None or told else str(self.usage_error))
            self._recorder.write(
                RunFinished(verdict=self.verdict, counts=counts, duration_s=self._journal.now_ns() / 1e9, error=error)
            )
        finally:
            self._journal.close()

    def let_go(self) -> None:
        """In a forked child: the run is the parent's alone."""
        self._finished = True
        self._journal.detach()
        for session in self._sessions.values():
            session.let_go()

    def refuse(self, error: UsageError) -> None:
        """The run cannot be (or be gone on with) as asked; it ends with status 2."""
        self.usage_error = self.usage_error or error
        self._recorder.write(Log(level="error", text=str(error)))

    # -- inner parts ----------------------------------------------------------------------------------

    def _on_match(self, recipe: BaseRecipe, match: Match, index: int) -> PartResult | Collection[str]:
        """Run *recipe* on *match*; or the names of hosts that did not answer."""
        if self._options.keep:
            give_back_earlier(self.folder, self._options.access)
        opened = self._pools.open(match)
        failures = dict(opened.failures)
        sessions = self._sessions = {}
        recorder = PartRecorder(self._journal, len(self.parts) + 1, self._observers, self._trouble)
        try:
            if not failures:
                failures = self._connect(match, opened.transports, recorder, sessions)
            if not failures:
                return self._on_hosts(recipe, match, opened, sessions, recorder, index)
            if not sessions:
                for transport in opened.transports.values():
                    transport.close()
        finally:  # harmless for those that were ended in order
            for session in sessions.values():
                session.abandon()
        self._pools.release()
        return self._set_aside(failures)

    def _on_hosts(
        self,
        recipe: BaseRecipe,
        match: Match,
        opened: Opened,
        sessions: dict[str, Session],
        recorder: PartRecorder,
        index: int,
    ) -> PartResult:
        _announce(recorder, recipe, match, index)
        part = Part(
            recipe, match, sessions, opened.links, recorder, self._interrupts, prompt=self._options.prompt,
            take_mac=self._macs.take, timeout=self._options.timeout, keep=self._options.keep, reactor=self._reactor,
            on_evacuated=self._evacuated,
        )  # fmt: skip
        book = HostBook(run=self.id, hosts=dict(opened.addresses), lab=opened.lab)
        write_book(self.folder, book)
        result = part.run()
        if self._finished:  # without the recipe, which has ended after all
            return result
        self.parts.append(result.verdict)
        self.results.append(result)
        if self._options.keep:
            self.kept = self._pools.keep()
            write_book(self.folder, msgspec.structs.replace(book, kept=True))
        else:
            drop_book(self.folder)
        self._pools.release()
        return result

    def _evacuated(self, result: PartResult) -> None:
        """The recipe does not end: the run does, without it."""
        if not self._evacuating.acquire(blocking=False):
            return
        self.parts.append(result.verdict)
        self.results.append(result)
        drop_book(self.folder)
        self.finish()
        if self._options.leave is not None:
            self._options.leave(self)

    @property
    def _reactor(self) -> Reactor:
        if self._loop is None:
            self._loop = LoopThread()
        return self._loop.reactor

    def _connect(
        self, match: Match, transports: Mapping[str, Any], recorder: PartRecorder, sessions: dict[str, Session]
    ) -> dict[str, str]:
        """Open *sessions* with all hosts at once; those that failed, by the host's name, and why."""
        for host_id, transport in transports.items():
            sessions[host_id] = Session(
                host_id, transport, self._reactor, recorder, run=self.id,
                artifact_limit=self._options.artifact_limit,
            )  # fmt: skip
            sessions[host_id].begin()
        failures: dict[str, str] = {}
        for host_id, session in sessions.items():
            try:
                session.welcome()
            except HostError as error:  # nobody answers, it is somebody else's, or speaks another version
                failures[match.hosts[host_id].name] = str(error)
        return failures

    def _set_aside(self, failures: Mapping[str, str]) -> Collection[str]:
        for name, reason in failures.items():
            if not self._options.pool_checks:
                raise AgentUnreachable(reason, name)
            self._recorder.write(HostSetAside(host=name, reason=reason))
            self._say(f"host {name} is set aside: {reason}")
        return set(failures)


#: Those of this process.
_runs: weakref.WeakSet[Run] = weakref.WeakSet()


def _let_go() -> None:
    """In a child that a recipe forks: the journal's lock and the connections end with the controller, not with it."""
    for run in _runs:
        run.let_go()


os.register_at_fork(after_in_child=_let_go)


def _announce(recorder: PartRecorder, recipe: BaseRecipe, match: Match, index: int) -> None:
    """Write down that *recipe* begins, and on which hosts."""
    recorder.write(
        PartStarted(
            recipe=type(recipe).__name__,
            file=_file_of(type(recipe)),
            params=masked(recipe.params),
            match_index=index,
        )
    )
    recorder.write(
        MatchEvent(
            description=tuple(describe(match).splitlines()),
            hosts={host_id: entry.name for host_id, entry in match.hosts.items()},
            networks=dict(match.networks),
        )
    )


def _file_of(cls: type) -> str:
    import sys

    return getattr(sys.modules.get(cls.__module__), "__file__", "") or ""
