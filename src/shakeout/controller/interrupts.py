"""Signals that end a run: the first interrupts the recipe and hosts are restored, the second leaves that to agents."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from shakeout.errors import ShakeoutError
from shakeout.wire.reactor import READ, Reactor
from shakeout.wire.undisturbed import undisturbed

#: How often, and after how many seconds each time, the main thread is made to look for a signal that has come.
_NUDGES, _NUDGE_AFTER = 5, 0.05


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
        self._ready = self._wake = self._wakeup_before = -1
        self._main = 0
        self._urgent_before: Any = None
        self._restoring = False
        #: Whether the second one came.
        self._left = False
        #: Whether a signal asked for the end of the run.
        self.interrupted = False
        #: Whether nothing runs that would have to be interrupted.
        self._idle = False
        #: The name of the signal that did.
        self.signal_name = ""

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                self._previous[number] = signal.getsignal(number)
            self._take()
            self._main = threading.get_ident()
            self._urgent_before = signal.signal(signal.SIGURG, lambda *_: None)
            self._ready, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            self._wakeup_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._ready >= 0:
            signal.set_wakeup_fd(self._wakeup_before)
            signal.signal(signal.SIGURG, signal.SIG_DFL if self._urgent_before is None else self._urgent_before)
            os.close(self._ready)
            os.close(self._wake)
            self._ready = -1
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def tell(self, reactor: Reactor, callback: Callable[[signal.Signals], None] | None) -> None:
        """Call *callback* in *reactor*'s thread for each signal that comes, even while the main thread hears nothing.

        Signals that somebody else handles at the moment (a prompt, the recipe) are not told. None: no more calls.
        """
        if self._ready < 0:
            return
        reactor.forget(self._ready)
        if callback is None:
            return

        def come(events: int) -> None:
            for number in os.read(self._ready, 64):
                if number in self._previous and signal.getsignal(number) == self._handle:
                    callback(signal.Signals(number))
                    self._nudge(reactor, _NUDGES)

        reactor.watch(self._ready, READ, come)

    @contextlib.contextmanager
    def heard(self, reactor: Reactor) -> Iterator[None]:
        """In this block the main thread may wait for a lock or a queue: a signal ends that."""
        self.tell(reactor, lambda number: None)
        self._idle = True
        try:
            yield
        finally:
            self._idle = False
            self.tell(reactor, None)

    def _nudge(self, reactor: Reactor, times: int) -> None:
        """Have the main thread look for signals.

        One that comes just before it begins to wait for a lock does not end that wait: Python looks for signals before,
        and after. So another one, that does nothing, is sent a few times.
        """
        if self._ready >= 0 and times:
            signal.pthread_kill(self._main, signal.SIGURG)
            reactor.call_later(_NUDGE_AFTER, lambda: self._nudge(reactor, times - 1))

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
    def interrupting(self) -> Iterator[None]:
        """In this block, inside one in which hosts are restored, signals do interrupt: the recipe runs."""
        self._restoring = False
        try:
            if self.interrupted:
                raise Interrupted(self.signal_name)
            yield
        finally:
            self._restoring = True

    def note(self, number: signal.Signals) -> None:
        """Signal *number* asked for the end of the run, and its handler could not be called."""
        if not self.interrupted:
            self.interrupted, self.signal_name = True, number.name

    def say(self, text: str) -> None:
        """Tell the person at the terminal."""
        self._say(text)

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
            text = f"the recipe took longer than the {seconds:g} s that it may take"
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
                undisturbed.raise_now(TimeUp())
            return
        name = signal.Signals(number).name
        if self._left:
            return  # everything is being left already
        if self._restoring:
            if self.interrupted:
                self._left = True
                undisturbed.raise_now(UndoLeft(name))
                return
            self.interrupted, self.signal_name = True, name
            self._say(f"{name}: hosts are being restored; once more to leave that to their agents")
            return
        already = self.interrupted
        self.interrupted, self.signal_name = True, name
        if already:
            self._left = True
            undisturbed.raise_now(UndoLeft(name))
            return
        what = "interrupting the recipe, then hosts are restored; once more to leave that to their agents"
        self._say(f"{name}: {'no hosts are waited for any more' if self._idle else what}")
        undisturbed.raise_now(Interrupted(name))
