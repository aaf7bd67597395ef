"""Reads along while a journal is being written: woken by the kernel (inotify), not by a timer."""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Iterator
from pathlib import Path

from shakeout.journal.events import Event, RunFinished
from shakeout.journal.reader import JournalReader, is_locked

_IN_MODIFY, _IN_CLOSE_WRITE = 0x2, 0x8
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
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        if self._descriptor >= 0:
            libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_MODIFY | _IN_CLOSE_WRITE)

    def wait(self) -> None:
        """Return when something happened, or after a second at the latest."""
        if self._descriptor < 0:
            select.select([], [], [], _FALLBACK)
        elif select.select([self._descriptor], [], [], _FALLBACK)[0]:
            os.read(self._descriptor, 64 * 1024)

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
