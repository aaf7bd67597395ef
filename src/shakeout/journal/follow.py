"""Reads along while a journal is being written: woken by the kernel (inotify), not by a timer."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from shakeout.files.inotify import CLOSE_WRITE, MODIFY, Inotify
from shakeout.journal.events import Event, RunFinished
from shakeout.journal.reader import JournalReader, is_locked

#: Seconds between looks where the kernel tells nothing: network file systems, no inotify left.
_FALLBACK = 1.0


def follow(reader: JournalReader) -> Iterator[Event]:
    """All events from the reader's offset on, those to come included, until the run is over.

    Ends after ``run-finished``, or when the controller is gone.

    Raises:
        JournalError: the journal is gone or cannot be read.
    """
    with _Watch(reader.path) as watch:
        while True:
            over = not is_locked(reader.path)  # asked before reading, so that nothing is missed
            for event in reader.events():
                yield event
                if isinstance(event, RunFinished):
                    return
            if over:
                return
            watch.wait()


class _Watch:
    """Tells when a file was written to or its writer closed it (which a killed one does, too)."""

    def __init__(self, path: Path) -> None:
        self._queue: Inotify | None = None
        with suppress(OSError):  # no more of them are allowed
            self._queue = Inotify()
            self._queue.add(os.fsencode(path), MODIFY | CLOSE_WRITE)

    def wait(self) -> None:
        """Return when something happened, or after a second at the latest."""
        waited_for = [] if self._queue is None else [self._queue]
        if select.select(waited_for, [], [], _FALLBACK)[0] and self._queue is not None:
            self._queue.events()

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._queue is not None:
            self._queue.close()
