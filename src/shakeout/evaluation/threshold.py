"""Limits that a measured value must keep."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from shakeout.errors import UsageError
from shakeout.evaluation.arguments import by_name
from shakeout.evaluation.judgement import (
    Judgement,
    Unclear,
    check_confidence,
    check_unclear,
    sample_advice,
    with_unit,
)
from shakeout.evaluation.measured import CONFIDENCE, Measured
from shakeout.units import number, plain, unit

#: How many times greater or less than the limit a number may be that was probably meant in its unit.
_LIKELY = 30


class Threshold:
    """A least value, a greatest value, or both.

    A value passes if its whole confidence interval keeps the limit, and fails if its whole interval breaks it. One
    whose interval lies across the limit is inconclusive, which counts as failed unless *when_unclear* says otherwise:
    that the limit is kept has not been shown. Of a value without uncertainty (a single number) the number decides.

    Examples:
        >>> Threshold(at_least=9, unit="Gbit/s").judge(Measured(9.41e9, "bit/s", uncertainty=3e7)).verdict
        'passed'

    Args:
        at_least, at_most: the limits, which are kept by values that equal them; at least one is needed.
        between: both at once.
        unit: of the limits; "" is that of the value. A plain number that is evaluated counts as one in this unit
            without its prefix: in bit/s where the limit is in Gbit/s, as the results of test modules are.
        confidence: of the interval.
        when_unclear: what an inconclusive value counts as: "fail", "pass", or "value", where the bare value decides.

    Raises:
        UsageError: the limits contradict each other, or there are none.
    """

    @by_name
    def __init__(
        self,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        between: Sequence[float] | None = None,
        unit: str = "",
        confidence: float = CONFIDENCE,
        when_unclear: Unclear = "fail",
    ) -> None:
        if between is not None:
            if at_least is not None or at_most is not None or len(between) != 2:
                raise UsageError("between=(low, high) takes two numbers, and neither at_least nor at_most beside it")
            at_least, at_most = between
        for limit in (at_least, at_most):
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or isnan(limit)):
                raise UsageError(f"a limit is a number, not {limit!r}; its unit is given by unit=")
        if at_least is None and at_most is None:
            raise UsageError("a Threshold needs a limit: at_least=, at_most= or between=")
        if at_least is not None and at_most is not None and at_least > at_most:
            raise UsageError(f"no value is at least {at_least:g} and at most {at_most:g}")
        check_unclear(when_unclear)
        self.at_least = at_least
        self.at_most = at_most
        self.unit = _checked(unit)
        self.confidence = check_confidence(confidence)
        self.when_unclear: Unclear = when_unclear

    @property
    def plain_unit(self) -> str:
        """The unit of a plain number that is judged."""
        return plain(self.unit) if self.unit else "1"

    def judge(self, measured: Measured) -> Judgement:
        """Hold *measured* against the limits.

        Raises:
            UsageError: it measures something that is not in the limits' unit.
        """
        value = (measured.to(self.unit) if self.unit else measured).at(self.confidence)
        least = float("-inf") if self.at_least is None else self.at_least
        most = float("inf") if self.at_most is None else self.at_most
        kept, limit = least <= value.value <= most, self._words(value.unit)
        if least <= value.low and value.high <= most:
            return Judgement(verdict="passed", passed=True, measured=value, limit=limit, reason=value.note)
        if value.high < least or value.low > most or value.uncertainty is None:
            reason = "; ".join(text for text in (self._mistaken(measured, least, most), value.note) if text)
            return Judgement(verdict="failed", passed=False, measured=value, limit=limit, reason=reason)
        passed = kept if self.when_unclear == "value" else self.when_unclear == "pass"
        reason = (
            f"{number(value.low)} … {number(value.high)} lies across the limit: {sample_advice(value)}; "
            "when_unclear= chooses what an inconclusive value counts as"
        )
        reasons = [text for text in (reason, value.note) if text]
        return Judgement(
            verdict="inconclusive", passed=passed, measured=value, limit=limit, reason="; ".join(reasons)
        )  # fmt: skip

    def _mistaken(self, measured: Measured, least: float, most: float) -> str:
        """What to say of a number that keeps the limits if it is in their unit, which nobody said that it is."""
        likely = any(limit and 1 / _LIKELY <= measured.value / limit <= _LIKELY for limit in (least, most))
        if not (measured.assumed and likely and least <= measured.value <= most) or measured.unit == self.unit:
            return ""
        taken = f"{number(measured.value)} was taken to be in {measured.unit}"
        return f"{taken}: if it is in {self.unit}, say unit={self.unit!r}"

    def _words(self, shown: str) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{number(self.at_least)} … {with_unit(self.at_most, shown)}"
        if self.at_least is not None:
            return f"≥ {with_unit(self.at_least, shown)}"
        return f"≤ {with_unit(self.at_most or 0.0, shown)}"

    def __repr__(self) -> str:
        return f"<Threshold {self._words(self.unit or '1')}>"


def _checked(text: str) -> str:
    return unit(text).text if text else ""
