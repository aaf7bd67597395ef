"""Writes the journal of one run.

The folder of a run appears whole, with its header and locked, or not at all. Every event is one
``write`` to a file opened for appending, so that whatever happened before a kill is there; verdicts are
also on the disk before the call returns. The lock on ``journal.jsonl`` is held while the controller
lives: it tells a running run from an aborted one. A child that is forked without exec must close it
(:meth:`JournalWriter.detach`), or the run looks alive for as long as that child is.

Samples, too many for JSON, stand beside the journal in columnar ``samples-*.bin`` files of their own writers
(:mod:`shakeout.journal.samples`); they get nothing from here but their files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeVar

import msgspec

from shakeout.errors import JournalBroken, JournalError
from shakeout.journal.artifacts import Artifacts
from shakeout.journal.clock import Clock, SystemClock, utc_text
from shakeout.journal.events import UNSTAMPED, BaseEvent, Header, PartFinished, RunFinished
from shakeout.journal.jsonable import jsonable
from shakeout.journal.samples import PREFIX, SUFFIX

#: The journal's name within a run's folder.
JOURNAL = "journal.jsonl"
#: Longest line written as it is, in bytes; of a longer one, long texts and lists are cut.
MAX_LINE = 1 << 20

AnyEvent = TypeVar("AnyEvent", bound=BaseEvent)

_encoder = msgspec.json.Encoder()


class JournalWriter:
    """The one writer of a run's journal. May be used from several threads."""

    def __init__(self, folder: Path, header: Header, descriptor: int, clock: Clock, began_ns: int) -> None:
        #: The run's folder.
        self.folder = folder
        self.header = header
        self._descriptor = descriptor
        self._clock = clock
        self._began_ns = began_ns
        self._lock = Lock()
        self._torn = False
        self._artifacts = Artifacts(folder)
        self._samples = Artifacts(folder, "")

    @property
    def run(self) -> str:
        """The run's id."""
        return self.header.run

    @property
    def began_ns(self) -> int:
        """When the run began, on the controller's monotonic clock."""
        return self._began_ns

    def now_ns(self) -> int:
        """Nanoseconds since the run began: what an event that happens now has as ``t_ns``."""
        return self._clock.now_ns() - self._began_ns

    def write(self, event: AnyEvent) -> AnyEvent:
        """Append *event* and return it as it was written, with its time.

        An event without a time gets the present one. At a verdict (of a part, or the run) it returns
        when everything so far is on the disk.

        Raises:
            JournalBroken: it cannot be written, for want of room, say.
        """
        event = _plain(event)
        with self._lock:
            if event.t_ns == UNSTAMPED:  # within the lock, so that lines are in the order of their times
                event = msgspec.structs.replace(event, t_ns=self.now_ns())
            self._append(_line(event))
            if isinstance(event, (PartFinished, RunFinished)):
                self._sync()
        return event

    def artifact(self, name: str) -> tuple[str, BinaryIO]:
        """A new file in ``artifacts/``, unbuffered, and its path relative to the run's folder.

        *name* is only a wish: it is made safe and unique, so that it may come from anywhere.
        """
        return self._artifacts.create(name)

    def samples(self, name: str) -> tuple[str, BinaryIO]:
        """A new file for samples in the run's folder, unbuffered, and its name; *name* is a wish as for an artifact."""
        return self._samples.create(f"{PREFIX}{name[:100]}{SUFFIX}")

    def save(self, name: str, data: bytes) -> str:
        """Store *data* as an artifact; its path relative to the run's folder."""
        relative, file = self.artifact(name)
        with file:
            try:
                _write_all(file.fileno(), data)
            except OSError as error:
                raise self._broken(error) from error
        return relative

    def close(self) -> None:
        """Let go of the journal. A run without ``run-finished`` counts as aborted from now on."""
        with self._lock:
            self.detach()

    def detach(self) -> None:
        """Close the descriptor. In a forked child: so that the lock is the parent's alone.

        It takes no lock of threads, which another thread may have held at the fork.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0:
            raise JournalBroken(f"the journal of run {self.run} is closed: nothing can be added to it")
        try:
            # After a write that ended half-way, the next event starts on a line of its own.
            _write_all(self._descriptor, b"\n" + line if self._torn else line)
            self._torn = False
        except OSError as error:
            self._torn = True
            raise self._broken(error) from error

    def _sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system (or a pipe) that has nothing to sync
                raise self._broken(error) from error

    def _broken(self, error: OSError) -> JournalBroken:
        return JournalBroken(
            f"the journal of run {self.run} in {self.folder} cannot be written: {error.strerror}; "
            "make room there, or choose another place with --out"
        )


def create_run(
    runs: Path,
    *,
    kind: str = "recipe",
    command: Iterable[str] = (),
    version: str = "",
    clock: Clock | None = None,
) -> JournalWriter:
    """Begin a run: make its folder ``runs/<id>/`` and the journal in it.

    The id is the time (UTC), ``20261120-134501-9f3c``, its last four digits a 65536th of a second, counted
    on where that is taken: ids are unique in *runs* and sort by time. *runs* is made if it is not there.

    Raises:
        JournalError: the folder cannot be made; nothing is left behind.
    """
    clock = clock or SystemClock()
    wall_ns = clock.wall_ns()
    began_ns = clock.now_ns()
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for run in _ids(wall_ns):
            header = Header(
                run=run,
                kind=kind,
                started=utc_text(wall_ns),
                version=version,
                command=tuple(jsonable(list(command))),
                hostname=os.uname().nodename,
                pid=os.getpid(),
            )
            descriptor = _publish(runs, header)
            if descriptor is not None:
                return JournalWriter(runs / run, header, descriptor, clock, began_ns)
        raise JournalError(f"no run can be kept in {runs}: every id of this second is taken there")
    except OSError as error:
        raise JournalError(
            f"no run can be kept in {runs}: {error.strerror}; choose a folder you may write to with --out"
        ) from error


def _ids(wall_ns: int) -> Iterator[str]:
    seconds, rest = divmod(wall_ns, 10**9)
    first = rest * 65536 // 10**9
    for fraction in range(first, first + 65536):
        yield time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds)) + f"-{fraction % 65536:04x}"


def _publish(runs: Path, header: Header) -> int | None:
    """Make the run's folder under a hidden name, fill it, and rename it; None if the id is taken."""
    hidden = runs / f".new-{header.run}-{os.getpid()}"
    final = runs / header.run
    hidden.mkdir()
    descriptor = -1
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(hidden / JOURNAL, flags, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write_all(descriptor, _encoder.encode(header) + b"\n")
        if not _rename(hidden, final):
            _discard(hidden, descriptor)
            return None
    except BaseException:
        _discard(hidden, descriptor)
        raise
    return descriptor


def _rename(hidden: Path, final: Path) -> bool:
    if final.exists() or final.is_symlink():
        return False
    try:
        hidden.rename(final)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def _discard(hidden: Path, descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
    (hidden / JOURNAL).unlink(missing_ok=True)
    hidden.rmdir()


def _write_all(descriptor: int, data: bytes) -> None:
    """One write; more only where the system takes less than it was given."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def _plain(event: AnyEvent) -> AnyEvent:
    """*event* with what came from users' code as plain JSON."""
    if not event.OPEN:
        return event
    changes = {name: jsonable(value) for name in event.OPEN if (value := getattr(event, name)) is not None}
    return msgspec.structs.replace(event, **changes) if changes else event


def _line(event: BaseEvent) -> bytes:
    try:
        line = _encoder.encode(event)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError):
        line = b""  # a lone surrogate, or a number that JSON has not
    if not line or len(line) > MAX_LINE:
        fields = {"event": event.__struct_config__.tag, **jsonable(event, max_text=MAX_LINE // 8)}
        line = _encoder.encode(fields)
    return line + b"\n"
