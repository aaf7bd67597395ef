"""The hosts of one recipe, match after match: those that are free, then those that become so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager

import msgspec

from shakeout.controller.candidates import Candidates
from shakeout.controller.leasing import MakeSession, Refusals, lease_in_order, lease_together, let_go
from shakeout.controller.waiting import Claim, Waits
from shakeout.errors import NoMatch
from shakeout.hosts.session import Session
from shakeout.labs.provider import Opened, PoolManager
from shakeout.matching.mapper import Match
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import Transport


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which terms hosts are got.

    Attributes:
        every: all matches, not only the first.
        wait: stand in line for hosts that somebody else has, if there are no others.
        wait_limit: seconds to stand there; 0: any.
        before: called before hosts are connected to.
        set_aside: called for hosts that were not to be had; may raise.
        say: tells the person at the terminal.
        heard: gives a block in which signals end the main thread's waiting.
    """

    every: bool
    wait: bool
    wait_limit: float
    before: Callable[[], None]
    set_aside: Callable[[Refusals], None]
    say: Callable[[str], None]
    heard: Callable[[Reactor], AbstractContextManager[None]]


class Supply:
    """Gets hosts for one recipe.

    Args:
        make: makes sessions of the next part.
        make_place: makes those of hosts that are waited for, by the host's name.
        reactor: gives the loop; not before it is needed.
    """

    def __init__(
        self,
        candidates: Candidates,
        pools: PoolManager,
        terms: Terms,
        *,
        make: MakeSession,
        make_place: MakeSession,
        reactor: Callable[[], Reactor],
    ) -> None:
        self._candidates = candidates
        self._pools = pools
        self._terms = terms
        self._make = make
        self._make_place = make_place
        self._reactor = reactor
        self._aside = Refusals()
        self._done: set[str] = set()
        #: How long the last hosts were waited for, in words; "" if they were free.
        self.waited = ""

    def claims(self) -> Iterator[Claim]:
        """The hosts of each match that is to be used, leased; whoever takes one sees to it that they are released."""
        while True:
            yield from self._free()
            if not (self._terms.wait and self._aside.busy and (self._terms.every or not self._done)):
                return
            claim = self._wait()
            if claim is None:
                return
            yield claim
            if not self._terms.every:
                return
            self._aside.busy.clear()  # others may be free by now

    def nothing(self) -> NoMatch:
        """Why there were none."""
        return self._candidates.nothing(self._aside.silent, self._aside.busy)

    def _free(self) -> Iterator[Claim]:
        """Those that can be had at once."""
        before, refused = set(self._done), True
        while refused:
            refused = False
            for match in self._candidates.find(self._aside.names):
                if str(match) in before:
                    continue  # it was found before a host was set aside, too
                claim = self._lease(match)
                if claim is None:
                    before, refused = set(self._done), True
                    break
                self._done.add(str(match))
                self.waited = ""
                yield claim

    def _lease(self, match: Match) -> Claim | None:
        """Get the hosts of *match*, if all are free."""
        self._terms.before()
        opened = self._pools.open(match)
        refusals = Refusals(silent=dict(opened.failures))
        sessions: dict[str, Session] = {}

        def make(host_id: str, transport: Transport) -> Session:
            session = sessions[host_id] = self._make(host_id, transport)
            return session

        try:
            if not refusals:
                lease = lease_together if opened.lab else lease_in_order
                refusals = lease(match, opened.transports, make)
            if not refusals:
                return Claim(match, opened, sessions)
            let_go(sessions.values())
        except BaseException:
            close(opened, sessions)
            self._pools.release()
            raise
        close(opened, sessions)
        self._pools.release()
        self._note(refusals)
        return None

    def _wait(self) -> Claim | None:
        """Stand in line for a match that was not used yet; None if there is none whose hosts answer.

        Raises:
            NoMatch: it took too long.
        """

        def find(exclude: Collection[str]) -> Iterator[Match]:
            found = self._candidates.find({*self._aside.silent, *exclude}, every=True)
            return (match for match in found if str(match) not in self._done)

        self._terms.before()
        reactor = self._reactor()
        waits = Waits(
            self._candidates.host, self._connect, self._make, self._make_place, reactor, self._terms.say,
            limit=self._terms.wait_limit,
        )  # fmt: skip
        with self._terms.heard(reactor):
            try:
                claim = waits.wait(find, self._aside.busy)
            finally:
                waits.close()
        self._note(waits.refusals)
        if claim is not None:
            self._done.add(str(claim.match))
            self.waited = waits.summary(claim)
        return claim

    def _connect(self, match: Match, without: Collection[str]) -> Opened:
        return self._pools.open(match, without=without) if without else self._pools.open(match)  # type: ignore[call-arg]

    def _note(self, refusals: Refusals) -> None:
        self._aside.update(refusals)
        self._terms.set_aside(refusals)


def close(opened: Opened, sessions: Mapping[str, Session]) -> None:
    """Close what is still open of a match's connections; harmless for those that were ended in order."""
    for session in sessions.values():
        session.abandon()
    for host_id, transport in opened.transports.items():
        if host_id not in sessions:
            transport.close()
