"""Throughput in pure Python, between two network namespaces."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.lab.module_process import ModuleProcess, reason
from tests.lab.pair import Side, pair

from shakeout.modules import TcpListen, ThroughputClient, ThroughputServer
from shakeout.wire.samples import Declared, Rows

pytestmark = pytest.mark.needs("nft", "ip", "root")


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    with pair() as both:
        yield both


@contextmanager
def serving(side: Side, **params: object) -> Iterator[ModuleProcess]:
    """A server that listens."""
    with side.start(ThroughputServer(**params)) as server:
        line = server.line()
        assert line.startswith("listening on "), line
        yield server


@contextmanager
def dropping(side: Side, rule: str) -> Iterator[None]:
    """A rule for what comes in."""
    chain = "nft add chain inet lossy input '{ type filter hook input priority 0; }'"
    side.do("nft add table inet lossy", chain, f"nft add rule inet lossy input {rule} drop")
    try:
        yield
    finally:
        side.do("nft delete table inet lossy")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_both_directions_at_once_with_several_streams(sides: tuple[Side, Side], protocol: str, version: str) -> None:
    a, b = sides
    client = ThroughputClient(
        dst=getattr(b, version), bind=getattr(a, version), protocol=protocol, bidirectional=True, streams=3,
        rate=2e7, duration=0.4, interval=0.1, warm_up=0.1, window=1 << 20,
    )  # fmt: skip
    with serving(b) as server, a.start(client) as running:
        outcome = running.outcome()
        heard = server.outcome()
        names = [frame.name for frame in running.samples if isinstance(frame, Declared)]
        rows = [frame for frame in running.samples if isinstance(frame, Rows)]
    assert outcome.passed, outcome.error
    test, back = outcome.result, outcome.result["back"]
    for way in (test, back):
        assert way["received_bps"] == pytest.approx(6e7, rel=0.4)
        assert len(way["streams"]) == 3
        assert sum(stream["received_bytes"] for stream in way["streams"]) == way["received_bytes"]
        assert way["uncertainty_bps"] >= 0
    assert sorted(names) == ["throughput", "throughput_back"]
    assert rows
    assert (heard.passed, heard.result["tests"]) == (True, 1)
    assert heard.result["received"] == test["received_bytes"]
    assert "back" in client.format_result(test)


@pytest.mark.parametrize("params", [{}, {"zerocopy": True, "reverse": True}, {"protocol": "udp", "rate": 0}])
def test_as_fast_as_it_can(sides: tuple[Side, Side], params: dict[str, object]) -> None:
    a, b = sides
    with serving(b):
        outcome = a.run(ThroughputClient(dst=b.ipv4, duration=0.3, **params))
    assert outcome.passed, outcome.error
    assert outcome.result["received_bps"] > 2e7
    assert outcome.result["sender_cpu"] > 0
    assert outcome.result["limited_by"] in ("sender", "receiver", "path")


def test_datagrams_that_are_dropped_on_their_way_are_counted(sides: tuple[Side, Side]) -> None:
    a, b = sides
    udp = {"protocol": "udp", "rate": 4e6, "length": 500, "duration": 0.4}
    with serving(b, tests=2), dropping(b, "udp dport 5202 ip length '>=' 500 numgen inc mod 4 == 3"):
        lossy = a.run(ThroughputClient(dst=b.ipv4, **udp))
        strict = a.run(ThroughputClient(dst=b.ipv4, max_loss=10, **udp))
    assert lossy.passed
    assert lossy.result["loss"] == pytest.approx(25, abs=1)
    assert lossy.result["lost"] > 50
    assert lossy.result["dropped"] == 0
    assert "datagrams to 10.77.0.2:5202 were lost (2" in reason(strict)
    assert strict.result["lost"] > 50


def test_a_rate_of_next_to_nothing_does_not_keep_it_from_ending(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b):
        outcome = a.run(ThroughputClient(dst=b.ipv4, protocol="udp", rate=1, duration=0.1, bidirectional=True))
    assert outcome.passed, outcome.error
    assert outcome.result["datagrams"] <= 1


def test_datagrams_that_cannot_be_sent_are_told(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b):
        client = ThroughputClient(dst=b.ipv6, protocol="udp", rate=0, length=65507, duration=0.1, window=8192)
        outcome = a.run(client)
    assert "nothing could be sent over UDP: No buffer space available" in reason(outcome)


def test_an_interrupt_ends_it_with_what_came(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b) as server, a.start(ThroughputClient(dst=b.ipv4, duration=60, interval=0.05)) as client:
        client.wait_for_sample()
        mine, theirs = client.outcome(signal.SIGINT), server.outcome()
    assert mine.passed, mine.error
    assert mine.result["stopped"]
    assert mine.result["received_bytes"] > 0
    assert mine.result["received_bytes"] == pytest.approx(mine.result["sent_bytes"], rel=0.5)
    assert theirs.passed
    assert theirs.result["received"] == mine.result["received_bytes"]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_server_that_is_stopped_fails_the_client(sides: tuple[Side, Side], protocol: str) -> None:
    a, b = sides
    client = ThroughputClient(dst=b.ipv4, protocol=protocol, duration=60, interval=0.05)
    with serving(b) as server, a.start(client) as running:
        running.wait_for_sample()
        theirs, mine = server.outcome(signal.SIGINT), running.outcome()
    assert "was stopped at the other end" in reason(mine)
    assert mine.result["received_bytes"] > 0
    assert theirs.passed


def test_a_server_that_dies_fails_the_client_with_what_it_has(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b) as server, a.start(ThroughputClient(dst=b.ipv4, duration=60, interval=0.05)) as client:
        client.wait_for_sample()
        server.process.kill()
        mine = client.outcome()
    assert "broke off" in reason(mine)
    assert mine.result["sent_bytes"] > 0
    assert mine.result["received_bytes"] is None


def test_a_server_goes_on_when_a_client_dies(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with serving(b, tests=0) as server:
        with a.start(ThroughputClient(dst=b.ipv4, duration=60, interval=0.05)) as client:
            client.wait_for_sample()
        assert a.run(ThroughputClient(dst=b.ipv4, duration=0.1)).passed
        heard = server.outcome(signal.SIGINT)
    assert heard.passed
    assert heard.result["tests"] == 1
    assert sum(heard.result["errors"].values()) == 1


def test_what_cannot_be_done_says_why(sides: tuple[Side, Side]) -> None:
    a, b = sides
    assert "Connection refused; start ThroughputServer" in reason(a.run(ThroughputClient(dst=b.ipv4)))
    assert "no client came within 0.1 s" in reason(b.run(ThroughputServer(timeout=0.1)))
    with serving(b, tests=0) as server:
        with dropping(b, "udp dport 5202"):
            filtered = a.run(ThroughputClient(dst=b.ipv4, protocol="udp", timeout=0.3))
        assert "is UDP filtered on the way?" in reason(filtered)
        unknown = a.run(ThroughputClient(dst=b.ipv4, congestion="nonesuch"))
        assert "congestion=nonesuch" in reason(unknown)
        assert server.outcome(signal.SIGINT).passed
    with b.start(TcpListen(port=5202, connections=0)) as other:
        other.line()
        assert "does not answer" in reason(a.run(ThroughputClient(dst=b.ipv4, timeout=0.2)))
    with b.start(TcpListen(port=5202, connections=0, reply="HTTP/1.1 400 Bad Request")) as other:
        other.line()
        assert "no ThroughputServer" in reason(a.run(ThroughputClient(dst=b.ipv4)))


def test_strangers_do_not_disturb_a_server() -> None:
    with ModuleProcess(ThroughputServer(port=0, address="127.0.0.1")) as server:
        port = int(server.line().rpartition(":")[2])
        for data in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"shakeout-throughput-1\n\xff\xff\xff\xff"):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(100) == b""
        with ModuleProcess(ThroughputClient(dst="127.0.0.1", port=port, duration=0.1)) as client:
            assert client.outcome().passed
        heard = server.outcome()
    assert heard.passed
    assert sum(heard.result["errors"].values()) == 3
