"""The line of controllers that wait for a host: first come, first served, and nobody overtakes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shakeout.agent.children import Children
from shakeout.agent.lockwatch import LockWatch
from shakeout.agent.reservation import ReservationFile, described
from shakeout.agent.tickets import Ticket, TicketBox
from shakeout.wire.messages import Hello, Queued, Refused
from shakeout.wire.reactor import READ, Reactor, Timer

if TYPE_CHECKING:
    from shakeout.agent.server import Peer
    from shakeout.files.inotify import Inotify

#: Controllers that may stand in line at one agent.
_LONGEST = 1000
#: Seconds after which the end of a reservation is looked for at the latest; clocks may be set.
_LOOK_AGAIN = 3600.0


class Waiting(msgspec.Struct, eq=False):
    """Somebody in the line.

    Attributes:
        told: what was said last of the place.
    """

    peer: Peer
    hello: Hello
    owner: str
    ticket: Ticket
    told: Queued | None = None


class Line:
    """Gives a host that is free to the first who may have it; who has no reservation lets pass who has.

    There may be other agents on the host (a controller via ssh starts its own), with lines of their own; tickets keep
    them all in one order.

    Args:
        admit: opens the session of one whose turn it is; what is in the way is a refusal.
        holder: says who has the host.
        lease: the file that whoever has the host has locked.
        leased: whether that is a session of this agent.
    """

    def __init__(
        self,
        folder: Path,
        reactor: Reactor,
        children: Children,
        reservation: ReservationFile,
        *,
        admit: Callable[[Waiting], Refused | None],
        holder: Callable[[], str],
        lease: str,
        leased: Callable[[], bool],
    ) -> None:
        self._tickets = TicketBox(folder)
        self._reactor = reactor
        self._reservation = reservation
        self._admit = admit
        self._holder = holder
        self._lease = lease
        self._leased = leased
        self._waiting: list[Waiting] = []
        self._watch = LockWatch(children, self.advance)
        self._timer: Timer | None = None
        self._state = folder.parent
        self._changes: Inotify | None = None

    def join(self, peer: Peer, hello: Hello, owner: str) -> Refused | None:
        """Stand in line, as the last; or why that cannot be."""
        if len(self._waiting) >= _LONGEST:
            return Refused("lease", f"{self._holder()}; {_LONGEST} others stand in line already", holder=self._holder())
        try:
            ticket = self._tickets.take(owner)
        except OSError as error:
            return Refused("lease", f"the host is in use, and its line cannot be kept there: {error.strerror}")
        self._waiting.append(Waiting(peer, hello, owner, ticket))
        self._reactor.call_soon(self.advance)
        return None

    def leave(self, peer: Peer) -> None:
        """*peer* waits no more, if it did."""
        for waiting in self._waiting:
            if waiting.peer is peer:
                self._remove(waiting)
                self._reactor.call_soon(self.advance)
                return

    def before(self, owner: str) -> int:
        """How many, at all agents of the host, come before *owner*, a newcomer; 0 if it may not have it anyway."""
        return sum(1 for _, other in self._tickets.before() if self._may(other)) if self._may(owner) else 0

    def close(self) -> None:
        """The agent ends: who waits hears that from its connection."""
        self._ignore_changes()
        for waiting in list(self._waiting):
            self._remove(waiting)
        self._rest()

    def advance(self) -> None:
        """Something has changed: whose turn is it?"""
        self._rest()
        while self._waiting:
            if (turn := next((one for one in self._waiting if self._may(one.owner)), None)) is None:
                break  # reserved for somebody who is not here
            earlier = next((path for path, owner in self._tickets.before(turn.ticket.number) if self._may(owner)), None)
            if earlier is not None:
                self._watch.watch(str(earlier))
                break
            if self._admit(turn) is not None:
                if not self._leased():
                    self._watch.watch(self._lease)
                break
            self._remove(turn)
        if not self._waiting:
            self._watch.stop()
            self._ignore_changes()
            return
        self._await_reservation()
        self._announce()

    def _may(self, owner: str) -> bool:
        """Whether *owner* could have the host if it were free."""
        reservation = self._reservation.current()
        return reservation is None or reservation.owner == owner

    def _remove(self, waiting: Waiting) -> None:
        self._waiting.remove(waiting)
        waiting.ticket.close()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await_reservation(self) -> None:
        if (reservation := self._reservation.current()) is not None:
            self._timer = self._reactor.call_later(min(reservation.seconds + 0.05, _LOOK_AGAIN), self.advance)

        self._notice_changes()

    def _notice_changes(self) -> None:
        """Other agents of the host may make and end reservations: hear of it."""
        if self._changes is not None:
            return
        from shakeout.files.inotify import FOLDER, Inotify  # which few need

        try:
            changes = Inotify()
        except OSError:
            return  # then it is seen when something else happens
        try:
            changes.add(os.fsencode(self._state), FOLDER)
        except OSError:
            changes.close()
            return
        self._changes = changes
        self._reactor.watch(changes.fileno(), READ, lambda events: self._changed())

    def _changed(self) -> None:
        if self._changes is not None:
            self._changes.events()
            self.advance()

    def _ignore_changes(self) -> None:
        if self._changes is not None:
            self._reactor.forget(self._changes.fileno())
            self._changes.close()
            self._changes = None

    def _announce(self) -> None:
        """Tell all of their places, where that is news."""
        reservation, holder = self._reservation.current(), self._holder()
        places = {path.name: number for number, (path, _) in enumerate(self._tickets.before(), 1)}
        for waiting in self._waiting:
            kept = reservation is not None and reservation.owner != waiting.owner
            text = described(reservation) if reservation is not None and kept and not holder else holder
            position = places.get(waiting.ticket.path.name, len(places) + 1)
            news = Queued(position, text)
            if waiting.told is None or waiting.told.position != position or waiting.told.holder != text:
                waiting.told = news
                waiting.peer.connection.send(news)
