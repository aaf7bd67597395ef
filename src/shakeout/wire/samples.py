"""Samples on their way from a test module: frames that go before its outcome, on the same channel.

A frame is a byte that no outcome begins with, its kind, the length of what follows, and that. No frame is longer
than what a pipe takes at once (PIPE_BUF): a module that is killed leaves no half frame, and its threads cannot mix
theirs. A module that takes no samples sends none, and pays nothing.
"""

from __future__ import annotations

import struct
from math import isfinite
from typing import Final, TypeAlias

import msgspec

from shakeout.errors import ProtocolError

#: Bytes of the longest frame: Linux writes as many to a pipe whole or not at all (pipe(7)).
MAX_FRAME: Final = 4096
#: Series of one job, and columns of one series.
MAX_SERIES, MAX_COLUMNS = 64, 32
#: Bytes of the name of a series or column, and of a unit.
MAX_NAME, MAX_UNIT = 64, 24

#: Begins neither a packed value (msgpack never uses it) nor text (it is no UTF-8).
_MARK: Final = 0xC1
_HEAD: Final = struct.Struct("<BBH")
_DECLARE, _ROWS = 1, 2
#: Names that a column cannot have: those of the moments.
_TAKEN = frozenset({"t_ns", "host_ns"})


class Declared(msgspec.Struct, frozen=True, array_like=True):
    """A series begins; *columns* are pairs of name and unit."""

    number: int
    name: str
    columns: tuple[tuple[str, str], ...]


class Rows(msgspec.Struct, frozen=True, array_like=True):
    """Samples of a series: records of `row_format`."""

    number: int
    data: bytes


SampleFrame: TypeAlias = Declared | Rows

_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Declared)


def row_format(columns: int) -> struct.Struct:
    """A sample of so many columns: the moment (i64, nanoseconds) and a float64 for each, little-endian."""
    return struct.Struct(f"<q{columns}d")


def problem(name: object, columns: object) -> str:
    """What is wrong with a series of that name and those pairs of name and unit; "" if nothing is."""
    if not _is_word(name, MAX_NAME):
        return f"{name!r} cannot be the name of a series: {_word(MAX_NAME)}"
    if not isinstance(columns, tuple) or not 0 < len(columns) <= MAX_COLUMNS:
        return f'the series {name!r} must have 1 to {MAX_COLUMNS} columns, given as name="unit"'
    for column, unit in columns:
        if not _is_word(column, MAX_NAME) or column in _TAKEN:
            return f"{column!r} cannot be a column of the series {name!r}: {_word(MAX_NAME)}, and not t_ns or host_ns"
        if not _is_word(unit, MAX_UNIT):
            return f"{unit!r} cannot be the unit of {column!r}: {_word(MAX_UNIT)}; a plain number has the unit '1'"
    if len({column for column, _ in columns}) < len(columns):
        return f"the series {name!r} has two columns of one name"
    return ""


def declaration(declared: Declared) -> bytes:
    """The frame that begins a series, of which `problem` found nothing."""
    return _frame(_DECLARE, _encode(declared))


def rows(number: int, data: bytes) -> bytes:
    """The frame with samples of a series; *data* has at most `room` records."""
    return _frame(_ROWS, number.to_bytes(2, "little") + data)


def room(record: int) -> int:
    """How many records of so many bytes one frame takes."""
    return (MAX_FRAME - _HEAD.size - 2) // record


class SampleFrames:
    """Takes the frames out of what a module sends; what comes after the last one is its outcome.

    Attributes:
        over: whether the outcome has begun: no frame can follow.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._wrong: ProtocolError | None = None
        self.over = False

    def feed(self, data: bytes) -> tuple[list[SampleFrame], bytes]:
        """The frames that are whole with *data*, and what of the outcome came with it.

        Raises:
            ProtocolError: a frame that is none, and nothing good came before it with *data*; else `check` raises it.
        """
        self.check()
        if self.over:
            return [], data
        data = self._pending + data
        found: list[SampleFrame] = []
        start = 0
        while start < len(data):
            if data[start] != _MARK:
                self.over, self._pending = True, b""
                return found, data[start:]
            if len(data) - start < _HEAD.size:
                break
            _, kind, length = _HEAD.unpack_from(data, start)
            if length > MAX_FRAME - _HEAD.size:
                self._wrong = ProtocolError(f"samples in a frame of {length} bytes, which is longer than the limit")
                break
            end = start + _HEAD.size + length
            if end > len(data):
                break
            try:
                found.append(_decoded(kind, data[start + _HEAD.size : end]))
            except ProtocolError as error:
                self._wrong = error
                break
            start = end
        self._pending = data[start:]
        if not found:
            self.check()
        return found, b""

    def check(self) -> None:
        """Raises ProtocolError if what came is not what it should be."""
        if self._wrong is not None:
            raise self._wrong


def all_finite(data: bytes, layout: struct.Struct) -> bool:
    """Whether no number of *data*, which are whole records of *layout*, is infinite or none."""
    for _, *values in layout.iter_unpack(data):
        if not isfinite(sum(values)) and not all(map(isfinite, values)):  # the sum of great numbers may be infinite
            return False
    return True


def _decoded(kind: int, payload: bytes) -> SampleFrame:
    if kind == _ROWS and len(payload) >= 2:
        return Rows(int.from_bytes(payload[:2], "little"), payload[2:])
    try:
        if kind == _DECLARE:
            declared = _decoder.decode(payload)
            wrong = problem(declared.name, declared.columns)
            if not wrong:
                return declared
            raise ProtocolError(wrong)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"{len(payload)} bytes begin no series of samples: {error}") from None
    raise ProtocolError(f"samples in a frame of an unknown kind {kind}")


def _frame(kind: int, payload: bytes) -> bytes:
    return _HEAD.pack(_MARK, kind, len(payload)) + payload


def _is_word(text: object, limit: int) -> bool:
    return isinstance(text, str) and text.isprintable() and bool(text.strip()) and len(_utf8(text)) <= limit


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _word(limit: int) -> str:
    return f"it takes 1 to {limit} bytes of printable text"
