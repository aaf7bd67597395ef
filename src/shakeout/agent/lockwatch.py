"""The moment when another process lets go of a lock: seen by a child that waits for it in the kernel."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from shakeout.agent.children import Children
from shakeout.processes.namespaces import end_with_parent


class LockWatch:
    """Waits for one lock at a time.

    Nothing else tells when a lock of the kernel's is free: it has no descriptor that becomes ready. A forked child,
    which has nothing but this file open, takes it, lets it go and ends; it ends with the agent, too.
    """

    def __init__(self, children: Children, on_free: Callable[[], None]) -> None:
        self._children = children
        self._on_free = on_free
        self._path = ""
        self._pid = 0

    def watch(self, path: str) -> None:
        """Call `on_free` once when nobody has *path* locked (any more); instead of what was watched before."""
        if self._pid and path == self._path:
            return
        self.stop()
        agent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _wait_and_end(path, agent)
        self._path, self._pid = path, pid
        self._children.expect(pid, lambda status, moment: self._ended(pid))

    def stop(self) -> None:
        """Watch nothing any more."""
        if self._pid:
            os.kill(
                self._pid, signal.SIGKILL
            )  # not reaped before `_ended` has heard of it: the number is still its own
            self._pid, self._path = 0, ""

    def _ended(self, pid: int) -> None:
        if pid == self._pid:
            self._pid, self._path = 0, ""
            self._on_free()


def _wait_and_end(path: str, agent: int) -> NoReturn:
    """In the child: nothing of the agent's may stay open here, or its peers would not see its end."""
    try:
        end_with_parent(agent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.closerange(0, fd)
        os.closerange(fd + 1, 1 << 30)
        fcntl.flock(fd, fcntl.LOCK_SH)
    finally:
        os._exit(0)
