"""How much CPU the threads of a measurement take, to tell whether it was the generator that was slow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

#: From this share of the time on a thread has been kept back by its CPU.
BUSY: Final = 0.9


class Load:
    """CPU time of this process and of some threads of it, from `begin` to `end`.

    Attributes:
        cpu: percent of one CPU that the process took.
        busy: share of the time for which the busiest of the threads ran, or waited for a CPU to run on; or
            for which the CPUs of the host were at work, since the kernel's part of the work is nobody's.
    """

    def __init__(self) -> None:
        self.cpu = self.busy = 0.0
        self._threads: dict[int, int] = {}
        self._begun = self._process = 0
        self._host = (0, 0)

    def begin(self, threads: list[int]) -> None:
        """From now on; *threads* are named by their native ids."""
        self._threads = {thread: wanted(thread) for thread in threads}
        self._host = host_ticks()
        self._begun, self._process = time.monotonic_ns(), time.process_time_ns()

    def end(self, *, one_at_a_time: bool) -> None:
        """Until now; *one_at_a_time*: the threads spend their time in Python, so only one of them runs."""
        elapsed = max(1, time.monotonic_ns() - self._begun)
        share = (time.process_time_ns() - self._process) / elapsed
        busiest = max((wanted(thread) - before for thread, before in self._threads.items()), default=0) / elapsed
        worked, passed = (now - then for now, then in zip(host_ticks(), self._host, strict=True))
        self.cpu, self.busy = 100 * share, max(busiest, share if one_at_a_time else 0.0, worked / max(1, passed))


def wanted(thread: int) -> int:
    """Nanoseconds for which a thread of this process has run or waited for a CPU; 0 if the kernel does not tell."""
    try:
        ran, waited, _ = Path(f"/proc/self/task/{thread}/schedstat").read_text().split()
    except (OSError, ValueError):
        return 0
    return int(ran) + int(waited)


def host_ticks() -> tuple[int, int]:
    """The time for which all CPUs of the host were at work, and all the time, since it started; in clock ticks."""
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0].split()
        ticks = [int(word) for word in first[1:9]]  # behind them is guests' time, which is in the others, too
    except (OSError, ValueError):
        return 0, 0
    return sum(ticks) - sum(ticks[3:5]), sum(ticks)
