"""Connections: messages both ways, descriptors, slow readers, and what is no message."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from shakeout.wire.connection import Connection
from shakeout.wire.messages import Output, Sync, SyncReply, agent_decoder, controller_decoder
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import MemoryTransport, Transport, UnixTransport


class Side:
    """One end, and what came to it."""

    def __init__(self, transport: Transport, reactor: Reactor, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self.got: list[Any] = []
        self.closed: list[str] = []
        self.fds: list[int] = []
        self.take_fds = False
        self.connection = Connection(transport, reactor, decoder, self.message, self.closed.append)

    def message(self, message: Any) -> None:
        if self.take_fds:
            self.fds.append(self.connection.take_fd())
        self.got.append(message)


def unix_pair() -> tuple[Transport, Transport]:
    one, two = socket.socketpair()
    return UnixTransport(one), UnixTransport(two)


@pytest.fixture(params=[unix_pair, MemoryTransport.pair], ids=["unix", "memory"])
def transports(request: pytest.FixtureRequest) -> tuple[Transport, Transport]:
    made: tuple[Transport, Transport] = request.param()
    return made


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    loop = Reactor()
    yield loop
    loop.close()


@pytest.fixture
def sides(transports: tuple[Transport, Transport], reactor: Reactor) -> Iterator[tuple[Side, Side]]:
    controller = Side(transports[0], reactor, controller_decoder())
    agent = Side(transports[1], reactor, agent_decoder())
    yield controller, agent
    for side in (controller, agent):
        side.connection.close()


def turn_until(reactor: Reactor, condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        reactor.turn(1)
    pytest.fail("it did not happen")


def test_messages_go_both_ways_in_order(sides: tuple[Side, Side], reactor: Reactor) -> None:
    controller, agent = sides
    for number in range(5):
        controller.connection.send(Sync(number, 7))
    agent.connection.send(SyncReply(1, 2, 3))
    turn_until(reactor, lambda: len(agent.got) == 5 and len(controller.got) == 1)
    assert [message.sequence for message in agent.got] == [0, 1, 2, 3, 4]
    assert controller.got == [SyncReply(1, 2, 3)]


def test_a_descriptor_arrives_with_its_message(sides: tuple[Side, Side], reactor: Reactor) -> None:
    controller, agent = sides
    agent.take_fds = True
    read, write = os.pipe()
    controller.connection.send(Sync(1, 1), (write,))
    os.close(write)
    turn_until(reactor, lambda: bool(agent.fds))
    os.write(agent.fds[0], b"through")
    assert os.read(read, 10) == b"through"
    os.close(read)
    os.close(agent.fds[0])


def test_a_descriptor_that_nobody_asked_for_is_closed(sides: tuple[Side, Side], reactor: Reactor) -> None:
    controller, agent = sides
    read, write = os.pipe()
    controller.connection.send(Sync(1, 1), (write,))
    os.close(write)
    turn_until(reactor, lambda: bool(agent.got))
    assert os.read(read, 1) == b""  # no copy of the writing end is left
    os.close(read)


def test_a_slow_reader_loses_nothing(reactor: Reactor) -> None:
    one, two = unix_pair()
    agent = Side(one, reactor, agent_decoder())
    piece = os.urandom(50_000)
    for number in range(100):
        agent.connection.send(Output(number, 1, piece))
    assert agent.connection.backlog
    drained: list[bool] = []
    agent.connection.when_drained(lambda: drained.append(True))
    controller = Side(two, reactor, controller_decoder())
    turn_until(reactor, lambda: len(controller.got) == 100 and bool(drained))
    assert [message.id for message in controller.got] == list(range(100))
    assert all(message.data == piece for message in controller.got)
    for side in (controller, agent):
        side.connection.close()


def test_who_waits_for_a_drain_is_told_of_the_end(reactor: Reactor) -> None:
    one, two = unix_pair()
    side = Side(one, reactor, agent_decoder())
    for number in range(100):
        side.connection.send(Output(number, 1, bytes(50_000)))
    told: list[bool] = []
    side.connection.when_drained(lambda: told.append(True))
    two.close()
    turn_until(reactor, lambda: bool(told))
    assert side.closed


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x03\x92\xa1x", b"\xff" * 8, b"\x00\x00\x00\x02\x91\xc0"],
    ids=["no msgpack", "cut msgpack", "endless", "no message"],
)
def test_what_is_no_message_ends_the_connection_and_nothing_else(reactor: Reactor, garbage: bytes) -> None:
    ours, theirs = socket.socketpair()
    side = Side(UnixTransport(ours), reactor, agent_decoder())
    theirs.sendall(garbage)
    turn_until(reactor, lambda: bool(side.closed))
    assert "not the protocol" in side.closed[0]
    assert side.got == []
    side.connection.send(Sync(1, 1))  # swallowed
    theirs.close()


def test_the_other_side_leaving_is_an_orderly_end(sides: tuple[Side, Side], reactor: Reactor) -> None:
    controller, agent = sides
    controller.connection.close()
    turn_until(reactor, lambda: bool(agent.closed))
    assert agent.closed == [""]


def test_an_end_inside_a_message_says_so(reactor: Reactor) -> None:
    ours, theirs = socket.socketpair()
    side = Side(UnixTransport(ours), reactor, agent_decoder())
    theirs.sendall(b"\x00\x00\x00\x09abc")
    theirs.close()
    turn_until(reactor, lambda: bool(side.closed))
    assert "inside a message" in side.closed[0]
