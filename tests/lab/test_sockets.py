"""TCP and UDP modules against each other, each in a process of its own, on loopback."""

from __future__ import annotations

import signal
import socket
from typing import Any

import pytest
from tests.lab.module_process import LO_UP, ModuleProcess, reason, run

from shakeout.errors import BadParameters
from shakeout.modules import TcpConnect, TcpListen, UdpListen, UdpSend

LOOPBACK = ("127.0.0.1", "::1")


def port_of(listener: ModuleProcess) -> int:
    """The port that a listener has announced; it listens from then on."""
    line = listener.line()
    assert line.startswith("listening on "), line
    return int(line.rpartition(":")[2])


@pytest.fixture
def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("dst", LOOPBACK)
@pytest.mark.parametrize("address", [None, "same"])
def test_a_connection_is_made_and_counted_on_both_sides(dst: str, address: str | None) -> None:
    with ModuleProcess(TcpListen(address=dst if address else None, connections=2)) as listener:
        port = port_of(listener)
        made = run(TcpConnect(dst=dst, port=port, count=2, payload="hello"))
        heard = listener.outcome()
    assert made.passed
    assert (made.result["connections"], made.result["failed"], made.result["sent"]) == (2, 0, 10)
    assert 0 < made.result["connect_ms"]["min"] <= made.result["connect_ms"]["max"]
    assert heard.passed
    assert (heard.result["connections"], heard.result["received"], heard.result["port"]) == (2, 10, port)
    host = f"[{dst}]" if ":" in dst else dst
    assert [peer.rpartition(":")[0] for peer in heard.result["peers"]] == [host, host]


def test_much_data_is_echoed_while_it_is_still_being_sent() -> None:
    size = 20 << 20
    with ModuleProcess(TcpListen(address="127.0.0.1", echo=True)) as listener:
        made = run(TcpConnect(dst="127.0.0.1", port=port_of(listener), size=size, echo=True, timeout=30))
        heard = listener.outcome()
    assert (made.result["sent"], made.result["received"]) == (size, size)
    assert (heard.result["received"], heard.result["sent"]) == (size, size)


def test_the_expected_answer_passes_and_another_fails() -> None:
    with ModuleProcess(TcpListen(address="127.0.0.1", reply="welcome", connections=3)) as listener:
        port = port_of(listener)
        assert run(TcpConnect(dst="127.0.0.1", port=port, expect="welcome")).passed
        other = run(TcpConnect(dst="127.0.0.1", port=port, expect="welfare"))
        assert "another answer came: it differs from byte 3 on" in reason(other)
        longer = run(TcpConnect(dst="127.0.0.1", port=port, payload="x", expect="welcome home"))
        assert "the answer ended after 7 of 12 bytes" in reason(longer)


def test_a_refused_connection_says_so(dead_port: int) -> None:
    outcome = run(TcpConnect(dst="127.0.0.1", port=dead_port))
    refused = f"the connection to 127.0.0.1:{dead_port} failed: Connection refused; nobody listens there, or not yet: "
    assert reason(outcome).startswith(refused)
    outcome = run(TcpConnect(dst="127.0.0.1", port=dead_port, count=3))
    assert reason(outcome).startswith("3 of 3 connections")
    assert outcome.result["errors"] == {"Connection refused": 3}


def test_who_has_no_address_is_told_to_get_one() -> None:
    outcome = run(TcpConnect(dst="203.0.113.9", port=1, timeout=5), LO_UP)
    assert "failed: Network is unreachable; give this host an address in that network, " in reason(outcome)


def test_an_answer_that_does_not_come_times_out() -> None:
    with ModuleProcess(TcpListen(address="127.0.0.1", connections=0)) as listener:
        late = run(TcpConnect(dst="127.0.0.1", port=port_of(listener), expect="x", timeout=0.1))
    assert "timed out with 0 of 1 bytes received" in reason(late)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (TcpConnect(dst="nonesuch.invalid", port=1), "the host name nonesuch.invalid is not known"),
        (UdpSend(dst="nonesuch.invalid", port=1), "the host name nonesuch.invalid is not known"),
        (TcpListen(address="192.0.2.1"), "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
        (UdpListen(address="192.0.2.1"), "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
        (TcpListen(timeout=0.05, connections=2), "only 0 of 2 connections came and ended within 0.05 s"),
        (UdpListen(timeout=0.05, datagrams=2), "only 0 of 2 datagrams came within 0.05 s"),
        (TcpConnect(dst="127.0.0.1", port=1, bind="192.0.2.1"), "Cannot assign requested address"),
        (UdpSend(dst="127.0.0.1", port=1, bind="192.0.2.1"), "Cannot assign requested address"),
    ],
)
def test_what_cannot_be_done_says_why(module: Any, said: str) -> None:
    assert said in reason(run(module))


def test_a_port_that_is_taken_is_named() -> None:
    with ModuleProcess(TcpListen(address="127.0.0.1")) as first:
        port = port_of(first)
        outcome = run(TcpListen(address="127.0.0.1", port=port))
    assert reason(outcome) == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize("module", [TcpListen(connections=0), UdpListen(datagrams=0)])
def test_an_endless_listener_is_stopped_with_what_it_has(module: Any) -> None:
    with ModuleProcess(module) as listener:
        port = port_of(listener)
        outcome = listener.outcome(signal.SIGINT)
    assert outcome.passed
    assert outcome.result["port"] == port
    assert outcome.result["received"] == 0


def test_a_listener_stopped_too_early_fails() -> None:
    with ModuleProcess(UdpListen(datagrams=3, address="127.0.0.1")) as listener:
        assert run(UdpSend(dst="127.0.0.1", port=port_of(listener))).passed
        outcome = listener.outcome(signal.SIGINT)
    assert "of 3 datagrams came before it was stopped" in reason(outcome)


@pytest.mark.parametrize("dst", LOOPBACK)
def test_datagrams_come_back(dst: str) -> None:
    with ModuleProcess(UdpListen(datagrams=3, echo=True)) as listener:
        sent = run(UdpSend(dst=dst, port=port_of(listener), count=3, payload="x", size=100, echo=True, timeout=10))
        heard = listener.outcome()
    assert sent.passed
    assert (sent.result["answers"], sent.result["received"], sent.result["loss"]) == (3, 300, 0.0)
    assert sent.result["answer_ms"]["min"] > 0
    assert (heard.result["datagrams"], heard.result["received"], heard.result["sent"]) == (3, 300, 300)
    assert list(heard.result["peers"].values()) == [3]


def test_datagrams_that_nobody_wants_are_a_failure(dead_port: int) -> None:
    outcome = run(UdpSend(dst="127.0.0.1", port=dead_port, count=3))
    assert "Connection refused" in reason(outcome)
    outcome = run(UdpSend(dst="127.0.0.1", port=dead_port, count=2, echo=True, timeout=0.05))
    assert "2 of 2 datagrams to 127.0.0.1" in reason(outcome)
    assert run(UdpSend(dst="127.0.0.1", port=dead_port, echo=True, timeout=0.05, max_loss=100)).passed


def test_contradictions_are_refused_at_once() -> None:
    with pytest.raises(BadParameters, match="contradict"):
        TcpConnect(dst="127.0.0.1", port=1, echo=True, expect="x")
    with pytest.raises(BadParameters, match="at most 65507 bytes"):
        UdpSend(dst="127.0.0.1", port=1, payload="ü" * 40000)
