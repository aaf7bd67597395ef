"""The folder with the files of one host or controller, ready to be copied to its place."""

from __future__ import annotations

from pathlib import Path

from shakeout.certs.laboratory import Signed
from shakeout.certs.placing import make_folder, place
from shakeout.certs.signing import read_certificate
from shakeout.errors import UsageError
from shakeout.wire.certificates import AUTHORITY, CERTIFICATE, KEY, REVOKED


def deliver(signed: Signed, folder: Path) -> None:
    """Write the files of *signed* into *folder*; those of an earlier certificate there are replaced.

    An agent or controller that reads the folder meanwhile keeps to the earlier ones until all are there.

    Raises:
        UsageError: they cannot be written, or the folder has the files of somebody else.
    """
    _check_owner(signed, folder)
    try:
        make_folder(folder)
        for file in (REVOKED, AUTHORITY, KEY, CERTIFICATE):
            place(folder / file, signed.files[file], 0o600 if file == KEY else 0o644)
    except OSError as error:
        raise UsageError(
            f"the certificate cannot be written to {folder}: {error.strerror}; give another folder with --out"
        ) from error


def _check_owner(signed: Signed, folder: Path) -> None:
    """See that *folder* is not that of another host or controller."""
    try:
        there = read_certificate((folder / CERTIFICATE).read_bytes()).subject
    except (OSError, ValueError):
        return
    if there != read_certificate(signed.files[CERTIFICATE]).subject:
        raise UsageError(
            f"{folder} has the certificate of somebody else ({there.rfc4514_string()}); give another folder with --out"
        )
