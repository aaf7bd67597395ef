"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def place(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write *data* to *path*, in place of what was there, whenever this process ends.

    Raises:
        OSError: it cannot be written; what was there still is.
    """
    # A name that nobody can foresee: a file that somebody else has made there would stay theirs, the key in it, too.
    beside = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(fd, mode)
            with open(fd, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(fd)
        finally:
            os.close(fd)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def make_folder(path: Path) -> None:
    """Make *path* for this user alone, if it is not there.

    Raises:
        OSError: it cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
