"""Amounts and latencies of the stress modules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules import CpuStress, DiskFill, DiskStress, MemoryStress
from shakeout.modules.latencies import CLASSES, class_of, latency, top_of
from shakeout.modules.sizes import SizeParam, in_bytes, refuse_memory


@pytest.mark.parametrize(
    ("given_", "value"),
    [(4096, 4096), ("4096", 4096), ("4k", 4096), ("1.5 GiB", 3 << 29), ("2GB", 2 * 10**9), (" 64MiB ", 64 << 20)],
)
def test_amounts_as_people_write_them(given_: object, value: int) -> None:
    assert SizeParam().convert(given_) == value


@pytest.mark.parametrize("wrong", ["", "x", "1x", "-1", "1e3", ".", "1.", "50%", True, 0, -5, 1.5, None, 1 << 60, "²"])
def test_other_amounts_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected bytes as a number or with a unit"):
        SizeParam().convert(wrong)


def test_shares_are_of_what_is_free() -> None:
    shares = SizeParam(share=True)
    assert in_bytes(shares.convert("12.5%"), 1000) == 125
    assert shares.convert(shares.convert("50 %")) == "50%"
    for wrong in ("0%", "101%", "%", "nan%"):
        with pytest.raises(ValueError, match="or a share"):
            shares.convert(wrong)


def test_memory_that_a_host_needs_is_left_to_it() -> None:
    refuse_memory(90 << 30, 100 << 30)
    with pytest.raises(ModuleFailed, match="force=True"):
        refuse_memory(96 << 30, 100 << 30)
    with pytest.raises(ModuleFailed, match="force=True"):
        refuse_memory(1, 1 << 20)


@given(st.integers(0, 1 << 62))
def test_a_class_is_hardly_wider_than_its_durations(duration: int) -> None:
    number = class_of(duration)
    assert 0 <= number < CLASSES
    if number < CLASSES - 1:
        assert duration <= top_of(number) <= duration * 1.125


@given(st.lists(st.integers(1, 1 << 36), min_size=1))
def test_percentiles_are_hardly_too_high(durations: list[int]) -> None:
    classes = [0] * CLASSES
    for each in durations:
        classes[class_of(each)] += 1
    found = latency(classes, min(durations), sum(durations), max(durations))
    assert found is not None
    exact = sorted(durations)[(len(durations) + 1) // 2 - 1] / 1e6
    assert round(exact, 6) <= found["p50"] <= exact * 1.126 + 1e-6
    assert found["min"] <= found["p50"] <= found["p99"] <= found["max"]
    assert latency([0] * CLASSES, 0, 0, 0) is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CpuStress(load=0), "load"),
        (lambda: CpuStress(workers=-1), "workers"),
        (MemoryStress, "size"),
        (lambda: MemoryStress(size="lots"), "size"),
        (lambda: MemoryStress(size=1), "size"),
        (lambda: DiskStress(path="relative"), "path"),
        (lambda: DiskStress(block=1000), "a multiple of 512"),
        (lambda: DiskStress(size="64KiB", workers=2), "less than one block for each worker"),
        (lambda: DiskFill(path="/tmp"), "leave"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        make()  # type: ignore[operator]
