"""Parameters whose values are numbers, truth values, or durations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

from .base import Param, V_co, check_range, choices_text, range_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal, Unpack

    from .base import Described

    class IntLimits(Described, total=False):
        minimum: int | None
        maximum: int | None
        choices: Iterable[int] | None

    class FloatLimits(Described, total=False):
        minimum: float | None
        maximum: float | None
        choices: Iterable[float] | None
        finite: bool

    class DurationLimits(Described, total=False):
        minimum: float | str
        maximum: float | str | None


#: What 64 bits hold, signed or unsigned: larger numbers cannot be sent to a host.
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1

_TRUTH = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip

#: Units, longest first: factor and power of ten (apart, so that "5us" is 5e-6 to the last bit).
_UNITS = {
    "d": (86400, "e0"), "h": (3600, "e0"), "m": (60, "e0"), "s": (1, "e0"),
    "ms": (1, "e-3"), "us": (1, "e-6"), "ns": (1, "e-9"),
}  # fmt: skip


class IntParam(Param[V_co]):
    """A whole number of at most 64 bits; from text: decimal, or with 0x, 0o, 0b; never from a bool or 1e3.

    Args:
        minimum, maximum: limits, both allowed values themselves.
        choices: the allowed values, if only some are.
    """

    @overload
    def __init__(
        self: IntParam[int], *, mandatory: Literal[True], default: None = ..., **limits: Unpack[IntLimits]
    ) -> None: ...

    @overload
    def __init__(
        self: IntParam[int], *, default: int | str, mandatory: bool = ..., **limits: Unpack[IntLimits]
    ) -> None: ...

    @overload
    def __init__(
        self: IntParam[int | None], *, mandatory: bool = ..., default: None = ..., **limits: Unpack[IntLimits]
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: int | str | None = None,
        desc: str = "",
        secret: bool = False,
        minimum: int | None = None,
        maximum: int | None = None,
        choices: Iterable[int] | None = None,
    ) -> None:
        self.minimum, self.maximum = minimum, maximum
        self.choices = None if choices is None else tuple(choices)
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        check_range(self.minimum, self.maximum)

    def convert(self, value: object) -> Any:
        number = self._number(value)
        if not _SMALLEST <= number <= _LARGEST:
            raise ValueError("expected a whole number of at most 64 bits")
        if self.choices is not None and number not in self.choices:
            raise self.expected()
        if self.minimum is not None and number < self.minimum:
            raise self.expected()
        if self.maximum is not None and number > self.maximum:
            raise self.expected()
        return number

    def _number(self, value: object) -> int:
        if isinstance(value, str) and value.isascii():
            try:
                return int(value, 0)
            except ValueError:
                pass
            digits = value.strip().removeprefix("-").removeprefix("+")
            if digits.isdigit() and digits.startswith("0"):
                raise ValueError(f"expected {self.accepts()}; a leading 0 is ambiguous, octal is 0o17")
        elif hasattr(type(value), "__index__") and not isinstance(value, bool):
            return int(value)  # type: ignore[call-overload, no-any-return]
        raise self.expected()

    def accepts(self) -> str:
        if self.choices is not None:
            return choices_text(self.choices)
        return "a whole number" + range_text(self.minimum, self.maximum)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer"} | _number_limits(self.minimum, self.maximum, self.choices)


class FloatParam(Param[V_co]):
    """A number; from text as Python writes floats.

    Args:
        minimum, maximum: limits, both allowed values themselves.
        choices: the allowed values, if only some are.
        finite: False lets infinity and "not a number" in, too.
    """

    @overload
    def __init__(
        self: FloatParam[float],
        *,
        mandatory: Literal[True],
        default: None = ...,
        **limits: Unpack[FloatLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: FloatParam[float], *, default: float | str, mandatory: bool = ..., **limits: Unpack[FloatLimits]
    ) -> None: ...

    @overload
    def __init__(
        self: FloatParam[float | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **limits: Unpack[FloatLimits],
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: float | str | None = None,
        desc: str = "",
        secret: bool = False,
        minimum: float | None = None,
        maximum: float | None = None,
        choices: Iterable[float] | None = None,
        finite: bool = True,
    ) -> None:
        self.minimum, self.maximum, self.finite = minimum, maximum, finite
        self.choices = None if choices is None else tuple(choices)
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        check_range(self.minimum, self.maximum)

    def convert(self, value: object) -> Any:
        number = to_float(value)
        if number is None or (self.finite and not math.isfinite(number)):
            raise self.expected()
        if self.choices is not None and number not in self.choices:
            raise self.expected()
        if self.minimum is not None and number < self.minimum:
            raise self.expected()
        if self.maximum is not None and number > self.maximum:
            raise self.expected()
        return number

    def accepts(self) -> str:
        if self.choices is not None:
            return choices_text(self.choices)
        kind = "a finite number" if self.finite else "a number, infinity or NaN"
        return kind + range_text(self.minimum, self.maximum)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "number"} | _number_limits(self.minimum, self.maximum, self.choices)


class BoolParam(Param[V_co]):
    """True or False; from text: true/false, yes/no, on/off, 1/0 in any case."""

    @overload
    def __init__(
        self: BoolParam[bool], *, mandatory: Literal[True], default: None = ..., **options: Unpack[Described]
    ) -> None: ...

    @overload
    def __init__(
        self: BoolParam[bool], *, default: bool | str, mandatory: bool = ..., **options: Unpack[Described]
    ) -> None: ...

    @overload
    def __init__(
        self: BoolParam[bool | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: bool | str | None = None,
        desc: str = "",
        secret: bool = False,
    ) -> None:
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def convert(self, value: object) -> Any:
        if isinstance(value, (bool, int)) and value in (0, 1):
            return bool(value)
        truth = _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None
        if truth is None:
            raise self.expected()
        return truth

    def accepts(self) -> str:
        return "true or false (or yes/no, on/off, 1/0)"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class DurationParam(Param[V_co]):
    """A length of time; the value is a float in seconds.

    From text: a number of seconds, or numbers with units, longest unit first: "1m30s", "250ms", "1.5h".

    Args:
        minimum, maximum: limits in seconds or as text, both allowed values themselves; never negative.
    """

    @overload
    def __init__(
        self: DurationParam[float],
        *,
        mandatory: Literal[True],
        default: None = ...,
        **limits: Unpack[DurationLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: DurationParam[float],
        *,
        default: float | str,
        mandatory: bool = ...,
        **limits: Unpack[DurationLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: DurationParam[float | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **limits: Unpack[DurationLimits],
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: float | str | None = None,
        desc: str = "",
        secret: bool = False,
        minimum: float | str = 0.0,
        maximum: float | str | None = None,
    ) -> None:
        self._limits = (minimum, maximum)
        self.minimum, self.maximum = 0.0, None if maximum is None else math.inf
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        minimum, maximum = self._limits
        self.minimum = seconds(minimum)
        self.maximum = None if maximum is None else seconds(maximum)
        check_range(self.minimum, self.maximum)

    def convert(self, value: object) -> Any:
        try:
            duration = seconds(value)
        except ValueError:
            raise self.expected() from None
        if duration < self.minimum or (self.maximum is not None and duration > self.maximum):
            raise self.expected()
        return duration

    def accepts(self) -> str:
        limits = range_text(self.minimum or None, self.maximum)
        return f"a duration{limits}{' seconds' if limits else ''} (as 90, '1m30s' or '250ms')"

    def json_schema(self) -> dict[str, Any]:
        number = {"type": "number"} | _number_limits(self.minimum, self.maximum, None)
        return {"anyOf": [number, {"type": "string", "pattern": "[0-9]"}]}


def to_float(value: object) -> float | None:
    """The number that *value* is or spells, None if it is none or too large."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def seconds(value: object) -> float:
    """The duration *value* (a number, or text such as "1m30s") in seconds.

    Raises:
        ValueError: it is none, it is negative or infinite, or its units are not in descending order.
    """
    number = to_float(value)
    if number is None and isinstance(value, str):
        number = _with_units(value)
    if number is None or not math.isfinite(number) or number < 0:
        raise ValueError("expected a duration (as 90, '1m30s' or '250ms')")
    return abs(number)  # of -0.0


def _with_units(text: str) -> float | None:
    import re  # text with units is rare enough

    parts = re.findall(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*([a-zµ]+)\s*", text.strip())
    if not parts or "".join(a + b for a, b in parts) != re.sub(r"\s", "", text):
        return None
    order = list(_UNITS)
    ranks = [order.index(name) if (name := unit.replace("µ", "u")) in _UNITS else -1 for _, unit in parts]
    if -1 in ranks or ranks != sorted(set(ranks)):
        return None
    scales = [_UNITS[order[rank]] for rank in ranks]
    return math.fsum(float(part[0] + power) * factor for part, (factor, power) in zip(parts, scales, strict=True))


def _number_limits(minimum: float | None, maximum: float | None, choices: tuple[float, ...] | None) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if minimum is not None:
        limits["minimum"] = minimum
    if maximum is not None:
        limits["maximum"] = maximum
    if choices is not None:
        limits["enum"] = list(choices)
    return limits
