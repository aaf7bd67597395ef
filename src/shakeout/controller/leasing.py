"""Getting the hosts of a match: all of them, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from shakeout.errors import HostError, LeaseHeld
from shakeout.hosts.session import Session
from shakeout.matching.inventory import HostEntry
from shakeout.matching.mapper import Match
from shakeout.wire.transports import Transport

#: Makes the session of a host, by its id in the recipe.
MakeSession = Callable[[str, Transport], Session]


class Refusals(msgspec.Struct):
    """Hosts that were not to be had, by name, and why.

    Attributes:
        silent: they do not answer, or not to us.
        busy: somebody else has them, or they are reserved for somebody else.
    """

    silent: dict[str, str] = {}
    busy: dict[str, str] = {}

    def add(self, name: str, error: HostError) -> None:
        """Note why the host *name* is not to be had."""
        # Without the host's name, as the recipe calls it, which is no news.
        (self.busy if isinstance(error, LeaseHeld) else self.silent)[name] = error.reason

    def update(self, other: Refusals) -> None:
        """Note all of *other*, too."""
        self.silent |= other.silent
        self.busy |= other.busy

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.silent, *self.busy))

    def __bool__(self) -> bool:
        return bool(self.silent or self.busy)


def place(entry: HostEntry) -> tuple[str, str]:
    """Where a host comes in the order that is the same for all controllers: by how it is reached."""
    endpoint = entry.endpoint
    return (endpoint.text() if hasattr(endpoint, "text") else str(endpoint)), entry.name


def lease_together(match: Match, transports: Mapping[str, Transport], make: MakeSession) -> Refusals:
    """Ask all hosts at once, which nobody else can want."""
    sessions = {host_id: make(host_id, transport) for host_id, transport in transports.items()}
    for session in sessions.values():
        session.begin()
    return _refused(match, sessions)


def lease_in_order(match: Match, transports: Mapping[str, Transport], make: MakeSession) -> Refusals:
    """Ask one host after the other, in the order of all controllers, up to the first that is not to be had.

    So of two controllers that want the same hosts at the same moment one gets all of them, and not each one half.
    """
    sessions: dict[str, Session] = {}
    for host_id in sorted(transports, key=lambda host_id: place(match.hosts[host_id])):
        session = sessions[host_id] = make(host_id, transports[host_id])
        session.begin()
        if refusals := _refused(match, {host_id: session}):
            for other in transports.keys() - sessions.keys():
                transports[other].close()
            return refusals
    return Refusals()


def let_go(sessions: Iterable[Session]) -> None:
    """Release what was leased, without having used it."""
    for session in sessions:
        session.leave()


def _refused(match: Match, sessions: Mapping[str, Session]) -> Refusals:
    refusals = Refusals()
    for host_id, session in sessions.items():
        try:
            session.welcome()
        except HostError as error:  # nobody answers, it is somebody else's, or speaks another version
            refusals.add(match.hosts[host_id].name, error)
    return refusals
