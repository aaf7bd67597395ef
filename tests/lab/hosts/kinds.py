"""A device kind of a user's, with all that such a class may have."""

from __future__ import annotations

from pathlib import Path

from tests.lab.hosts.sibling import double

from shakeout import BridgeDevice


class Counting(BridgeDevice):
    """A bridge that counts."""

    limit = 10

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.count = start
        self.log = ["made"]

    @property
    def twice(self) -> int:
        return double(self.count)

    @property
    def label(self) -> str:
        return "-".join(self.log)

    @label.setter
    def label(self, value: str) -> None:
        self.log.append(value)

    def add(self, number: int = 1, *, times: int = 1) -> int:
        self.count += number * times
        if self.count > self.limit:
            raise OverflowError(f"{self.count} is more than {self.limit}")
        return self.count

    def where(self) -> str:
        return Path("/proc/sys/kernel/hostname").read_text().strip()
