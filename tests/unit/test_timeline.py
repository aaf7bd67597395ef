"""The time line: what happened to hosts beside their jobs, and labels where there is room for them."""

from __future__ import annotations

import re

from shakeout.journal.events import (
    DeviceChanged,
    Event,
    FileTransfer,
    Header,
    HostLost,
    JobFinished,
    JobStarted,
    PartFinished,
    PartStarted,
    Setting,
)
from shakeout.journal.verdict import Verdict
from shakeout.report.fold import fold
from shakeout.report.html import html
from shakeout.report.timeline import timeline

HEADER = Header(run="20261120-134501-4000", kind="recipe", started="2026-11-20T13:45:01.250000Z")
MS = 1_000_000


def run_of(*events: Event) -> list[Event]:
    """*events* as a part of a second."""
    return [PartStarted(t_ns=0, part=1), *events, PartFinished(t_ns=1000 * MS, part=1, verdict=Verdict.PASSED)]


def job(number: int, began: int, ended: int, desc: str) -> tuple[Event, Event]:
    """A job of m1, in milliseconds."""
    return (
        JobStarted(t_ns=began * MS, part=1, host="m1", job=number, desc=desc),
        JobFinished(t_ns=ended * MS, part=1, host="m1", job=number, passed=True, duration_s=(ended - began) / 1000),
    )


DOWN = DeviceChanged(t_ns=300 * MS, part=1, host="m2", device="eth0", action="call", name="down", value=[])


def test_the_page_shows_what_ran_where_and_the_moment_a_device_went_down() -> None:
    page = html(fold(HEADER, run_of(*job(7, 0, 800, "a long one"), DOWN)))
    assert '<text class="label" x="4" y="11">7 a long one</text>' in page
    assert "<title>m1 job 7: a long one: PASS" in page
    mark = re.search(r'<svg class="mark mark-device" x="30.0%".*?</svg>', page, re.DOTALL)
    assert mark, "at its place on the axis"
    assert "<title>m2 0.3 s: eth0 down</title>" in mark[0].replace("0.300 s", "0.3 s")
    assert ">eth0 down</text>" in mark[0]


def test_each_kind_of_event_is_marked_and_harmless() -> None:
    events = (
        DeviceChanged(
            t_ns=0, part=1, host="m1", device="eth0", action="set", name="mtu", value=9000, error="<no>\x1b[1m"
        ),
        Setting(t_ns=200 * MS, part=1, host="m1", path="/proc/sys/x", value="1", previous="0"),
        FileTransfer(t_ns=400 * MS, part=1, host="m1", direction="send", source="a", target="/b"),
        FileTransfer(t_ns=500 * MS, part=1, host="m1", direction="receive", source="of a job", job=3),
        HostLost(t_ns=600 * MS, part=1, host="m1", reason="it was cut off"),
    )
    page = html(fold(HEADER, run_of(*events)))
    assert re.findall(r'class="mark mark-(\w+)"', page) == ["device", "setting", "file", "lost"]
    assert "eth0 mtu = 9000 failed: &lt;no&gt;" in page
    assert "\x1b" not in page
    assert "/proc/sys/x = 1 (was 0)" in page
    assert "send a to /b" in page
    assert "host lost: it was cut off" in page


def test_marks_that_would_cover_each_other_are_one_that_lists_them() -> None:
    many = [DeviceChanged(t_ns=n, part=1, host="m1", device=f"d{n}", action="create") for n in range(100)]
    (part,) = fold(HEADER, run_of(*many, DOWN)).parts
    rows = {row.host: row for row in timeline((), part.began_ns, part.ended_ns, part.moments).rows}
    (mark,) = rows["m1"].marks
    assert mark.label == "d0 created (+99)"
    assert mark.text.splitlines()[-1] == "… and 88 more"
    assert len(rows["m2"].marks) == 1


def test_a_label_stands_beside_a_short_bar_and_nowhere_if_there_is_no_room() -> None:
    (part,) = fold(HEADER, run_of(*job(1, 0, 10, "short"), *job(2, 20, 30, "next"), *job(3, 500, 1000, "wide"))).parts
    (row,) = timeline(part.jobs, part.began_ns, part.ended_ns).rows
    first, second, third = row.bars
    assert first.label_width == 0
    assert second.label_x >= second.x + second.width
    assert second.label_x + second.label_width <= third.x + 0.01
    assert (third.label_x, third.label_width) == (third.x, third.width)


def test_a_page_of_very_many_changes_stays_small() -> None:
    many = [
        DeviceChanged(t_ns=n * MS, part=1, host=f"m{n % 9}", device="x" * 500, action="create") for n in range(9000)
    ]
    lost = HostLost(t_ns=9000 * MS, part=1, host="m1", reason="gone")
    page = html(fold(HEADER, run_of(*many, lost)))
    assert len(page) < 1_000_000
    assert "host lost: gone" in page
