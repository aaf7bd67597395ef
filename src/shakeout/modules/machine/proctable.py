"""Processes, as /proc/PID has them: parsed, and found by what they are (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


class ProcessStat(NamedTuple):
    """/proc/PID/stat.

    Attributes:
        name: the kernel's name of it, at most 15 bytes ("comm").
        state: "R", "S", "D", "Z" (ended, not waited for) …
        parent, group, session: their pids.
        cpu: seconds of CPU time that it used itself.
        threads: how many it has.
        start: when it was started, in ticks since the machine was: tells processes with one pid apart.
        rss: bytes of memory that it has in use, shared ones included.
        exit_code: as wait(2) gives it, of a process that has ended; 0 if that may not be known.
    """

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    cpu: float
    threads: int
    start: int
    rss: int
    exit_code: int


def parse_process(data: bytes) -> ProcessStat | None:
    """/proc/PID/stat as read; None if it is none. The name may contain anything, even ") R 1"."""
    head, _, rest = data.rpartition(b")")
    number, _, name = head.partition(b" (")
    words = rest.split()
    try:
        state, numbers = words[0].decode("ascii"), [int(word) for word in words[1:]]
        parent, group, session = numbers[:3]
        threads, start, rss = numbers[16], numbers[18], numbers[20]
        return ProcessStat(
            int(number),
            name.decode(errors="backslashreplace"),
            state,
            parent,
            group,
            session,
            (numbers[10] + numbers[11]) / TICKS,
            threads,
            start,
            rss * _PAGE,
            numbers[48] if len(numbers) > 48 else 0,
        )
    except (ValueError, IndexError):
        return None


def parse_fields(data: bytes) -> dict[str, int]:
    """The numbers of "name: number" lines (/proc/PID/io, status, smaps_rollup); in bytes where the kernel says kB."""
    found = {}
    for line in data.splitlines():
        name, colon, rest = line.partition(b":")
        words = rest.split()
        if colon and words and words[0].isdigit():
            factor = 1024 if words[1:2] == [b"kB"] else 1
            found[name.decode(errors="backslashreplace")] = int(words[0]) * factor
    return found


def read_process(pid: int) -> ProcessStat | None:
    """The process *pid* now; None if there is none."""
    return parse_process(read(pid, "stat"))


def read(pid: int, what: str) -> bytes:
    """A file of /proc/PID, its first 64 KiB; empty if the process is gone, or the file may not be read."""
    # Done for every process of the host again and again: a Path would take as long as the kernel does.
    try:
        descriptor = os.open(f"/proc/{pid}/{what}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def descriptors(pid: int) -> int | None:
    """How many descriptors the process has open; None if it is gone, or that may not be known."""
    try:
        # The kernel gives the number as the size of the folder since 6.2; counting works everywhere.
        return os.stat(f"/proc/{pid}/fd").st_size or len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH116, PTH208
    except OSError:
        return None


def command_line(pid: int) -> str:
    """The command line with spaces between the arguments; "" for a thread of the kernel and one that has ended."""
    return read(pid, "cmdline").rstrip(b"\0").replace(b"\0", b" ").decode(errors="backslashreplace")


def pids() -> list[int]:
    """All processes that can be seen, this one, too."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a tenth of a Path's time


def every_process() -> Iterator[ProcessStat]:
    """All processes that can be seen, this one, too. One that ends meanwhile is left out."""
    return filter(None, map(read_process, pids()))


def family(root: int, processes: list[ProcessStat]) -> list[ProcessStat]:
    """Those of *processes* that are *root*, descend from it, or are in its session or process group."""
    members = {each.pid for each in processes if root in (each.pid, each.session, each.group)}
    grown = True
    while grown:
        more = {each.pid for each in processes if each.parent in members} - members
        members |= more
        grown = bool(more)
    return [each for each in processes if each.pid in members]


def living(processes: Iterable[ProcessStat | None]) -> list[ProcessStat]:
    """Those of *processes* that have not ended, without this process."""
    own = os.getpid()
    return [each for each in processes if each is not None and each.pid != own and each.state not in "ZX"]
