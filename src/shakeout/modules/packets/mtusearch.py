"""How large packets may be on a way: asked for with as few probes and as little waiting as it takes.

Pure decisions; what is sent and comes back is `shakeout.modules.pathmtu`'s. Where routers say what fits, that is tried
next. Where they are silent, several sizes are tried at the same time, first those that networks usually have.
"""

from __future__ import annotations

from typing import Final

#: The least that every network must carry. (RFC 791, RFC 8200)
FLOOR: Final = {4: 68, 6: 1280}
#: What is usual: Ethernet, jumbo frames, PPPoE, GRE, IPIP, VXLAN, WireGuard, mobile networks, IPv6's least.
_USUAL: Final = (576, 1280, 1300, 1340, 1350, 1358, 1360, 1380, 1400, 1412, 1420, 1422, 1430, 1436, 1440, 1442, 1446,
                 1450, 1452, 1454, 1458, 1460, 1462, 1464, 1468, 1472, 1476, 1480, 1484, 1488, 1490, 1492, 1496, 1498,
                 1500, 2304, 4352, 8192, 8900, 8950, 8972, 9000, 9150, 9174, 9180, 9198, 9216)  # fmt: skip


class MtuSearch:
    """Which sizes to try next, from which fitted and which did not.

    Args:
        version: 4 or 6.
        high: the greatest size that is of interest.
        parallel: sizes that are tried at the same time, once the usual ones were.

    Attributes:
        good: the greatest that fitted; 0 if none did yet.
        bad: the least that did not.
        searching: nobody says what fits.
    """

    def __init__(self, version: int, high: int, parallel: int = 12) -> None:
        self.floor = min(FLOOR[version], high)
        self.good = 0
        self.bad = self._beyond = high + 1
        self.searching = False
        self._parallel = parallel
        self._usual = True

    @property
    def done(self) -> bool:
        """Whether the answer is known: `good`."""
        return self.good >= self.floor and self.bad == self.good + 1

    def next_sizes(self) -> list[int]:
        """What to try now, the greatest first; in the end stands one that must fit if anything does."""
        if not self.searching:
            return [self.bad - 1]
        if not self.good:
            return [self.floor]
        low, high = self.good, self.bad
        sizes = {low, low + 1, high - 1}
        inner = [size for size in _USUAL if low < size < high] if self._usual else []
        self._usual = False
        if not inner:
            step = max(1, (high - low) // (self._parallel + 1))
            inner = list(range(low + step, high, step))
        return sorted({*sizes, *inner}, reverse=True)

    def fits(self, size: int) -> None:
        """A packet of *size* bytes arrived."""
        self.good = max(self.good, size)
        if self.bad <= size:
            self.bad = self._beyond  # what was lost before was not lost for its size

    def too_big(self, size: int, says: int) -> None:
        """A router said that *size* is too big, and *says* is not: more is not tried then, as nobody else would."""
        self.bad = min(self.bad, max(size, self.good + 1))
        if max(self.good, self.floor - 1) < says < size:
            self.bad = min(self.bad, says + 1)
        else:
            self.searching = True  # it does not know, or is wrong

    def silent(self, sizes: list[int]) -> None:
        """Nothing came for *sizes*, while something did for smaller ones or nothing at all was sent beside them."""
        self.searching = True
        above = [size for size in sizes if size > self.good]
        if above and self.good:
            self.bad = min(self.bad, *above)
