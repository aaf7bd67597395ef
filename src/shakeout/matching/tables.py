"""Which ports and hosts of an inventory meet a requirement's conditions, kept for further requirements."""

from __future__ import annotations

from collections.abc import Collection

from shakeout.matching.index import Index
from shakeout.matching.pairing import Pairing, bits, members
from shakeout.matching.requirements import DeviceReq, HostReq, predicates

#: network number -> bit set of hosts
Table = dict[int, int]


class Tables:
    """Hosts by property, ports by class (all that an interface wants but its label), hosts by network."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._size = len(index.hosts)
        self._classes: dict[object, int] = {}
        #: By class of ports: the numbers of the ports that belong to it.
        self.accepted: list[frozenset[int]] = []
        self._tables: dict[tuple[int, ...], Table] = {}
        self._meeting: dict[object, int] = {}

    def hosts_meeting(self, req: HostReq, name: str) -> int:
        """The hosts with the properties that *req*, called *name*, wants; ports do not count."""
        domain = (1 << self._size) - 1
        for prop, predicate in predicates(req, name).items():
            key = (prop, predicate.key())
            meeting = self._meeting.get(key)
            if meeting is None:
                meeting = bits(self.index.host_column(prop).accepted(predicate), self._size)
                self._meeting[key] = meeting
            domain &= meeting
        return domain

    def class_of(self, dev: DeviceReq, where: str) -> int:
        """The number of the class of ports that meet *dev*, whatever their network."""
        wanted = predicates(dev, where)
        key = tuple(sorted((name, predicate.key()) for name, predicate in wanted.items()))
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = len(self.accepted)
            ports = frozenset(range(len(self.index.ports)))
            for name, predicate in wanted.items():
                ports &= frozenset(self.index.port_column(name).accepted(predicate))
            self.accepted.append(ports)
        return found

    def table(self, group: tuple[int, ...]) -> Table:
        """By network, the hosts with distinct ports of the classes in *group* there."""
        found = self._tables.get(group)
        if found is None:
            found = self._single(group[0]) if len(group) == 1 else self._several(group)
            self._tables[group] = found
        return found

    def _single(self, kind: int) -> Table:
        index = self.index
        hosts: dict[int, list[int]] = {}
        for port in sorted(self.accepted[kind]):
            network = index.port_network[port]
            if network >= 0:
                hosts.setdefault(network, []).append(index.port_host[port])
        return {network: bits(hosts[network], self._size) for network in sorted(hosts)}

    def _several(self, group: tuple[int, ...]) -> Table:
        kinds = sorted(set(group))
        result: Table = {}
        for network, hosts in self.table((kinds[0],)).items():
            candidates = hosts
            for kind in kinds[1:]:
                candidates &= self.table((kind,)).get(network, 0)
            able = [host for host in members(candidates) if self._serves(host, network, group)]
            if able:
                result[network] = bits(able, self._size)
        return result

    def _serves(self, host: int, network: int, group: Collection[int]) -> bool:
        here = [port for port in self.index.ports_of[host] if self.index.port_network[port] == network]
        if len(here) < len(group):
            return False
        domains = [sum(1 << at for at, port in enumerate(here) if port in self.accepted[kind]) for kind in group]
        return Pairing(domains).repair()
