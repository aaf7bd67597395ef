"""Strangers at the agent's gate: how long they may stay, how many of them, and how much is said of them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shakeout.agent import gate
from shakeout.agent.gate import Gate, Sparing
from shakeout.agent.listening import tcp_listeners
from shakeout.certs.delivery import deliver
from shakeout.certs.laboratory import Laboratory
from shakeout.errors import UsageError
from shakeout.wire.credentials import Credentials
from shakeout.wire.reactor import Reactor
from shakeout.wire.tls import TlsTransport


class Entrance:
    """A gate, and what came of those who came."""

    def __init__(self, folder: Path) -> None:
        laboratory = Laboratory.found(folder / "ca")
        deliver(laboratory.issue("dut1", "host"), folder / "dut1", laboratory.revocations())
        self.said: list[str] = []
        self.admitted: list[TlsTransport] = []
        self.reactor = Reactor()
        self.gate = Gate(self.reactor, Credentials(folder / "dut1", "host"), self.admitted.append, self.said.append)
        (listener,) = tcp_listeners("127.0.0.1:0")
        self.address = listener.getsockname()
        self.gate.listen(listener)

    def until(self, condition: Callable[[], bool]) -> None:
        """Turn its loop until something is so."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            self.reactor.turn(0.1)

    @property
    def strangers(self) -> int:
        return len(self.gate._strangers)


@pytest.fixture
def entrance(tmp_path: Path) -> Iterator[Entrance]:
    made = Entrance(tmp_path)
    yield made
    made.gate.close()
    assert made.strangers == 0
    made.reactor.close()


def test_who_says_nothing_or_little_is_sent_away_in_time(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "GREETING_TIMEOUT", 0.2)
    with socket.create_connection(entrance.address) as silent, socket.create_connection(entrance.address) as slow:
        slow.send(b"\x16\x03\x01\x02\x00\x01")
        entrance.until(lambda: entrance.strangers == 2)
        entrance.until(lambda: entrance.strangers == 0)
        assert silent.recv(1) == b""
        assert slow.recv(1) == b""
    assert len(entrance.said) == 2
    assert all("no certificate was shown within 0.2 s" in line for line in entrance.said)
    assert not entrance.admitted


def test_who_was_refused_and_stays_is_sent_away_too(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_PARTING", 0.2)
    with socket.create_connection(entrance.address) as rude:
        rude.send(b"nonsense" * 100)
        entrance.until(lambda: entrance.strangers == 1)
        entrance.until(lambda: entrance.strangers == 0)
    assert len(entrance.said) == 1
    assert "it does not speak TLS 1.3" in entrance.said[0]


def test_of_too_many_the_first_goes_first(entrance: Entrance) -> None:
    crowd = []
    try:
        for number in range(1, 101):
            crowd.append(socket.create_connection(entrance.address))
            entrance.until(lambda number=number: entrance.strangers == min(number, 64))
            entrance.reactor.turn(0)
        entrance.until(lambda: entrance.strangers == 64)
        entrance.reactor.turn(0)
        assert crowd[0].recv(1) == b""
        crowd[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            crowd[-1].recv(1)
    finally:
        for each in crowd:
            each.close()


def test_a_flood_from_one_place_sends_nobody_else_away(entrance: Entrance) -> None:
    """However slow the way of somebody honest is, and how fast others come again and again."""
    with contextlib.ExitStack() as stack:
        honest = stack.enter_context(socket.create_connection(entrance.address, source_address=("127.0.0.2", 0)))
        entrance.until(lambda: entrance.strangers == 1)
        for number in range(2, 200):
            stack.enter_context(socket.create_connection(entrance.address))
            entrance.until(lambda number=number: entrance.strangers == min(number, 64))
            entrance.reactor.turn(0)
        entrance.reactor.turn(0)
        honest.setblocking(False)
        with pytest.raises(BlockingIOError):
            honest.recv(1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_what_counts_as_one_place(one: str, other: str, same: bool) -> None:
    assert (gate._network(one) == gate._network(other)) is same


def test_much_is_not_said_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(gate.time, "monotonic", lambda: now)
    said: list[str] = []
    sparing = Sparing(said.append)
    for number in range(1000):
        sparing(f"{number}")
    assert said == [f"{number}" for number in range(20)]
    now = 1.5
    sparing("next")
    assert said[20:] == ["next (and 980 others before, not listed)"]


@pytest.mark.parametrize("text", ["no.such.name.invalid", "192.0.2.1:1", "a..b"])
def test_where_nobody_can_listen(text: str) -> None:
    with pytest.raises(UsageError, match="the agent cannot listen at"):
        tcp_listeners(text)


def test_every_address_is_both_families_and_a_name_all_that_it_has() -> None:
    for text in (":0", "localhost:0", "[::1]:0"):
        listeners = tcp_listeners(text)
        for listener in listeners:
            listener.close()
        assert listeners


def test_a_port_in_use_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="Address already in use"):
        tcp_listeners(f"127.0.0.1:{taken.getsockname()[1]}")
