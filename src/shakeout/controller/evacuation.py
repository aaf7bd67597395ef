"""What is done with the hosts of a recipe that does not end although it was told to.

A recipe that sits in C code sees no signal, and one that catches everything swallows it. A while after the signal its
hosts are put back from outside, in a thread of its own, as they would have been after it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

from shakeout.controller.interrupts import Interrupts
from shakeout.wire.reactor import Reactor

#: Seconds that a recipe has to end, when it was told to (it may have something to clean up itself).
GRACE = 5.0
#: Seconds that are left of them when it is told for the second time.
SECOND_GRACE = 0.5


class Evacuation:
    """Watches one recipe from outside; use `begin` before it, and `recipe_ended` after it.

    Args:
        reactor: hears of signals even while the recipe's thread hears nothing.
        act: puts the hosts back (or, told so, leaves that to their agents) and ends the run; called in a thread of
            its own with the signal that ended the recipe, and whether undo is left.
    """

    def __init__(self, interrupts: Interrupts, reactor: Reactor, act: Callable[[signal.Signals, bool], None]) -> None:
        self._interrupts = interrupts
        self._reactor = reactor
        self._act = act
        self._changed = threading.Condition()
        self._told: list[signal.Signals] = []
        self._deadline = 0.0
        self._ended = False
        self._acting = False
        self._left = False
        self.done = threading.Event()

    def begin(self) -> None:
        """The recipe begins."""
        self._interrupts.tell(self._reactor, self._signalled)

    def recipe_ended(self) -> bool:
        """The recipe has ended; whether its thread goes on (if not, the hosts are being dealt with already)."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            if self._acting:
                return False
        self._interrupts.tell(self._reactor, None)
        return True

    def _signalled(self, number: signal.Signals) -> None:
        """A signal came (in the loop's thread)."""
        with self._changed:
            self._told.append(number)
            again = sum(1 for told in self._told if told != signal.SIGALRM) > 1
            now = time.monotonic()
            self._deadline = min(self._deadline, now + SECOND_GRACE) if self._deadline else now + GRACE
            leave_now = again and self._acting and not self._left
            self._left = self._left or again
            self._changed.notify_all()
        if len(self._told) == 1:
            threading.Thread(target=self._watch, name="shakeout-evacuation", daemon=True).start()
        elif leave_now:
            threading.Thread(target=self._act, args=(number, True), name="shakeout-leaving", daemon=True).start()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended and (rest := self._deadline - time.monotonic()) > 0:
                self._changed.wait(rest)
            if self._ended:
                return
            self._acting = True
            number = next((told for told in self._told if told != signal.SIGALRM), self._told[0])
            left = self._left
        try:
            self._act(number, left)
        finally:
            self.done.set()
