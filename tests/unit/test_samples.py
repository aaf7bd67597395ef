"""Samples on the wire, in files, and as they are asked for."""

from __future__ import annotations

import math
import os
import signal
import statistics as reference
import struct
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import JournalError, ProtocolError, UnknownName
from shakeout.journal import series as series_module
from shakeout.journal.samples import (
    SCHEMA,
    TYPES,
    Column,
    SamplesHeader,
    SamplesReader,
    SamplesWriter,
    is_samples,
)
from shakeout.journal.series import quantile, statistics, view_of
from shakeout.wire.samples import (
    MAX_COLUMNS,
    MAX_FRAME,
    Declared,
    Rows,
    SampleFrames,
    all_finite,
    declaration,
    problem,
    room,
    row_format,
    rows,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
COLUMNS = (("user", "%"), ("rate", "bit/s"))


# -- frames -------------------------------------------------------------------------------------------


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    values=st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), finite, finite), max_size=30),
    outcome=st.binary(max_size=50).filter(lambda data: data[:1] != b"\xc1"),
    places=st.lists(st.integers(0, 10_000), max_size=8),
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    values: list[tuple[int, float, float]], outcome: bytes, places: list[int]
) -> None:
    layout = row_format(2)
    sent = declaration(Declared(0, "cpu", COLUMNS)) + b"".join(rows(0, layout.pack(*value)) for value in values)
    frames, got = SampleFrames(), b""
    found = []
    for piece in cut(sent + outcome, places):
        some, rest = frames.feed(piece)
        found += some
        got += rest
    assert found[0] == Declared(0, "cpu", COLUMNS)
    assert [layout.unpack(frame.data) for frame in found[1:] if isinstance(frame, Rows)] == values
    assert got == outcome
    assert frames.over is bool(outcome)


@given(st.binary(max_size=200))
def test_garbage_is_an_outcome_or_refused(data: bytes) -> None:
    frames = SampleFrames()
    try:
        found, rest = frames.feed(data)
    except ProtocolError as error:
        assert len(str(error)) < 500
    else:
        assert found or data[:1] == b"\xc1" or rest == data


def test_no_frame_is_longer_than_a_pipe_takes_at_once() -> None:
    names = tuple((f"{n:02}" + "ä" * 31, "ü" * 12) for n in range(MAX_COLUMNS))
    assert not problem("x" * 64, names)
    assert len(declaration(Declared(63, "x" * 64, names))) <= MAX_FRAME
    for columns in (1, 2, 7, MAX_COLUMNS):
        size = row_format(columns).size
        assert len(rows(63, bytes(size * room(size)))) <= MAX_FRAME < len(rows(63, bytes(size * (room(size) + 1))))
    assert os.pathconf("/", "PC_PIPE_BUF") >= MAX_FRAME


@pytest.mark.parametrize(
    ("name", "columns", "said"),
    [
        ("", (("a", "s"),), "'' cannot be the name of a series"),
        ("x\n", (("a", "s"),), "cannot be the name"),
        ("x" * 65, (("a", "s"),), "cannot be the name"),
        ("x", (), "1 to 32 columns"),
        ("x", tuple((f"c{n}", "s") for n in range(33)), "1 to 32 columns"),
        ("x", (("t_ns", "s"),), "'t_ns' cannot be a column"),
        ("x", (("a", ""),), "'' cannot be the unit of 'a'"),
        ("x", (("a", "s"), ("a", "s")), "two columns of one name"),
    ],
)
def test_what_cannot_be_a_series(name: str, columns: tuple[tuple[str, str], ...], said: str) -> None:
    assert said in problem(name, columns)


def test_numbers_that_are_none_are_found_and_great_ones_are_not_taken_for_them() -> None:
    layout = row_format(2)
    great = layout.pack(0, 1.7e308, 1.7e308)
    assert all_finite(great * 3, layout)
    for bad in (math.nan, math.inf, -math.inf):
        assert not all_finite(great + layout.pack(0, 1.0, bad) + great, layout)


# -- files --------------------------------------------------------------------------------------------

RANGES = {"i64": 63, "i32": 31, "i16": 15, "i8": 7}


def values_of(kind: str) -> st.SearchStrategy[float]:
    if kind == "f64":
        return finite
    if kind == "f32":
        return st.floats(width=32, allow_nan=False, allow_infinity=False)
    bits = 8 * struct.calcsize(TYPES[kind])
    return st.integers(0, 2**bits - 1) if kind[0] == "u" else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[str, ...], list[tuple[float, ...]]]:
    kinds = tuple(draw(st.lists(st.sampled_from(sorted(TYPES)), max_size=5)))
    record = st.tuples(values_of("i64"), *(values_of(kind) for kind in kinds))
    return kinds, draw(st.lists(record, max_size=20))


@given(table=tables(), torn=st.integers(0, 7), name=st.text(max_size=20))
def test_what_is_written_is_read(table: tuple[tuple[str, ...], list[tuple[float, ...]]], torn: int, name: str) -> None:
    kinds, records = table
    columns = (Column("host_ns", "i64", "ns"), *(Column(f"c{n}", kind, "1") for n, kind in enumerate(kinds)))
    with tempfile.TemporaryFile(buffering=0) as file:
        name = name.encode("utf-8", "replace").decode()
        writer = SamplesWriter(file, SamplesHeader(series=name, columns=columns, host="m1", job=3))
        for record in records:
            writer.add(*record)
        if torn < writer.header.layout.size:
            file.seek(0, os.SEEK_END)
            file.write(bytes(torn))  # what a killed writer leaves
        reader = SamplesReader(file)
        assert reader.header == writer.header
        assert len(reader) == len(records)
        assert list(reader.records()) == records
        for number, column in enumerate(columns):
            assert [v for block in reader.column(column.name) for v in block] == [record[number] for record in records]


def written(path: Path, values: list[float], *, offset_ns: int = 0) -> Path:
    columns = (Column("host_ns", "i64", "ns"), Column("v", "f64", "ms"))
    with path.open("xb", buffering=0) as file:
        writer = SamplesWriter(file, SamplesHeader(series="x", columns=columns))
        layout = writer.header.layout
        writer.append(b"".join(layout.pack(n * 10**9 + offset_ns, value) for n, value in enumerate(values)))
    return path


def test_the_header_is_a_line_that_people_can_read_and_records_are_aligned(tmp_path: Path) -> None:
    data = written(tmp_path / "samples-x.bin", [1.0, 2.0]).read_bytes()
    line, newline, rest = data.partition(b"\n")
    assert line.startswith(b'{"schema":1,"series":"x","columns":[{"name":"host_ns","type":"i64","unit":"ns"}')
    assert (len(line) + len(newline)) % 8 == 0
    assert rest == struct.pack("<qdqd", 0, 1.0, 10**9, 2.0)


def test_a_file_is_cut_at_its_limit_on_a_whole_record(tmp_path: Path) -> None:
    columns = (Column("t_ns", "i64", "ns"), Column("v"))
    with (tmp_path / "samples-x.bin").open("xb", buffering=0) as file:
        writer = SamplesWriter(file, SamplesHeader(series="x", columns=columns), limit=40)
        writer.append(struct.pack("<qdqdqd", 0, 0.0, 1, 1.0, 2, 2.0))
        writer.append(struct.pack("<qd", 3, 3.0))
        assert (writer.truncated, writer.size) == (True, 32)
    assert list(SamplesReader(tmp_path / "samples-x.bin").records()) == [(0, 0.0), (1, 1.0)]


KILLED = """
import os, sys
from itertools import pairwise
from pathlib import Path
from shakeout.journal.samples import Column, SamplesHeader, SamplesWriter
file = open(sys.argv[1], "xb", buffering=0)
header = SamplesHeader(series="x", columns=(Column("t_ns", "i64", "ns"), Column("v", "f64", "1")))
writer = SamplesWriter(file, header)
for number in range(1000):
    writer.add(number, number / 2)
print("written", flush=True)
while True:
    writer.add(number, 0.0)
"""


def test_a_killed_writer_loses_nothing_that_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "samples-x.bin"
    with subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        assert len(SamplesReader(path)) >= 1000  # while it is being written
        writer.send_signal(signal.SIGKILL)
    reader = SamplesReader(path)
    found = list(reader.records())
    assert found[:1000] == [(number, number / 2) for number in range(1000)]
    assert len(found) == len(reader)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no file of samples"),
        (b"\x7fELF\n", "is no file of samples"),
        (b'{"schema":1,"series":"x","columns":[]}\n', "is no file of samples"),
        (
            b'{"schema":1,"series":"x","columns":[{"name":"t_ns","type":"i64"},{"name":"a","type":"f9"}]}\n',
            "is no file",
        ),
        (b'{"schema":1,"series":"x","columns":[{"name":"t_ns","type":"i64"}]}', "is no file of samples"),
        (b'{"schema":2}\n', f"schema 2, and this version reads schema {SCHEMA}"),
    ],
)
def test_what_is_no_file_of_samples_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "samples-x.bin"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=said):
        SamplesReader(path)


def test_a_link_or_a_pipe_is_no_file_of_samples(tmp_path: Path) -> None:
    written(tmp_path / "real.bin", [1.0])
    (tmp_path / "samples-a.bin").symlink_to("real.bin")
    os.mkfifo(tmp_path / "samples-b.bin")
    for name in ("samples-a.bin", "samples-b.bin", "samples-c.bin"):
        with pytest.raises(JournalError, match=name):
            SamplesReader(tmp_path / name)


@pytest.mark.parametrize("name", ["samples-../x.bin", "../samples-x.bin", "samples-x.txt", "artifacts/samples-x.bin"])
def test_what_is_no_name_of_such_a_file(name: str) -> None:
    assert not is_samples(name)
    assert is_samples("samples-m1-job3-cpu.bin")


# -- views and figures --------------------------------------------------------------------------------


def test_a_view_is_on_the_axis_of_the_run(tmp_path: Path) -> None:
    path = written(tmp_path / "samples-x.bin", [4.0, 1.0, 3.0, 2.0], offset_ns=5_000_000_000)
    view = view_of(path, "x", {"v": "ms"}, 4_500_000_000)
    assert view.times == [0.5, 1.5, 2.5, 3.5]
    assert view.values() == view.values("v") == [4.0, 1.0, 3.0, 2.0]
    assert (view.mean(), view.minimum("v"), view.maximum(), view.percentile(50)) == (2.5, 1.0, 4.0, 2.5)
    assert list(view.points()) == [([0.5, 1.5, 2.5, 3.5], [4.0, 1.0, 3.0, 2.0])]
    assert view.span() == (0.5, 3.5)
    assert len(view) == 4
    with pytest.raises(UnknownName, match="no column of the series x is called 'w'"):
        view.values("w")


def test_a_view_of_nothing_says_so(tmp_path: Path) -> None:
    view = view_of(written(tmp_path / "samples-x.bin", []), "x", {"v": "ms"})
    assert (view.times, view.values(), len(view), view.span()) == ([], [], 0, (0.0, 0.0))
    assert view.statistics().count == 0
    with pytest.raises(JournalError, match="no samples yet"):
        view.mean()
    with pytest.raises(JournalError, match="no samples yet"):
        view.percentile(99)


@given(st.lists(finite, min_size=1, max_size=200), st.integers(1, 50))
def test_figures_are_those_of_the_values(values: list[float], size: int) -> None:
    found = statistics(iter([values[i : i + size] for i in range(0, len(values), size)]), len(values))
    assert found.count == len(values)
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert found.mean is not None
    assert min(values) <= found.mean <= max(values)
    if max(map(abs, values)) < 1e100:
        assert found.mean == pytest.approx(reference.fmean(values), rel=1e-9, abs=1e-6 * max(map(abs, values)))
    assert found.p50 is not None
    assert found.p95 is not None
    assert found.p99 is not None
    assert min(values) <= found.p50 <= found.p95 <= found.p99 <= max(values)


def test_a_percentile_lies_between_its_neighbours() -> None:
    ordered = [float(n) for n in range(101)]
    assert [quantile(ordered, f) for f in (0.0, 0.5, 0.95, 0.999, 1.0)] == pytest.approx([0, 50, 95, 99.9, 100])
    assert quantile([7.0], 0.3) == 7.0


def test_percentiles_of_very_many_values_are_estimated_from_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "EXACT", 1000)
    values = [float(n % 1000) for n in range(100_000)]
    found = statistics(iter([values[i : i + 4096] for i in range(0, len(values), 4096)]), len(values))
    assert found.mean == pytest.approx(499.5)
    assert (found.count, found.minimum, found.maximum) == (100_000, 0.0, 999.0)
    assert found.p50 == pytest.approx(500, abs=60)
    assert found.p99 == pytest.approx(990, abs=20)
