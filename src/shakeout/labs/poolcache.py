"""What pool files say, kept in a form that is read a thousand times faster than YAML.

Only files that were read and found to be in order are kept, each with what tells it from a changed one. Nothing is
lost if this is removed, or cannot be written.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

import shakeout
from shakeout.files.placing import place
from shakeout.modules import digest

#: Seconds for which a file must have been left alone: a change at the same moment would not be told apart.
_SETTLED = 2.0

#: mtime and ctime in ns, size, inode.
_Stamp = tuple[int, int, int, int]


class _Kept(msgspec.Struct):
    release: str
    folder: str
    files: dict[str, tuple[_Stamp, dict[str, Any]]] = {}


class PoolCache:
    """That of one pool's folder.

    Args:
        cache: the user's folder for what can be made again; need not exist.
    """

    def __init__(self, cache: Path, folder: Path) -> None:
        place = str(folder.resolve())
        self._path = (
            cache / "pools" / f"{digest.sha256(place.encode(errors='surrogateescape')).hexdigest()[:32]}.msgpack"
        )
        self._kept = _Kept(shakeout.__version__, place.encode(errors="replace").decode())
        self._fresh: dict[str, tuple[_Stamp, dict[str, Any]]] = {}
        self._changed = False
        try:
            if not _own(self._path.parent):
                return
            kept = msgspec.msgpack.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return
        if (kept.release, kept.folder) == (self._kept.release, self._kept.folder):
            self._kept = kept

    def find(self, file: os.DirEntry[str]) -> dict[str, Any] | None:
        """What *file* says; None if that is not known, or not any more."""
        try:
            stamp = _stamp(file)
        except OSError:
            return None
        known = self._kept.files.get(file.name)
        if known is None or known[0] != stamp:
            return None
        self._fresh[file.name] = known
        return known[1]

    def put(self, file: os.DirEntry[str], data: dict[str, Any]) -> None:
        """Keep what *file* says, if it has been left alone for a while."""
        try:
            found = file.stat()
        except OSError:
            return
        if time.time() - max(found.st_mtime, found.st_ctime) > _SETTLED:
            self._fresh[file.name] = (_stamp(file), data)
            self._changed = True

    def save(self) -> None:
        """Write it, if that is worth it; a folder that cannot be written is no error."""
        if not self._changed and len(self._fresh) == len(self._kept.files):
            return
        self._kept.files = self._fresh
        with suppress(OSError, OverflowError, TypeError, ValueError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _own(self._path.parent):
                place(self._path, msgspec.msgpack.encode(self._kept), 0o600, sync=False)


def _own(folder: Path) -> bool:
    """Whether nobody else can write to *folder*: which host is which is not to be learnt from others."""
    found = folder.stat()
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022


def _stamp(file: os.DirEntry[str]) -> _Stamp:
    found = file.stat()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
