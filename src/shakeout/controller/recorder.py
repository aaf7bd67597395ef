"""The journal as one part of a run writes it, and those who look on."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TextIO

import msgspec

from shakeout.errors import JournalBroken
from shakeout.journal.events import BaseEvent, Match, PartStarted
from shakeout.journal.writer import JournalWriter

if TYPE_CHECKING:
    import logging

#: Characters of an event in the debug log.
_LONGEST = 2000


class Observer(Protocol):
    """Looks on while a run is made; must be quick, and is called from several threads."""

    def event(self, event: BaseEvent) -> None:
        """Something was written to the journal."""


class Trouble:
    """What went wrong with the recording of a run: a run that was not recorded whole has no good verdict.

    Attributes:
        error: the first that could not be written; None while all could.
    """

    def __init__(self) -> None:
        self.error: JournalBroken | None = None

    def note(self, error: JournalBroken) -> None:
        """Something could not be recorded."""
        self.error = self.error or error


class PartRecorder:
    """Writes events of one part (0: of the run itself).

    When the journal cannot be written, the thread that made this recorder (the recipe's) is told by JournalBroken,
    unless it is `quiet`; all others go on, because hosts are put back whether that can be recorded or not.

    Args:
        part: its number, from 1.
        observers: are told every event once it is written.
        trouble: of the whole run.

    Attributes:
        quiet: nothing is raised any more: hosts are being restored.
    """

    def __init__(
        self,
        journal: JournalWriter,
        part: int,
        observers: tuple[Observer, ...] = (),
        trouble: Trouble | None = None,
    ) -> None:
        self._journal = journal
        self.part = part
        self.trouble = trouble or Trouble()
        self.quiet = False
        self._observers = list(observers)
        self._owner = threading.get_ident()

    @property
    def began_ns(self) -> int:
        """When the run began, on this machine's monotonic clock."""
        return self._journal.began_ns

    def write(self, event: BaseEvent) -> BaseEvent:
        """Append *event*, as one of this part.

        Raises:
            JournalBroken: this, or something before it, could not be written.
        """
        try:
            written = self._journal.write(msgspec.structs.replace(event, part=self.part))
        except JournalBroken as error:
            self.trouble.note(error)
            written = event
        if self.trouble.error is not None and not self.quiet and threading.get_ident() == self._owner:
            raise self.trouble.error
        for observer in list(self._observers):
            try:
                observer.event(written)
            except Exception:  # noqa: BLE001 - who looks on does not change what happens
                self._observers.remove(observer)
        return written

    def artifact(self, name: str) -> tuple[str, BinaryIO]:
        """A fresh file in the run's folder, and its path relative to that."""
        return self._journal.artifact(name)

    def samples(self, name: str) -> tuple[str, BinaryIO]:
        """A fresh file for samples in the run's folder, and its name."""
        return self._journal.samples(name)

    def artifact_path(self, relative: str) -> Path:
        """Where an artifact is."""
        return self._journal.folder / relative


class Descriptions:
    """Writes which hosts each part got."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._recipe = ""

    def event(self, event: BaseEvent) -> None:
        """Something was written to the journal."""
        if isinstance(event, PartStarted):
            self._recipe = event.recipe
        elif isinstance(event, Match):
            lines = "".join(f"    {line}\n" for line in event.description)
            self._stream.write(f"{self._recipe} runs on:\n{lines}")
            self._stream.flush()


class DebugLog:
    """Logs every event with all that it says, for those who look for a mistake."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def event(self, event: BaseEvent) -> None:
        """Something was written to the journal."""
        defaults = dict(zip(reversed(event.__struct_fields__), reversed(event.__struct_defaults__), strict=False))
        said = [
            f"{name}={value!r}"
            for name, value in msgspec.structs.asdict(event).items()
            if name not in ("t_ns", "part") and (name not in defaults or value != defaults[name])
        ]
        self._log.debug("part %d: %s", event.part, " ".join([type(event).__name__, *said])[:_LONGEST])
