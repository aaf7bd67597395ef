"""The geometry of a part's time line: jobs as bars, a group of lanes a host. Pure; the page draws it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import msgspec

from shakeout.report.outcome import JobOutcome
from shakeout.report.text import one_line

#: Lanes of one host; further overlapping jobs share the last one.
MAX_LANES = 12
#: Heights in pixels.
LANE, LABEL, AXIS = 14, 20, 22


class Bar(msgspec.Struct, frozen=True):
    """One job. Horizontal measures are per cent of the width, vertical ones pixels."""

    x: float
    width: float
    y: int
    #: Which of the jobs that were given.
    job: int


class Row(msgspec.Struct, frozen=True):
    """One host: its label's place and its bars."""

    host: str
    y: int
    bars: tuple[Bar, ...]


class Tick(msgspec.Struct, frozen=True):
    """A mark of the axis."""

    x: float
    label: str


class Timeline(msgspec.Struct, frozen=True):
    """Everything to draw."""

    height: int
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]


def timeline(jobs: Sequence[JobOutcome], began_ns: int, ended_ns: int) -> Timeline:
    """The time line of *jobs* in a part that took from *began_ns* to *ended_ns*.

    A job that did not finish lasts until the end. Hosts are in the order of their first job.
    """
    hosts: dict[str, list[int]] = {}
    for number, job in enumerate(jobs):
        hosts.setdefault(job.host, []).append(number)
        began_ns = min(began_ns, job.began_ns)
        ended_ns = max(ended_ns, job.began_ns, job.ended_ns or 0)
    span = max(1, ended_ns - began_ns)
    rows, y = [], AXIS
    for host, own in hosts.items():
        spans = [(jobs[n].began_ns, _end(jobs[n], ended_ns), n) for n in own]
        lanes, used = _lanes(sorted(spans))
        bars = []
        for (begin, end, number), lane in lanes:
            x, width = 100 * (begin - began_ns) / span, 100 * (end - begin) / span
            bars.append(Bar(*_visible(x, width), y + LABEL + lane * LANE, number))
        rows.append(Row(one_line(host), y, tuple(bars)))
        y += LABEL + used * LANE + 4
    return Timeline(y, tuple(rows), _ticks(span / 1e9))


def _end(job: JobOutcome, ended_ns: int) -> int:
    return ended_ns if job.ended_ns is None else max(job.began_ns, job.ended_ns)


def _visible(x: float, width: float) -> tuple[float, float]:
    """Place and width of a bar that can be seen, however short it is."""
    return round(min(x, 99.7), 3), round(max(0.3, min(width, 100 - x)), 3)


_Span = tuple[int, int, int]


def _lanes(spans: list[_Span]) -> tuple[list[tuple[_Span, int]], int]:
    """A lane for each span (begin, end, number), so that those of one lane follow each other; how many."""
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    used = 0
    placed = []
    for span in spans:
        while busy and busy[0][0] <= span[0]:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        elif used < MAX_LANES:
            lane = used
            used += 1
        else:
            placed.append((span, MAX_LANES - 1))
            continue
        heapq.heappush(busy, (span[1], lane))
        placed.append((span, lane))
    return placed, used


def _ticks(span_s: float) -> tuple[Tick, ...]:
    """At most ten marks at round times."""
    step = 1e-6
    factors = (2.0, 2.5, 2.0)  # 1, 2, 5, 10 …
    number = 0
    while span_s / step > 8:
        step *= factors[number % 3]
        number += 1
    count = int(span_s / step) + 1
    return tuple(Tick(round(100 * i * step / span_s, 3), f"{i * step:.6g} s") for i in range(count))
