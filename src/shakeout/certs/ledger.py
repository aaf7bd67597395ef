"""What the CA has signed and revoked: a file of JSON lines that only grows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from shakeout.errors import UsageError


class Issued(msgspec.Struct, frozen=True, tag="issued", tag_field="event"):
    """A certificate was made. Times are seconds of the Unix clock."""

    serial: str
    name: str
    role: Literal["host", "controller"]
    begins: int
    ends: int
    addresses: tuple[str, ...] = ()


class Revoked(msgspec.Struct, frozen=True, tag="revoked", tag_field="event"):
    """A certificate counts no more."""

    serial: str
    at: int


Entry = Issued | Revoked


class Record(msgspec.Struct, frozen=True):
    """One certificate, and when it was revoked (0: it was not)."""

    issued: Issued
    revoked_at: int = 0

    def state(self, now: float) -> str:
        """ "valid", "revoked", "expired" or "not yet" valid."""
        if self.revoked_at:
            return "revoked"
        if now > self.issued.ends:
            return "expired"
        return "valid" if now >= self.issued.begins else "not yet"


class Ledger:
    """The file; whoever writes has the CA's lock.

    An entry is written before what it tells of, so nothing was ever signed that could not be revoked. Half a last line
    (the writer was killed, the disk full) tells of nothing, and is taken away by the next writer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def records(self) -> list[Record]:
        """All certificates, in the order in which they were made.

        Raises:
            UsageError: the file was damaged.
        """
        lines, _ = self._lines()
        made: dict[str, Record] = {}
        for number, line in enumerate(lines, 1):
            try:
                entry = msgspec.json.decode(line, type=Entry)
                if isinstance(entry, Issued):
                    made[entry.serial] = Record(entry)
                elif not made[entry.serial].revoked_at:
                    made[entry.serial] = Record(made[entry.serial].issued, entry.at)
            except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                raise UsageError(
                    f"{self._path}:{number} is damaged ({error}); restore the CA's folder from a copy, or make a new "
                    "CA elsewhere with shakeout certs init --dir"
                ) from error
        return list(made.values())

    def add(self, *entries: Entry) -> None:
        """Write *entries*; they are on the disk when this returns."""
        _, whole = self._lines()
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, whole)
            os.pwrite(fd, b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries), whole)
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def _lines(self) -> tuple[list[bytes], int]:
        """The whole lines, and their size."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return [], 0
        whole = data.rfind(b"\n") + 1
        return data[:whole].splitlines(), whole
