"""An inventory by numbers: which hosts and ports have which value of a property, who is on which network.

Made once for an inventory and kept with it, since each recipe, and each host set aside, asks again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shakeout.matching.inventory import HostEntry, Inventory, Network, Port
from shakeout.matching.pairing import bits
from shakeout.matching.values import Predicate


class Column:
    """The values of one property: each distinct one, and who has it."""

    __slots__ = ("entries",)

    def __init__(self, values: Iterable[object]) -> None:
        found: dict[object, tuple[object, list[int]]] = {}
        for number, value in enumerate(values):
            key = (type(value), value)
            try:
                entry = found.get(key)
            except TypeError:  # a list or dict
                key = (type(value), repr(value))
                entry = found.get(key)
            if entry is None:
                found[key] = (value, [number])
            else:
                entry[1].append(number)
        #: (value, numbers of those that have it)
        self.entries = list(found.values())

    def accepted(self, predicate: Predicate) -> list[int]:
        """The numbers whose value *predicate* accepts, in no particular order."""
        result: list[int] = []
        for value, numbers in self.entries:
            if predicate.accepts(value):
                result.extend(numbers)
        return result


class Island(msgspec.Struct, frozen=True):
    """Networks that hosts connect with each other, and those hosts, as bit sets."""

    hosts: int
    networks: int


class Index:
    """Hosts, ports and networks of an inventory, numbered in its order."""

    __slots__ = (
        "_columns",
        "_islands",
        "hosts",
        "networks",
        "port_host",
        "port_network",
        "ports",
        "ports_of",
    )

    def __init__(self, inventory: Inventory) -> None:
        self.hosts: tuple[HostEntry, ...] = inventory.hosts
        self.ports: list[Port] = []
        #: By port: the number of its host, and that of its network (-1: not connected).
        self.port_host: list[int] = []
        self.port_network: list[int] = []
        #: By host: the numbers of its ports.
        self.ports_of: list[range] = []
        numbers: dict[Network, int] = {}
        for number, host in enumerate(self.hosts):
            first = len(self.ports)
            for port in host.ports:
                network = inventory.network(host, port)
                self.ports.append(port)
                self.port_host.append(number)
                self.port_network.append(-1 if network is None else numbers.setdefault(network, len(numbers)))
            self.ports_of.append(range(first, len(self.ports)))
        self.networks: list[Network] = list(numbers)
        self._islands: list[Island] | None = None
        self._columns: dict[tuple[str, str], Column] = {}

    @staticmethod
    def of(inventory: Inventory) -> Index:
        """The index of *inventory*, made at the first call."""
        found: Index | None = inventory._cache.get("index")
        if found is None:
            found = inventory._cache["index"] = Index(inventory)
        return found

    def islands(self) -> list[Island]:
        """The connected parts of the inventory, as far as they have networks."""
        if self._islands is None:
            root = list(range(len(self.networks)))

            def find(network: int) -> int:
                while root[network] != network:
                    root[network] = network = root[root[network]]
                return network

            for ports in self.ports_of:
                connected = [self.port_network[port] for port in ports if self.port_network[port] >= 0]
                for network in connected[1:]:
                    root[find(network)] = find(connected[0])
            found: dict[int, tuple[set[int], list[int]]] = {}
            for network in range(len(root)):
                found.setdefault(find(network), (set(), []))[1].append(network)
            for host, network in zip(self.port_host, self.port_network, strict=True):
                if network >= 0:
                    found[find(network)][0].add(host)
            self._islands = [
                Island(bits(sorted(hosts), len(self.hosts)), bits(networks, len(root)))
                for hosts, networks in found.values()
            ]
        return self._islands

    def host_column(self, name: str) -> Column:
        """The property *name* of all hosts."""
        return self._column("host", name, self.hosts)

    def port_column(self, name: str) -> Column:
        """The property *name* of all ports."""
        return self._column("port", name, self.ports)

    def _column(self, kind: str, name: str, things: Iterable[HostEntry | Port]) -> Column:
        column = self._columns.get((kind, name))
        if column is None:
            column = self._columns[kind, name] = Column(thing.value(name) for thing in things)
        return column
