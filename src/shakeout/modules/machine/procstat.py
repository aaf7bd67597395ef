"""What the kernel says of a whole machine in /proc: parsed, nothing else (proc(5), Documentation/filesystems/proc)."""

from __future__ import annotations

from typing import NamedTuple

#: The first eight columns of a "cpu" line. Guests' time is part of user and nice, and so left out.
CPU_KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


class MachineStat(NamedTuple):
    """/proc/stat.

    Attributes:
        cpus: "cpu" (all together), "cpu0" … -> ticks by kind, as in `CPU_KINDS`.
        context_switches, interrupts, forks: since the machine was started.
        running, blocked: tasks at this moment.
    """

    cpus: dict[str, tuple[int, ...]]
    context_switches: int
    interrupts: int
    forks: int
    running: int
    blocked: int


def parse_stat(text: str) -> MachineStat:
    """/proc/stat as read. Lines that are not known, and columns that older kernels lack, do no harm."""
    cpus: dict[str, tuple[int, ...]] = {}
    single: dict[str, int] = {}
    for line in text.splitlines():
        name, *columns = line.split(None, len(CPU_KINDS) + 1)[: len(CPU_KINDS) + 1] or ("",)
        if name.startswith("cpu"):
            ticks = _numbers(columns)
            cpus[name] = (*ticks, *(0,) * (len(CPU_KINDS) - len(ticks)))
        elif columns:
            single[name] = _number(columns[0])
    return MachineStat(
        cpus,
        single.get("ctxt", 0),
        single.get("intr", 0),
        single.get("processes", 0),
        single.get("procs_running", 0),
        single.get("procs_blocked", 0),
    )


def shares(before: tuple[int, ...], after: tuple[int, ...]) -> dict[str, float] | None:
    """Percent of the time between two readings by kind, and "busy": all but idle and iowait; None if no time passed.

    The kernel's counts of idle and iowait may go back by a tick, and all begin anew when a CPU is taken
    out and put back: what would be negative counts as nothing.
    """
    ticks = [max(0, new - old) for old, new in zip(before, after, strict=True)]
    total = sum(ticks)
    if not total:
        return None
    found = {kind: 100.0 * count / total for kind, count in zip(CPU_KINDS, ticks, strict=True)}
    found["busy"] = 100.0 * (total - ticks[3] - ticks[4]) / total
    return found


def parse_load(text: str) -> tuple[float, float, float]:
    """/proc/loadavg: the load over 1, 5 and 15 minutes; zeros if it says something else."""
    try:
        one, five, fifteen = (float(word) for word in text.split()[:3])
    except ValueError:
        return 0.0, 0.0, 0.0
    return one, five, fifteen


def parse_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo: name -> bytes (a plain count where the kernel gives no unit)."""
    found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and words and _is_number(words[0]):
            found[name.strip()] = int(words[0]) * (1024 if words[1:2] == ["kB"] else 1)
    return found


def parse_pressure(text: str) -> dict[str, int]:
    """A file of /proc/pressure: "some" and "full" -> microseconds that tasks were stalled, since the start."""
    found = {}
    for line in text.splitlines():
        kind, *words = line.split() or ("",)
        for word in words:
            name, _, value = word.partition("=")
            if name == "total" and _is_number(value):
                found[kind] = int(value)
    return found


class DiskStat(NamedTuple):
    """One disk of /proc/diskstats, all counted since the machine was started.

    Attributes:
        reads, writes: requests that are done.
        read_bytes, written_bytes: of these.
        read_ms, write_ms: milliseconds that these took, all added up.
        busy_ms: milliseconds in which the disk had something to do.
    """

    reads: int
    writes: int
    read_bytes: int
    written_bytes: int
    read_ms: int
    write_ms: int
    busy_ms: int


def parse_disks(text: str) -> dict[str, DiskStat]:
    """/proc/diskstats: name -> counts (Documentation/admin-guide/iostats; a sector has 512 bytes here)."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        numbers = _numbers(words[3:13])
        if len(numbers) == 10:
            reads, _, sectors, read_ms, writes, _, written, write_ms, _, busy = numbers
            found[words[2]] = DiskStat(reads, writes, sectors * 512, written * 512, read_ms, write_ms, busy)
    return found


def counted(before: int, after: int) -> int:
    """How far a counter has gone from *before* to *after*.

    One that went back has begun anew, unless it is a 32-bit one that was in the upper half and so went round.
    """
    if after >= before:
        return after - before
    top = 1 << 32
    if before < top and before - after > top // 2:
        return after + top - before
    return after


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _number(word: str) -> int:
    return int(word) if _is_number(word) else 0


def _numbers(words: list[str]) -> list[int]:
    found = []
    for word in words:
        if not _is_number(word):
            break
        found.append(int(word))
    return found
