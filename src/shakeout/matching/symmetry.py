"""Mirror images within a problem: what has failed once fails in every image of it.

Two kinds are recognised; both cheaply, neither completely:

* *Networks.* A network can be moved onto another one if walking the inventory from either gives the same
  description, as long as nothing there is in use yet. Also, two hosts are twins if exchanging them, along
  with the small networks of each, changes nothing: same requirements met, same sorts of ports, on the same
  large networks, on small ones with the same others. A network can be moved onto another one if twins take
  each other's places. Twins that are on a small network in use stay where they are.
* *Labels.* Two labels are alike if walking the requirements from either gives the same description: then
  renaming one to the other, with everything that hangs on them, changes nothing, as long as none of
  that is decided yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from shakeout.matching.pairing import members
from shakeout.matching.problem import Problem

#: Islands of more hosts than that are not described.
_LARGE = 200
#: Networks of up to so many hosts move with their hosts; larger ones are landmarks.
_SMALL = 4


class Used(msgspec.Struct, frozen=True):
    """What has to stay where it is."""

    hosts: frozenset[int]
    islands: frozenset[int]


class Symmetry:
    """The mirror images of one problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        #: By network: (host, the sorts of its ports there).
        self._members: list[list[tuple[int, tuple[int, ...]]]] = []
        self._small: list[bool] = []
        self._host_class: list[int] = []
        #: By host: which needs' requirements it meets, and the sorts of its ports without a network.
        self._traits: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self._islands: dict[int, int] = {}
        self._walks: dict[int, object] = {}
        self._classify()
        self._users: list[list[int]] = [[] for _ in problem.labels]
        for number, need in enumerate(problem.needs):
            for label in need.groups:
                self._users[label].append(number)
        codes = [self._describe(label) for label in range(len(problem.labels))]
        self._components = [component for _, component in codes]
        self._alike = [
            [other for other, (text, _) in enumerate(codes) if other != label and text == code]
            for label, (code, _) in enumerate(codes)
        ]

    def used(self, decided: Sequence[int]) -> Used:
        """What has to stay where it is, because networks there are decided."""
        networks = [network for network in decided if network >= 0]
        hosts = frozenset(host for network in networks if self._small[network] for host, _ in self._members[network])
        return Used(hosts, frozenset(self._island(network) for network in networks))

    def images(self, network: int, used: Used) -> tuple[object, ...]:
        """Things of which two open networks have one in common only if one is the other's mirror image."""
        small = self._small[network]
        moved = tuple(
            sorted(
                (-1 - host if host in used.hosts or not small else self._host_class[host], sorts)
                for host, sorts in self._members[network]
            )
        )
        if self._island(network) in used.islands:
            return (moved,)
        return (moved, self._walked(network))

    def alike(self, label: int, decided: Sequence[int]) -> Iterator[int]:
        """The labels that *label* could be exchanged with."""
        if any(decided[other] >= 0 for other in self._components[label]):
            return
        for other in self._alike[label]:
            if all(decided[third] < 0 for third in self._components[other]):
                yield other

    def components(self) -> list[list[int]]:
        """The labels, grouped by connected part of the requirements."""
        return [sorted(part) for part in dict.fromkeys(self._components)]

    def _classify(self) -> None:
        problem, index = self._problem, self._problem.index
        sorts = [0] * len(index.ports)
        for kind, ports in enumerate(problem.tables.accepted):
            for port in ports:
                sorts[port] |= 1 << kind
        here: list[dict[int, list[int]]] = []  # by host: network -> sorts of its ports there
        self._members = [[] for _ in index.networks]
        for host, ports_of in enumerate(index.ports_of):
            found: dict[int, list[int]] = {}
            for port in ports_of:
                if sorts[port]:
                    found.setdefault(index.port_network[port], []).append(sorts[port])
            here.append(found)
            for network, some in found.items():
                if network >= 0:
                    self._members[network].append((host, tuple(sorted(some))))
        self._small = [len(hosts) <= _SMALL for hosts in self._members]
        self._networks_of = [[network for network in found if network >= 0] for found in here]
        wishes = list(dict.fromkeys(problem.domains))
        numbers: dict[object, int] = {}
        for host, found in enumerate(here):
            meets = tuple(domain >> host & 1 for domain in wishes)
            self._traits.append((meets, tuple(sorted(found.get(-1, ())))))
            signature = (meets, tuple(sorted(self._entry(host, n, some) for n, some in found.items())))
            self._host_class.append(numbers.setdefault(signature, len(numbers)))

    def _entry(self, host: int, network: int, sorts: list[int]) -> tuple[object, ...]:
        """What being on *network* says about *host*: which one if it is large, with whom if it is small."""
        mine = tuple(sorted(sorts))
        if network < 0 or not self._small[network]:
            return (0, network, mine, ())
        return (1, 0, mine, tuple(sorted(member for member in self._members[network] if member[0] != host)))

    def _island(self, network: int) -> int:
        if not self._islands:
            for number, island in enumerate(self._problem.index.islands()):
                self._islands.update(dict.fromkeys(members(island.networks), number))
        return self._islands[network]

    def _walked(self, start: int) -> object:
        """The island of the network *start* as seen from there; itself if the island is too large."""
        found = self._walks.get(start)
        if found is None:
            found = self._walks[start] = self._walk(start)
        return found

    def _walk(self, start: int) -> object:
        islands = self._problem.index.islands()
        if islands[self._island(start)].hosts.bit_count() > _LARGE:
            return start
        networks, hosts = {start: 0}, dict[int, int]()
        text: list[object] = []
        for network in (queue := [start]):
            for host, sorts in sorted(
                self._members[network],
                key=lambda member: (
                    hosts.get(member[0], _LARGE),
                    member[1],
                    self._traits[member[0]],
                    member[0],
                ),
            ):
                if host in hosts:
                    text.append((networks[network], hosts[host], sorts))
                    continue
                hosts[host] = len(hosts)
                text.append((networks[network], self._traits[host], sorts))
                for other in sorted(
                    self._networks_of[host],
                    key=lambda n: (networks.get(n, _LARGE * _LARGE), len(self._members[n]), n),
                ):
                    if other not in networks:
                        networks[other] = len(networks)
                        queue.append(other)
        return tuple(text)

    def _describe(self, start: int) -> tuple[object, frozenset[int]]:
        """The requirements as seen from the label *start*, and the labels that are reached from it."""
        problem = self._problem
        label_numbers, need_numbers = {start: 0}, dict[int, int]()
        text: list[object] = []
        for label in (queue := [start]):
            for need in sorted(self._users[label], key=lambda n: (need_numbers.get(n, -1), self._sort(n, label), n)):
                if need in need_numbers:
                    text.append(("again", label_numbers[label], need_numbers[need]))
                    continue
                need_numbers[need] = len(need_numbers)
                groups = problem.needs[need].groups
                links = []
                for other in sorted(groups, key=lambda k: (label_numbers.get(k, len(problem.labels)), groups[k], k)):
                    if other not in label_numbers:
                        label_numbers[other] = len(label_numbers)
                        queue.append(other)
                    links.append((label_numbers[other], groups[other]))
                text.append((label_numbers[label], self._sort(need, label), tuple(links)))
        return tuple(text), frozenset(label_numbers)

    def _sort(self, number: int, label: int) -> tuple[object, ...]:
        """What distinguishes a need, apart from the labels' names."""
        need = self._problem.needs[number]
        loose = tuple(sorted(kind for _, kind, lab in need.devs if lab < 0))
        return (self._problem.domains[number], loose, need.groups[label], tuple(sorted(need.groups.values())))
