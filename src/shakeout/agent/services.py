"""The services of this host: looked at, changed and put back, through whatever manages them here.

What is run for that (``systemctl``) may hang for as long as the service takes: it runs beside the agent's loop. Only
at the end, when everything is put back, it is waited for.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from shakeout.agent.children import Children
from shakeout.agent.initsystem import manager
from shakeout.agent.program import Outcome, Program
from shakeout.agent.servicesteps import PATIENCE, Steps
from shakeout.agent.undo import UndoLog
from shakeout.errors import LabLacks, ShakeoutError, UsageError
from shakeout.wire.messages import Answer, ReadService, Refusal, SetService
from shakeout.wire.plain import pack
from shakeout.wire.reactor import Reactor
from shakeout.wire.services import ServiceState
from shakeout.wire.undo import ServiceSet

#: What a unit or script may be called (systemd.unit(5)).
_NAME = re.compile(r"[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]{0,254}\Z")


class Services:
    """Carries out a session's orders about services, one after the other.

    A change is answered with a pair of `ServiceState`, before and after; a look with one.
    """

    def __init__(
        self, reactor: Reactor, children: Children, undo: UndoLog, send: Callable[[msgspec.Struct], None]
    ) -> None:
        self._reactor = reactor
        self._children = children
        self._undo = undo
        self._send = send
        self._waiting: deque[tuple[int, Callable[[], Steps[Any]]]] = deque()
        self._busy = False
        self._program: Program | None = None

    def set(self, order: SetService) -> None:
        """Enable and start a service, or disable and stop it."""
        self._add(order.id, lambda: manager().change(checked(order.service), order.enable, self._before))

    def read(self, order: ReadService) -> None:
        """How is a service?"""
        self._add(order.id, lambda: manager().look(checked(order.service)))

    def end(self) -> None:
        """Do nothing more; what is being done is cut short."""
        self._waiting.clear()
        self._busy = True
        if self._program is not None:
            self._program.kill()
            self._program = None

    def _before(self, entry: ServiceSet, files: tuple[str, ...]) -> None:
        entries = [self._undo.file_entry(path) for path in files]
        self._undo.append(*entries, entry)
        self._undo.sync()

    def _add(self, request: int, steps: Callable[[], Steps[Any]]) -> None:
        self._waiting.append((request, steps))
        self._advance()

    def _advance(self) -> None:
        while self._waiting and not self._busy:
            self._busy = True
            request, begin = self._waiting.popleft()
            self._begin(request, begin)

    def _begin(self, request: int, begin: Callable[[], Steps[Any]]) -> None:
        self._attempt(request, lambda: self._go_on(request, begin(), None))

    def _go_on(self, request: int, steps: Steps[Any], outcome: Outcome | None) -> None:
        """The next step; the answer after the last."""
        self._program = None
        try:
            argv = next(steps) if outcome is None else steps.send(outcome)
        except StopIteration as end:
            self._finish(Answer(request, pack(plain(end.value))))
            return

        def ended(outcome: Outcome) -> None:
            self._attempt(request, lambda: self._go_on(request, steps, outcome))

        self._program = Program(self._reactor, self._children, argv, PATIENCE, ended)

    def _attempt(self, request: int, step: Callable[[], None]) -> None:
        try:
            step()
        except LabLacks as error:
            self._finish(Refusal(request, "lacks", str(error)))
        except UsageError as error:
            self._finish(Refusal(request, "usage", str(error)))
        except (ShakeoutError, OSError) as error:
            self._finish(Refusal(request, "service", str(error)))

    def _finish(self, answer: Answer | Refusal) -> None:
        self._busy = False
        self._send(answer)
        self._reactor.call_soon(self._advance)


def checked(service: str) -> str:
    """*service*, if it can be a service's name.

    Raises:
        UsageError: it cannot.
    """
    if not _NAME.match(service):
        raise UsageError(
            f"{service!r} cannot be the name of a service: that is letters, digits and the characters : _ . @ \\ -, "
            "for example 'chrony' or 'getty@tty1.service'"
        )
    return service


def plain(state: ServiceState | tuple[ServiceState, ...]) -> Any:
    """What travels."""
    return [plain(one) for one in state] if isinstance(state, tuple) else msgspec.to_builtins(state)
