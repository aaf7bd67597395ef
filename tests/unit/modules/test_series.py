"""Samples in the process of a test module: when they go, and what is refused."""

from __future__ import annotations

import os
import threading
import time

import pytest

from shakeout.errors import ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.series import Series
from shakeout.wire.samples import MAX_FRAME, MAX_SERIES, Declared, Rows, SampleFrames, row_format


class Sent:
    """Takes frames, as the channel does."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.frames: list[Declared | Rows] = []
        self._parser = SampleFrames()

    def __call__(self, frame: bytes) -> None:
        self.sizes.append(len(frame))
        found, rest = self._parser.feed(frame)
        assert len(found) == 1
        assert not rest
        self.frames += found

    def rows(self, columns: int = 1, number: int = 0) -> list[tuple[float, ...]]:
        layout = row_format(columns)
        mine = [frame for frame in self.frames if isinstance(frame, Rows) and frame.number == number]
        return [row for frame in mine for row in layout.iter_unpack(frame.data)]


def test_a_slow_series_goes_at_once_and_a_fast_one_together() -> None:
    sent = Sent()
    series = Series("x", {"v": "ms"}, 0, sent)
    assert sent.frames == [Declared(0, "x", (("v", "ms"),))]
    for number in range(5):
        series.add(number, v=number)
        assert sent.rows()[-1] == (number, float(number))
    for number in range(5, 100_000):
        series.add(number, v=number)
    fast = len(sent.frames)
    assert fast < 3000
    series.end()
    assert sent.rows() == [(number, float(number)) for number in range(100_000)]
    assert max(sent.sizes) <= MAX_FRAME


def test_a_burst_of_a_slow_series_is_not_held_back() -> None:
    sent = Sent()
    series = Series("x", {"v": "ms"}, 0, sent)
    for _ in range(30):
        series.add(v=1)
    assert len(sent.rows()) == 30


def test_the_moment_is_now_unless_it_is_given() -> None:
    sent = Sent()
    series = Series("x", {"b": "s", "a": "s"}, 0, sent)
    before = time.monotonic_ns()
    series.add(a=1, b=2)
    series.add(17, b=4, a=3)
    (moment, b, a), second = sent.rows(2)
    assert before <= moment <= time.monotonic_ns()
    assert (b, a) == (2.0, 1.0)
    assert second == (17, 4.0, 3.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "has nothing but must have v"),
        ({"w": 1}, "has w but must have v"),
        ({"v": 1, "w": 2}, "has v, w but must have v"),
        ({"v": float("nan")}, "finite number for each column, not v=nan"),
        ({"v": float("-inf")}, "finite number"),
        ({"v": "1"}, "finite number for each column, not v='1'"),
        ({"v": None}, "finite number"),
        ({"v": 10**400}, "finite number"),
    ],
)
def test_a_sample_that_is_none_is_a_mistake_of_the_modules(given: dict[str, float], said: str) -> None:
    sent = Sent()
    series = Series("x", {"v": "ms"}, 0, sent)
    with pytest.raises(ModuleFailed, match="x") as caught:
        series.add(**given)
    assert said in str(caught.value)
    with pytest.raises(ModuleFailed, match=r"taken at 1\.5, which is no number of nanoseconds"):
        series.add(1.5, v=1)  # type: ignore[arg-type]
    assert sent.rows() == []


class Nothing(BaseTestModule):
    def run(self) -> None:
        return None


def test_without_an_agent_samples_go_nowhere() -> None:
    module = Nothing()
    module.series("cpu", user="%").add(user=1)
    assert module.state() == Nothing().state()
    with pytest.raises(ModuleFailed, match="there is a series 'cpu' already"):
        module.series("cpu", user="%")
    with pytest.raises(ModuleFailed, match="1 to 32 columns"):
        module.series("other")


def test_a_module_has_so_many_series_and_no_more() -> None:
    module = Nothing()
    for number in range(MAX_SERIES):
        module.series(f"s{number}", v="1")
    with pytest.raises(ModuleFailed, match="one too many"):
        module.series("last", v="1")


def test_threads_may_share_a_series() -> None:
    sent = Sent()
    series = Series("x", {"v": "1"}, 0, sent)

    def add(first: int) -> None:
        for number in range(first, first + 5000):
            series.add(v=number)

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 5000, 10000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    series.end()
    assert sorted(value for _, value in sent.rows()) == [float(number) for number in range(15000)]


def test_what_is_added_after_the_end_is_lost_and_harmless() -> None:
    sent = Sent()
    series = Series("x", {"v": "1"}, 0, sent)
    series.add(v=1)
    series.end()
    series.add(v=2)
    series.end()
    assert [value for _, value in sent.rows()] == [1.0]


def test_a_forked_process_has_no_part_in_a_series() -> None:
    sent = Sent()
    series = Series("x", {"v": "1"}, 0, sent)
    pid = os.fork()
    if pid == 0:
        try:
            series.end()  # harmless
            series.add(v=1)
        except ModuleFailed as error:
            os._exit(7 if "the test module's own process" in str(error) else 1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7
