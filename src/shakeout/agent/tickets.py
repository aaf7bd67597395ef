"""Places in the line for a host, in the order in which they were taken, whichever agent of the host gave them out.

Each is a numbered file in one folder, locked (flock) as long as somebody stands there: a place goes with whoever has
it, however that ends, and whoever comes next can wait for that without looking again and again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DIGITS = 12


class Ticket:
    """One place; held until `close`."""

    def __init__(self, path: Path, number: int, fd: int, owner: str) -> None:
        self.path = path
        self.number = number
        self.owner = owner
        self._fd = fd

    @property
    def held(self) -> bool:
        """Whether somebody stands here still."""
        return self._fd >= 0

    def close(self) -> None:
        """Leave the line; harmless the second time."""
        if self._fd >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


class TicketBox:
    """The places of one host.

    Args:
        folder: made when the first place is taken.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: Those that were given out here: nobody else need be asked about them.
        self._own: dict[int, Ticket] = {}

    def take(self, owner: str) -> Ticket:
        """The last place, for *owner*.

        Raises:
            OSError: there is no room for it.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with self._alone():
            number = max(self._numbers(), default=0) + 1
            path = self._folder / f"{number:0{_DIGITS}}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, owner.encode(errors="replace"))
        self._own = {own: ticket for own, ticket in self._own.items() if ticket.held}
        self._own[number] = Ticket(path, number, fd, owner)
        return self._own[number]

    def before(self, number: int | None = None) -> Iterator[tuple[Path, str]]:
        """The places before *number* (None: all) at which somebody stands, with their owners, the first first.

        What somebody left without saying so (a killed agent) is removed.
        """
        for earlier in sorted(self._numbers()):
            if number is not None and earlier >= number:
                return
            own = self._own.get(earlier)
            if own is not None and own.held:
                yield own.path, own.owner
                continue
            path = self._folder / f"{earlier:0{_DIGITS}}"
            owner = _standing(path)
            if owner is not None:
                yield path, owner

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - names only, at each Hello
        except OSError:
            return []
        return [int(name) for name in names if len(name) == _DIGITS and name.isdecimal()]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """In this block no other agent gives out a place; takes microseconds."""
        fd = os.open(self._folder / "door", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _standing(path: Path) -> str | None:
    """The owner of a place; None if nobody stands there any more."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 1024, 0).decode(errors="replace")
    else:
        path.unlink(missing_ok=True)
        return None
    finally:
        os.close(fd)
