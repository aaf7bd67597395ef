"""The clock of modules that measure: it does not drift, says what it missed, and ends in order."""

from __future__ import annotations

import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.modules.beat import Beat
from shakeout.modules.extent import Extent

MS = 10**6


def busy_until(moment_ns: int) -> None:
    while time.monotonic_ns() < moment_ns:
        pass


def test_moments_do_not_drift_whatever_is_done_in_between() -> None:
    with Beat(0.004, 0.1) as beat:
        for number, moment in enumerate(beat, 1):
            assert moment >= beat.begin_ns + number * 4 * MS
            busy_until(moment + MS)
    sampling = beat.sampling()
    assert sampling["samples"] + sampling["missed"] == 25
    assert sampling["late_max_ms"] >= sampling["late_ms"] > 0
    assert sampling["seconds"] >= 0.1


def test_moments_that_were_missed_are_counted_and_not_made_up_for() -> None:
    with Beat(0.005, 0.1) as beat:
        for moment in beat:
            if beat.samples == 1:
                busy_until(moment + 40 * MS)
    assert beat.missed >= 7
    assert beat.samples + beat.missed == 20


def test_an_end_between_two_moments_has_one_of_its_own() -> None:
    with Beat(0.04, 0.05) as beat:
        found = [(beat.whole, beat.elapsed) for _ in beat]
    assert len(found) == 2
    assert found[0][0]
    assert found[1][1] < found[0][1] + 0.04


def test_sigint_ends_it_with_a_last_moment() -> None:
    for interval in (None, 60.0):
        with Beat(interval) as beat:
            os.kill(os.getpid(), signal.SIGINT)
            assert len(list(beat)) == 1
            assert beat.interrupted
    with Beat(60.0) as beat:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)


def test_what_happens_in_between_is_attended_to_at_once() -> None:
    read, write = os.pipe()
    seen: list[bytes] = []
    with Beat(60.0) as beat:

        def attend() -> None:
            seen.append(os.read(read, 10))
            beat.leave(read)
            beat.stop()

        beat.attend(read, attend)
        os.write(write, b"x")
        assert len(list(beat)) == 1
    beat.leave(read)
    os.close(read)
    os.close(write)
    assert seen == [b"x"]


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e3)), min_size=1))
def test_a_range_holds_its_mean(values: list[tuple[float, float]]) -> None:
    extent = Extent()
    for value, weight in values:
        extent.add(value, weight)
    found = extent.range()
    assert found is not None
    assert found["min"] <= found["avg"] <= found["max"]
    assert Extent().range() is None
