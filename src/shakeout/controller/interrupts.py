"""Signals that end a run: the first interrupts the recipe and hosts are restored, the second leaves that to agents."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from shakeout.errors import ShakeoutError


class RecipeTimeout(ShakeoutError):
    """A recipe took longer than ``--timeout`` allows."""

    exit_status = 1


class Interrupted(KeyboardInterrupt):
    """A signal asks for the end of the run; raised in the recipe. Its text is the signal's name."""


class TimeUp(BaseException):
    """The recipe's time is up; raised in it, where an ``except Exception`` of its own must not swallow it."""


class UndoLeft(KeyboardInterrupt):
    """A second signal came while hosts were being restored: their agents finish on their own."""


class Interrupts:
    """The signal handlers of one run; they work in the main thread only, elsewhere this does nothing.

    Args:
        say: tells the person at the terminal something.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._previous: dict[int, Any] = {}
        self._restoring = False
        #: Whether a signal asked for the end of the run.
        self.interrupted = False
        #: The name of the signal that did.
        self.signal_name = ""

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                self._previous[number] = signal.getsignal(number)
            self._take()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    @contextlib.contextmanager
    def restoring(self) -> Iterator[None]:
        """In this block hosts are being restored: signals do not interrupt, the second one leaves it."""
        self._restoring = True
        self._take()  # the recipe may have put handlers of its own there
        try:
            yield
        finally:
            self._restoring = False

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """RecipeTimeout is raised in this block when *seconds* (0: none) have passed."""
        if not seconds or not self._previous:
            yield
            return
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        except TimeUp as error:
            text = f"the recipe took longer than the {seconds:g} s that --timeout allows"
            raise RecipeTimeout(text).with_traceback(error.__traceback__) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _take(self) -> None:
        for number, before in self._previous.items():
            # Who started this with nohup, or in the background of a script, wants it to go on.
            if before is not signal.SIG_IGN or number in (signal.SIGTERM, signal.SIGALRM):
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            if not self._restoring:
                raise TimeUp
            return
        name = signal.Signals(number).name
        if self._restoring:
            if self.interrupted:
                raise UndoLeft(name)
            self.interrupted, self.signal_name = True, name
            self._say(f"{name}: hosts are being restored; once more to leave that to their agents")
            return
        already = self.interrupted
        self.interrupted, self.signal_name = True, name
        if already:
            raise UndoLeft(name)
        self._say(f"{name}: interrupting the recipe, then hosts are restored; once more to leave that to their agents")
        raise Interrupted(name)
