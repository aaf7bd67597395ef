"""When two plain values count as equal, and which of two is greater.

Values come from a recipe (typed by hand), from a pool file (typed by YAML) and from the command line
(always text), so the same fact arrives as 8 and as "8". The rules, used by every predicate:

* If either side is a number, text that reads as a number is one: "8" equals 8, "16" is more than "9".
* If either side is a bool, the texts true and false (any case) are bools; 1 is no bool.
* Two texts are equal if they are the same text; hardware addresses also if only case or separator differ.
* A property that is a list has each of its members: ``features: [sriov, xdp]`` equals "xdp".
"""

from __future__ import annotations

_MAC_LENGTH = 17
_HEX = frozenset("0123456789abcdef")
_BOOLS = {"true": True, "false": False}


class _Absent:
    """The value of a property that a host or port does not have."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


#: What predicates are given for a property that is not there (or is null in the pool file).
ABSENT = _Absent()


def number(value: object) -> int | float | None:
    """*value* as a number, None if it is none; bools, "nan", "inf" and "1_000" are none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str) or "_" in value or not value[-1:].isdigit():
        return None
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return None


def version(value: object) -> tuple[int, ...] | None:
    """The leading dotted numbers of a text: "6.1.0-18-amd64" is (6, 1, 0); None if there are none.

    A float is none: it cannot tell 5.1 from 5.10.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if not isinstance(value, str):
        return None
    parts: list[int] = []
    for piece in value.split("."):
        digits = 0
        while digits < len(piece) and piece[digits] in "0123456789":
            digits += 1
        if digits:
            parts.append(int(piece[:digits]))
        if digits < len(piece) or not digits:
            break
    return tuple(parts) or None


def mac(value: str) -> str | None:
    """A hardware address in its normal form (lower case, colons), None if *value* is none."""
    if len(value) != _MAC_LENGTH:
        return None
    low = value.lower().replace("-", ":")
    octets = low.split(":")
    if len(octets) == 6 and all(len(o) == 2 and o[0] in _HEX and o[1] in _HEX for o in octets):
        return low
    return None


def normal(value: object) -> str:
    """*value* as the text that patterns see: bools as true/false, hardware addresses in normal form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return mac(text) or text


def same(wanted: object, value: object) -> bool:
    """Whether a property's *value* is the *wanted* one, by the rules above."""
    if value is ABSENT:
        return False
    if isinstance(value, list | tuple):
        return wanted == value or any(same(wanted, member) for member in value)
    if isinstance(wanted, bool) or isinstance(value, bool):
        return _boolean(wanted) is not None and _boolean(wanted) == _boolean(value)
    if isinstance(wanted, int | float) or isinstance(value, int | float):
        left, right = number(wanted), number(value)
        return left is not None and left == right
    if isinstance(wanted, dict) or isinstance(value, dict):
        return wanted == value
    return normal(wanted) == normal(value)


def order(value: object, bound: object) -> int | None:
    """-1, 0 or 1: *value* is less than, equal to or more than *bound*; None if they do not compare.

    Numbers compare as numbers. If the value is no number (a kernel's "6.1.0-18-amd64"), both compare as
    versions, and only as many parts count as the bound has: "6.1.5" equals the bound "6.1".
    """
    left, right = number(value), number(bound)
    if left is not None and right is not None:
        return (left > right) - (left < right)
    have, limit = version(value), version(bound)
    if have is None or limit is None:
        return None
    have = have[: len(limit)]
    return (have > limit) - (have < limit)


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return _BOOLS.get(value.lower()) if isinstance(value, str) else None
