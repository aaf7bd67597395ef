"""Running one command within a test module, so that nothing of it is left when the module ends."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple, NoReturn

#: Seconds that a command has to end in after SIGINT, before it is killed.
PATIENCE = 2.0
_KEPT = 64 * 1024


class Finished(NamedTuple):
    """A command has ended.

    Attributes:
        status: exit status, or minus the number of the signal that ended it.
        output: what it wrote to stdout and stderr: the first and last 64 KiB (or *keep*) if it was more.
        stopped: it was stopped: by its deadline, or because somebody interrupted the module.
    """

    status: int
    output: str
    stopped: bool


class Uninterrupted:
    """A block in which no KeyboardInterrupt is raised: SIGINT waits for its end. In the main thread only.

    An interrupt shall end a waiting, and not lose what has just been read.
    """

    def __enter__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))

    def __exit__(self, *exc: object) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


class _Terminated(BaseException):
    """SIGTERM came."""


def run_command(
    argv: list[str],
    env: dict[str, str],
    *,
    deadline: float | None = None,
    keep: int = _KEPT,
    started: Callable[[int], None] | None = None,
    said: Callable[[bytes], None] | None = None,
) -> Finished:
    """Run *argv* with *env* over this process's environment; no shell, no standard input.

    SIGINT to this process interrupts the command, whose last words still count; SIGTERM ends both.

    Args:
        deadline: seconds after which the command gets SIGINT.
        keep: bytes that are kept of the beginning of its output, and of its end, if it is more than both.
        started: called with the command's pid as soon as it runs.
        said: called with each piece of output as it comes, for programs that tell something while they run.

    Raises:
        FileNotFoundError: there is no such command.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        return _Command(argv, env, deadline, keep).finish(started, said)
    except _Terminated:
        _die_of_sigterm()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Command:
    """A command that runs; always ended and reaped when `finish` returns or raises."""

    def __init__(self, argv: list[str], env: dict[str, str], deadline: float | None, keep: int) -> None:
        self._keep = keep
        self._output, write = os.pipe()
        try:
            self._pid = os.posix_spawnp(
                argv[0],
                argv,
                {**os.environ, **env},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, write, 1),
                    (os.POSIX_SPAWN_DUP2, write, 2),
                ],
                setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
            )
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(write)
        self._until = None if deadline is None else time.monotonic() + deadline
        self._stopping = self._killed = False
        self._head, self._tail = bytearray(), bytearray()

    def finish(
        self, started: Callable[[int], None] | None = None, said: Callable[[bytes], None] | None = None
    ) -> Finished:
        """Read what the command writes until it ends."""
        status: int | None = None
        try:
            while True:
                try:
                    if started is not None:
                        tell, started = started, None
                        tell(self._pid)
                    if not self._read(said):
                        break
                except KeyboardInterrupt:
                    self._stop()
            _, status = os.waitpid(self._pid, 0)
        finally:
            os.close(self._output)
            if status is None:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
        text = (self._head + self._tail).decode(errors="backslashreplace")
        return Finished(os.waitstatus_to_exitcode(status), text, self._stopping)

    def _read(self, said: Callable[[bytes], None] | None) -> bool:
        """Wait for output or the deadline; False if no more will come."""
        left = None if self._until is None else max(0.0, self._until - time.monotonic())
        if not select.select([self._output], [], [], left)[0]:
            if self._killed:
                return False  # a process that the command has left behind keeps its output open
            self._stop()
            return True
        with Uninterrupted():
            data = os.read(self._output, 1 << 16)
            room = max(0, self._keep - len(self._head))
            self._head += data[:room]
            self._tail = (self._tail + data[room:])[-self._keep :]
            if said is not None and data:
                said(data)
        return bool(data)

    def _stop(self) -> None:
        self._killed = self._stopping
        os.kill(self._pid, signal.SIGKILL if self._stopping else signal.SIGINT)
        self._stopping = True
        self._until = time.monotonic() + PATIENCE


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _die_of_sigterm() -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    raise SystemExit(128 + signal.SIGTERM)  # only if SIGTERM is blocked
