"""The journal as one part of a run writes it, and those who look on."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from shakeout.journal.events import BaseEvent
from shakeout.journal.writer import JournalWriter


class Observer(Protocol):
    """Looks on while a run is made; must be quick, and is called from several threads."""

    def event(self, event: BaseEvent) -> None:
        """Something was written to the journal."""


class PartRecorder:
    """Writes events of one part (0: of the run itself).

    Args:
        part: its number, from 1.
        observers: are told every event once it is written.
    """

    def __init__(self, journal: JournalWriter, part: int, observers: tuple[Observer, ...] = ()) -> None:
        self._journal = journal
        self.part = part
        self._observers = observers

    @property
    def began_ns(self) -> int:
        """When the run began, on this machine's monotonic clock."""
        return self._journal.began_ns

    def write(self, event: BaseEvent) -> BaseEvent:
        """Append *event*, as one of this part."""
        written = self._journal.write(msgspec.structs.replace(event, part=self.part))
        for observer in self._observers:
            observer.event(written)
        return written

    def artifact(self, name: str) -> tuple[str, BinaryIO]:
        """A fresh file in the run's folder, and its path relative to that."""
        return self._journal.artifact(name)

    def artifact_path(self, relative: str) -> Path:
        """Where an artifact is."""
        return self._journal.folder / relative
