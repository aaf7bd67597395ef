"""The reservation of a host: kept in a file of the agent's, with an end, so that it survives what it should."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from shakeout.agent.telling import tell
from shakeout.errors import UsageError
from shakeout.files.placing import place
from shakeout.wire.harmless import one_line
from shakeout.wire.parts import Reservation

#: Nobody needs a host for longer than this without saying so again; seconds.
LONGEST = 366 * 86400.0
#: Characters of an owner's name, and of a reason.
LONGEST_OWNER, LONGEST_REASON = 200, 500
#: Bytes; a longer file was not written here.
_LONGEST_FILE = 1 << 16


class _Note(msgspec.Struct, frozen=True):
    """What stands in the file; *until* in seconds of this host's wall clock."""

    owner: str
    reason: str
    until: float


class ReservationFile:
    """Who the host is kept for. A file that cannot be understood is no reservation; standard error says so, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._note: _Note | None = None

    def current(self) -> Reservation | None:
        """The reservation that holds now; None if there is none (any more)."""
        note = self._read()
        left = note.until - time.time() if note is not None else 0.0
        return Reservation(note.owner, note.reason, left) if note is not None and left > 0 else None

    def set(self, owner: str, seconds: float, reason: str) -> None:
        """Keep the host for *owner*, from now on.

        Raises:
            UsageError: it is kept for somebody else, or this is none.
        """
        if not owner:
            raise UsageError("a reservation needs an owner, and the controller did not say who it is")
        if not 0 < seconds <= LONGEST:
            raise UsageError(f"a reservation lasts between 0 s and {LONGEST / 86400:g} d, not {seconds:g} s")
        self._check_owner(owner)
        note = _Note(one_line(owner, LONGEST_OWNER), one_line(reason, LONGEST_REASON), time.time() + seconds)
        try:
            place(self._path, msgspec.json.encode(note), 0o600)
        except OSError as error:
            raise UsageError(f"the reservation cannot be written on the host: {error.strerror}") from error

    def clear(self, owner: str, *, force: bool = False) -> Reservation | None:
        """End the reservation; the one that was ended.

        Args:
            force: also if it is somebody else's, which standard error records.

        Raises:
            UsageError: it is somebody else's.
        """
        before = self.current()
        if before is not None and before.owner != owner:
            if not force:
                self._check_owner(owner)
            who = one_line(owner, LONGEST_OWNER) or "somebody"
            tell(f"{who} has ended the reservation of {before.owner} ({before.reason})")
        self._path.unlink(missing_ok=True)
        return before

    def _check_owner(self, owner: str) -> None:
        before = self.current()
        if before is not None and before.owner != owner:
            raise UsageError(
                f"the host is {described(before)}; only {before.owner} may change that, or whoever says --force "
                "to `shakeout pool release`"
            )

    def _read(self) -> _Note | None:
        try:
            found = self._path.stat()
        except OSError:
            self._seen = self._note = None
            return None
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._seen, self._note = seen, self._parse()
        return self._note

    def _parse(self) -> _Note | None:
        try:
            with self._path.open("rb") as file:
                note = msgspec.json.decode(file.read(_LONGEST_FILE), type=_Note)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            tell(f"{self._path} is no reservation, so the host is free for all: {error}")
            return None
        owner, reason = one_line(note.owner, LONGEST_OWNER), one_line(note.reason, LONGEST_REASON)
        return _Note(owner, reason, note.until) if owner else None


def described(reservation: Reservation) -> str:
    """A reservation for people, in this machine's time: "reserved for ANNA until 18:40 (in 2 h 10 min): REASON"."""
    reason = f": {reservation.reason}" if reservation.reason else ""
    end = clock_time(time.time() + reservation.seconds)
    return f"reserved for {reservation.owner} until {end} (in {span(reservation.seconds)}){reason}"


def clock_time(moment: float) -> str:
    """A moment of the wall clock: "18:40", with its date if it is not today's."""
    local, today = time.localtime(moment), time.localtime()
    return time.strftime("%H:%M" if local[:3] == today[:3] else "%Y-%m-%d %H:%M", local)


def span(seconds: float) -> str:
    """A length of time in its two largest units: "2 h 10 min"."""
    left = max(1, round(seconds))
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
