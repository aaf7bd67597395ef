"""Processes as /proc shows them: what descends from one, and waiting for their ends."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType


def parents() -> dict[int, int]:
    """Every process and its parent."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                found[int(entry.name)] = int(fields[1])
    return found


def descendants(ancestor: int) -> list[int]:
    """All children of *ancestor*, theirs, and so on; parents first."""
    tree = parents()
    found: list[int] = []
    level = {ancestor}
    while level:
        level = {pid for pid, parent in tree.items() if parent in level}
        found += sorted(level)
    return found


def name_of(pid: int) -> str:
    """What `ps` calls it; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def is_first(pid: int) -> bool:
    """Whether *pid* is process 1 of its PID namespace."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return any(line.split()[-1] == "1" for line in status.splitlines() if line.startswith("NSpid:"))


def named(ancestor: int, name: str) -> list[int]:
    """The descendants of *ancestor* that are called *name*."""
    return [pid for pid in descendants(ancestor) if name_of(pid) == name]


def is_alive(pid: int) -> bool:
    """Whether it runs (a zombie does not)."""
    return pid in parents()


class Watched:
    """Processes whose ends are waited for, by handles that are not confused when numbers are used again.

    A context manager, so that the handles are closed.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._handles: dict[int, int] = {}
        for pid in dict.fromkeys(pids):
            try:
                self._handles[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                continue

    @property
    def pids(self) -> list[int]:
        """Those that are watched."""
        return list(self._handles)

    def left_after(self, seconds: float) -> list[str]:
        """Those that still run after *seconds*; [] as soon as all have ended."""
        deadline = time.monotonic() + seconds
        left = []
        for pid, handle in self._handles.items():
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                left.append(f"{pid} {name_of(pid)}")
        return left

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to one of them."""
        signal.pidfd_send_signal(self._handles[pid], number)

    def __enter__(self) -> Watched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles.values():
            os.close(handle)


def until(condition: Callable[[], object], seconds: float = 20.0, what: str = "") -> None:
    """Wait for something that tells nobody when it happens (the state of another process, in /proc).

    Raises:
        TimeoutError: it did not happen within *seconds*.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain for {what or condition}")
        time.sleep(0.005)
