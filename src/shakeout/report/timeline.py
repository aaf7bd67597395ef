"""The geometry of a part's time line: a group of lanes a host, jobs as bars, what else happened as marks.

Pure; the page draws it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import msgspec

from shakeout.report.moments import Moment
from shakeout.report.outcome import JobOutcome
from shakeout.report.text import one_line, seconds

#: Lanes of one host; further overlapping jobs share the last one.
MAX_LANES = 12
#: Heights in pixels.
LANE, LABEL, AXIS = 18, 20, 22
#: Per cent of the width: what a label needs, and how near marks are that become one.
_LABEL_NEEDS, _ONE_MARK = 5.0, 0.6
#: Events that one mark lists.
_LISTED = 12


class Bar(msgspec.Struct, frozen=True):
    """One job. Horizontal measures are per cent of the width, vertical ones pixels."""

    x: float
    width: float
    y: int
    #: Which of the jobs that were given.
    job: int
    #: Where there is room for its label, and how much; 0: nowhere.
    label_x: float
    label_width: float


class Mark(msgspec.Struct, frozen=True):
    """Something that happened to a host, or several things at nearly the same time."""

    x: float
    kind: str
    #: The first of them; "" if there is no room to show it.
    label: str
    label_width: float
    #: All of them with their times, a line each.
    text: str


class Row(msgspec.Struct, frozen=True):
    """One host: its label's place and its bars."""

    host: str
    y: int
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()


class Tick(msgspec.Struct, frozen=True):
    """A mark of the axis."""

    x: float
    label: str


class Timeline(msgspec.Struct, frozen=True):
    """Everything to draw."""

    height: int
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]


def timeline(jobs: Sequence[JobOutcome], began_ns: int, ended_ns: int, moments: Sequence[Moment] = ()) -> Timeline:
    """The time line of *jobs* and *moments* in a part that took from *began_ns* to *ended_ns*.

    A job that did not finish lasts until the end. Hosts are in the order of their first job.
    """
    hosts: dict[str, list[int]] = {}
    for number, job in enumerate(jobs):
        hosts.setdefault(job.host, []).append(number)
        began_ns = min(began_ns, job.began_ns)
        ended_ns = max(ended_ns, job.began_ns, job.ended_ns or 0)
    happened: dict[str, list[Moment]] = {}
    for each in moments:
        hosts.setdefault(each.host, [])
        happened.setdefault(each.host, []).append(each)
        began_ns, ended_ns = min(began_ns, each.t_ns), max(ended_ns, each.t_ns)
    span = max(1, ended_ns - began_ns)
    rows, y = [], AXIS
    for host, own in hosts.items():
        marks = _marks(happened.get(host, []), began_ns, span)
        top = y + LABEL + (LANE if marks else 0)
        lanes, used = _lanes(sorted((jobs[n].began_ns, _end(jobs[n], ended_ns), n) for n in own))
        rows.append(Row(one_line(host), y, tuple(_bars(lanes, began_ns, span, top)), marks))
        y = top + used * LANE + 4
    return Timeline(y, tuple(rows), _ticks(span / 1e9))


def _bars(lanes: list[tuple[_Span, int]], began_ns: int, span: int, top: int) -> Iterator[Bar]:
    """The bars of a host; a label stands in its bar, or behind it if there is more room."""
    following: dict[int, float] = {}
    bars = []
    for (begin, end, number), lane in reversed(lanes):
        x, width = _visible(100 * (begin - began_ns) / span, 100 * (end - begin) / span)
        behind = round(following.get(lane, 100.0) - x - width, 3)
        place, room = (x, width) if width >= min(behind, 3 * _LABEL_NEEDS) else (round(x + width, 3), behind)
        if room < _LABEL_NEEDS:
            place, room = x, 0.0
        bars.append(Bar(x, width, top + lane * LANE, number, place, room))
        following[lane] = x
    return reversed(bars)


def _marks(moments: Sequence[Moment], began_ns: int, span: int) -> tuple[Mark, ...]:
    """A mark for each moment, one for several where they would cover each other."""
    groups: list[tuple[float, list[Moment]]] = []
    for each in sorted(moments, key=lambda one: one.t_ns):
        x = round(min(100 * (each.t_ns - began_ns) / span, 99.2), 3)
        if groups and x - groups[-1][0] < _ONE_MARK:
            groups[-1][1].append(each)
        else:
            groups.append((x, [each]))
    ends = [*(x for x, _ in groups), 100.0][1:]
    return tuple(_mark(x, group, round(end - x, 3), began_ns) for (x, group), end in zip(groups, ends, strict=True))


def _mark(x: float, group: list[Moment], room: float, began_ns: int) -> Mark:
    lines = [f"{seconds((one.t_ns - began_ns) / 1e9)}: {one.text}" for one in group[:_LISTED]]
    if len(group) > _LISTED:
        lines.append(f"… and {len(group) - _LISTED} more")
    label = group[0].text + (f" (+{len(group) - 1})" if len(group) > 1 else "")
    kind = "lost" if any(one.kind == "lost" for one in group) else group[0].kind
    return Mark(x, kind, label if room >= _LABEL_NEEDS else "", room, "\n".join(lines))


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
