"""The laboratory's CA: a folder with its key, its certificate, what it has signed, and what it has revoked."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shakeout.certs import signing
from shakeout.certs.ledger import Issued, Ledger, Record, Revoked
from shakeout.certs.naming import check_address, check_name
from shakeout.errors import UnknownName, UsageError
from shakeout.files.placing import place
from shakeout.wire.certificates import AUTHORITY, CERTIFICATE, KEY, REVOKED, Role

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

DAY = 86_400
#: Days that a certificate is valid if nobody says otherwise, and at most.
USUAL_DAYS, MOST_DAYS = 365, 3650
#: The CA outlives everything that it signs today.
_CA_DAYS = 30 * 365
#: Certificates begin some time ago: clocks of machines in a laboratory are often a little wrong.
_SLACK = 3600
_CA_KEY, _LEDGER = "ca-key.pem", "certificates.jsonl"


class Signed(msgspec.Struct, frozen=True):
    """A new certificate, its key and the CA's certificate, as files hold them."""

    issued: Issued
    files: dict[str, bytes]


class Laboratory:
    """An existing CA.

    Args:
        folder: of the CA.

    Raises:
        UsageError: there is none, or it cannot be read; says what to do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ledger = Ledger(folder / _LEDGER)
        try:
            self._pem = (folder / AUTHORITY).read_bytes()
            self._key = self._read_key()
            self._certificate: Certificate = signing.read_certificate(self._pem)
        except FileNotFoundError as error:
            raise UsageError(
                f"there is no laboratory's CA in {folder}; make one with shakeout certs init, or say with --dir where "
                "it is"
            ) from error
        except OSError as error:
            raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"the CA in {folder} is damaged ({error}); restore the folder from a copy, or make a new CA elsewhere "
                "with shakeout certs init --dir"
            ) from error

    @classmethod
    def found(cls, folder: Path) -> Laboratory:
        """Make a new CA in *folder*; what is there is never overwritten.

        Raises:
            UsageError: there is one already, or it cannot be written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(folder):
                if (folder / AUTHORITY).exists():
                    raise UsageError(f"there is a CA in {folder} already; give another folder with --dir for a new one")
                key, now = signing.new_key(), int(time.time())
                serial = secrets.randbits(63) + 1
                # Two laboratories' CAs have names of their own, so that neither is taken for the other.
                name = f"laboratory {serial:016x}"
                own = signing.authority(key, name, serial, now - DAY, now + _CA_DAYS * DAY)
                # The certificate comes last: without it there is no CA, and the next attempt begins anew.
                place(folder / _CA_KEY, signing.key_pem(key), 0o600)
                place(folder / REVOKED, signing.revocations_pem((), own, key, 1, now - _SLACK), 0o644)
                place(folder / AUTHORITY, signing.certificate_pem(own), 0o644)
        except OSError as error:
            raise UsageError(f"the CA cannot be made in {folder}: {error.strerror}") from error
        return cls(folder)

    @property
    def ends(self) -> float:
        """Until when it is valid, in seconds of the Unix clock."""
        return self._certificate.not_valid_after_utc.timestamp()

    def records(self) -> list[Record]:
        """All that it has signed, the oldest first."""
        return self._ledger.records()

    def issue(
        self, name: str, role: Role, addresses: Sequence[str] = (), days: float = USUAL_DAYS, *, begins: float = 0.0
    ) -> Signed:
        """Sign a certificate for a new key; those of that name before it stay valid.

        Args:
            addresses: what a host is reached as, besides its name.
            days: how long it is valid, from now on.
            begins: from when on, if not now; seconds of the Unix clock.

        Raises:
            UsageError: a name, address or time that is not accepted.
        """
        check_name(name, role)
        if not 0 < days <= MOST_DAYS:
            raise UsageError(f"a certificate cannot be valid for {days:g} days; more than 0 and up to {MOST_DAYS} are")
        now = int(time.time())
        issued = Issued(
            serial=f"{secrets.randbits(63) | 1 << 62:x}",  # 64 bits, as RFC 5280 wants it: unpredictable, positive
            name=name,
            role=role,
            begins=int(begins) or now - _SLACK,
            ends=int((begins or now) + days * DAY),
            addresses=tuple(check_address(each) for each in addresses),
        )
        key = signing.new_key()
        with self._writing():
            self._ledger.add(issued)
            self._write_revocations(now)
        certificate = signing.leaf(issued, key, self._certificate, self._key)
        files = {
            KEY: signing.key_pem(key),
            CERTIFICATE: signing.certificate_pem(certificate),
            AUTHORITY: self._pem,
        }
        return Signed(issued, files)

    def find(self, text: str) -> list[Record]:
        """The certificates of a name, or the one of a serial number.

        Raises:
            UnknownName: there are none.
            UsageError: both a host and a controller are called so.
        """
        records = self.records()
        serial = text.lower().replace(":", "").removeprefix("0x").lstrip("0")
        found = [r for r in records if r.issued.serial == serial] or [r for r in records if r.issued.name == text]
        if not found:
            raise UnknownName("certificate", text, {r.issued.name for r in records}, "shakeout certs list shows them")
        if len({record.issued.role for record in found}) > 1:
            serials = ", ".join(f"{r.issued.serial} ({r.issued.role})" for r in found)
            raise UsageError(f"both a host and a controller are called {text!r}; give a serial number: {serials}")
        return found

    def revoke(self, records: Sequence[Record]) -> list[Record]:
        """Revoke those of *records* that count still; returns them. The list is written in any case."""
        now = int(time.time())
        with self._writing():
            current = {record.issued.serial: record for record in self.records()}
            revoked = [r for r in records if not current[r.issued.serial].revoked_at]
            self._ledger.add(*(Revoked(record.issued.serial, now) for record in revoked))
            self._write_revocations(now)
        return revoked

    def revocations(self) -> bytes:
        """The list of what is revoked, as a file holds it."""
        return (self.folder / REVOKED).read_bytes()

    def _write_revocations(self, now: int) -> None:
        """From the ledger, always: so a list that an earlier process did not come to write is made up for."""
        pem = signing.revocations_pem(self.records(), self._certificate, self._key, time.time_ns(), now - _SLACK)
        place(self.folder / REVOKED, pem, 0o644)

    def _read_key(self) -> EllipticCurvePrivateKey:
        path = self.folder / _CA_KEY
        found = path.stat()
        if found.st_mode & 0o077:
            raise UsageError(f"{path}, the CA's secret key, can be read or changed by others: chmod 600 {path}")
        if found.st_uid not in (0, os.geteuid()):
            raise UsageError(f"{path} belongs to user {found.st_uid}, who could change it: chown {os.geteuid()} {path}")
        return signing.read_key(path.read_bytes())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with _alone(self.folder):
                yield
        except OSError as error:
            raise UsageError(f"the CA in {self.folder} cannot be written: {error.strerror}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Have the CA to oneself; ends with the process, however that ends."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
