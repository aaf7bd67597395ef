"""Logs that are no files: the kernel's messages, and the systemd journal."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable

from shakeout.errors import JobError, ModuleFailed
from shakeout.modules.logs.lines import Lines, journal_message, kernel_message

#: Takes the source's name and the lines that came.
Took = Callable[[str, list[str]], None]

#: Bytes of the longest record of /dev/kmsg, with room.
_RECORD = 1 << 14


class KernelSource:
    """The messages of the kernel, from /dev/kmsg.

    Raises:
        ModuleFailed: it may not be read, or there is none.
    """

    def __init__(self, took: Took, *, from_start: bool) -> None:
        try:
            self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ModuleFailed(
                f"the kernel's messages cannot be read on this host (/dev/kmsg: {error.strerror}); that takes root, "
                "and not in a container"
            ) from None
        self._took = took
        #: Messages that were overwritten before they were read: at least so many times some were.
        self.lost = 0
        if not from_start:
            os.lseek(self._fd, 0, os.SEEK_END)
        else:
            self.attend()

    def fileno(self) -> int:
        """Readable when there are messages."""
        return self._fd

    def attend(self) -> None:
        """Take all that there are."""
        lines: list[str] = []
        while True:
            try:
                lines.append(kernel_message(os.read(self._fd, _RECORD)))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                self.lost += 1
        self._took("kernel", lines)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


class JournalSource:
    """The systemd journal, through journalctl.

    Raises:
        JobError: there is no journalctl.
    """

    def __init__(self, took: Took, *, from_start: bool) -> None:
        self._took = took
        self._lines = Lines()
        argv = ["journalctl", "--follow", "--output=json", "--quiet", "--no-pager"]
        cursor = None if from_start else _cursor()
        # What is written after the cursor is shown, however long journalctl takes to start.
        argv += ["--no-tail"] if cursor is None else [f"--after-cursor={cursor}"]
        self._fd, self._pid = _spawned(argv)

    def fileno(self) -> int:
        """Readable when there are entries."""
        return self._fd

    def attend(self) -> None:
        """Take what has come."""
        data = os.read(self._fd, 1 << 18)
        if not data:
            raise ModuleFailed("journalctl, which tells what comes into the journal, has ended by itself")
        self._took("journal", [journal_message(line) for line in self._lines.feed(data) if line])

    def close(self) -> None:
        """End journalctl."""
        os.close(self._fd)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _cursor() -> str | None:
    """Where the journal ends now; None if there is nothing in it."""
    import msgspec

    descriptor, pid = _spawned(["journalctl", "--lines=1", "--output=json", "--quiet", "--no-pager"])
    data = bytearray()
    try:
        while part := os.read(descriptor, 1 << 16):
            data += part
    finally:
        os.close(descriptor)
        os.waitpid(pid, 0)
    try:
        cursor = msgspec.json.decode(bytes(data).strip())["__CURSOR"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    return cursor if isinstance(cursor, str) else None


def _spawned(argv: list[str]) -> tuple[int, int]:
    """The descriptor of what a command writes, and its pid."""
    read, write = os.pipe()
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, write, 1)]
    try:
        # What interrupts the module goes to the whole job, but shall not end this before its last line.
        return read, os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsigmask=[signal.SIGINT])
    except FileNotFoundError:
        os.close(read)
        raise JobError(
            "the command journalctl is not on this host: it comes with the package systemd, and only a host that "
            "systemd runs has a journal; watch its files with path= instead"
        ) from None
    finally:
        os.close(write)
