"""Processes that put load on a host for a test module: forked, seen while they work, gone whatever happens."""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from shakeout.errors import ModuleFailed
from shakeout.processes.namespaces import end_with_parent

if TYPE_CHECKING:
    from shakeout.modules.beat import Beat

#: What a worker does; it never needs to return. Gets its number and its counters.
Task = Callable[[int, memoryview], None]


class Workers:
    """Some processes that do the same; killed at the end of the block, and by the kernel if this process ends before.

    Each has counters that this process reads at any time: numbers in memory that both have.

    Args:
        count: how many processes.
        task: what each does.
        counters: how many 64-bit counters each has.
    """

    def __init__(self, count: int, task: Task, *, counters: int) -> None:
        self._count, self._task, self._width = count, task, counters
        self._memory = mmap.mmap(-1, max(1, count * counters) * 8)
        self._cells = memoryview(self._memory).cast("Q")
        self._pids: dict[int, int] = {}
        self._said, self._say = os.pipe()

    def __enter__(self) -> Workers:
        try:
            for number in range(self._count):
                self._start(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor, pid in self._pids.items():
            os.kill(pid, signal.SIGKILL)
            self._reap(pid)
            os.close(descriptor)
        self._pids.clear()
        os.close(self._said)
        os.close(self._say)
        with suppress(BufferError):  # somebody still looks at the counters: they go with the last look
            self._cells.release()
            self._memory.close()

    def attend(self, beat: Beat) -> None:
        """Have *beat* see to it that a worker which ends is a failure.

        Raises:
            ModuleFailed: from within *beat*; what the worker said, or the signal that ended it.
        """
        for descriptor in self._pids:
            beat.attend(descriptor, self._one_ended)

    def counters(self, number: int) -> memoryview:
        """The counters of one worker, as they are now."""
        return self._cells[number * self._width : (number + 1) * self._width]

    def total(self, counter: int) -> int:
        """The sum of one counter over all workers."""
        return sum(self._cells[number * self._width + counter] for number in range(self._count))

    def cpu(self) -> list[float]:
        """CPU seconds that each worker has used so far."""
        return [cpu_of(pid) for pid in self._pids.values()]

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._work(number, parent)
        self._pids[os.pidfd_open(pid)] = pid

    def _work(self, number: int, parent: int) -> None:
        """In the worker; does not return."""
        try:
            # The job's group gets SIGINT as a whole; when to end is for the module's own process to say.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            end_with_parent(parent)
            self._task(number, self.counters(number))
        except BaseException as error:  # noqa: BLE001 - the edge of a process
            text = error.args[0] if isinstance(error, ModuleFailed) else _described(error)
            os.write(self._say, str(text).encode(errors="replace")[:2000])
            os._exit(1)
        os._exit(0)

    def _one_ended(self) -> None:
        for pid in list(self._pids.values()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._forget(pid)
                code = os.waitstatus_to_exitcode(status)
                os.set_blocking(self._said, False)
                try:
                    said = os.read(self._said, 1 << 12).decode(errors="replace")
                except BlockingIOError:
                    said = ""
                if code < 0:
                    said = f"a worker was ended by signal {-code}" + (
                        "; if nobody else did that, the host had no memory left" if code == -signal.SIGKILL else ""
                    )
                raise ModuleFailed(said or "a worker ended by itself")

    def _forget(self, pid: int) -> None:
        for descriptor, each in list(self._pids.items()):
            if each == pid:
                del self._pids[descriptor]
                os.close(descriptor)

    def _reap(self, pid: int) -> None:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # ended and waited for already


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, exact, from its clock (clock_getcpuclockid(3)); 0 if it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _described(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "there is no memory left" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
