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
import re
from typing import TYPE_CHECKING

from shakeout.errors import BadRequirement
from shakeout.matching.comparison import ABSENT, normal, number, order, same, version
from shakeout.matching.predicate import Predicate, RecipeParam, is_param, resolved_argument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shakeout.params import Params

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


class Exact(Predicate):
    """Equal to a plain value; what a plain value in a requirement becomes."""

    __slots__ = ()

    def __init__(self, value: object) -> None:
        super().__init__(value)

    def accepts(self, value: object) -> bool:
        return same(self.args[0], value)

    def phrase(self) -> str:
        return f"={shown(self.args[0])}"

    def denial(self) -> str:
        return f" not {shown(self.args[0])}"


class Match(Predicate):
    """The whole text of the value matches a regular expression (as ``re.fullmatch``).

    Upper and lower case differ, unless the pattern begins with ``(?i)``; numbers match as they are written,
    hardware addresses in lower case with colons. ``Match("mlx")`` does not accept "mlx5_core",
    ``Match("mlx.*")`` does.
    """

    __slots__ = ("_compiled",)
    _compiled: re.Pattern[str]

    def __init__(self, pattern: object) -> None:
        super().__init__(pattern)

    def check(self) -> None:
        pattern = self.args[0]
        if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
            object.__setattr__(self, "_compiled", pattern)
            return
        if not isinstance(pattern, str):
            raise BadRequirement(f"Match() takes a regular expression as text, not {pattern!r}")
        try:
            object.__setattr__(self, "_compiled", re.compile(pattern))
        except re.error as error:
            at = f" at position {error.pos}" if error.pos is not None else ""
            raise BadRequirement(
                f"Match({pattern!r}) is no regular expression: {error.msg}{at}; "
                "for a text with special characters as it stands give the text itself, without Match"
            ) from error

    def accepts(self, value: object) -> bool:
        if value is ABSENT:
            return False
        if isinstance(value, list | tuple):
            return any(self.accepts(member) for member in value)
        return self._compiled.fullmatch(normal(value)) is not None

    def phrase(self) -> str:
        pattern = self.args[0]
        return f" matching {pattern.pattern if isinstance(pattern, re.Pattern) else pattern}"


class AnyOf(Predicate):
    """One of several values or predicates."""

    __slots__ = ()

    def __init__(self, *members: object) -> None:
        super().__init__(*members)

    def check(self) -> None:
        if not self.args:
            raise BadRequirement("AnyOf() has no members, so that nothing could meet it; name at least one")
        if any(member is None for member in self.args):
            raise BadRequirement("AnyOf() has a member None; write Absent() for a property that is not there")

    def accepts(self, value: object) -> bool:
        return any(
            member.accepts(value) if isinstance(member, Predicate) else same(member, value)
            for member in self.args
        )

    def phrase(self) -> str:
        return f" one of {', '.join(_member(member) for member in self.args)}"

    def resolve(self, params: Mapping[str, object] | Params) -> Predicate | None:
        kept = [value for value in (resolved_argument(arg, params) for arg in self.args) if value is not None]
        flat: list[object] = []
        for value in kept:
            flat.extend(value if isinstance(value, list | tuple | set | frozenset) else (value,))
        return AnyOf(*flat) if flat else None


class Not(Predicate):
    """The opposite of a value or predicate; accepts an absent property (unless it is Not(Absent()))."""

    __slots__ = ()

    def __init__(self, inner: object) -> None:
        super().__init__(inner if isinstance(inner, Predicate) else as_predicate(inner, "Not()"))

    def check(self) -> None:
        if self.args[0] is None:
            raise BadRequirement("Not(None) means nothing; write Present() for a property that must be there")

    def accepts(self, value: object) -> bool:
        inner: Predicate = self.args[0]
        return not inner.accepts(value)

    def phrase(self) -> str:
        inner: Predicate = self.args[0]
        return inner.denial()

    def denial(self) -> str:
        inner: Predicate = self.args[0]
        return inner.phrase()

    def __invert__(self) -> Predicate:
        inner: Predicate = self.args[0]
        return inner


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


def as_predicate(value: object, where: str) -> Predicate:
    """What a requirement's *value* means, as a predicate; *where* names it in the error.

    Raises:
        BadRequirement: a value that cannot be compared with a property.
    """
    if isinstance(value, Predicate):
        return value
    if isinstance(value, type) and issubclass(value, Predicate):
        raise BadRequirement(f"{where}: {value.__name__} lacks its parentheses; write {value.__name__}(…)")
    if is_param(value):
        return RecipeParam(value)
    if isinstance(value, re.Pattern):
        return Match(value)
    if isinstance(value, set | frozenset):
        return AnyOf(*sorted(value, key=repr))  # a set's own order differs from run to run
    if isinstance(value, list | tuple):
        return AnyOf(*value)
    if value is None:
        raise BadRequirement(f"{where}: None says nothing; write Absent() for a property that is not there")
    if callable(value):
        raise BadRequirement(
            f"{where}: {value!r} is no value; give text, a number, a bool, or one of "
            "Match, AnyOf, Not, AtLeast, AtMost, Between, Present, Absent, RecipeParam"
        )
    return Exact(value)


def shown(value: object) -> str:
    """*value* as it stands in messages: bare where that is readable, quoted where not."""
    text = normal(value)
    return text if text and not any(c.isspace() or c in ",;='\"" for c in text) else repr(text)


def _member(member: object) -> str:
    if not isinstance(member, Predicate):
        return shown(member)
    return member.phrase().strip().removeprefix("=")


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
