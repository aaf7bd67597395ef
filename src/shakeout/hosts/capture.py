"""What a job prints: bounded in memory, whole in an artifact."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO

from shakeout.errors import ShakeoutError

#: Bytes kept in memory from the beginning, and as many from the end.
KEPT = 512 << 10
#: What fits into a journal line; only a longer output gets an artifact.
EXCERPT = 4 << 10
#: An artifact ends here, unless the configuration says otherwise.
ARTIFACT_LIMIT = 4 << 30


class Capture:
    """One stream of one job. `add` is called in the loop's thread, the rest in any.

    Args:
        open_artifact: makes the file for an output that is longer than a journal line should be.
        limit: bytes after which the artifact is cut; it then says so.
    """

    def __init__(self, open_artifact: Callable[[], tuple[str, BinaryIO]], limit: int = ARTIFACT_LIMIT) -> None:
        self._open_artifact = open_artifact
        self._limit = limit
        self._head = bytearray()
        self._tail = bytearray()
        self._file: BinaryIO | None = None
        self._ended = False
        self._lock = threading.Lock()
        #: Path of the artifact relative to the run's folder; "" when there is none.
        self.artifact = ""
        #: Bytes in all.
        self.size = 0
        #: Bytes after which the artifact was cut; 0 when it is whole.
        self.truncated_at = 0
        #: Why the artifact could not be written; "" when it could.
        self.trouble = ""

    def add(self, data: bytes) -> None:
        """More output."""
        with self._lock:
            if (
                self._file is None
                and self.size + len(data) > EXCERPT
                and not (self.artifact or self.trouble or self._ended)
            ):
                self._begin_artifact()
            if self._file is not None:
                self._store(data)
            elif self.artifact and not self.truncated_at:
                self.truncated_at = self.size  # it came after `end`
            self.size += len(data)
            room = KEPT - len(self._head)
            if room > 0:
                self._head += data[:room]
                data = data[room:]
            if data:
                self._tail += data
                if len(self._tail) > 2 * KEPT:
                    del self._tail[:-KEPT]

    def value(self) -> bytes:
        """All output; of a very long one the beginning and the end, with a line between that says what is missing."""
        with self._lock:
            missing = self.size - len(self._head) - min(len(self._tail), KEPT)
            if not self._tail:
                return bytes(self._head)
            if missing <= 0:
                return bytes(self._head + self._tail)
            where = f"the whole output is in {self.artifact}" if self.artifact else "it was not kept"
            if self.truncated_at:
                where += f", truncated at {self.truncated_at} bytes"
            note = f"\n[… {missing} bytes are left out here; {where} …]\n"
            return bytes(self._head) + note.encode() + bytes(self._tail[-KEPT:])

    def excerpt(self) -> tuple[str, str]:
        """The beginning and, where that is not everything, the end: for the journal."""
        with self._lock:
            if self.size <= EXCERPT:
                return text(bytes(self._head)), ""
            half = EXCERPT // 2
            end = self._tail if len(self._tail) >= half else self._head + self._tail
            return text(bytes(self._head[:half])), text(bytes(end[-half:]))

    def close(self) -> None:
        """Nothing more is expected soon: what the artifact has is flushed to its file."""
        with self._lock:
            if self._file is not None:
                try:
                    self._file.flush()
                except OSError as error:
                    self.trouble = error.strerror or str(error)

    def end(self) -> None:
        """Nothing more will come: the artifact is closed."""
        self.close()
        with self._lock:
            self._ended = True
            if self._file is not None:
                self._file.close()
                self._file = None

    def _begin_artifact(self) -> None:
        try:
            self.artifact, self._file = self._open_artifact()
        except (OSError, ShakeoutError) as error:
            self.trouble = str(error)
            return
        self._store(bytes(self._head))

    def _store(self, data: bytes) -> None:
        if self._file is None or self.truncated_at:
            return
        position = self._file.tell()
        if position + len(data) > self._limit:
            data = data[: self._limit - position]
            self.truncated_at = self._limit
        try:
            self._file.write(data)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self.truncated_at = position or 1


def text(data: bytes) -> str:
    """*data* as text, with what is no UTF-8 shown as \\xNN rather than lost."""
    return data.decode("utf-8", "backslashreplace")
