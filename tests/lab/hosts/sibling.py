"""What other files of the tests import, to see that it goes along."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T", int, str)


def double(value: T) -> T:
    """*value* twice."""
    return value + value
