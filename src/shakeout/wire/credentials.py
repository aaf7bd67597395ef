"""A folder with a certificate, its key, the laboratory's CA and its revocation list: what TLS is spoken with.

The files are looked at for each new connection, so renewing or revoking takes a copy and no restart. What cannot be
used leaves the former ones in force.
"""

from __future__ import annotations

import os
import stat
import time
from _thread import allocate_lock  # as in the reactor
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakeout.errors import UsageError
from shakeout.wire.certificates import (
    AUTHORITY,
    CERTIFICATE,
    FILES,
    KEY,
    OTHER,
    REVOKED,
    REVOKED_CODE,
    Party,
    Role,
    objection,
    party,
)  # fmt: skip
from shakeout.wire.certificates import verification_failure as failure

if TYPE_CHECKING:
    import ssl

#: X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h: `ssl` has no name for it.
_NO_CHECK_TIME = 0x200000
#: Attempts to read files that change while they are read.
_ATTEMPTS = 3

_Stamp = tuple[tuple[int, int, int, int], ...]


class Credentials:
    """What one side shows, and what it goes by when it is shown something.

    Args:
        folder: has `FILES`.
        role: what the certificate must be for.
        say: told when new files cannot be used, and when the certificate is revoked or not valid at the time: that
            is for others to judge, and these files must be renewable all the same.

    Raises:
        UsageError: the files are missing, broken, readable by others, or of another role; says what to do.
    """

    def __init__(self, folder: Path, role: Role, say: Callable[[str], None] = lambda text: None) -> None:
        self._folder = folder
        self._role: Role = role
        self._say = say
        self._lock = allocate_lock()
        self._stamp: _Stamp = ()
        self._context, self._own, self._revoked = self._load()
        self._warn()

    @property
    def own(self) -> Party:
        """Whom its own certificate is for."""
        return self._own

    def context(self) -> ssl.SSLContext:
        """What a new connection is to be made with; read again if the files have changed."""
        with self._lock:
            if self._look() != self._stamp:
                try:
                    self._context, self._own, self._revoked = self._load()
                    self._warn()
                except UsageError as error:
                    self._say(f"{error} (those that were read before stay in force)")
            return self._context

    def _look(self) -> _Stamp:
        stamp = []
        for file in FILES:
            try:
                found = os.stat(self._folder / file)  # noqa: PTH116 - a fifth of the time, for each connection
                stamp.append((found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino))
            except OSError:
                stamp.append((0, 0, 0, 0))
        return tuple(stamp)

    def _load(self) -> tuple[ssl.SSLContext, Party, bool]:
        """What the files amount to. Whatever comes of it, the same files are not tried, and complained of, twice."""
        for _ in range(_ATTEMPTS):
            self._stamp = self._look()
            try:
                check_files(self._folder, self._role)
                made = _context(self._folder, self._role), *_own_party(self._folder, self._role)
            except UsageError:
                if self._look() == self._stamp:
                    raise
            else:
                if self._look() == self._stamp:
                    return made
        raise UsageError(f"the certificates in {self._folder} change all the time")

    def _warn(self) -> None:
        own, now = self._own, time.time()
        problem = "was revoked" if self._revoked else f"is valid from {day(own.begins)} to {day(own.ends)} only"
        if self._revoked or not own.begins <= now <= own.ends:
            self._say(
                f"the certificate in {self._folder} {problem}, and nobody will accept it now; renew it (shakeout certs "
                f"issue --{self._role} {own.name}), or look at the clock"
            )


def day(seconds: float) -> str:
    """A moment of the Unix clock as a date, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def check_files(folder: Path, role: Role) -> None:
    """See that all files are there, and nobody else's business.

    Raises:
        UsageError: they are not; says what to do.
    """
    make = f"shakeout certs issue --{role} NAME, where the laboratory's CA is, makes such a folder"
    if not folder.is_dir():
        raise UsageError(f"there are no certificates: {folder} is no folder; {make}")
    for file in ("", *FILES):
        path = folder / file
        try:
            found = path.stat()
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror}); {make}") from error
        if found.st_uid not in (0, os.geteuid()):
            raise UsageError(f"{path} belongs to user {found.st_uid}, who could change it: chown {os.geteuid()} {path}")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(f"{path} can be changed by others, who could let in whom they like: chmod go-w {path}")
        if file == KEY and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"{path}, a secret key, can be read or changed by others: chmod 600 {path}")


def _context(folder: Path, role: Role) -> ssl.SSLContext:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role == "host" else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # hosts are called what their pool calls them: `certificates.objection`
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if role == "host":
        context.num_tickets = 0  # nobody comes back without showing a certificate
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_STRICT
    _load_pems(context, folder)
    return context


def _load_pems(context: ssl.SSLContext, folder: Path) -> None:
    import ssl

    file = KEY
    try:
        # An encrypted key would otherwise be asked for on the terminal.
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=lambda: b"")
        for file in (AUTHORITY, REVOKED):
            before = sum(context.cert_store_stats().values())
            context.load_verify_locations(folder / file)
            if sum(context.cert_store_stats().values()) == before:
                raise UsageError(f"{folder / file} has nothing in it that belongs there; copy it again")
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        what = f"{folder / CERTIFICATE} and {KEY}, or one of them," if file == KEY else f"{folder / file}"
        raise UsageError(
            f"{what} cannot be used ({reason}); copy the files of one folder again, all of them"
        ) from error
    except OSError as error:
        raise UsageError(f"{folder / file} cannot be read: {error.strerror}") from error


def _own_party(folder: Path, role: Role, *, heed_list: bool = True) -> tuple[Party, bool]:
    """Whom the certificate is for, and whether it is revoked, as the other side sees it: a twin of it, here in memory.

    Raises:
        UsageError: the other side would refuse it, for another reason than the time or a revocation.
    """
    import ssl

    context = _context(folder, role)
    twin = _context(folder, OTHER[role])
    twin.verify_flags |= _NO_CHECK_TIME
    if not heed_list:
        twin.verify_flags &= ~ssl.VERIFY_CRL_CHECK_LEAF
    context.verify_mode = ssl.CERT_NONE
    try:
        own = party(_shown(context, twin, role))
        problem = objection(own, role)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == REVOKED_CODE:
            return _own_party(folder, role, heed_list=False)[0], True
        problem = failure(error, role)
    except ssl.SSLError as error:
        problem = f"it is not accepted ({error.reason})"
    if problem:
        raise UsageError(
            f"{folder / CERTIFICATE} is of no use here: {problem}; shakeout certs issue --{role} NAME, with the "
            "laboratory's CA, makes a new one"
        )
    return own, False


def _shown(context: ssl.SSLContext, twin: ssl.SSLContext, role: Role) -> dict[str, Any]:
    """The certificate that *twin* is shown by *context*.

    Raises:
        ssl.SSLError: it does not accept it.
    """
    import ssl

    to_us, to_twin = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_us, to_twin, server_side=role == "host")
    theirs = twin.wrap_bio(to_twin, to_us, server_side=role == "controller")
    for _ in range(3):  # as many flights as there are
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return theirs.getpeercert() or {}
