"""The ends of the agent's own children, and of the orphans it adopts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from shakeout.processes.ends import reaped, wake_at_ends
from shakeout.wire.reactor import READ, Reactor

#: Called with the status, as `os.waitpid` gives it, and the moment it was seen (ns, monotonic).
OnExit = Callable[[int, int], None]


class Children:
    """Reaps every child; calls those who asked for one.

    As process 1 of its host, or as its jobs' subreaper, the agent gets orphans, too: they are reaped and forgotten.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._waiting: dict[int, OnExit] = {}
        self._ready, _ = wake_at_ends()
        reactor.watch(self._ready, READ, self._signalled)

    def expect(self, pid: int, on_exit: OnExit) -> None:
        """Call *on_exit* when *pid*, a child of this process, has ended."""
        self._waiting[pid] = on_exit

    def reap(self) -> None:
        """Take note of all children that have ended."""
        for pid, status in reaped():
            on_exit = self._waiting.pop(pid, None)
            if on_exit is not None:
                on_exit(status, time.monotonic_ns())

    def _signalled(self, events: int) -> None:
        try:
            os.read(self._ready, 4096)
        except BlockingIOError:
            pass
        self.reap()
