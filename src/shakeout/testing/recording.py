"""A journal in memory, and artifacts in a folder."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import BinaryIO, TypeVar

from shakeout.errors import UsageError
from shakeout.hosts.recorder import NullRecorder
from shakeout.journal.artifacts import Artifacts
from shakeout.journal.events import BaseEvent
from shakeout.journal.samples import PREFIX, SUFFIX

Event = TypeVar("Event", bound=BaseEvent)


class Recording:
    """What sessions, jobs and hosts said happened.

    Args:
        folder: gets the artifacts (in ``artifacts/``); without one, an artifact raises UsageError.

    Attributes:
        events: all of them, oldest first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.events: list[BaseEvent] = []
        self.began_ns = time.monotonic_ns()
        self._folder = folder
        self._artifacts = Artifacts(folder) if folder is not None else None
        self._samples = Artifacts(folder, "") if folder is not None else None
        self._lock = threading.Lock()

    def write(self, event: BaseEvent) -> BaseEvent:
        """Keep *event*."""
        with self._lock:
            self.events.append(event)
        return event

    def artifact(self, name: str) -> tuple[str, BinaryIO]:
        """A fresh file in the folder, and its path relative to that."""
        if self._artifacts is None:
            raise UsageError(f"the artifact {name} has no place: make the Recording with a folder")
        return self._artifacts.create(name)

    def samples(self, name: str) -> tuple[str, BinaryIO]:
        """A fresh file for samples in the folder, and its name; without a folder, a file in memory."""
        if self._samples is None:
            return NullRecorder().samples(name)
        return self._samples.create(f"{PREFIX}{name}{SUFFIX}")

    def artifact_path(self, relative: str) -> Path:
        """Where an artifact is."""
        if self._folder is None:
            raise UsageError(f"there is no artifact {relative}: the Recording was made without a folder")
        return self._folder / relative

    def of(self, kind: type[Event]) -> list[Event]:
        """The events of one kind, oldest first."""
        with self._lock:
            return [event for event in self.events if isinstance(event, kind)]
