"""Hardware addresses for links that shakeout makes: locally administered, in order, each once."""

from __future__ import annotations

import itertools


class MacPool:
    """Gives out 02:5a:00:00:00:01 and so on.

    Args:
        prefix: the first two bytes; the second-lowest bit of the first must be set (locally administered).
    """

    def __init__(self, prefix: str = "02:5a") -> None:
        self._prefix = prefix
        self._numbers = itertools.count(1)

    def take(self) -> str:
        """The next address."""
        number = next(self._numbers)
        return f"{self._prefix}:" + number.to_bytes(4, "big").hex(":")
