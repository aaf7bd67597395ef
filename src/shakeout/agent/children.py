"""The ends of the agent's own children, and of the orphans it adopts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from shakeout.wire.reactor import READ, Reactor

#: Called with the status, as `os.waitpid` gives it, and the moment it was seen (ns, monotonic).
OnExit = Callable[[int, int], None]


class Children:
    """Reaps every child; calls those who asked for one.

    As process 1 of its host, or as its jobs' subreaper, the agent gets orphans, too: they are reaped and forgotten.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._waiting: dict[int, OnExit] = {}
        self._ready, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _nothing)
        reactor.watch(self._ready, READ, self._signalled)

    def expect(self, pid: int, on_exit: OnExit) -> None:
        """Call *on_exit* when *pid*, a child of this process, has ended."""
        self._waiting[pid] = on_exit

    def reap(self) -> None:
        """Take note of all children that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            on_exit = self._waiting.pop(pid, None)
            if on_exit is not None:
                on_exit(status, time.monotonic_ns())

    def _signalled(self, events: int) -> None:
        try:
            os.read(self._ready, 4096)
        except BlockingIOError:
            pass
        self.reap()


def _nothing(*_: Any) -> None:
    """A handler that only makes the wake-up descriptor ready."""
