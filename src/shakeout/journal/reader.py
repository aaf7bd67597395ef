"""Reads a journal, whole or while it is being written, in bounded memory.

A journal is material to judge: lines that are no events are counted and skipped, a half last line is
left for later, and nothing in it is trusted to be a path.
"""

from __future__ import annotations

import enum
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from shakeout.errors import JournalError
from shakeout.journal.events import SCHEMA, Event, Header, RunFinished
from shakeout.journal.schemas import check_schema
from shakeout.journal.writer import JOURNAL

#: Bytes read at a time.
BLOCK = 256 * 1024
#: A longer line is skipped as garbage instead of being kept in memory.
LONGEST_LINE = 16 << 20
#: How much of the end is searched for the run's verdict: first this, at most the other.
_TAIL, _LONGEST_TAIL = 16 * 1024, 4 << 20

_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class _Kind(msgspec.Struct):
    event: str


_kind = msgspec.json.Decoder(_Kind)
_header = msgspec.json.Decoder(Header)
_known = frozenset(kind.__struct_config__.tag for kind in Event.__args__)


class State(enum.StrEnum):
    """Whether a run goes on."""

    #: Its controller lives.
    RUNNING = "running"
    #: It has its verdict.
    FINISHED = "finished"
    #: Its controller is gone without a verdict.
    ABORTED = "aborted"


class JournalReader:
    """The events of one journal, in the order in which they were written.

    Attributes:
        folder: the run's folder.
        header: the first line.
        offset: where in the file the next event begins; every call of :meth:`events` goes on from there.
        unknown: events so far of kinds that this version does not know.
        garbage: lines so far that are no events.
        torn: bytes of a half last line, as found by the last complete :meth:`events`.
    """

    def __init__(self, folder: Path) -> None:
        """Open the journal in *folder* (or the journal's file itself).

        Raises:
            JournalError: there is none, it has no header, or it is of another schema.
        """
        self.path = folder / JOURNAL if folder.is_dir() else folder
        self.folder = self.path.parent
        self.unknown = 0
        self.garbage = 0
        self.torn = 0
        self._dropping = False
        with _open(self.path) as file:
            line = _read(file, self.path, LONGEST_LINE, whole_line=True)
        self.header = _decode_header(line, self.path)
        self.offset = len(line)

    def events(self) -> Iterator[Event]:
        """All whole events from :attr:`offset` to the present end of the file.

        Raises:
            JournalError: the file is gone or cannot be read.
        """
        self.torn = 0
        with _open(self.path) as file:
            file.seek(self.offset)
            pending = b""
            while block := _read(file, self.path, BLOCK):
                lines = (pending + block).split(b"\n")
                pending = lines.pop()
                for line in lines:
                    self.offset += len(line) + 1
                    event = self._decode(line)
                    if event is not None:
                        yield event
                if len(pending) > LONGEST_LINE:
                    self.offset += len(pending)
                    pending = b""
                    self._dropping = True
        self.torn = len(pending)

    def _decode(self, line: bytes) -> Event | None:
        if self._dropping:  # the end of a line that was too long to keep
            self._dropping = False
            self.garbage += 1
            return None
        if not line.strip():
            return None
        try:
            return _events.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if _is_unknown(line):
                self.unknown += 1
            else:
                self.garbage += 1
            return None


def state(folder: Path) -> State:
    """Whether the run in *folder* is running, finished or aborted; reads only the journal's end.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    path = folder / JOURNAL if folder.is_dir() else folder
    if is_locked(path):
        return State.RUNNING
    return State.FINISHED if verdict(path) else State.ABORTED


def verdict(path: Path) -> RunFinished | None:
    """The last event of a journal's file, if it is the run's verdict; reads only the end.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    with _open(path) as file:
        size = file.seek(0, os.SEEK_END)
        length = _TAIL
        while True:
            file.seek(max(0, size - length))
            block = _read(file, path, min(length, size))
            lines = block.split(b"\n")[:-1]
            whole = lines if length >= size else lines[1:]
            if whole or length >= size or length >= _LONGEST_TAIL:
                break
            length *= 8
    for line in reversed(whole):
        if line.strip():
            try:
                event = _events.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            return event if isinstance(event, RunFinished) else None
    return None


def is_locked(path: Path) -> bool:
    """Whether the controller that writes this journal's file lives.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    with _open(path) as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            raise _unreadable(path, error) from error
    return False


def _open(path: Path) -> BinaryIO:
    """The journal for reading: a regular file, not a link to one, nor something that blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise JournalError(
            f"{path.parent} holds no journal ({path.name}); name a run's folder, or a run of `shakeout runs list`"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise JournalError(f"{path} is no journal: it is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


def _read(file: BinaryIO, path: Path, size: int, *, whole_line: bool = False) -> bytes:
    try:
        return file.readline(size) if whole_line else file.read(size)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> JournalError:
    return JournalError(f"the journal {path} cannot be read: {error.strerror}")


def _decode_header(line: bytes, path: Path) -> Header:
    try:
        check_schema(line, SCHEMA, f"the journal {path}", JournalError)
        if line.endswith(b"\n"):
            return _header.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    raise JournalError(
        f'{path} is no journal: its first line is not a header ({{"schema": {SCHEMA}, …}}); '
        "the file was cut or overwritten, or something else wrote it"
    )


def _is_unknown(line: bytes) -> bool:
    """Whether *line* is an event of a kind that this version does not know."""
    try:
        return _kind.decode(line).event not in _known
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
