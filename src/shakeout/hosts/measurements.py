"""What a test module sends while it runs: samples, into files of the run; and then its outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from shakeout.errors import ConditionTimeout, JobError, ProtocolError, ShakeoutError, UnknownName
from shakeout.hosts.recorder import Recorder
from shakeout.hosts.waiter import Waiter
from shakeout.journal.events import Log, SeriesStarted
from shakeout.journal.samples import Column, SamplesHeader, SamplesReader, SamplesWriter
from shakeout.journal.series import SeriesView
from shakeout.wire.samples import MAX_SERIES, Declared, Rows, SampleFrames, all_finite, row_format

if TYPE_CHECKING:
    import struct
    from pathlib import Path


class SeriesOfJob(dict[str, SeriesView]):
    """The series of a job by name, in the order in which they began."""

    def __init__(self, host: str, job: int) -> None:
        super().__init__()
        self._whose = f"job {job} on {host}"
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._awaited: list[tuple[str, int, Waiter[bool]]] = []
        self._over = False

    def __missing__(self, name: str) -> NoReturn:
        raise UnknownName(f"series of {self._whose}", name, self, "a series is there once the module has begun it")

    def wait(self, name: str, count: int = 1, timeout: float = 60) -> SeriesView:
        """Wait until the series *name* has *count* samples; the series.

        Raises:
            ConditionTimeout: it did not have them in *timeout* seconds.
            JobError: the job ended without them.
        """
        waiter: Waiter[bool] = Waiter()
        entry = (name, count, waiter)
        with self._lock:
            self._awaited.append(entry)
            self._tell()
        try:
            if not waiter.wait(timeout):
                raise ConditionTimeout(
                    f"{self._whose} took {self._counts.get(name, 0)} of {count} samples of {name!r} in {timeout:g} s"
                )
            waiter.get()
        finally:
            with self._lock:
                self._awaited.remove(entry)
        return self[name]

    def came(self, name: str, count: int) -> None:
        """The series has *count* samples by now (in the loop's thread)."""
        with self._lock:
            self._counts[name] = count
            self._tell()

    def end(self) -> None:
        """No more will come."""
        with self._lock:
            self._over = True
            self._tell()

    def _tell(self) -> None:
        for name, count, waiter in self._awaited:
            found = self._counts.get(name, 0)
            if name in self and found >= count:
                waiter.set(True)
            elif self._over:
                waiter.fail(JobError(f"{self._whose} ended after {found} of {count} samples of {name!r}"))


class _Kept:
    """One series: its writer, its view, and what of it has come but is not written yet."""

    def __init__(self, writer: SamplesWriter, view: SeriesView, layout: struct.Struct) -> None:
        self.writer = writer
        self.view = view
        self.layout = layout
        self.fresh: list[bytes] = []


class Measurements:
    """The samples of one job; `feed` and `end` are called in the loop's thread.

    What a host sends is checked here: a module (or an agent) that sends what is none loses its samples, and its job
    fails for that reason.

    Args:
        offset: gives what the host's clock is ahead of the run's axis, in nanoseconds.
        limit: bytes after which a file of samples is cut.

    Attributes:
        series: what has begun so far.
        refused: why what came was refused; "" if it was not.
        trouble: why samples could not be written (a full disk); "" if they could.
    """

    def __init__(self, host: str, job: int, recorder: Recorder, offset: Callable[[], int], limit: int) -> None:
        self.series = SeriesOfJob(host, job)
        self.refused = ""
        self.trouble = ""
        self._host = host
        self._job = job
        self._recorder = recorder
        self._offset = offset
        self._limit = limit
        self._frames = SampleFrames()
        self._kept: list[_Kept | None] = []

    def feed(self, data: bytes) -> bytes:
        """More of what the module sends; what of it belongs to its outcome."""
        if self._frames.over:
            return data
        if self.refused:
            return b""
        try:
            frames, outcome = self._frames.feed(data)
            for frame in frames:
                if isinstance(frame, Declared):
                    self._begin(frame)
                else:
                    self._take(frame)
            self._frames.check()
        except ProtocolError as error:
            self.refused, outcome = str(error), b""
        for kept in self._kept:
            if kept is not None and kept.fresh:
                self._store(kept)
        return outcome

    def end(self) -> None:
        """Nothing more will come."""
        for kept in self._kept:
            if kept is None:
                continue
            kept.view.settle(self._offset())
            if kept.writer.truncated:
                text = f"the samples of {kept.view.name} (job {self._job}) are cut after {kept.writer.size} bytes"
                self._recorder.write(Log(level="warning", text=text, host=self._host))
            if kept.view.file:
                kept.writer.close()
        self._kept.clear()
        self.series.end()

    def _begin(self, declared: Declared) -> None:
        if declared.number != len(self._kept) or declared.number >= MAX_SERIES or declared.name in self.series:
            raise ProtocolError(f"a series {declared.name!r} began out of turn, or twice, or is one too many")
        units = dict(declared.columns)
        columns = (Column("host_ns", "i64", "ns"), *(Column(name, "f64", unit) for name, unit in declared.columns))
        header = SamplesHeader(series=declared.name, columns=columns, host=self._host, job=self._job)
        file, kept = "", None
        try:
            file, opened = self._recorder.samples(f"{self._host}-job{self._job}-{declared.name}")
            writer = _writer(opened, header, self._limit)
            view = self._view(declared.name, units, file, opened)
            kept = _Kept(writer, view, row_format(len(units)))
            self.series[declared.name] = view
            self.series.came(declared.name, 0)
        except (OSError, ShakeoutError) as error:
            self.trouble = self.trouble or str(error)
        self._kept.append(kept)
        event = SeriesStarted(host=self._host, job=self._job, name=declared.name, columns=units, file=file)
        self._recorder.write(event)

    def _view(self, name: str, units: dict[str, str], file: str, opened: BinaryIO) -> SeriesView:
        place: Any = getattr(self._recorder, "artifact_path", None)
        source: Path | BinaryIO = place(file) if file and place is not None else opened
        return SeriesView(
            name, units, lambda: SamplesReader(source), self._offset, host=self._host, job=self._job, file=file
        )

    def _take(self, rows: Rows) -> None:
        if rows.number >= len(self._kept):
            raise ProtocolError(f"samples came of a series {rows.number} that has not begun")
        kept = self._kept[rows.number]
        if kept is None:
            return  # it could not be stored
        if not rows.data or len(rows.data) % kept.layout.size:
            raise ProtocolError(f"samples of {kept.view.name} came that are no whole records")
        if not all_finite(rows.data, kept.layout):
            raise ProtocolError(f"a sample of {kept.view.name} came that is no finite number")
        kept.fresh.append(rows.data)

    def _store(self, kept: _Kept) -> None:
        fresh, kept.fresh = b"".join(kept.fresh), []
        try:
            kept.writer.append(fresh)
            self.series.came(kept.view.name, kept.writer.size // kept.layout.size)
        except ShakeoutError as error:
            self.trouble = self.trouble or str(error)


def _writer(file: BinaryIO, header: SamplesHeader, limit: int) -> SamplesWriter:
    try:
        return SamplesWriter(file, header, limit)
    except ShakeoutError:
        file.close()
        raise
