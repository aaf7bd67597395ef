"""Processes as /proc has them: real ones, odd ones, and nonsense."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.modules import ProcessMonitor, ProcessWatch
from shakeout.modules.machine import proctable
from shakeout.modules.machine.proctable import ProcessStat, family, parse_process
from shakeout.modules.trend import LIMIT, Trend


def process(pid: int, parent: int = 1, session: int = 1, group: int = 1) -> ProcessStat:
    return ProcessStat(pid, "x", "S", parent, group, session, 0.0, 1, 5, 0, 0)


def test_this_process_is_read() -> None:
    stat = proctable.read_process(os.getpid())
    assert stat is not None
    assert (stat.pid, stat.parent, stat.state) == (os.getpid(), os.getppid(), "R")
    assert stat.rss > 1 << 20
    assert proctable.descriptors(os.getpid())
    assert "python" in proctable.command_line(os.getpid())
    assert stat in [
        each._replace(cpu=stat.cpu, rss=stat.rss, state="R", threads=stat.threads) for each in proctable.every_process()
    ]
    assert proctable.read_process(2**22 + 1) is None


@given(st.binary(max_size=15))
def test_a_name_may_be_anything(name: bytes) -> None:
    stat = parse_process(
        b"42 (" + name + b") S 1 42 42 " + b"0 " * 7 + b"150 50 " + b"0 " * 4 + b"7 0 999 0 3 " + b"0 " * 20
    )
    assert stat is not None
    assert (stat.pid, stat.state, stat.threads, stat.start) == (42, "S", 7, 999)
    assert stat.cpu == 200 / proctable.TICKS


@given(st.binary())
def test_nonsense_is_no_process(data: bytes) -> None:
    parse_process(data)
    proctable.parse_fields(data)


def test_a_family_has_children_sessions_and_groups() -> None:
    root = process(10, 1, 10, 10)
    child, grandchild = process(11, 10, 99, 99), process(12, 11, 98, 98)
    orphan, other = process(13, 1, 10, 97), process(14, 1, 96, 96)
    members = family(10, [other, grandchild, child, orphan, root])
    assert {each.pid for each in members} == {10, 11, 12, 13}


@pytest.mark.parametrize("kind", [ProcessMonitor, ProcessWatch])
def test_exactly_one_way_to_say_which(kind: type[ProcessMonitor]) -> None:
    with pytest.raises(BadParameters, match="Exactly one of pids, name, cmdline and job says it; none is given"):
        kind()
    with pytest.raises(BadParameters, match="Exactly one"):
        kind(name="x", pids=[1])
    with pytest.raises(BadParameters, match="no regular expression"):
        kind(cmdline="(")
    with pytest.raises(BadParameters, match="a job that runs in the background"):
        kind(job="x")


def test_what_comes_and_goes_does_not_grow() -> None:
    trend = Trend()
    for number in range(300):
        trend.add(10 + number % 7)
    assert trend.growth() == 0
    for number in range(300):
        trend.add(15 + number % 7)
    assert trend.growth() == 5


@given(st.integers(2, 5 * LIMIT))
def test_a_steady_rise_is_seen_however_long_it_takes(count: int) -> None:
    trend = Trend()
    for number in range(count):
        trend.add(float(number))
    assert len(trend._values) <= LIMIT
    assert count / 2 <= trend.growth() + 2
    assert trend.growth() <= count
