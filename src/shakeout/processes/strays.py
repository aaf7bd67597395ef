"""Processes that left their job's process group, found by a mark in their environment.

A daemon that calls setsid() escapes a group's signals, but not the environment it was started with.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from functools import cache

#: The variable that every job carries: "<lease>:<job id>".
MARK = "SHAKEOUT_JOB"
#: How often a process without an environment is looked at again, 0.2 ms each.
_EXEC_TRIES = 500


def marked(prefix: str) -> Iterator[int]:
    """Process ids whose mark begins with *prefix* (this process excepted)."""
    needle = f"{MARK}={prefix}".encode()
    own = os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208 - names only, and quick
        if not name.isdigit() or int(name) == own:
            continue
        try:
            environment = _environment(name)
        except OSError:
            continue  # gone, or not ours to look at
        if environment.startswith(needle) or b"\0" + needle in environment:
            yield int(name)


def _environment(pid: str) -> bytes:
    """What it was started with; in the middle of an exec it has none, which takes some microseconds: waited for."""
    had_one = False
    for _ in range(_EXEC_TRIES):
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123
            environment: bytes = file.readall()
        if environment:
            return environment
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123
            fields = file.readall().rpartition(b")")[2].split()
        state, size, end = fields[0], fields[20], fields[48]  # fields 3, 23 and 51 of proc(5)
        if state in (b"Z", b"X") or size == b"0" or had_one:
            break  # dead, a kernel thread, or one whose environment is empty indeed
        had_one = end != b"0"
        if not had_one:
            time.sleep(0.0002)
    return b""


def command_line(pid: int) -> str:
    """What *pid* runs, for people; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            raw = file.read(4096)
    except OSError:
        return ""
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def kill_marked(prefix: str, besides: Container[int] = ()) -> list[str]:
    """SIGKILL everything marked with *prefix*, until nothing new appears; the command lines of what was found.

    Returns when they are dead; what cannot die now (it waits for a disk) is not waited for longer than a second.

    Args:
        besides: process groups whose members are ended, too, but not worth a mention.
    """
    ended: dict[int, str] = {}
    for _ in range(64):  # a fork bomb loses: each round kills all that exist, new ones have killed parents
        found = [pid for pid in marked(prefix) if not _zombie(pid)]
        if not found:
            break
        dying: list[int] = []
        for pid in found:
            try:
                if os.getpgid(pid) not in besides:
                    ended.setdefault(pid, command_line(pid))
                with suppress(OSError):  # no descriptor left: it is killed all the same
                    dying.append(os.pidfd_open(pid))
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _await_deaths(dying)
    return list(ended.values())


def _await_deaths(dying: list[int]) -> None:
    """Wait for the ends of processes that were killed, a second at most; closes their descriptors."""
    deadline = time.monotonic() + 1.0
    for fd in dying:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        os.close(fd)


def _zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


@cache
def mark_area() -> MarkArea:
    """That of this process and all its forks, looked up once."""
    return MarkArea()


class MarkArea:
    """Where the kernel finds the environment of this process and of its forks (/proc/PID/environ).

    That is what the process was executed with, whatever it has set since. A fork that executes nothing (a test
    module) would go unmarked, and so would whatever it forks; so the mark is written over the beginning. Safe only
    where the variables themselves have been set anew: the C library kept the original ones in this place.
    """

    def __init__(self) -> None:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
        self._start, end = int(fields[47]), int(fields[48])  # fields 50 and 51 of proc(5)
        self._size = end - self._start

    def write(self, mark: str) -> None:
        """Mark this process, and all that it will fork; does nothing where there is no room for it."""
        data = f"{MARK}={mark}".encode() + b"\0"
        if self._start and len(data) <= self._size:
            ctypes.memmove(self._start, data, len(data))
