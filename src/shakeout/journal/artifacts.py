"""The ``artifacts/`` folder of a run: whole outputs, received files, whatever is too large for an event.

Names come from hosts and users, so that none of them is used as a path before it went through
:func:`safe_name`; a reader accepts only what :func:`is_artifact` does.
"""

from __future__ import annotations

import os
import string
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from shakeout.errors import JournalBroken

#: The folder's name within a run's.
FOLDER = "artifacts"
#: Longest name of an artifact, in bytes.
MAX_NAME = 120

_SAFE = frozenset(string.ascii_letters + string.digits + "._-+=@")


def safe_name(name: str) -> str:
    """*name* as one file name: ASCII letters, digits and ``._-+=@``; never hidden, empty or too long."""
    text = "".join(c if c in _SAFE else "-" for c in name[: 4 * MAX_NAME])
    while "--" in text:
        text = text.replace("--", "-")
    text = text.strip("-").lstrip(".-") or "artifact"
    if len(text) > MAX_NAME:
        stem, suffix = _split(text)
        text = stem[: MAX_NAME - len(suffix)] + suffix
    return text


def is_artifact(relative: str) -> bool:
    """Whether *relative* can only mean a file directly in the artifacts folder of its run."""
    folder, slash, name = relative.partition("/")
    safe = 0 < len(name) <= 2 * MAX_NAME and _SAFE.issuperset(name) and name[0] not in ".-"
    return folder == FOLDER and slash == "/" and safe


class Artifacts:
    """Makes the files. May be used from several threads.

    Args:
        folder: within the run's; "" is that itself.
    """

    def __init__(self, run_folder: Path, folder: str = FOLDER) -> None:
        self._folder = run_folder / folder
        self._prefix = f"{folder}/" if folder else ""
        self._lock = Lock()
        #: Names that somebody wanted again -> the highest number tried; others are not worth memory.
        self._taken: dict[str, int] = {}

    def create(self, name: str) -> tuple[str, BinaryIO]:
        """A new file for writing, and its path relative to the run's folder.

        The name is *name* made safe, with a number before its suffix where it is taken.

        Raises:
            JournalBroken: the file cannot be made.
        """
        wanted = safe_name(name)
        stem, suffix = _split(wanted)
        try:
            self._folder.mkdir(exist_ok=True)
            number = self._taken.get(wanted, 1)
            while True:
                chosen = wanted if number == 1 else f"{stem}-{number}{suffix}"
                try:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                    descriptor = os.open(self._folder / chosen, flags, 0o666)
                except FileExistsError:
                    number = self._next(wanted)
                    continue
                return f"{self._prefix}{chosen}", os.fdopen(descriptor, "wb", buffering=0)
        except OSError as error:
            raise JournalBroken(
                f"the artifact {wanted!r} cannot be made in {self._folder}: {error.strerror}; "
                "make room there, or choose another place with --out"
            ) from error

    def _next(self, wanted: str) -> int:
        with self._lock:
            number = self._taken[wanted] = self._taken.get(wanted, 1) + 1
        return number


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix (at most ten characters, with its dot)."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and dot and len(suffix) < 10 else (name, "")
