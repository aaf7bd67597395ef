"""A look at a host: how it is, who has it and whom it is reserved for, without taking it.

Each look has a connection and a reactor of its own and runs in its caller's thread: many at once are many threads.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Annotated, Any, Required, TypedDict

import msgspec

import shakeout
from shakeout.errors import AgentUnreachable, HostError, HostLost
from shakeout.hosts.owner import own_name
from shakeout.hosts.refusals import refusal_error, refused_error
from shakeout.hosts.session import OPEN_TIMEOUT
from shakeout.wire.connection import Connection
from shakeout.wire.harmless import harmless
from shakeout.wire.messages import (
    PROTOCOLS,
    Answer,
    Hello,
    Inspect,
    Refusal,
    Refused,
    Reserve,
    SyncReply,
    Unreserve,
    Welcome,
    controller_decoder,
)
from shakeout.wire.parts import Reservation
from shakeout.wire.plain import unpack
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import Transport

#: A host that says it is reserved for longer (seconds) is not believed; see shakeout.agent.reservation.
_LONGEST_RESERVATION = 366 * 86400.0


class _Neighbour(TypedDict, total=False):
    hwaddr: str
    address: str


class _Interface(TypedDict, total=False):
    name: Required[Annotated[str, msgspec.Meta(min_length=1)]]
    hwaddr: str
    kind: str
    physical: bool
    candidate: bool
    driver: str
    bus: str
    speed: int | None
    mtu: int
    up: bool
    carrier: bool
    master: str
    addresses: list[str]
    default_route: bool
    connection: bool


class _Inspection(TypedDict, total=False):
    """What `shakeout.agent.inspection` describes; as many interfaces as a host may have and a person may look over."""

    hostname: str
    arch: str
    interfaces: Annotated[list[_Interface], msgspec.Meta(max_length=4096)]
    neighbours: dict[str, list[_Neighbour]]
    lldp: list[dict[str, str]]


class Look:
    """An open look at one host; a context manager.

    Args:
        name: what messages call the host.
        owner: who looks, "user@machine"; where the connection itself says who, that counts instead.
        timeout: seconds that each answer may take.

    Attributes:
        props: the host's properties.
        release: its agent's version of shakeout.
        holder: who has the host now and since when; "" if nobody has.
        reservation: whom it is kept for; None if for nobody.
        boot_id: of its kernel.
        lease: what tells its lease from all others, by whatever address it is reached.

    Raises:
        AgentUnreachable: no answer in time, or the connection ended.
        VersionMismatch: the agent is of another release.
    """

    def __init__(self, name: str, transport: Transport, *, owner: str = "", timeout: float = OPEN_TIMEOUT) -> None:
        self.name = name
        self._timeout = timeout
        self._reactor = Reactor()
        self._answer: Any = None
        self._ended: str | None = None
        self._numbers = itertools.count(1)
        self._connection = Connection(transport, self._reactor, controller_decoder(), self._message, self._closed)
        controller = f"{socket.gethostname()}:{os.getpid()}"
        hello = Hello(PROTOCOLS, controller, "", "look", shakeout.__version__, owner or own_name())
        try:
            welcome = self._exchange(hello)
            if isinstance(welcome, Refused):
                raise refused_error(welcome, name)
            if not isinstance(welcome, Welcome):
                raise AgentUnreachable(f"its agent answered with {type(welcome).__name__} instead of a Welcome", name)
        except HostError as error:
            self.close()
            if isinstance(error, HostLost):
                raise AgentUnreachable(error.reason, name) from None
            raise
        welcome = harmless(welcome)
        self.props: dict[str, Any] = dict(welcome.props)
        self.release, self.boot_id, self.lease = welcome.release, welcome.boot_id, welcome.lease
        self.holder: str = welcome.holder
        self.reservation = _credible(welcome.reservation)

    def reserve(self, seconds: float, reason: str = "") -> dict[str, Any]:
        """Keep the host for whoever looks; says whose it is now ("owner") and who still has it ("holder").

        Raises:
            UsageError: it is reserved for somebody else.
        """
        return self._ask(lambda number: Reserve(number, seconds, reason))

    def unreserve(self, *, force: bool = False) -> dict[str, Any]:
        """End the host's reservation; whose it was ("owner", "" if there was none).

        Args:
            force: also if it is somebody else's.

        Raises:
            UsageError: it is somebody else's.
        """
        return self._ask(lambda number: Unreserve(number, force))

    def inspect(self) -> dict[str, Any]:
        """What its agent says of its interfaces: see `shakeout.agent.inspection`.

        Raises:
            LabLacks: it cannot.
            HostLost: what it says makes no sense.
        """
        told = self._ask(Inspect)
        try:
            return dict(msgspec.convert(told, _Inspection))
        except msgspec.ValidationError as error:
            raise HostLost(f"what its agent says of its interfaces makes no sense: {error}", self.name) from error

    def close(self) -> None:
        """End it; harmless the second time."""
        self._connection.close()
        self._reactor.close()

    def __enter__(self) -> Look:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, message: Callable[[int], msgspec.Struct]) -> dict[str, Any]:
        answer = self._exchange(message(next(self._numbers)))
        if isinstance(answer, Refusal):
            raise refusal_error(answer, self.name)
        told = unpack(answer.payload) if isinstance(answer, Answer) else None
        if not isinstance(told, dict):
            raise HostLost(f"its agent answered with {type(answer).__name__}, which is no answer to this", self.name)
        return harmless(told)

    def _exchange(self, message: msgspec.Struct) -> Any:
        """Send *message*; what comes back."""
        self._answer = None
        self._connection.send(message)
        deadline = time.monotonic() + self._timeout
        while self._answer is None:
            left = deadline - time.monotonic()
            if self._ended is not None:
                raise HostLost(self._ended or "its agent ended the connection", self.name)
            if left <= 0:
                raise HostLost(f"its agent did not answer within {self._timeout:g} s", self.name)
            self._reactor.turn(left)
        return self._answer

    def _message(self, message: Any) -> None:
        if not isinstance(message, SyncReply):  # nobody has asked for the time
            self._answer = message

    def _closed(self, reason: str) -> None:
        self._ended = reason


def _credible(told: Reservation | None) -> Reservation | None:
    if told is None or 0 <= told.seconds <= _LONGEST_RESERVATION:
        return told
    return msgspec.structs.replace(told, seconds=_LONGEST_RESERVATION)
