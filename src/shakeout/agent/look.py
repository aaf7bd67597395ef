"""A look at this host: what somebody may ask and say who does not hold it, while somebody else may."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from shakeout.agent.answering import answer
from shakeout.wire.connection import Connection
from shakeout.wire.messages import Ended, EndSession, Inspect, Refusal, Reserve, Sync, SyncReply, Unreserve
from shakeout.wire.plain import pack

if TYPE_CHECKING:
    from shakeout.agent.program import Program
    from shakeout.agent.server import Agent


class Look:
    """Answers questions and keeps reservations; holds nothing, changes nothing, undoes nothing.

    Args:
        owner: who asks.
    """

    def __init__(self, agent: Agent, connection: Connection, owner: str) -> None:
        #: What the host's lease is known by; there is no session to have a mark.
        self.mark = agent.lease_identity
        self._agent = agent
        self._connection = connection
        self._owner = owner
        #: What inspects the host, if that has to be asked for.
        self._asked: Program | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            Sync: self._sync,
            Reserve: self._reserve,
            Unreserve: self._unreserve,
            Inspect: self._inspect,
            EndSession: lambda _: connection.send(Ended()),
        }

    def handle(self, message: msgspec.Struct) -> None:
        """Carry out one message; one that a look has no right to ends the connection."""
        handler = self._handlers.get(type(message))
        if handler is None:
            self._connection.close(f"a {type(message).__name__} is not for somebody who only looks")
            return
        handler(message)

    def close(self, why: str) -> None:
        """There is nothing to put back."""
        if self._asked is not None:
            self._asked.kill()

    def _sync(self, order: Sync) -> None:
        self._connection.send(SyncReply(order.sequence, order.t_ns, time.monotonic_ns()))

    def _reserve(self, order: Reserve) -> None:
        def change() -> bytes:
            self._agent.reservation.set(self._owner, order.seconds, order.reason)
            self._agent.reservation_changed()
            return pack({"holder": self._agent.holder(), "owner": self._owner})

        answer(self._connection, order.id, change)

    def _unreserve(self, order: Unreserve) -> None:
        def change() -> bytes:
            ended = self._agent.reservation.clear(self._owner, force=order.force)
            self._agent.reservation_changed()
            return pack({"owner": ended.owner if ended else "", "reason": ended.reason if ended else ""})

        answer(self._connection, order.id, change)

    def _inspect(self, order: Inspect) -> None:
        from shakeout.agent.inspection import answer_inspection

        if self._asked is not None and not self._asked.over:
            self._connection.send(Refusal(order.id, "usage", "the host is inspected already; wait for the answer"))
            return
        self._asked = answer_inspection(order.id, self._agent, self._connection)
