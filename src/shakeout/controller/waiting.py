"""Standing in line for hosts that somebody else has: what `turns` decides is carried out here."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Collection, Mapping

import msgspec

from shakeout.controller.leasing import MakeSession, Refusals, lease_in_order, let_go, place
from shakeout.controller.turns import Find, Hear, Join, LetGo, News, Take, names, turns
from shakeout.errors import HostError, NoMatch
from shakeout.hosts.look import Look
from shakeout.hosts.session import OPEN_TIMEOUT, Session
from shakeout.labs.provider import Opened
from shakeout.matching.inventory import HostEntry
from shakeout.matching.mapper import Match
from shakeout.wire.messages import Queued
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import Transport

#: Connects to the hosts of a match, but for those with these ids, which are connected already.
Connect = Callable[[Match, Collection[str]], Opened]


class Claim(msgspec.Struct, frozen=True):
    """The hosts that were waited for.

    Attributes:
        sessions: open, by id of the required host.
    """

    match: Match
    opened: Opened
    sessions: dict[str, Session]


class Waits:
    """Waits for the hosts of one match; used once, and left by `close` if that fails.

    Args:
        entry: the host of a name.
        connect: see `Connect`; of one host, or of several.
        make: makes the session of a host that is leased at once.
        make_place: makes that of one, by its name, in whose line is waited.
        say: tells the person at the terminal.
        limit: seconds to wait; 0: any.
    """

    def __init__(
        self,
        entry: Callable[[str], HostEntry],
        connect: Connect,
        make: MakeSession,
        make_place: MakeSession,
        reactor: Reactor,
        say: Callable[[str], None],
        *,
        limit: float = 0,
    ) -> None:
        self._entry = entry
        self._connect = connect
        self._make = make
        self._make_place = make_place
        self._reactor = reactor
        self._say = say
        self._limit = limit
        self._began = time.monotonic()
        self._deadline = self._began + limit if limit else None
        #: By name of the host: in line, or held.
        self._places: dict[str, Session] = {}
        self._held: set[str] = set()
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._told: dict[str, Queued] = {}
        self._ahead: dict[str, int] = {}
        self._identities: dict[str, str] = {}
        self._taken: dict[str, Session] = {}
        self._opened: Opened | None = None
        #: Hosts that went while they were waited for.
        self.refusals = Refusals()

    def wait(self, find: Find, busy: Mapping[str, str]) -> Claim | None:
        """Wait for a match; None if there is none whose hosts answer.

        Args:
            busy: names of the hosts that are held or reserved, and by whom.

        Raises:
            NoMatch: it took longer than the limit.
        """
        steps = turns(find, busy, order=self._order, ahead=lambda name: self._ahead.get(name, 0))
        answer: News | None = None
        while True:
            try:
                step = steps.send(answer)  # type: ignore[arg-type]
            except StopIteration as end:
                return None if end.value is None else self._claim(end.value)
            answer = None
            if isinstance(step, Join):
                self._join(step.hosts)
            elif isinstance(step, Hear):
                answer = self._hear()
            elif isinstance(step, Take):
                answer = self._take(step.match)
            else:
                self._let_go(step)

    def close(self) -> None:
        """Leave all lines, and release what is held."""
        for session in (*self._places.values(), *self._taken.values()):
            session.abandon()

    def summary(self, claim: Claim) -> str:
        """How long was waited, and for whom, in words."""
        return f"waited {time.monotonic() - self._began:.1f} s for {', '.join(sorted(names(claim.match)))}"

    # -- steps ----------------------------------------------------------------------------------------

    def _order(self, name: str) -> tuple[str, tuple[str, str]]:
        """Where a host comes in the order of all controllers, though they may know it by other names and addresses."""
        if name not in self._identities:
            identity = ""
            opened = self._connect(Match({name: self._entry(name)}), ())
            if name in opened.transports:
                try:
                    with Look(name, opened.transports[name]) as look:
                        identity = look.lease
                except HostError:
                    pass  # it will not be had, either
            self._identities[name] = identity
        return self._identities[name], place(self._entry(name))

    def _join(self, hosts: Collection[str]) -> None:
        entries = {name: self._entry(name) for name in hosts}
        while entries:
            opened = self._connect(Match(entries), ())
            if not opened.failures:
                break
            for name, reason in opened.failures.items():
                self.refusals.silent[name] = reason
                self._news.put(name)
                del entries[name]
        for name in entries:
            session = self._places[name] = self._make_place(name, opened.transports[name])
            session.begin(wait=True, on_news=lambda name=name: self._news.put(name))  # type: ignore[misc]
            self._reactor.call_soon_threadsafe(lambda session=session: self._expect_answer(session))  # type: ignore[misc]

    def _expect_answer(self, session: Session) -> None:
        """An agent that says nothing at all is not waited for; in the loop's thread."""

        def look() -> None:
            if session.queued is None and not session.answered:
                session.abandon()

        self._reactor.call_later(OPEN_TIMEOUT, look)

    def _hear(self) -> News:
        granted: set[str] = set()
        gone: set[str] = set()
        while (not granted and not gone) or not self._news.empty():
            self._digest(self._next_news(), granted, gone)
        return News(granted=frozenset(granted - gone), gone=frozenset(gone))

    def _next_news(self) -> str:
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        try:
            return self._news.get(timeout=left)
        except queue.Empty:
            text = "; ".join(f"{name}, {_place_text(told)}" for name, told in self._told.items())
            raise NoMatch(f"no hosts became free within {self._limit:g} s: waited for {text}") from None

    def _digest(self, name: str, granted: set[str], gone: set[str]) -> None:
        session = self._places.get(name)
        if session is None:
            if name in self.refusals.silent:
                gone.add(name)
            return  # otherwise we have left that line
        if session.answered:
            try:
                session.welcome()
                if session.closed:
                    raise HostError(session.lost or "its agent ended the connection")
            except HostError as error:
                self.refusals.silent[name] = reason = error.reason
                self._say(f"{name} is not waited for any more: {reason}")
                gone.add(name)
                self._forget(name)
            else:
                if name not in self._held:
                    granted.add(name)
                    self._held.add(name)
        elif session.queued is not None and session.queued != self._told.get(name):
            self._told[name] = session.queued
            self._ahead[name] = session.queued.position
            self._say(f"waiting for {name}: {_place_text(session.queued)}")

    def _take(self, match: Match) -> News:
        held = {host_id for host_id, entry in match.hosts.items() if entry.name in self._held}
        opened = self._connect(match, held)
        if opened.failures:
            self.refusals.silent |= opened.failures
            return News(gone=frozenset(opened.failures))
        wanted = {host_id: transport for host_id, transport in opened.transports.items() if host_id not in held}
        refusals = lease_in_order(match, wanted, self._take_one)
        if refusals:
            let_go(self._taken.values())
            self._taken = {}
            self.refusals.silent |= refusals.silent
            return News(busy=frozenset(refusals.busy), gone=frozenset(refusals.silent))
        self._opened = opened
        return News()

    def _take_one(self, host_id: str, transport: Transport) -> Session:
        session = self._taken[host_id] = self._make(host_id, transport)
        return session

    def _let_go(self, step: LetGo) -> None:
        for name in step.hosts:
            self._forget(name)

    def _forget(self, name: str) -> None:
        session = self._places.pop(name, None)
        self._held.discard(name)
        self._told.pop(name, None)
        if session is not None:
            session.leave()

    def _claim(self, match: Match) -> Claim:
        opened = self._opened or self._connect(match, frozenset(match.hosts))
        sessions = dict(self._taken)
        for host_id, entry in match.hosts.items():
            if host_id not in sessions:
                sessions[host_id] = self._places.pop(entry.name)
        self._taken = {}
        assert self._places.keys() <= names(match)
        return Claim(match, opened, {host_id: sessions[host_id] for host_id in match.hosts})


def _place_text(queued: Queued) -> str:
    """A place in line for people: "held by anna@desk (…) since 18:40, 2 before you"."""
    holder = queued.holder or "somebody"
    who = holder if holder.startswith("reserved for ") else f"held by {holder}"
    before = queued.position - 1
    return f"{who}, {f'{before} before you' if before else 'you are next'}"
