"""One part of a run: a recipe on one match, from connecting its hosts to putting them back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from shakeout.controller.context import PartContext, Prompt
from shakeout.controller.failure import one_paragraph, whole_traceback
from shakeout.controller.interrupts import Interrupts, RecipeTimeout, UndoLeft
from shakeout.controller.recorder import PartRecorder
from shakeout.errors import HostError, HostLost, LabLacks, NotInteractive, RunAborted, ShakeoutError
from shakeout.hosts.devices import HostDevices
from shakeout.hosts.host import Host
from shakeout.hosts.matched import Matched
from shakeout.hosts.session import Session
from shakeout.journal.events import HostConnected, Log, PartFinished, UndoFinished, UndoStarted
from shakeout.journal.verdict import Verdict
from shakeout.matching.mapper import Match

if TYPE_CHECKING:
    from collections.abc import Callable

    from shakeout.recipe.base import BaseRecipe


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
    ) -> None:
        self._recipe = recipe
        self._match = match
        self._sessions = sessions
        self._recorder = recorder
        self._interrupts = interrupts
        self._timeout = timeout
        self._keep = keep
        self.hosts = {
            host_id: Host(session, HostDevices(session, links.get(host_id, {}), take_mac), match.hosts[host_id].params)
            for host_id, session in sessions.items()
        }
        self.context = PartContext(Matched(self.hosts), recorder, prompt)

    def run(self) -> PartResult:
        """Run `test()` and put the hosts back, whatever happens; the verdict is in the journal when this returns."""
        began = time.monotonic()
        for host_id, session in self._sessions.items():
            entry = self._match.hosts[host_id]
            self._recorder.write(
                HostConnected(host=host_id, machine=entry.name, props=session.props, lease=session.lease)
            )
        error = self._test()
        try:
            with self._interrupts.restoring():
                result = self._judge(error)
                failed = self._restore()
        except UndoLeft:
            result = PartResult(Verdict.CANCELLED, error, left=True)
            failed = []
        if failed and result.verdict is not Verdict.CANCELLED:
            # Not put back: more than that it could not be done as asked.
            result = PartResult(Verdict.ERROR, error or HostError("; ".join(failed)))
        elif self._interrupts.interrupted and result.verdict is not Verdict.CANCELLED:
            result = PartResult(Verdict.CANCELLED, result.error)
        self._finish(result, time.monotonic() - began)
        return result

    def _test(self) -> BaseException | None:
        """What `test()` raised."""
        self._recipe._context = self.context
        try:
            with self._interrupts.limit(self._timeout):
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
            jobs = [job for host in self.hosts.values() for job in host.jobs if not self.context.looked_around(job)]
            failed = any(job.finished and not job.passed for job in jobs) or bool(self.context.failures)
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
        error = result.error
        self._recorder.write(
            PartFinished(
                verdict=result.verdict,
                error=one_paragraph(error) if error is not None else "",
                traceback=whole_traceback(error) if error is not None else "",
                duration_s=duration,
            )
        )
