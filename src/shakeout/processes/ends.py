"""The ends of child processes, as a loop of one's own hears of them and reaps them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any


def wake_at_ends() -> tuple[int, int]:
    """A pipe, both ends non-blocking: the first becomes readable when a child has ended (or a handled signal comes)."""
    ready, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    return ready, wake


def reaped() -> Iterator[tuple[int, int]]:
    """All children that have ended: process id, and status as `os.waitpid` gives it."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _nothing(*_: Any) -> None:
    """Without a handler the pipe would not be written to."""
