"""Units: which are of one kind, and how people read them."""

from __future__ import annotations

import pytest

from shakeout.errors import UsageError
from shakeout.units import convert, plain, readable, unit, with_uncertainty


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (9.41e9, "bit/s", "Gbit/s", 9.41), (1, "GB/s", "Gbit/s", 8), (1, "MiB/s", "B/s", 2**20), (5, "ms", "s", 0.005),
        (2, "us", "µs", 2), (1, "Gbps", "Mbit/s", 1000), (2, "Mpps", "packets/s", 2e6), (60, "1/min", "Hz", 1),
        (50, "%", "1", 0.5), (3, "h", "min", 180), (1, "bit/ms", "kbit/s", 1), (4, "frobs", "frobs", 4),
    ],
)  # fmt: skip
def test_units_of_one_kind(value: float, source: str, target: str, result: float) -> None:
    assert convert(value, source, target) == pytest.approx(result)


@pytest.mark.parametrize(("source", "target"), [("ms", "bit/s"), ("bit", "bit/s"), ("packets", "bit"), ("s", "1")])
def test_units_of_different_kinds(source: str, target: str) -> None:
    with pytest.raises(UsageError, match="they measure different things"):
        convert(1, source, target)


@pytest.mark.parametrize("text", ["Gbit/", "/s", "x\n", "y" * 65])
def test_what_is_no_unit(text: str) -> None:
    with pytest.raises(UsageError, match="is no unit; write it as Gbit/s"):
        unit(text)


def test_a_great_k_is_not_guessed_at() -> None:
    with pytest.raises(UsageError, match="'KB/s' may mean 1000 or 1024: write kB or KiB"):
        unit("KB/s")


@pytest.mark.parametrize(
    ("text", "word", "near"),
    [
        ("Gbit/ss", "ss", "s"), ("gbit/s", "gbit", "Gbit"), ("Gbti/s", "Gbti", "Gbit"), ("packts", "packts", "packets"),
        ("hz", "hz", "Hz"), ("frames/sec", "sec", "s"), ("Percent", "Percent", "%"), ("Mbbit/s", "Mbbit", "Mbit"),
    ],
)  # fmt: skip
def test_a_misspelt_unit_is_refused_with_the_nearest(text: str, word: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"nobody knows '{word}' .did you mean '{near}'"):
        unit(text)


@pytest.mark.parametrize("text", ["frames/s", "dB", "°C", "hops", "hits", "qps", "retries/s", "rpm", "pages", "J/bit"])
def test_units_of_one_s_own(text: str) -> None:
    assert convert(4, text, text) == 4


def test_units_as_people_read_them() -> None:
    assert [plain(text) for text in ("Gbit/s", "ms", "%", "KiB/s", "1", "")] == ["bit/s", "s", "%", "B/s", "1", "1"]
    assert readable(9.41e9, "bit/s") == "9.41 Gbit/s"
    assert readable(0.00123, "s") == "1.23 ms"
    assert readable(123456, "1") == "123456"
    assert readable(12.5, "ms") == "12.5 ms"
    assert with_uncertainty(9.4132, 0.0312, "Gbit/s") == "9.413 ± 0.031 Gbit/s"
    assert with_uncertainty(12345.6, 120.3, "1") == "12346 ± 120"
    assert with_uncertainty(9.4132, None, "ms") == "9.413 ms"
    assert with_uncertainty(2, 0, "ms") == "2 ± 0 ms"
    assert with_uncertainty(1e-12, 1e-13, "1") == "1e-12 ± 1e-13"
