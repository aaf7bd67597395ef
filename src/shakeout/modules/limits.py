"""Parameters of several test modules: an interface of the host, and how much of something there may be."""

from __future__ import annotations

import math
from typing import Any

from shakeout.params import Param

#: The least and the most that is accepted; None: no limit.
Limits = tuple[float | None, float | None]


class DeviceOrNameParam(Param[Any]):
    """An interface of a host: a device (``m1.eth0``) or, as text, the name that the host's kernel has for it.

    ``str()`` of the value is the name, on the controller and in a test module.
    """

    def convert(self, value: object) -> Any:
        kind = type(value)
        if hasattr(kind, "if_index") and hasattr(kind, "hwaddr"):
            return value  # asking the object itself would ask its host
        # What the kernel accepts as a name (dev_valid_name).
        if not isinstance(value, str) or not 0 < len(value.encode(errors="replace")) < 16 or value in (".", ".."):
            raise self.expected()
        if any(character in "/:" or character.isspace() or not character.isprintable() for character in value):
            raise self.expected()
        return str(value)

    def accepts(self) -> str:
        return "a device of the host (as self.matched.m1.eth0) or the name of an interface"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": 15}

    def plain(self, value: Any) -> Any:
        return str(value)


class LimitsParam(Param[Any]):
    """How much there may be: a number (exactly that many) or two, of which either may be None for no limit.

    As text: "5", "5-10", "5-", "-10". The value is a tuple of two.

    Args:
        whole: only whole numbers are accepted; without it, one number alone is the least.
    """

    def __init__(self, *, whole: bool = False, desc: str = "") -> None:
        self.whole = whole
        super().__init__(desc=desc)

    def convert(self, value: object) -> Any:
        if isinstance(value, str):
            low, dash, high = value.strip().partition("-")
            value = (low.strip() or None, high.strip() or None) if dash else low
        if isinstance(value, list | tuple):
            if len(value) != 2:
                raise self.expected()
            pair = [None if part is None else self._number(part) for part in value]
        else:
            number = self._number(value)
            pair = [number, number if self.whole else None]
        if pair == [None, None]:
            raise self.expected()
        if None not in pair and pair[0] > pair[1]:  # type: ignore[operator]
            raise ValueError(f"expected {self.accepts()}; the least comes first")
        return tuple(pair)

    def _number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.expected()
        try:
            number = (int if self.whole else float)(value)
        except (ValueError, OverflowError):
            raise self.expected() from None
        if not 0 <= number < 2**63 or not math.isfinite(number) or (self.whole and number != float(value)):
            raise self.expected()
        return number

    def accepts(self) -> str:
        if self.whole:
            return "a whole number, or two, (least, most), of which one may be None (as text: 5, 5-10, 5-, -10)"
        return "a number (the least), or two, (least, most), of which one may be None (as text: 5, 5-10, 5-, -10)"

    def json_schema(self) -> dict[str, Any]:
        kind = "integer" if self.whole else "number"
        part = {"type": [kind, "null"], "minimum": 0}
        pair = {"type": "array", "items": part, "minItems": 2, "maxItems": 2}
        return {"anyOf": [{"type": kind, "minimum": 0}, pair, {"type": "string", "pattern": "[0-9]"}]}

    def plain(self, value: Any) -> Any:
        return list(value)


def limits_text(limits: Limits, unit: str = "") -> str:
    """ "5", "5 to 10", "at least 5", "at most 10", with *unit* behind it."""
    low, high = limits
    if low is None:
        text = f"at most {high:g}"
    elif high is None:
        text = f"at least {low:g}"
    else:
        text = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return text + unit


def within(value: float, limits: Limits) -> bool:
    """Whether *value* is accepted."""
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)
