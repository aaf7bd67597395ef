"""All matches of requirements on an inventory, lazily and in a fixed order.

Searched are only networks for labels; after each choice the hosts and networks that are still possible are
narrowed down (arc consistency), each network is checked for enough hosts for all that a label needs, and
matchings decide whether distinct hosts and distinct networks are left for everybody. When all labels have
their networks, hosts are enumerated without dead ends. A choice that failed is not repeated on a network,
or for a label, that is its mirror image (:mod:`shakeout.matching.symmetry`). Labels that run out of
networks most often are decided first; if nothing was found after many choices, the search starts anew with
what was learned about that ("dom/wdeg" with restarts: Boussemart and others, ECAI 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from shakeout.matching.narrowing import Narrowing, Node
from shakeout.matching.pairing import pairings
from shakeout.matching.problem import Problem
from shakeout.matching.symmetry import Symmetry, Used

#: So many failed choices are made before mirror images are looked for: easy problems need none.
_PATIENCE = 24
#: Choices until the first restart, and the growth from one restart to the next.
_CUTOFF, _GROWTH = 64, 1.5


class Solution(msgspec.Struct, frozen=True):
    """A host for each need and a network for each label, by their numbers in the problem's index."""

    hosts: tuple[int, ...]
    networks: tuple[int, ...]


class _Frame:
    """A label for which networks are being tried."""

    __slots__ = ("failed", "label", "matched", "network", "node", "untried", "used")

    def __init__(self, node: Node, label: int) -> None:
        self.node = node
        self.label = label
        self.untried = node.nets.domains[label]
        self.network = -1
        self.matched = False
        self.failed: set[object] = set()
        self.used: Used | None = None


class _Restart(Exception):
    """Too many choices without a match."""


class _Exhausted(Exception):
    """As many choices as were allowed."""


class Solver:
    """Solves one problem; ``steps`` counts the choices made.

    Args:
        limit: feasible() gives up after so many choices; 0: never.
    """

    def __init__(self, problem: Problem, limit: int = 0) -> None:
        self.problem = problem
        self.steps = 0
        self._limit = limit
        self._narrowing = Narrowing(problem)
        self._fails = 0
        self._cutoff = 0
        self._known: Symmetry | None = None

    def feasible(self) -> bool | None:
        """Whether there is any solution; None: not known after as many choices as were allowed."""
        try:
            return next(self.solutions(), None) is not None
        except _Exhausted:
            return None

    def solutions(self) -> Iterator[Solution]:
        """Every solution once, up to twins.

        Of the solutions that differ only in which of several needs that are exactly alike has which host,
        one is given.
        """
        root = self._narrowing.root()
        if root is None:
            return
        labels = range(len(self.problem.labels))
        if not labels:
            yield from self._leaf(root)
            return
        cutoff = float(_CUTOFF)
        while True:
            self._cutoff = self.steps + int(cutoff)
            try:
                yield from self._walk(root, labels, self._leaf)
            except _Restart:
                if cutoff == _CUTOFF and not self._parts_feasible(root):
                    return
                cutoff *= _GROWTH
                continue
            return

    def _parts_feasible(self, root: Node) -> bool:
        """Whether each connected part of the requirements, taken alone, can be met; narrows *root*."""
        self._cutoff = 0
        parts = self._symmetry.components()
        if not self._narrowing.settle(root, parts):
            return False
        if len(parts) == 1:
            return True
        return all(next(self._walk(root, part, self._enough), None) is not None for part in parts)

    def _walk(
        self, root: Node, labels: Sequence[int], leaf: Callable[[Node], Iterator[Solution]]
    ) -> Iterator[Solution]:
        """The solutions that *leaf* finds below *root* once *labels* are decided."""
        stack = [_Frame(root, self._choose(root, labels))]
        while stack:
            frame = stack[-1]
            child = self._next_child(frame)
            if child is None:
                stack.pop()
                if stack:
                    self._returned(stack[-1], frame.matched)
                continue
            label = self._choose(child, labels)
            if label >= 0:
                stack.append(_Frame(child, label))
                continue
            matched = False
            for solution in leaf(child):
                matched = True
                self._cutoff = 0  # from now on a restart would repeat matches
                yield solution
            self._returned(frame, matched)

    def _next_child(self, frame: _Frame) -> Node | None:
        """The state after the next choice for a frame's label that does not fail at once."""
        while frame.untried:
            low = frame.untried & -frame.untried
            frame.untried ^= low
            frame.network = low.bit_length() - 1
            if frame.used and not frame.failed.isdisjoint(self._symmetry.images(frame.network, frame.used)):
                continue
            self.steps += 1
            if self._limit and self.steps > self._limit:
                raise _Exhausted
            if self._cutoff and self.steps > self._cutoff:
                raise _Restart
            child = self._narrowing.decide(frame.node, frame.label, frame.network)
            if child is not None:
                return child
            self._returned(frame, False)
        return None

    def _returned(self, frame: _Frame, matched: bool) -> None:
        """Note how the latest choice of *frame* went; if it failed, so do its mirror images."""
        if matched:
            frame.matched = True
            return
        self._fails += 1
        if self._fails <= _PATIENCE:
            return
        decided = frame.node.decided
        if frame.used is None:
            frame.used = self._symmetry.used(decided)
        frame.failed.update(self._symmetry.images(frame.network, frame.used))
        domains = frame.node.nets.domains
        for other in self._symmetry.alike(frame.label, decided):
            domains[other] &= ~(1 << frame.network)
            if not domains[other]:
                frame.untried = 0

    @property
    def _symmetry(self) -> Symmetry:
        if self._known is None:
            self._known = Symmetry(self.problem)
        return self._known

    def _choose(self, node: Node, labels: Sequence[int]) -> int:
        """The label among *labels* to decide next: few networks, many failures; -1 if all are decided."""
        weights, domains = self._narrowing.weights, node.nets.domains
        best, best_score = -1, 0.0
        for label in labels:
            if node.decided[label] < 0:
                score = domains[label].bit_count() / weights[label]
                if best < 0 or score < best_score:
                    best, best_score = label, score
        return best

    def _leaf(self, node: Node) -> Iterator[Solution]:
        """The solutions with the networks decided as in *node*."""
        networks = tuple(node.decided)
        for hosts in pairings(node.hosts, self.problem.twins, self._narrowing.verifier(node)):
            yield Solution(tuple(hosts), networks)

    def _enough(self, node: Node) -> Iterator[Solution]:
        yield Solution(tuple(node.hosts.item), tuple(node.decided))
