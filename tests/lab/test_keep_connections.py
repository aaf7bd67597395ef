"""KeepConnections through cut links, listeners that end, and listeners that lie."""

from __future__ import annotations

import resource
import signal
import struct
from collections.abc import Callable, Iterator

import pytest
from tests.lab.module_process import ModuleProcess, reason
from tests.lab.pair import Side, pair

from shakeout.modules import KeepConnections, TcpListen
from shakeout.wire.samples import Rows

pytestmark = pytest.mark.needs("nft", "ip", "root")
PORT = 5100


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    with pair() as both:
        yield both


def listening(side: Side, **params: object) -> ModuleProcess:
    """A listener that listens."""
    listener = side.start(TcpListen(**{"port": PORT, "echo": True, "connections": 0, **params}))
    assert listener.line().startswith("listening on ")
    return listener


def keeping(side: Side, dst: str, **params: object) -> ModuleProcess:
    """Connections that are up, and looked at often."""
    fast = {"count": 8, "interval": 0.02, "sample_interval": 0.02, "duration": 0, "gap": 0.1}
    keeper = side.start(KeepConnections(dst=dst, port=PORT, **{**fast, **params}))
    assert "connections to" in keeper.line()
    return keeper


def await_sample(keeper: ModuleProcess, wanted: Callable[[float, float], bool]) -> None:
    """Wait for a new sample whose numbers (alive, waiting) are as wanted."""
    while True:
        seen = len(keeper.samples)
        assert keeper._receive()
        for frame in keeper.samples[seen:]:
            if isinstance(frame, Rows):
                for _, alive, waiting, _ in struct.iter_unpack("<q3d", frame.data):
                    if wanted(alive, waiting):
                        return


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_nothing_happens_and_all_survive(sides: tuple[Side, Side], version: str) -> None:
    a, b = sides
    module = KeepConnections(
        dst=getattr(b, version), bind=getattr(a, version), port=PORT, count=50, duration=0.3, interval=0.05
    )
    with listening(b):
        outcome = a.run(module)
    assert outcome.passed, outcome.error
    result = outcome.result
    assert (result["alive"], result["survived"], result["broken"], result["gaps"]) == (50, 50, 0, [])
    assert result["answered"] > 100
    assert 0 < result["rtt_ms"]["max"] <= result["max_gap_ms"] + 0.001
    assert module.format_result(result).startswith("50 of 50 connections survived, longest interruption")


def test_a_silent_link_is_a_gap_but_no_break(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with listening(b), keeping(a, b.ipv4, max_gap=0.1) as keeper:
        await_sample(keeper, lambda alive, waiting: waiting == 0)
        b.do(f"ip link set {b.link} down")
        await_sample(keeper, lambda alive, waiting: waiting == 8)
        b.do(f"ip link set {b.link} up")
        await_sample(keeper, lambda alive, waiting: waiting == 0)
        outcome = keeper.outcome(signal.SIGINT)
    assert "nothing came through a connection to 10.77.0.2:5100 (allowed are 100 ms)" in reason(outcome)
    result = outcome.result
    assert (result["alive"], result["survived"], result["broken"]) == (8, 8, 0)
    assert result["max_gap_ms"] > 100
    assert {gap["connection"] for gap in result["gaps"]} == set(range(8))
    assert not any(gap["broke"] for gap in result["gaps"])
    b.do(f"ip address add {b.ipv6}/64 dev {b.link} nodad")  # it went with the link


def test_what_breaks_is_made_anew(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with keeping_with_listener(a, b, max_broken=8) as (keeper, listener):
        listener.__exit__()
        await_sample(keeper, lambda alive, waiting: alive == 0)
        with listening(b):
            await_sample(keeper, lambda alive, waiting: alive == 8 and waiting == 0)
            outcome = keeper.outcome(signal.SIGINT)
    assert outcome.passed, outcome.error
    result = outcome.result
    assert (result["alive"], result["survived"], result["broken"]) == (8, 0, 8)
    assert all(entry["restored_s"] > 0 for entry in result["breaks"])
    assert result["max_gap_ms"] >= max(entry["restored_s"] for entry in result["breaks"]) * 1000 - 1
    assert set(result["reasons"]) <= {"Connection reset by peer", "the peer closed it", "Broken pipe"}


class keeping_with_listener:
    """Connections that are up, and a listener that may end before them."""

    def __init__(self, a: Side, b: Side, **params: object) -> None:
        self._listener = listening(b)
        self._keeper = keeping(a, b.ipv4, **params)

    def __enter__(self) -> tuple[ModuleProcess, ModuleProcess]:
        return self._keeper, self._listener

    def __exit__(self, *exc: object) -> None:
        self._keeper.__exit__()


def test_what_breaks_fails_and_stays_away_if_so_wanted(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with keeping_with_listener(a, b, reconnect=False) as (keeper, listener):
        listener.__exit__()
        await_sample(keeper, lambda alive, waiting: alive == 0)
        outcome = keeper.outcome(signal.SIGINT)
    assert "8 of 8 connections to 10.77.0.2:5100 broke: " in reason(outcome)
    assert outcome.result["alive"] == 0
    assert all(entry["restored_s"] is None for entry in outcome.result["breaks"])


def test_a_connection_without_answers_can_be_given_up(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with listening(b), keeping(a, b.ipv4, dead_after=0.1, timeout=0.2) as keeper:
        b.do("nft add table inet cut", "nft add chain inet cut input '{ type filter hook input priority 0; }'")
        try:
            b.do(f"nft add rule inet cut input tcp dport {PORT} drop")
            await_sample(keeper, lambda alive, waiting: alive == 0)
        finally:
            b.do("nft delete table inet cut")
        await_sample(keeper, lambda alive, waiting: alive == 8 and waiting == 0)
        outcome = keeper.outcome(signal.SIGINT)
    assert "no answer for 0.1 s" in reason(outcome)
    assert outcome.result["alive"] == 8


def test_what_cannot_be_begun_says_why(sides: tuple[Side, Side]) -> None:
    a, b = sides
    refused = reason(a.run(KeepConnections(dst=b.ipv4, port=PORT)))
    assert "only 0 of 10 connections to 10.77.0.2:5100 could be made: Connection refused; is TcpListen" in refused
    foreign = a.run(KeepConnections(dst=b.ipv4, port=PORT, bind="192.0.2.1"))
    assert "Cannot assign requested address" in reason(foreign)
    silent = a.run(KeepConnections(dst="10.77.0.9", port=PORT, timeout=0.05))
    assert "timed out" in reason(silent)


def test_a_listener_that_does_not_echo_is_noticed(sides: tuple[Side, Side]) -> None:
    a, b = sides
    with listening(b, echo=False, reply="220 mail"):
        lying = a.run(KeepConnections(dst=b.ipv4, port=PORT, duration=0.2, count=2, reconnect=False))
    assert "does the listener echo?" in reason(lying)
    with listening(b, echo=False):
        mute = a.run(KeepConnections(dst=b.ipv4, port=PORT, duration=0.2, count=2, max_gap=0.1))
    assert "nothing came through a connection" in reason(mute)
    assert mute.result["answered"] == 0


def test_more_connections_than_a_process_has_files_by_default(sides: tuple[Side, Side]) -> None:
    a, b = sides

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024))

    module = KeepConnections(dst=b.ipv4, port=PORT, count=300, duration=0.5, interval=1)
    listener = b.start(TcpListen(port=PORT, echo=True, connections=0), preexec_fn=few_files)
    with listener:
        assert listener.line().startswith("listening on ")
        with a.start(module, preexec_fn=few_files) as keeper:
            outcome = keeper.outcome()
        heard = listener.outcome(signal.SIGINT)
    assert outcome.passed, outcome.error
    assert outcome.result["survived"] == 300
    assert heard.passed
