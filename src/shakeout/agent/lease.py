"""The lease of a host: one controller at a time, kept as a lock on the host itself.

A lock of the kernel's (flock) rather than a note in a file: it goes with its holder, however that ends, and two
agents on one host (two people's ssh sessions) see the same one.
"""

from __future__ import annotations

import fcntl
import os

from shakeout.errors import LeaseHeld


class Lease:
    """A lock on a file; its content says who holds it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def take(self, holder: str) -> None:
        """Take the lease for *holder*.

        Raises:
            LeaseHeld: somebody else has it; `holder` says who.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.pread(fd, 512, 0).decode(errors="replace").strip()
            os.close(fd)
            raise LeaseHeld(f"the host is held by {other or 'another controller'}", holder=other) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, holder.encode()[:512], 0)
        self._fd = fd

    def release(self) -> None:
        """Give it back; harmless when it is not held."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1
