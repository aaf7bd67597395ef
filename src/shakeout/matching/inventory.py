"""What pools say of their hosts: names, properties, ports and which network each port is on.

A network's name means something within its pool only: "net1" of one pool is not "net1" of another, unless
the inventory is told that the pools share it. A port whose network is "" is connected to nothing; only a
requirement without a label can have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from shakeout.errors import BadInventory, UnknownName
from shakeout.matching.comparison import ABSENT, mac

#: A network of an inventory: (pool, network's name); the pool is "" for a network that pools share.
Network = tuple[str, str]


#: Properties that every host has besides its pool's params, and every port likewise.
HOST_FACTS = ("name", "pool")
PORT_FACTS = ("id", "network", "hwaddr")


class Port(msgspec.Struct, frozen=True):
    """A network port of a host, as its pool describes it."""

    #: The port's name in its pool file, unique on its host; usually the interface's.
    id: str
    #: The layer-2 network that it is on; "": none.
    network: str = ""
    hwaddr: str = ""
    #: Its properties (driver, speed …), as the pool file has them.
    params: Mapping[str, Any] = {}

    def value(self, name: str) -> object:
        """The property *name*, ABSENT if the port has none; id, network and hwaddr are properties, too."""
        if name in PORT_FACTS:
            return getattr(self, name) or ABSENT
        found = self.params.get(name)
        return ABSENT if found is None else found


class HostEntry(msgspec.Struct, frozen=True):
    """A host of a pool."""

    #: Unique over all pools of an inventory.
    name: str
    pool: str
    #: Its properties (arch, rack …), as the pool file has them.
    params: Mapping[str, Any] = {}
    ports: tuple[Port, ...] = ()
    #: How it is reached; means nothing to the matching.
    endpoint: Any = ""
    #: The id of the one requirement that may have this host (a lab made it for that); None: any may.
    reserved_for: str | None = None
    #: Whether it is a virtual machine; such hosts are used only where a run allows them.
    virtual: bool = False
    #: Where it is described (a file), for messages; "": only the pool is known.
    source: str = ""

    def value(self, name: str) -> object:
        """The property *name*, ABSENT if the host has none; name and pool are properties, too."""
        if name in HOST_FACTS:
            return getattr(self, name) or ABSENT
        found = self.params.get(name)
        return ABSENT if found is None else found

    @property
    def place(self) -> str:
        """Where it is described, as messages name it."""
        return self.source or f"pool {self.pool}"


class Inventory:
    """All hosts that a run may choose from, in a fixed order.

    Pools keep the order in which they come; within one, hosts are ordered by name (dut2 before dut10),
    whatever order a directory was listed in. Ports keep their order.

    Args:
        hosts: of any number of pools.
        shared_networks: names of networks that are one and the same in every pool.

    Raises:
        BadInventory: a host's name, a port's id on one host, or a hardware address is there twice; the
            message names every such case and both places.
    """

    __slots__ = ("_cache", "_names", "hosts", "shared_networks")

    def __init__(self, hosts: Iterable[HostEntry] = (), *, shared_networks: Iterable[str] = ()) -> None:
        given = tuple(hosts)
        rank = {pool: i for i, pool in enumerate(dict.fromkeys(host.pool for host in given))}
        #: The hosts in order.
        self.hosts = tuple(sorted(given, key=lambda host: (rank[host.pool], _natural(host.name))))
        self.shared_networks = frozenset(shared_networks)
        self._names = {host.name: host for host in self.hosts}
        self._cache: dict[str, Any] = {}  # what the solver derives once for all requirements
        problems = [*_host_problems(self.hosts), *_port_problems(self.hosts)]
        if problems:
            raise BadInventory(f"the pools contradict themselves: {'; '.join(problems)}")

    def __iter__(self) -> Iterator[HostEntry]:
        return iter(self.hosts)

    def __len__(self) -> int:
        return len(self.hosts)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> HostEntry:
        """The host called *name*.

        Raises:
            UnknownName: there is none.
        """
        try:
            return self._names[name]
        except KeyError:
            raise UnknownName("host", name, self._names) from None

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of the pools, in order."""
        return tuple(dict.fromkeys(host.pool for host in self.hosts))

    def network(self, host: HostEntry, port: Port) -> Network | None:
        """The network that *port* of *host* is on; None if it is not connected."""
        if not port.network:
            return None
        return ("" if port.network in self.shared_networks else host.pool, port.network)


def _natural(name: str) -> tuple[object, ...]:
    """A sort key by which numbers within a name count as numbers."""
    pieces: list[tuple[int, int, str]] = []
    at = 0
    while at < len(name):
        end = at + 1
        digit = name[at].isdecimal()
        while end < len(name) and name[end].isdecimal() == digit:
            end += 1
        pieces.append((0, int(name[at:end]), "") if digit else (1, 0, name[at:end]))
        at = end
    return (*pieces, name)


def _host_problems(hosts: tuple[HostEntry, ...]) -> Iterator[str]:
    seen: dict[str, HostEntry] = {}
    for host in hosts:
        first = seen.setdefault(host.name, host)
        if first is not host:
            same = first.place == host.place
            where = f"twice in {host.place}" if same else f"in {first.place} and in {host.place}"
            yield f"host {host.name!r} is {where} (rename one, or run with one of the pools)"


def _port_problems(hosts: tuple[HostEntry, ...]) -> Iterator[str]:
    owners: dict[str, tuple[HostEntry, Port]] = {}
    for host in hosts:
        ids: set[str] = set()
        for port in host.ports:
            if port.id in ids:
                yield f"host {host.name!r} in {host.place} has two interfaces called {port.id!r}"
            ids.add(port.id)
            if not port.hwaddr:
                continue
            first = owners.setdefault(mac(port.hwaddr) or port.hwaddr, (host, port))
            if first[1] is not port:
                yield (
                    f"hardware address {port.hwaddr} belongs to {first[0].name}.{first[1].id} "
                    f"in {first[0].place} and to {host.name}.{port.id} in {host.place}"
                )
