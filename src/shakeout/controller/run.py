"""A run: all recipes of one invocation, on all their matches, in one journal."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import shakeout
from shakeout.controller.candidates import Candidates
from shakeout.controller.failure import one_paragraph
from shakeout.controller.hostbook import HostBook, drop_book, write_book
from shakeout.controller.interrupts import Interrupts
from shakeout.controller.kept import give_back_earlier
from shakeout.controller.leasing import Refusals
from shakeout.controller.part import Part, PartResult
from shakeout.controller.recorder import Observer, PartRecorder, Trouble
from shakeout.controller.supply import Supply, Terms, close
from shakeout.controller.waiting import Claim
from shakeout.errors import AgentUnreachable, UsageError
from shakeout.hosts.dialing import Access
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.recorder import NullRecorder, Recorder
from shakeout.hosts.session import Session
from shakeout.journal.events import HostSetAside, Log, PartStarted, RunFinished
from shakeout.journal.events import Match as MatchEvent
from shakeout.journal.verdict import Verdict, combine
from shakeout.journal.writer import JournalWriter, create_run
from shakeout.labs.mac_pool import MacPool
from shakeout.labs.provider import PoolManager
from shakeout.matching.mapper import Mapper, Match, describe
from shakeout.params.secrets import masked
from shakeout.recipe.base import BaseRecipe
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import Transport


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is done.

    Attributes:
        keep: leave the hosts of the last part as they are.
        timeout: seconds that each recipe may take; 0: any.
        prompt: whom to ask at breakpoints; None passes over them.
        artifact_limit: bytes after which an artifact is cut.
        pool_checks: whether a host that does not answer is set aside and the next match tried.
        wait: stand in line for hosts that somebody else has, if there are no others.
        wait_limit: seconds to stand there; 0: any.
        mapper_options: for the mapper: all_matches and so on.
        baselines: folder of what values are compared with; None: there is none.
        update_baselines: record what is measured as the new baselines.
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
    wait: bool = False
    wait_limit: float = 0
    mapper_options: Mapping[str, Any] = {}
    baselines: Path | None = None
    update_baselines: bool = False
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
        self._parts_recorder: PartRecorder | None = None
        self._interrupts = Interrupts(say)
        self._macs = MacPool("02:5b")
        self._loop: LoopThread | None = None
        self._finished = False
        self._evacuating = threading.Lock()
        self._open: weakref.WeakSet[Session] = weakref.WeakSet()
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
        results: list[PartResult] = []
        supply = self._supply(recipe)
        for claim in supply.claims():
            if supply.waited:
                self._recorder.write(Log(level="info", text=supply.waited))
            results.append(self._on_claim(recipe, claim, len(results) + 1))
            if self.interrupted or results[-1].usage:
                break
        if not results:
            raise supply.nothing()
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
        for session in self._open:
            session.let_go()

    def refuse(self, error: UsageError) -> None:
        """The run cannot be (or be gone on with) as asked; it ends with status 2."""
        self.usage_error = self.usage_error or error
        self._recorder.write(Log(level="error", text=str(error)))

    # -- inner parts ----------------------------------------------------------------------------------

    def _supply(self, recipe: BaseRecipe) -> Supply:
        """The hosts of *recipe*, match after match."""
        options = self._options
        terms = Terms(
            every=bool(options.mapper_options.get("all_matches")), wait=options.wait, wait_limit=options.wait_limit,
            before=self._give_back_earlier, set_aside=self._set_aside, say=self._say, heard=self._interrupts.heard,
        )  # fmt: skip
        return Supply(
            Candidates(recipe, self._pools, self._mapper, options.mapper_options), self._pools, terms,
            make=lambda name, transport: self._session(name, transport, self._part_recorder()),
            make_place=lambda name, transport: self._session(name, transport, NullRecorder()),
            reactor=lambda: self._reactor,
        )  # fmt: skip

    def _session(self, name: str, transport: Transport, recorder: Recorder) -> Session:
        session = Session(
            name, transport, self._reactor, recorder, run=self.id, artifact_limit=self._options.artifact_limit
        )
        self._open.add(session)
        return session

    def _part_recorder(self) -> PartRecorder:
        """The one of the next part."""
        if self._parts_recorder is None or self._parts_recorder.part != len(self.parts) + 1:
            self._parts_recorder = PartRecorder(self._journal, len(self.parts) + 1, self._observers, self._trouble)
        return self._parts_recorder

    def _give_back_earlier(self) -> None:
        if self._options.keep:
            give_back_earlier(self.folder, self._options.access)

    def _on_claim(self, recipe: BaseRecipe, claim: Claim, index: int) -> PartResult:
        """Run *recipe* on the hosts of *claim*."""
        recorder = self._part_recorder()
        try:
            for host_id, session in claim.sessions.items():
                if session.name != host_id or session.queued:
                    session.become(host_id, recorder)  # it was waited for
            return self._on_hosts(recipe, claim, recorder, index)
        except BaseException:
            self._pools.release()
            raise
        finally:
            close(claim.opened, claim.sessions)

    def _on_hosts(self, recipe: BaseRecipe, claim: Claim, recorder: PartRecorder, index: int) -> PartResult:
        opened = claim.opened
        _announce(recorder, recipe, claim.match, index)
        part = Part(
            recipe, claim.match, claim.sessions, opened.links, recorder, self._interrupts, prompt=self._options.prompt,
            take_mac=self._macs.take, timeout=self._options.timeout, keep=self._options.keep, reactor=self._reactor,
            on_evacuated=self._evacuated, run=self.id,
            baselines=(self._options.baselines, self._options.update_baselines),
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

    def _set_aside(self, refusals: Refusals) -> None:
        for name, reason in (*refusals.silent.items(), *refusals.busy.items()):
            if not self._options.pool_checks and not (self._options.wait and name in refusals.busy):
                raise AgentUnreachable(reason, name)
            self._recorder.write(HostSetAside(host=name, reason=reason))
            self._say(f"host {name} is set aside: {reason}")


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
