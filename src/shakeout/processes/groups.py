"""Process groups that outlive their leaders: ended without hitting a stranger that has got their number since."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

_DEAD = (b"Z", b"X")


def kill_orphaned_group(group: int, ended: int) -> None:
    """SIGKILL what is left of the process group *group*, whose leader had ended at *ended*, a moment of `ticks`.

    A group keeps its number as long as somebody is in it; then the number may be given to anybody. So somebody in it
    must be from before the leader's end, and then all of it is what the leader left. Otherwise nobody is killed.
    """
    for _ in range(64):  # what forks meanwhile has killed parents in the end
        members = [(pid, state, begun) for pid, state, found, begun in _processes() if found == group]
        alive = [pid for pid, state, _ in members if state not in _DEAD]
        if not alive or min(begun for *_, begun in members) > ended:
            return
        ends = []
        for pid in alive:
            with suppress(OSError):
                end = os.pidfd_open(pid)
                ends.append(end)
                if os.getpgid(pid) == group:
                    signal.pidfd_send_signal(end, signal.SIGKILL)
        deadline = time.monotonic() + 1.0
        for end in ends:
            poll = select.poll()
            poll.register(end, select.POLLIN)
            poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            os.close(end)


def ticks() -> int:
    """Now, as the kernel notes when processes began: in clock ticks since it was booted."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def _processes() -> Iterator[tuple[int, bytes, int, int]]:
    """Number, state, process group and beginning (in `ticks`) of every process that can be seen."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - names only, and quick
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb", buffering=0) as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(fields) > 19:
            yield int(name), fields[0], int(fields[2]), int(fields[19])  # fields 3, 5 and 22 of proc(5)
