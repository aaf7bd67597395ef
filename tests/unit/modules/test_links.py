"""Counters of interfaces: what the kernel says, and how it adds up."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from shakeout.modules.machine.linkcounters import (
    COUNTERS,
    DELLINK,
    NEWLINK,
    LinkReading,
    attributes,
    decode_link,
    messages,
)
from shakeout.modules.machine.linktally import LinkTally


def reading(*counters: int, **changed: object) -> LinkReading:
    values = (*counters, *(0,) * (len(COUNTERS) - len(counters)))
    return LinkReading(NEWLINK, 7, "eth0", True, True, 1, values)._replace(**changed)  # type: ignore[arg-type]


class Story(list[str]):
    """What a tally tells."""

    def __call__(self, name: str, what: str) -> None:
        self.append(f"{name} {what}")


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    list(messages(data))
    attributes(data, 0)
    decode_link(NEWLINK, data)


def test_a_message_is_read() -> None:
    stats = struct.pack("=10Q", *range(10)) + bytes(100)
    body = struct.pack("=BxHiII", 0, 1, 7, 1, 0)
    for kind, payload in ((3, b"eth0\0"), (33, b"\1"), (35, struct.pack("=I", 4)), (23, stats)):
        body += struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)
    assert decode_link(NEWLINK, body) == LinkReading(NEWLINK, 7, "eth0", True, True, 4, tuple(range(10)))
    assert decode_link(NEWLINK, b"\7" + body[1:]) is None  # the family of bridges
    assert decode_link(99, body) is None


def test_totals_count_from_the_beginning() -> None:
    story = Story()
    tally = LinkTally(reading(100, 50, 1000, 500), story)
    tally.take(reading(110, 51, 3000, 600))
    assert tally.totals[:4] == [10, 1, 2000, 100]
    rates = tally.rates(2.0)
    assert (rates.rx, rates.tx, rates.rx_packets, rates.tx_packets) == (8000, 400, 5, 0.5)
    assert tally.ranges()["rx"] == {"min": 8000, "avg": 8000, "max": 8000}
    assert story == []


def test_what_goes_wrong_is_told() -> None:
    story = Story()
    tally = LinkTally(reading(), story)
    tally.take(reading(0, 0, 0, 0, 1, 0, 3))
    tally.take(reading(0, 0, 0, 0, 1, 0, 3, carrier=False, carrier_changes=2))
    tally.take(reading(0, 0, 0, 0, 1, 0, 3, carrier=False, carrier_changes=4, up=False))
    tally.take(reading(0, 0, 0, 0, 1, 0, 3, carrier=False, carrier_changes=4, up=False, name="wan"))
    tally.take(tally.farewell())
    assert story == [
        "eth0 1 receive errors",
        "eth0 3 received packets dropped",
        "eth0 carrier lost",
        "eth0 was set down",
        "eth0 carrier changed 2 times, now lost",
        "eth0 was renamed from eth0 to wan",
        "eth0 disappeared",
    ]
    assert (tally.errors, tally.drops, tally.carrier_changes, tally.present) == (1, 3, 3, False)


def test_one_that_comes_back_counts_on() -> None:
    tally = LinkTally(reading(100), Story())
    tally.take(reading(105, kind=DELLINK))
    tally.returned(reading(2, number=9))
    tally.take(reading(5, number=9))
    assert tally.totals[0] == 5 + 3
    assert (tally.index, tally.present) == (9, True)


def test_counters_that_begin_anew_are_told() -> None:
    story = Story()
    tally = LinkTally(reading(100, 100), story)
    tally.take(reading(5, 120))
    assert tally.totals[:2] == [5, 20]
    assert story == ["eth0 its counters began anew"]


@given(st.lists(st.integers(0, 1 << 33), min_size=1))
def test_totals_never_go_back(values: list[int]) -> None:
    tally = LinkTally(reading(), Story())
    last = 0
    for value in values:
        tally.take(reading(value))
        assert tally.totals[0] >= last
        last = tally.totals[0]
