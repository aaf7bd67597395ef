"""Predicates: what a requirement may say about one property of a host or of a port.

======================  =======================================================
a plain value           equal to it (``arch="x86_64"``, ``cpus=8``)
a list, tuple or set    one of its members, as :class:`AnyOf`
``Match("mlx.*")``      the whole text matches the regular expression
``AnyOf("a", "b")``     one of several; members may be predicates
``AtLeast(4)``          a number (or version, "6.1") not below
``AtMost(64)``          … not above
``Between(4, 8)``       … within both limits, inclusive
``Present()``           the property is there, whatever its value
``Absent()``            it is not there
``Not(x)`` or ``~x``    the opposite of any of them
``RecipeParam("n")``    whatever the recipe's parameter n is; the parameter object itself does the same
``None``                no requirement at all
======================  =======================================================

How values compare is told in :mod:`shakeout.matching.comparison`.

An absent property is equal to nothing and within no limit; so every negation accepts it:
``driver=Not("e1000")`` is met by a port whose driver is not known. Say
``Present()`` for a property of which only the existence matters.
"""

from __future__ import annotations

import math

from shakeout.errors import BadRequirement
from shakeout.matching.comparison import ABSENT, number, order, version
from shakeout.matching.predicate import (
    AnyOf,
    Exact,
    Match,
    Not,
    Predicate,
    RecipeParam,
    as_predicate,
    is_param,
    shown,
)

__all__ = [
    "Absent",
    "AnyOf",
    "AtLeast",
    "AtMost",
    "Between",
    "Exact",
    "Match",
    "Not",
    "Predicate",
    "Present",
    "RecipeParam",
    "as_predicate",
    "is_param",
    "shown",
]


class AtLeast(Predicate):
    """A number, or a version such as "6.1", that is not below the bound."""

    __slots__ = ()

    def __init__(self, bound: object) -> None:
        super().__init__(bound)

    def check(self) -> None:
        _check_bound(self.args[0], "AtLeast")

    def accepts(self, value: object) -> bool:
        return _within(value, self.args[0], None)

    def phrase(self) -> str:
        return f" >= {self.args[0]}"


class AtMost(Predicate):
    """A number, or a version such as "6.1", that is not above the bound."""

    __slots__ = ()

    def __init__(self, bound: object) -> None:
        super().__init__(bound)

    def check(self) -> None:
        _check_bound(self.args[0], "AtMost")

    def accepts(self, value: object) -> bool:
        return _within(value, None, self.args[0])

    def phrase(self) -> str:
        return f" <= {self.args[0]}"


class Between(Predicate):
    """A number or version within both bounds, the bounds included."""

    __slots__ = ()

    def __init__(self, low: object, high: object) -> None:
        super().__init__(low, high)

    def check(self) -> None:
        low, high = self.args
        _check_bound(low, "Between")
        _check_bound(high, "Between")
        if order(low, high) == 1:
            raise BadRequirement(f"Between({low}, {high}) accepts nothing: the first is above the second")

    def accepts(self, value: object) -> bool:
        return _within(value, self.args[0], self.args[1])

    def phrase(self) -> str:
        return f" between {self.args[0]} and {self.args[1]}"


class Present(Predicate):
    """The property is there, whatever its value."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()

    def accepts(self, value: object) -> bool:
        return value is not ABSENT

    def phrase(self) -> str:
        return " present"

    def denial(self) -> str:
        return " absent"


class Absent(Predicate):
    """The property is not there."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()

    def accepts(self, value: object) -> bool:
        return value is ABSENT

    def phrase(self) -> str:
        return " absent"

    def denial(self) -> str:
        return " present"


def _check_bound(bound: object, what: str) -> None:
    if isinstance(bound, float) and math.isnan(bound):
        raise BadRequirement(f"{what}() takes a number, and nan is none")
    if number(bound) is None and version(bound) is None:
        raise BadRequirement(f"{what}() takes a number or a version such as '6.1', not {bound!r}")


def _within(value: object, low: object, high: object) -> bool:
    if isinstance(value, list | tuple):
        return any(_within(member, low, high) for member in value)
    if low is not None and order(value, low) not in (0, 1):
        return False
    return high is None or order(value, high) in (-1, 0)
