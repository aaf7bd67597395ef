"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def place(path: Path, data: bytes, mode: int | None = None, *, new: bool = False, sync: bool = True) -> None:
    """Write *data* to *path*, in place of what was there, whenever this process ends.

    Args:
        mode: of the file; None: as the user's umask has it.
        new: something that is there already is not replaced.
        sync: it is there after a crash of the machine, too; False for what can be made again.

    Raises:
        FileExistsError: something is there, and *new*.
        OSError: it cannot be written; what was there still is.
    """
    # A name that nobody can foresee: a file that somebody else has made there would stay theirs, a key in it, too.
    beside = path.with_name(f".{path.name[:100]}.{os.urandom(6).hex()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(beside, flags, 0o666 if mode is None else mode & 0o600)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(fd, mode)
            if sync:
                os.fsync(fd)
        if new:
            os.link(beside, path)
        else:
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
