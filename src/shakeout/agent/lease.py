"""The lease of a host: one controller at a time, kept as a lock on the host itself.

A lock of the kernel's (flock) rather than a note in a file: it goes with its holder, however that ends, and two
agents on one host (two people's ssh sessions) see the same one.
"""

from __future__ import annotations

import fcntl
import os

from shakeout.errors import LeaseHeld
from shakeout.wire.harmless import one_line


class Lease:
    """A lock on a file; its content says who holds it, and the file's time since when.

    Nobody else can open the file: whoever can read one can lock it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def take(self, holder: str) -> None:
        """Take the lease for *holder*.

        Raises:
            LeaseHeld: somebody else has it; `holder` says who.
        """
        while (fd := self._open()) < 0:
            pass  # an agent that left has removed it at this moment
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other, since = _note(fd)
            os.close(fd)
            text = f"the host is held by {since_when(other or 'another controller', since)}"
            raise LeaseHeld(text, holder=other) from None
        if not self._stands(fd):
            os.close(fd)
            self.take(holder)
            return
        os.ftruncate(fd, 0)
        os.pwrite(fd, holder.encode(errors="replace")[:512], 0)
        self._fd = fd

    def _open(self) -> int:
        """The file, made with its folder if need be; -1 if that has just been removed."""
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)  # noqa: PTH103, PTH120
            return -1

    def _stands(self, fd: int) -> bool:
        """Whether *fd*, locked now, is still the file that others find."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))  # noqa: PTH116
        except FileNotFoundError:
            return False

    @property
    def identity(self) -> str:
        """What tells this lock from all others of this machine, whoever asks and by whatever name."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        return f"{found.st_dev}:{found.st_ino}"

    def noted(self) -> tuple[str, float]:
        """Who holds it as the file says, "" for nobody, and since when (wall time); the lock itself is not tried."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return "", 0.0
        try:
            return _note(fd)
        finally:
            os.close(fd)

    def release(self) -> None:
        """Give it back; harmless when it is not held."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def since_when(holder: str, since: float) -> str:
    """Who holds a host, and since when in this machine's time."""
    from shakeout.agent.reservation import clock_time

    return f"{holder} since {clock_time(since)}" if since else holder


def _note(fd: int) -> tuple[str, float]:
    return one_line(os.pread(fd, 512, 0).decode(errors="replace"), 512), os.fstat(fd).st_mtime
