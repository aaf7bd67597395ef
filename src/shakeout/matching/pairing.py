"""Distinct partners for several seekers: bipartite matching over bit sets, and all its solutions.

Seekers are numbered; what each may have is an integer whose bit i says that it may have item i. Augmenting
paths decide at once whether everybody can be served (Hall's theorem needs no search), and enumeration never
enters a dead end, because each choice is checked against the rest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

#: Says whether a seeker really may have an item; asked only for pairs that are about to be used.
Verify = Callable[[int, int], bool]


def bits(numbers: Sequence[int], size: int) -> int:
    """The bit set of *numbers*, all of them below *size*."""
    if len(numbers) < 4:
        result = 0
        for i in numbers:
            result |= 1 << i
        return result
    array = bytearray((size >> 3) + 1)
    for i in numbers:
        array[i >> 3] |= 1 << (i & 7)
    return int.from_bytes(array, "little")


def members(bitset: int) -> Iterator[int]:
    """The numbers in a bit set, ascending."""
    while bitset:
        low = bitset & -bitset
        yield low.bit_length() - 1
        bitset ^= low


class Pairing:
    """A growing assignment of distinct items to seekers.

    Attributes:
        domains: what each seeker may have; changed in place by the owner, and by a failed verification.
        item: what each seeker has, -1 for nothing yet.
    """

    __slots__ = ("domains", "item", "owner", "used")

    def __init__(self, domains: list[int]) -> None:
        self.domains = domains
        self.item = [-1] * len(domains)
        self.owner: dict[int, int] = {}
        self.used = 0

    def copy(self) -> Pairing:
        """An independent copy."""
        new = Pairing.__new__(Pairing)
        new.domains = self.domains.copy()
        new.item = self.item.copy()
        new.owner = self.owner.copy()
        new.used = self.used
        return new

    def repair(self, seekers: Sequence[int] | None = None, verify: Verify | None = None) -> bool:
        """Serve every seeker (or each of *seekers*) again after domains shrank; False: impossible."""
        wanting = []
        for seeker in range(len(self.domains)) if seekers is None else seekers:
            item = self.item[seeker]
            if item >= 0 and (not self.domains[seeker] >> item & 1 or (verify and not verify(seeker, item))):
                self.drop(seeker)
                self.domains[seeker] &= ~(1 << item)
                item = -1
            if item < 0:
                wanting.append(seeker)
        return all(self._place(seeker, verify) for seeker in wanting)

    def drop(self, seeker: int) -> None:
        """Take away what *seeker* has."""
        item = self.item[seeker]
        if item >= 0:
            self.item[seeker] = -1
            self.used &= ~(1 << item)
            del self.owner[item]

    def _place(self, seeker: int, verify: Verify | None) -> bool:
        """Serve one more, if need be by shifting others along an augmenting path (breadth first)."""
        queue = [seeker]
        via: dict[int, int] = {}
        seen = 0
        for current in queue:
            candidates = self.domains[current] & ~seen
            for item in members(candidates & ~self.used):
                if verify is None or self._check(current, item, verify):
                    self._shift(seeker, current, item, via)
                    return True
            for item in members(candidates & self.used):
                if verify is None or self._check(current, item, verify):
                    seen |= 1 << item
                    via[item] = current
                    queue.append(self.owner[item])
        return False

    def _check(self, seeker: int, item: int, verify: Verify) -> bool:
        if verify(seeker, item):
            return True
        self.domains[seeker] &= ~(1 << item)
        return False

    def _shift(self, start: int, current: int, item: int, via: dict[int, int]) -> None:
        self.used |= 1 << item
        while True:
            previous = self.item[current]
            self.item[current] = item
            self.owner[item] = current
            if current == start:
                return
            item = previous
            current = via[item]


def fits(parts: Sequence[tuple[int, int]]) -> bool:
    """Whether groups of seekers, each (what its members may have, how many they are), can all be served."""
    sizes = []
    for domain, count in parts:
        size = domain.bit_count()
        if size < count:
            return False
        sizes.append((size, count))
    if len(sizes) == 1:
        return True
    sizes.sort()
    need = 0
    for size, count in sizes:
        need += count
        if size < need:
            break
    else:
        return True  # served one after the other, everybody finds something left
    return Pairing([domain for domain, count in parts for _ in range(count)]).repair()


def pairings(start: Pairing, twins: Sequence[int], verify: Verify | None = None) -> Iterator[list[int]]:
    """All ways to serve every seeker, as lists of items by seeker, in lexicographic order.

    Args:
        start: serves everybody already.
        twins: the class of each seeker; members of one class have equal domains, and of the ways that differ
            only in who of them has which item, the one with ascending items is given.
    """
    count = len(twins)
    if not count:
        yield []
        return
    later = [[s for s in range(r + 1, count) if twins[s] == twins[r]] for r in range(count)]
    chosen: list[int] = []
    stack = [(start, start.domains[0])]
    while stack:
        state, untried = stack[-1]
        if not untried:
            stack.pop()
            if chosen:
                chosen.pop()
            continue
        low = untried & -untried
        stack[-1] = (state, untried ^ low)
        seeker, item = len(stack) - 1, low.bit_length() - 1
        if verify and not verify(seeker, item):
            continue
        child = _chosen(state, seeker, low, later[seeker])
        if not child.repair(range(seeker + 1, count), verify):
            continue
        chosen.append(item)
        if seeker + 1 == count:
            yield chosen.copy()
            chosen.pop()
        else:
            stack.append((child, child.domains[seeker + 1]))


def _chosen(state: Pairing, seeker: int, low: int, later: list[int]) -> Pairing:
    """*state* once *seeker* has the one item in *low* for good."""
    child = state.copy()
    for other in range(seeker + 1, len(child.domains)):
        if child.domains[other] & low:
            child.domains[other] ^= low
    for other in later:
        child.domains[other] &= -low
    child.drop(seeker)
    holder = child.owner.get(low.bit_length() - 1)
    if holder is not None:
        child.drop(holder)
    return child
