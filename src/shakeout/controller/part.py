"""One part of a run: a recipe on one match, from connecting its hosts to putting them back."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from shakeout.controller.context import PartContext, Prompt
from shakeout.controller.evacuation import Evacuation
from shakeout.controller.failure import one_paragraph, whole_traceback
from shakeout.controller.interrupts import Interrupted, Interrupts, RecipeTimeout, UndoLeft
from shakeout.controller.judging import Judge
from shakeout.controller.recorder import PartRecorder
from shakeout.errors import HostError, HostLost, JournalBroken, LabLacks, NotInteractive, RunAborted, ShakeoutError
from shakeout.hosts.devices import HostDevices
from shakeout.hosts.host import Host
from shakeout.hosts.matched import Matched
from shakeout.hosts.session import Session
from shakeout.journal.events import HostConnected, Log, PartFinished, UndoFinished, UndoStarted
from shakeout.journal.verdict import Verdict
from shakeout.matching.mapper import Match

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shakeout.recipe.base import BaseRecipe
    from shakeout.wire.reactor import Reactor


class PartResult(msgspec.Struct, frozen=True):
    """How a part ended.

    Attributes:
        error: what ended it early, or broke; None if nothing did. `usage` errors mean that the run could not be
            done as asked (exit status 2).
    """

    verdict: Verdict
    error: BaseException | None = None
    #: Whether the error means that this laboratory cannot do what the recipe needs.
    usage: bool = False
    #: Whether undo was left to the agents.
    left: bool = False


class Part:
    """Runs one recipe on the connected hosts of one match.

    Args:
        sessions: open, by id of the required host.
        links: by id of the required host: the recipe's name of an interface -> the link's name there.
        keep: leave the hosts as they are at the end.
        baselines: folder of the baselines, and whether what is measured replaces them.
        on_evacuated: called, in another thread, when the part has ended without its recipe, which does not end.
    """

    def __init__(
        self,
        recipe: BaseRecipe,
        match: Match,
        sessions: Mapping[str, Session],
        links: Mapping[str, Mapping[str, str]],
        recorder: PartRecorder,
        interrupts: Interrupts,
        *,
        prompt: Prompt | None,
        take_mac: Callable[[], str],
        timeout: float = 0,
        keep: bool = False,
        baselines: tuple[Path | None, bool] = (None, False),
        run: str = "",
        reactor: Reactor,
        on_evacuated: Callable[[PartResult], None] = lambda _: None,
    ) -> None:
        self._recipe = recipe
        self._match = match
        self._sessions = sessions
        self._recorder = recorder
        self._interrupts = interrupts
        self._timeout = timeout
        self._keep = keep
        self._began = 0.0
        #: Taken by whoever writes the verdict.
        self._open = threading.Lock()
        self._evacuation = Evacuation(interrupts, reactor, self._evacuate)
        self._evacuated = PartResult(Verdict.CANCELLED)
        self._on_evacuated = on_evacuated
        self.hosts = {
            host_id: Host(session, HostDevices(session, links.get(host_id, {}), take_mac), match.hosts[host_id].params)
            for host_id, session in sessions.items()
        }
        jobs = {host_id: session.jobs for host_id, session in sessions.items()}
        judge = Judge(baselines[0], run, baselines[1], self.hosts, recipe.params)
        self.context = PartContext(Matched(self.hosts), recorder, prompt, jobs, judge)

    def run(self) -> PartResult:
        """Run `test()` and put the hosts back, whatever happens; the verdict is in the journal when this returns."""
        self._began = time.monotonic()
        for host_id, session in self._sessions.items():
            entry = self._match.hosts[host_id]
            self._recorder.write(
                HostConnected(host=host_id, machine=entry.name, props=session.props, lease=session.lease)
            )
        try:
            with self._interrupts.restoring():
                self._evacuation.begin()
                error = self._test()
                if not self._evacuation.recipe_ended():
                    self._evacuation.done.wait()
                    return self._evacuated
        except UndoLeft as again:
            error = again
        with self._interrupts.restoring():  # again: the recipe may have put handlers of its own there
            return self._conclude(error, left=isinstance(error, UndoLeft))

    def _conclude(self, error: BaseException | None, *, left: bool) -> PartResult:
        """The recipe is over, by *error* if that is one: put the hosts back, unless that is left to their agents."""
        self._recorder.quiet = True
        failed: list[str] = []
        result = PartResult(Verdict.CANCELLED, error, left=True)
        try:
            if left:
                for session in self._sessions.values():
                    session.leave()
            else:
                result, failed = self._judge(error), self._restore()
        except UndoLeft:
            pass
        if result.verdict is not Verdict.CANCELLED:
            if failed:
                # Not put back: more than that it could not be done as asked.
                result = PartResult(Verdict.ERROR, error or HostError("; ".join(failed)))
            elif self._interrupts.interrupted:
                result = PartResult(Verdict.CANCELLED, result.error)
            elif trouble := self._not_recorded():
                result = PartResult(Verdict.ERROR, error or trouble)
        self._finish(result, time.monotonic() - self._began)
        return result

    def _not_recorded(self) -> JournalBroken | None:
        """What of the part is not in its journal and artifacts; None if everything is."""
        lacking = next((session.not_kept for session in self._sessions.values() if session.not_kept), "")
        return self._recorder.trouble.error or (JournalBroken(lacking) if lacking else None)

    def _evacuate(self, number: signal.Signals, left: bool) -> None:
        """The recipe did not end although it was told to (in a thread of its own): go on without it."""
        if number == signal.SIGALRM:
            error: BaseException = RecipeTimeout(
                f"the recipe took longer than the {self._timeout:g} s that it may take, and did not end then"
            )
        else:
            self._interrupts.note(number)
            error = Interrupted(number.name)
        self._recorder.quiet = True
        text = f"the recipe does not end although it was told to ({number.name})"
        text += "; its hosts are left to their agents" if left else "; its hosts are restored without it"
        self._interrupts.say(text)
        self._recorder.write(Log(level="warning", text=text))
        self._evacuated = self._conclude(error, left=left)
        self._on_evacuated(self._evacuated)

    def _test(self) -> BaseException | None:
        """What `test()` raised."""
        self._recipe._context = self.context
        try:
            with self._interrupts.interrupting(), self._interrupts.limit(self._timeout):
                self._recipe.test()
        except BaseException as error:  # noqa: BLE001 - the edge of the user's code
            return error
        finally:
            self._recipe._context = None
        return None

    def _judge(self, error: BaseException | None) -> PartResult:
        if error is None:
            lost = [session.name for session in self._sessions.values() if session.lost is not None]
            if lost:
                return PartResult(Verdict.ERROR, HostLost(f"lost during the recipe: {', '.join(lost)}"))
            failed = any(self.context.failed_jobs()) or bool(self.context.failures)
            return PartResult(Verdict.FAILED if failed else Verdict.PASSED)
        if isinstance(error, AssertionError | RecipeTimeout):
            return PartResult(Verdict.FAILED, error)
        if isinstance(error, KeyboardInterrupt | UndoLeft):
            return PartResult(Verdict.CANCELLED, error, left=isinstance(error, UndoLeft))
        if isinstance(error, RunAborted):
            return PartResult(Verdict.ABORTED, error)
        return PartResult(Verdict.ERROR, error, usage=isinstance(error, LabLacks | NotInteractive))

    def _restore(self) -> list[str]:
        """End the jobs, undo everything, release the hosts, all hosts at once; what failed."""
        failed: list[str] = []
        with ExitStack() as stack:
            for session in self._sessions.values():
                stack.callback(session.abandon)
            alive = [session for session in self._sessions.values() if session.lost is None]
            if not self._keep:
                for host in self.hosts.values():
                    failed += self._dismiss(host)
            for session in alive:
                self._recorder.write(UndoStarted(host=session.name))
                session.begin_end(keep=self._keep)
            for session in alive:
                failed += self._restored(session)
        failed += [
            f"host {session.name} was lost, so nobody saw it restored (its agent does that by itself): {session.lost}"
            for session in self._sessions.values()
            if session.lost is not None
        ]
        return failed

    def _dismiss(self, host: Host) -> list[str]:
        try:
            for job in host.jobs:
                job.dismiss()
        except ShakeoutError as error:
            return [str(error)]
        return []

    def _restored(self, session: Session) -> list[str]:
        try:
            ended = session.finish_end()
        except ShakeoutError as error:
            self._recorder.write(UndoFinished(host=session.name, failed=(str(error),)))
            return [str(error)]
        failed = tuple(f"{step.text}: {step.error}" for step in ended.steps if step.error)
        self._recorder.write(UndoFinished(host=session.name, steps=len(ended.steps), failed=failed))
        if ended.survivors:
            text = "ended processes that had outlived their jobs: " + "; ".join(ended.survivors)
            self._recorder.write(Log(level="info", text=text, host=session.name))
        return [f"{session.name}: {text}" for text in failed]

    def _finish(self, result: PartResult, duration: float) -> None:
        if not self._open.acquire(blocking=False):
            return
        self.context.close()
        error = result.error
        self._recorder.write(
            PartFinished(
                verdict=result.verdict,
                error=one_paragraph(error) if error is not None else "",
                traceback=whole_traceback(error) if error is not None else "",
                duration_s=duration,
            )
        )
