"""The folder with the files of one host or controller, ready to be copied to its place."""

from __future__ import annotations

from pathlib import Path

from shakeout.certs import signing
from shakeout.certs.laboratory import Signed
from shakeout.errors import UsageError
from shakeout.files.placing import place
from shakeout.wire.certificates import AUTHORITY, CERTIFICATE, KEY, REVOKED, Role


def deliver(signed: Signed, folder: Path, revocations: bytes) -> None:
    """Write the files of *signed* into *folder*; those of an earlier certificate there are replaced.

    An agent or controller that reads the folder meanwhile keeps to the earlier ones until all are there.

    Args:
        revocations: the revocation list as it is now.

    Raises:
        UsageError: they cannot be written.
    """
    files = {**signed.files, REVOKED: revocations}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in (REVOKED, AUTHORITY, KEY, CERTIFICATE):
            place(folder / file, files[file], 0o600 if file == KEY else 0o644)
    except OSError as error:
        raise UsageError(
            f"the certificate cannot be written to {folder}: {error.strerror}; give another folder with --out"
        ) from error


def check_owner(name: str, role: Role, folder: Path) -> None:
    """See that *folder* is not that of another host or controller.

    Raises:
        UsageError: it is.
    """
    try:
        there = signing.subject((folder / CERTIFICATE).read_bytes())
    except (OSError, ValueError):
        return
    if there != (name, role):
        raise UsageError(
            f"{folder} has the certificate of {there[1] or 'somebody'} {there[0]}; give another folder with --out"
        )
