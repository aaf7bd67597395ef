"""Throughput measurements, without a network: numbered datagrams, messages of strangers, results."""

from __future__ import annotations

import socket
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.modules import IperfClient, ThroughputClient
from shakeout.modules.flows.result import direction
from shakeout.modules.flows.sequence import MAX_MISSING, Sequence
from shakeout.modules.flows.talk import PeerGone, Plan, Received, ReceivedStream, Sent, SentStream, Stop, Talk


@given(st.lists(st.integers(0, 30), max_size=60))
def test_every_datagram_is_counted_as_one_thing(numbers: list[int]) -> None:
    sequence = Sequence()
    fresh = [sequence.arrive(number, 0, 0) for number in numbers]
    assert fresh == [number not in numbers[:at] for at, number in enumerate(numbers)]
    assert sequence.received == len(set(numbers))
    assert sequence.duplicates == len(numbers) - len(set(numbers))
    late = sum(fresh[at] and number < max(numbers[:at], default=-1) for at, number in enumerate(numbers))
    assert sequence.reordered == late
    assert sequence.lost(31) == 31 - len(set(numbers))


def test_what_is_missing_for_long_is_given_up() -> None:
    sequence = Sequence()
    sequence.arrive(0, 0, 0)
    sequence.arrive(10**12, 0, 0)
    assert sequence.arrive(10**12 - MAX_MISSING, 0, 0)
    assert not sequence.arrive(5, 0, 0)
    assert (sequence.received, sequence.reordered, sequence.duplicates) == (3, 1, 1)


def test_jitter_is_what_rfc_3550_says_and_no_clock_matters() -> None:
    even, uneven = Sequence(), Sequence()
    for number in range(1000):
        even.arrive(number, number * 1000, 10**15 + number * 1000)
        uneven.arrive(number, number * 1000, number * 1000 + 100 * (number % 2))
    assert even.jitter_ns == 0
    assert uneven.jitter_ns == pytest.approx(100, abs=1)


@pytest.fixture
def talk() -> Any:
    listener = socket.create_server(("127.0.0.1", 0))
    other = socket.create_connection(listener.getsockname())
    mine, _ = listener.accept()
    listener.close()
    with mine, other:
        yield Talk(mine), other


def framed(**message: Any) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\1\xc1",
        b"\0\0\0\2\xc0\xc0",
        framed(type="Sent", seconds=-1),
        framed(type="Exec", code="1"),
    ],
)
def test_a_stranger_is_recognised(talk: Any, data: bytes) -> None:
    mine, other = talk
    other.sendall(data)
    with pytest.raises(PeerGone):
        mine.hear(time.monotonic() + 5)


def test_messages_arrive_in_pieces_and_several_at_once(talk: Any) -> None:
    mine, other = talk
    body = msgspec.msgpack.encode(Stop())
    frame = len(body).to_bytes(4, "big") + body
    other.sendall(frame + frame[:3])
    assert mine.hear(time.monotonic() + 5) == Stop()
    assert mine.hear(time.monotonic()) is None
    other.sendall(frame[3:])
    assert mine.hear(time.monotonic() + 5) == Stop()
    other.close()
    with pytest.raises(PeerGone, match="closed"):
        mine.hear(time.monotonic() + 5)


def plan(**changes: Any) -> Plan:
    values = {"protocol": "udp", "streams": 2, "duration": 1.0, "warm_up": 0.0, "interval": 1.0, "forward": True}
    return Plan(**{**values, "back": False, "length": 1000, **changes})


def test_streams_are_summed_and_the_limit_is_named() -> None:
    sent = Sent(2.0, [SentStream(1000, 10), SentStream(3000, 30)], 50.0, 0.5)
    received = Received(2.0, [ReceivedStream(500, 5, 1, 0, 1e6), ReceivedStream(3000, 30, 0, 2, 3e6)], 10.0, 0.1, 3)
    flow = direction(plan(), sent, received, [1.0, 3.0])
    assert (flow["sent_bps"], flow["received_bps"]) == (16000.0, 14000.0)
    assert (flow["lost"], flow["loss"], flow["reordered"], flow["duplicates"]) == (5, 12.5, 1, 2)
    assert (flow["jitter_ms"], flow["dropped"], flow["limited_by"]) == (2.0, 3, "path")
    assert [stream["lost"] for stream in flow["streams"]] == [5, 0]
    assert direction(plan(rate=8000.0), sent, received, [])["limited_by"] == "rate"
    busy = msgspec.structs.replace(sent, busy=0.95)
    assert direction(plan(rate=9000.0), busy, received, [])["limited_by"] == "sender"
    assert direction(plan(), sent, msgspec.structs.replace(received, busy=1.0), [])["limited_by"] == "receiver"


@pytest.mark.parametrize(("duration", "between"), [(1, 0.1), (2, 0.1), (6, 0.3), (10, 0.5), (20, 1.0), (3600, 1.0)])
def test_a_short_measurement_takes_its_samples_faster(duration: int, between: float) -> None:
    command = IperfClient(dst="192.0.2.1", duration=duration).command()
    assert float(command[command.index("--interval") + 1]) == pytest.approx(between)
    shortest = ThroughputClient(dst="192.0.2.1", duration=duration).plan().interval
    assert shortest == pytest.approx(max(0.05, min(1, duration / 20)))


def test_an_interval_that_somebody_chose_is_kept() -> None:
    command = IperfClient(dst="192.0.2.1", duration=2, interval=1).command()
    assert command[command.index("--interval") + 1] == "1"
    assert ThroughputClient(dst="192.0.2.1", duration=2, interval=1).plan().interval == 1
    assert ThroughputClient(dst="192.0.2.1", duration=0.5).plan().interval == 0.05


def test_an_end_that_told_nothing_leaves_gaps() -> None:
    flow = direction(plan(protocol="tcp"), Sent(1.0, [SentStream(1000, 0, 4, 250)], 1.0, 0.1), None, [])
    assert (flow["sent_bytes"], flow["received_bytes"], flow["limited_by"]) == (1000, None, None)
    assert (flow["retransmits"], flow["rtt_ms"], flow["loss"], flow["dropped"]) == (4, 0.25, None, None)
    assert direction(plan(), None, None, [])["streams"] == []
    lopsided = direction(plan(), Sent(1.0, [SentStream(1, 1)], 1, 0), Received(1.0, [], 1, 0), [])
    assert lopsided["lost"] == 1


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"reverse": True, "bidirectional": True}, "contradict"),
        ({"protocol": "udp", "zerocopy": True}, "zerocopy is for protocol=tcp"),
        ({"protocol": "udp", "length": 70000}, "65507"),
        ({"max_loss": 1}, "max_loss is for protocol=udp"),
        ({"bind": "fd00::1"}, "is not"),
        ({"length": 31}, "length"),
        ({"duration": 0}, "duration"),
        ({"streams": 0}, "streams"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        ThroughputClient(dst="10.0.0.2", **params)
