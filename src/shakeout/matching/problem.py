"""Requirements and an inventory as numbers and bit sets: what the solver and the explanations work on.

Once every label has its network, only one question is left: distinct hosts, each with the right ports on
the right networks. So hosts are bit sets, and for every set of interfaces that a host must have on one
label there is a table: network -> hosts that can serve it there.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shakeout.matching.index import Index
from shakeout.matching.inventory import Inventory
from shakeout.matching.pairing import Pairing, bits, members
from shakeout.matching.requirements import HostReq, Requirements, predicates
from shakeout.matching.tables import Table, Tables


class Limits(msgspec.Struct, frozen=True):
    """What restricts the choice besides the requirements."""

    #: Whether different labels may be matched to one network.
    share_networks: bool = False
    #: Whether virtual hosts may be used.
    allow_virtual: bool = False
    #: Names of hosts that may not be used.
    exclude: frozenset[str] = frozenset()


class Need(msgspec.Struct, frozen=True):
    """One required host."""

    id: str
    #: Its interfaces: (id, class of ports that will do, number of its label or -1).
    devs: tuple[tuple[str, int, int], ...]
    #: By label: the classes of its interfaces there, ascending.
    groups: dict[int, tuple[int, ...]]
    #: Whether interfaces may compete for ports across labels, so that the tables alone do not decide.
    verify: bool


class Problem:
    """Requirements and inventory, compiled.

    Attributes:
        needs: the required hosts, in order.
        labels: the labels, in the order of their first use.
        domains: by need, the hosts that meet its own requirements and have enough ports.
        twins: by need, the number of the first need that is exactly like it.
        users: by label, (need, table, how many twins of it) for one need of each sort that uses it.

    Args:
        tables: of the same inventory, to be used again; made if left out.
    """

    def __init__(
        self,
        requirements: Requirements,
        inventory: Inventory,
        limits: Limits,
        tables: Tables | None = None,
    ) -> None:
        self.tables = tables or Tables(Index.of(inventory))
        self.index = self.tables.index
        self.limits = limits
        self.distinct = not limits.share_networks
        self.size = len(self.index.hosts)
        self._usable = self._usable_hosts()
        labels: dict[str, int] = {}
        hosts = list(requirements)
        self.needs = [self._need(name, req, labels) for name, req in hosts]
        self.labels = list(labels)
        self.domains, self.twins = self._domains_and_twins([req for _, req in hosts])
        self.users = [self._users(label) for label in range(len(labels))]
        self.labels_of = [sorted(need.groups) for need in self.needs]

    def ports_for(self, need: int, host: int, networks: Sequence[int]) -> list[int] | None:
        """Distinct ports of *host* for the interfaces of *need*, in their order; None if there are none.

        Args:
            networks: by label, its network; -1: not decided, any will do.
        """
        index, ports = self.index, self.index.ports_of[host]
        domains = []
        for _, kind, label in self.needs[need].devs:
            wanted = -1 if label < 0 else networks[label]
            accepted = self.tables.accepted[kind]
            domain = 0
            for at, port in enumerate(ports):
                network = index.port_network[port]
                if port in accepted and (label < 0 or (network == wanted if wanted >= 0 else network >= 0)):
                    domain |= 1 << at
            if not domain:
                return None
            domains.append(domain)
        pairing = Pairing(domains)
        return [ports[at] for at in pairing.item] if pairing.repair() else None

    def _usable_hosts(self) -> int:
        limits = self.limits
        return bits(
            [
                number
                for number, host in enumerate(self.index.hosts)
                if host.name not in limits.exclude and (limits.allow_virtual or not host.virtual)
            ],
            self.size,
        )

    def _need(self, name: str, req: HostReq, labels: dict[str, int]) -> Need:
        devs: list[tuple[str, int, int]] = []
        groups: dict[int, list[int]] = {}
        for dev_id, dev in req:
            kind = self.tables.class_of(dev, f"{name}.{dev_id}")
            label = -1 if dev.label is None else labels.setdefault(str(dev.label), len(labels))
            devs.append((dev_id, kind, label))
            if label >= 0:
                groups.setdefault(label, []).append(kind)
        loose = any(label < 0 for _, _, label in devs)
        return Need(
            id=name,
            devs=tuple(devs),
            groups={label: tuple(sorted(kinds)) for label, kinds in groups.items()},
            verify=(loose and len(devs) > 1) or (not self.distinct and len(groups) > 1),
        )

    def _domains_and_twins(self, reqs: list[HostReq]) -> tuple[list[int], list[int]]:
        reserved: dict[str, list[int]] = {}
        for number, host in enumerate(self.index.hosts):
            if host.reserved_for is not None:
                reserved.setdefault(host.reserved_for, []).append(number)
        any_reserved = bits([number for numbers in reserved.values() for number in numbers], self.size)
        domains: list[int] = []
        twins: list[int] = []
        by_wish: dict[object, int] = {}
        first: dict[object, int] = {}
        for number, (need, req) in enumerate(zip(self.needs, reqs, strict=True)):
            wanted = tuple(sorted((n, p.key()) for n, p in predicates(req, need.id).items()))
            shape = tuple(sorted((kind, label) for _, kind, label in need.devs))
            domain = by_wish.get((wanted, shape))
            if domain is None:
                domain = by_wish[wanted, shape] = self._with_ports(
                    need, number, self._usable & self.tables.hosts_meeting(req, need.id)
                )
            own = bits(reserved.get(need.id, []), self.size)
            domain &= ~any_reserved | own
            domains.append(domain)
            twins.append(first.setdefault((wanted, shape, domain), number))
        return domains, twins

    def _with_ports(self, need: Need, number: int, domain: int) -> int:
        """Those of *domain* that have enough ports for *need*, as far as that is known without networks."""
        if not need.devs:
            return domain
        for group in need.groups.values():
            somewhere = 0
            for hosts in self.tables.table(group).values():
                somewhere |= hosts
            domain &= somewhere
        if any(label < 0 for _, _, label in need.devs):
            anywhere = [-1] * (1 + max(label for _, _, label in need.devs))
            for host in members(domain):
                if self.ports_for(number, host, anywhere) is None:
                    domain &= ~(1 << host)
        return domain

    def _users(self, label: int) -> list[tuple[int, Table, int]]:
        counts: dict[int, int] = {}
        for number, need in enumerate(self.needs):
            if label in need.groups:
                counts[self.twins[number]] = counts.get(self.twins[number], 0) + 1
        return [(r, self.tables.table(self.needs[r].groups[label]), count) for r, count in counts.items()]
