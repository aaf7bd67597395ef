"""What is still possible after a choice: arc consistency, room on networks, distinct hosts and networks."""

from __future__ import annotations

from shakeout.matching.pairing import Pairing, Verify, fits, members
from shakeout.matching.problem import Problem

#: Up to so many members of a domain are looked at one by one where that can narrow another domain.
_FEW = 64


class Node:
    """A state of the search.

    Attributes:
        hosts: by need, the hosts that are still possible, and a distinct one for each.
        nets: by label, the networks that are still possible, and a distinct one for each (if they must be).
        decided: by label, its network; -1 if that is open.
    """

    __slots__ = ("decided", "hosts", "nets", "sealed")

    def __init__(self, hosts: Pairing, nets: Pairing, decided: list[int], sealed: int = 0) -> None:
        self.hosts = hosts
        self.nets = nets
        self.decided = decided
        #: Hosts that some needs must share among themselves, so that no other need can have them.
        self.sealed = sealed


class Narrowing:
    """Makes the states of the search for one problem.

    Attributes:
        weights: by label, one more than how often it ran out of networks or hosts.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.weights = [1] * len(problem.labels)
        self._twins: dict[int, list[int]] = {}
        for need, first in enumerate(problem.twins):
            self._twins.setdefault(first, []).append(need)
        self._verifies = any(need.verify for need in problem.needs)

    def root(self) -> Node | None:
        """The state before any choice; None if it is clear already that nothing matches."""
        problem = self.problem
        if not all(problem.domains):
            return None
        domains = []
        for users in problem.users:
            common = set(users[0][1]).intersection(*(table for _, table, _ in users))
            networks = bytearray((len(problem.index.networks) >> 3) + 1)
            for network in common:
                networks[network >> 3] |= 1 << (network & 7)
            domains.append(int.from_bytes(networks, "little"))
        node = Node(Pairing(problem.domains.copy()), Pairing(domains), [-1] * len(domains))
        return node if self._narrow(node, set(range(len(domains))), at_root=True) else None

    def settle(self, root: Node, parts: list[list[int]]) -> bool:
        """Keep each connected part of the requirements to those islands of the inventory that can hold it.

        Costs too much to be done before a search has turned out to be hard.

        Args:
            parts: the labels of each part.

        Returns:
            False if nothing matches.
        """
        problem, islands = self.problem, self.problem.index.islands()
        nets, hosts = root.nets.domains, root.hosts.domains
        for labels in parts if len(islands) > 1 else []:
            needs = {need: len(self._twins[need]) for label in labels for need, _, _ in problem.users[label]}
            for island in islands:
                room = fits([(hosts[need] & island.hosts, count) for need, count in needs.items()])
                if room and problem.distinct:
                    room = fits([(nets[label] & island.networks, 1) for label in labels])
                if not room:
                    for label in labels:
                        nets[label] &= ~island.networks
        return all(nets) and self._narrow(root, set(range(len(nets))), at_root=True)

    def decide(self, node: Node, label: int, network: int) -> Node | None:
        """The state after *label* got *network*; None if nothing can match then."""
        child = Node(node.hosts.copy(), node.nets.copy(), node.decided.copy(), node.sealed)
        child.decided[label] = network
        child.nets.domains[label] = 1 << network
        dirty: set[int] = set()
        for need, table, _ in self.problem.users[label]:
            if not self._restrict(child, need, table.get(network, 0), dirty):
                self.weights[label] += 1
                return None
        if not self._take(child, label, dirty):
            return None
        return child if self._narrow(child, dirty) else None

    def verifier(self, node: Node) -> Verify | None:
        """What checks a need's host exactly, with the networks decided in *node*; None: no need to check."""
        if not self._verifies:
            return None
        problem, decided = self.problem, node.decided

        def verify(need: int, host: int) -> bool:
            return not problem.needs[need].verify or problem.ports_for(need, host, decided) is not None

        return verify

    def _narrow(self, node: Node, dirty: set[int], *, at_root: bool = False) -> bool:
        """Narrow down until nothing changes, beginning with the labels in *dirty*; False: nothing matches."""
        domains = node.nets.domains
        waiting = dirty.copy()
        while True:
            if not waiting:
                if not self._seal(node, waiting):
                    return False
                if not waiting:
                    break
            label = min(waiting)
            waiting.discard(label)
            if node.decided[label] >= 0:
                continue
            before = domains[label]
            after = domains[label] = self._supported(label, before, node.hosts.domains)
            if not after:
                self.weights[label] += 1
                return False
            if (after != before and after.bit_count() <= _FEW) or at_root:
                if not self._reach(node, label, waiting):
                    return False
                waiting.discard(label)
            if after != before and not after & (after - 1) and not self._take(node, label, waiting):
                return False
        if not node.hosts.repair(verify=self.verifier(node)):
            return False
        return not self.problem.distinct or node.nets.repair()

    def _seal(self, node: Node, dirty: set[int]) -> bool:
        """Where needs have exactly as many hosts as they are, take those from all others."""
        domains = node.hosts.domains
        for need, twins in self._twins.items():
            mine = domains[need]
            tight = mine & ~node.sealed and mine.bit_count() == len(twins)
            if tight and not self._take_hosts(node, mine, twins, dirty):
                return False
        for label, network in enumerate(node.decided):
            users = self.problem.users[label]
            if network < 0 or len(users) == 1:
                continue
            together, count = 0, 0
            for need, _, number in users:
                together |= domains[need]
                count += number
            if together & ~node.sealed and together.bit_count() == count:
                owners = [twin for need, _, _ in users for twin in self._twins[need]]
                if not self._take_hosts(node, together, owners, dirty):
                    return False
        return True

    def _take_hosts(self, node: Node, hosts: int, owners: list[int], dirty: set[int]) -> bool:
        node.sealed |= hosts
        domains = node.hosts.domains
        for need, twins in self._twins.items():
            concerned = domains[need] & hosts and twins[0] not in owners
            if concerned and not self._restrict(node, need, ~hosts, dirty):
                return False
        return True

    def _supported(self, label: int, networks: int, hosts: list[int]) -> int:
        """Those of *networks* on which all needs of *label* find distinct hosts."""
        users = self.problem.users[label]
        for need, _, _ in users:
            if networks.bit_count() > _FEW and hosts[need].bit_count() <= _FEW:
                networks &= self._networks_of(hosts[need])
        result = networks
        if len(users) == 1:
            need, table, count = users[0]
            mine = hosts[need]
            for network in members(networks):
                here = mine & table.get(network, 0)
                if not here or (count > 1 and here.bit_count() < count):
                    result ^= 1 << network
            return result
        for network in members(networks):
            if not fits([(hosts[need] & table.get(network, 0), count) for need, table, count in users]):
                result ^= 1 << network
        return result

    def _networks_of(self, hosts: int) -> int:
        index = self.problem.index
        networks = 0
        for host in members(hosts):
            for port in index.ports_of[host]:
                if index.port_network[port] >= 0:
                    networks |= 1 << index.port_network[port]
        return networks

    def _reach(self, node: Node, label: int, dirty: set[int]) -> bool:
        """Restrict the needs of *label* to hosts on one of its networks."""
        networks = list(members(node.nets.domains[label]))
        for need, table, _ in self.problem.users[label]:
            somewhere = 0
            for network in networks:
                somewhere |= table.get(network, 0)
            if not self._restrict(node, need, somewhere, dirty):
                self.weights[label] += 1
                return False
        return True

    def _restrict(self, node: Node, need: int, hosts: int, dirty: set[int]) -> bool:
        """Restrict *need* and its twins to *hosts*, note whose labels that concerns; False: none is left."""
        domains = node.hosts.domains
        narrowed = domains[need] & hosts
        if narrowed != domains[need]:
            for twin in self._twins[need]:
                domains[twin] &= hosts
                if not domains[twin]:
                    return False
            dirty.update(self.problem.labels_of[need])
        return bool(narrowed)

    def _take(self, node: Node, label: int, dirty: set[int]) -> bool:
        """Take the one network of *label* from all others, if each must have its own; False: one has none."""
        if not self.problem.distinct:
            return True
        domains, taken = node.nets.domains, node.nets.domains[label]
        for other, domain in enumerate(domains):
            if other != label and domain & taken:
                domains[other] = domain ^ taken
                if domain == taken:
                    self.weights[other] += 1
                    return False
                if domain.bit_count() <= _FEW:
                    dirty.add(other)
        return True
