"""Samples, too many for JSON: ``samples-*.bin`` files beside the journal.

A file is one line of JSON (:class:`SamplesHeader`; ``head -1`` shows it), padded with blanks to a multiple of eight
bytes, and then records of one size: the columns that the header names, one after the other, little-endian, without
gaps. The first column is the moment, an i64 of nanoseconds: ``host_ns``, the host's own monotonic clock, or ``t_ns``,
the time since the run began. A file can be read while it is written: a half last record is one that is not there yet.
"""

from __future__ import annotations

import os
import stat
import string
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from shakeout.errors import JournalBroken, JournalError
from shakeout.journal.schemas import check_schema

#: The version of the format. Readers refuse another one.
SCHEMA: Final = 1
#: How the name of such a file begins and ends.
PREFIX, SUFFIX = "samples-", ".bin"
#: Type of a column -> its code in `struct`.
TYPES: Final = {
    "f64": "d", "f32": "f", "i64": "q", "u64": "Q", "i32": "i", "u32": "I", "i16": "h", "u16": "H", "i8": "b",
    "u8": "B",
}  # fmt: skip

_LONGEST_HEADER = 64 << 10
_MOST_COLUMNS = 256
#: Records decoded at a time.
_BLOCK = 1 << 15
_SAFE = frozenset(string.ascii_letters + string.digits + "._-+=@")


class Column(msgspec.Struct, frozen=True):
    """One column: its name, the type of its values (a key of `TYPES`), and their unit ("1" for plain numbers)."""

    name: str
    type: str = "f64"
    unit: str = "1"


class SamplesHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a file of samples."""

    schema: int = SCHEMA
    series: str
    columns: tuple[Column, ...]
    #: Who measured: the host's name in the recipe and its job; "" and 0 for the controller.
    host: str = ""
    job: int = 0

    @property
    def layout(self) -> struct.Struct:
        """A record."""
        return struct.Struct("<" + "".join(TYPES[column.type] for column in self.columns))


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(SamplesHeader)


def is_samples(relative: str) -> bool:
    """Whether *relative* can only mean a file of samples directly in its run's folder."""
    named = relative.startswith(PREFIX) and relative.endswith(SUFFIX) and len(relative) < 256
    return named and _SAFE.issuperset(relative)


class SamplesWriter:
    """Writes one file of samples. Every call is on its way to the disk when it returns: nothing is kept back.

    Args:
        file: new and unbuffered; this closes it.
        limit: bytes of records after which the file is cut.

    Attributes:
        header: what the file begins with.
        size: bytes of the records so far.
        truncated: whether samples were left out because of the limit.

    Raises:
        JournalBroken: the header cannot be written.
    """

    def __init__(self, file: BinaryIO, header: SamplesHeader, limit: int = 1 << 62) -> None:
        self.header = header
        self.size = 0
        self.truncated = False
        self._file = file
        self._layout = header.layout
        self._limit = limit
        line = _encode(header)
        line += b" " * (-(len(line) + 1) % 8) + b"\n"
        self._start = len(line)
        self._write(line, 0)

    def add(self, *values: float) -> None:
        """One record.

        Raises:
            JournalBroken: it cannot be written.
            struct.error: a value that its column's type has not.
        """
        self.append(self._layout.pack(*values))

    def append(self, records: bytes) -> None:
        """Whole records, packed as the header says.

        Raises:
            JournalBroken: they cannot be written.
        """
        room = self._limit - self.size
        if len(records) > room:
            self.truncated = True
            records = records[: room - room % self._layout.size]
        if records and not self._file.closed:
            self._write(records, self._start + self.size)
            self.size += len(records)

    def close(self) -> None:
        """Nothing more will come."""
        self._file.close()

    def _write(self, data: bytes, place: int) -> None:
        """All of *data* at *place*: what a write left half done is written over by the next one."""
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._file.fileno(), data[done:] if done else data, place + done)
        except OSError as error:
            header = self.header
            raise JournalBroken(
                f"the samples of {header.series} cannot be written: {error.strerror}; "
                "make room there, or choose another place with --out"
            ) from error


class SamplesReader:
    """Reads a file of samples, in bounded memory, also while it is being written.

    Args:
        source: the file; or one that is open, which this leaves open.

    Attributes:
        header: its first line.

    Raises:
        JournalError: it is no file of samples, or of another schema.
    """

    def __init__(self, source: Path | BinaryIO) -> None:
        self._source = source
        self._name = str(source) if isinstance(source, Path) else "of a running job"
        with _Open(source, self._name) as descriptor:
            line = os.pread(descriptor, _LONGEST_HEADER, 0).partition(b"\n")
            self.header = _decode(line[0] + line[1], self._name)
        self._start = len(line[0]) + 1
        self._record = self.header.layout.size

    def __len__(self) -> int:
        """How many whole records there are now."""
        with _Open(self._source, self._name) as descriptor:
            return max(0, os.fstat(descriptor).st_size - self._start) // self._record

    def column(self, name: str) -> Iterator[list[float]]:
        """The values of one column, a list for each block of records.

        Raises:
            JournalError: there is no such column, or the file cannot be read.
        """
        names = [column.name for column in self.header.columns]
        if name not in names:
            raise JournalError(f"the samples {self._name} have no column {name!r}, but {', '.join(names)}")
        return self._values(names.index(name))

    def records(self) -> Iterator[tuple[float, ...]]:
        """All records, as tuples in the order of the columns."""
        layout = self.header.layout
        for block in self._blocks():
            yield from layout.iter_unpack(block)

    def ends(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """The first and the last record; None if there are none."""
        count = len(self)
        if not count:
            return None
        layout = self.header.layout
        with _Open(self._source, self._name) as descriptor:
            places = (self._start, self._start + (count - 1) * self._record)
            first, last = (os.pread(descriptor, self._record, place) for place in places)
        return layout.unpack(first), layout.unpack(last)

    def _values(self, index: int) -> Iterator[list[float]]:
        codes = [TYPES[column.type] for column in self.header.columns]
        before, after = (
            struct.calcsize("<" + "".join(codes[:index])),
            struct.calcsize("<" + "".join(codes[index + 1 :])),
        )
        size = struct.calcsize(codes[index])
        if sys.byteorder == "little" and before % size == 0 and self._record % size == 0:
            for block in self._blocks():  # ten times as fast
                cells: Any = memoryview(block).cast(codes[index])  # type: ignore[call-overload]
                yield cells[before // size :: self._record // size].tolist()
            return
        layout = struct.Struct(f"<{before}x{codes[index]}{after}x")
        for block in self._blocks():
            yield [value for (value,) in layout.iter_unpack(block)]

    def _blocks(self) -> Iterator[bytes]:
        with _Open(self._source, self._name) as descriptor:
            place = self._start
            while True:
                try:
                    data = os.pread(descriptor, _BLOCK * self._record, place)
                except OSError as error:
                    raise JournalError(f"the samples {self._name} cannot be read: {error.strerror}") from error
                whole = data[: len(data) - len(data) % self._record]
                if not whole:
                    return
                place += len(whole)
                yield whole


class _Open:
    """A descriptor of the file while it is read: a regular file, not a link to one, nor something that blocks."""

    def __init__(self, source: Path | BinaryIO, name: str) -> None:
        self._source = source
        self._name = name

    def __enter__(self) -> int:
        if not isinstance(self._source, Path):
            self._descriptor = -1
            return self._source.fileno()
        try:
            self._descriptor = os.open(self._source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise JournalError(f"the samples {self._name} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise JournalError(f"{self._name} is no file of samples: it is not a regular file")
        return self._descriptor

    def __exit__(self, *_exception: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _decode(line: bytes, name: str) -> SamplesHeader:
    try:
        check_schema(line, SCHEMA, f"the file of samples {name}", JournalError)
        header = _decoder.decode(line)
        types = [column.type for column in header.columns]
        moments = header.columns and header.columns[0].name in ("t_ns", "host_ns") and types[0] == "i64"
        if line.endswith(b"\n") and moments and len(types) <= _MOST_COLUMNS and TYPES.keys() >= set(types):
            return header
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    raise JournalError(
        f'{name} is no file of samples: its first line is not a header ({{"schema": {SCHEMA}, "series": …}}); '
        "the file was cut or overwritten, or something else wrote it"
    )
