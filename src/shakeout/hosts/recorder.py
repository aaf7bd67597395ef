"""Where hosts say what happened: the journal of the run, or nowhere."""

from __future__ import annotations

import os
from io import FileIO
from typing import BinaryIO, Protocol, cast

from shakeout.journal.events import BaseEvent


class Recorder(Protocol):
    """What sessions, jobs and hosts need of a journal; called from several threads."""

    def write(self, event: BaseEvent) -> object:
        """Record an event, stamped with the time and part that it belongs to."""

    def artifact(self, name: str) -> tuple[str, BinaryIO]:
        """A fresh file for bulk data, and its path relative to the run's folder."""

    def samples(self, name: str) -> tuple[str, BinaryIO]:
        """A fresh file for samples, and its path relative to the run's folder; "" if it is in none."""


class NullRecorder:
    """Records nothing: for tests and for looking around on hosts."""

    def write(self, event: BaseEvent) -> object:
        """Forget it."""
        return event

    def artifact(self, name: str) -> tuple[str, BinaryIO]:
        """A file that keeps nothing."""
        return "", open(os.devnull, "wb")  # noqa: PTH123 - the caller closes it

    def samples(self, name: str) -> tuple[str, BinaryIO]:
        """A file in memory, which is gone when nobody asks for its samples any more."""
        return "", cast("BinaryIO", _MemoryFile(os.memfd_create(name.encode("ascii", "replace").decode()[:100]), "r+"))


class _MemoryFile(FileIO):
    """A file that is closed when nobody needs it any more."""

    def __del__(self) -> None:
        self.close()
