"""One job of a session: its process group, its streams, its standard input. No loop here."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import struct
import termios
import time

from shakeout.wire.messages import WINDOW, JobDone, StartJob


class Stream:
    """One pipe (or terminal) that a job writes to."""

    __slots__ = ("credit", "fd", "job", "number", "paused")

    def __init__(self, job: Job, number: int, fd: int) -> None:
        self.job = job
        self.number = number
        self.fd = fd
        self.credit = WINDOW
        self.paused = False

    def waiting(self) -> int:
        """Bytes that the pipe holds now."""
        size = array.array("i", [0])
        try:
            fcntl.ioctl(self.fd, termios.FIONREAD, size)
        except OSError:
            return 0
        return size[0]


class Input:
    """What is still to be written to a job's standard input, and where.

    Attributes:
        given: bytes that came with the order, and for which the controller waits for no credit.
        owed: bytes that the job has taken, and that the controller has not been told of.
    """

    __slots__ = ("data", "end", "fd", "given", "owed")

    def __init__(self, fd: int, data: bytes, end: bool) -> None:
        self.fd = fd
        self.data = bytearray(data)
        self.end = end
        self.given = len(data)
        self.owed = 0

    def taken(self, size: int) -> int:
        """The job took *size* bytes; how many of these, and of earlier ones, to tell the controller of now."""
        given = min(size, self.given)
        self.given -= given
        self.owed += size - given
        if self.owed < WINDOW // 4:
            return 0
        owed, self.owed = self.owed, 0
        return owed


class Job:
    """One process group and its streams."""

    __slots__ = (
        "announce", "done", "ended_ticks", "id", "input", "pid", "started_ns", "streams", "survivors", "terminal",
        "trouble", "wanted_signals",
    )  # fmt: skip

    def __init__(self, order: StartJob) -> None:
        self.id = order.id
        self.announce = order.announce
        self.pid = 0
        self.started_ns = 0
        self.done = False
        #: Whether its process group outlived it.
        self.survivors = False
        #: When its leader was seen to have ended, in the kernel's `ticks`; 0 if nothing outlived it.
        self.ended_ticks = 0
        self.streams: dict[int, Stream] = {}
        #: None once its standard input is closed.
        self.input: Input | None = None
        #: Whether its standard streams are a terminal, the other end of which is its stream STDOUT.
        self.terminal = False
        #: What a child that could not be executed said.
        self.trouble = b""
        #: Signals that came before its process was known.
        self.wanted_signals: list[int] = []

    def signal(self, number: int) -> None:
        """Signal the process group."""
        if self.pid <= 0:
            return  # it could not be forked
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            signal_process(self.pid, number)  # forked a moment ago: it has not made its group yet
        except OSError:
            return  # no such signal: the controller checks, a hostile one gets nothing

    def ended(self, status: int, now: int) -> JobDone:
        """The message that says how it ended."""
        code = os.waitstatus_to_exitcode(status)
        error = self.trouble.decode(errors="replace")
        return JobDone(
            self.id,
            exit_status=code if code >= 0 and not error else None,
            signal=-code if code < 0 else None,
            started_ns=self.started_ns,
            finished_ns=now,
            survivors=self.survivors or bool(self.streams),
            error=error,
            pid=self.pid,
        )


def not_started(order: StartJob, error: OSError | ValueError | str) -> JobDone:
    """The message that says why a job could not be started."""
    now = time.monotonic_ns()
    text = str(error)
    if isinstance(error, FileNotFoundError):
        text = f"there is no program {order.argv[0] if order.argv else 'bash'!r} on this host"
    elif isinstance(error, OSError):
        text = f"the host could not start it: {error.strerror}"
    return JobDone(order.id, None, None, now, now, error=text)


def argv_of(order: StartJob) -> list[str]:
    """The argument list that an order for a command stands for.

    Raises:
        ValueError: it is empty.
    """
    if order.argv is not None:
        if not order.argv:
            raise ValueError("an empty argument list starts nothing")
        return list(order.argv)
    return ["bash", "-c", order.shell or ""]


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Give a terminal a size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0))


def signal_process(pid: int, number: int) -> None:
    """Signal one process; one that is gone needs none."""
    try:
        os.kill(pid, number)
    except OSError:
        return


def kill_group(pid: int) -> None:
    """SIGKILL a process group."""
    if pid <= 0:
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def group_lives(pid: int) -> bool:
    """Whether a process group has a process."""
    if pid <= 0:
        return False
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
