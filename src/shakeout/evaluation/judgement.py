"""What comes of judging a measured value."""

from __future__ import annotations

from typing import Literal

import msgspec

from shakeout.errors import UsageError
from shakeout.evaluation.measured import Measured
from shakeout.units import number

#: Samples that are enough for an interval that hardly depends on how they are distributed.
ENOUGH = 10
#: What counts when a value does not say enough: "fail", "pass", or what the bare value says.
Unclear = Literal["fail", "pass", "value"]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value, the limit that it was held against, and the verdict; true if it counts as passed.

    Attributes:
        verdict: "inconclusive": the uncertainty is too great to say; "recorded": as a baseline; "measured": there was
            nothing to hold it against.
        passed: what counts; None: there was nothing to hold it against.
        measured: the value, in the unit of the limit.
        limit: in words: "≥ 9 Gbit/s".
        reason: in words, what a reader should know beyond the figures.
        warning: in words, why the verdict is worth less than it seems; "" if it is not.
        baseline: what it was compared with; None if with nothing.
        change: relative to the baseline: -0.05 is five per cent less.
        p: the two-sided p-value of "nothing has changed"; None if it cannot be told.
        recorded: whether the value is to be (or was) stored as the baseline.
    """

    verdict: Literal["passed", "failed", "inconclusive", "recorded", "measured"]
    passed: bool | None
    measured: Measured
    limit: str = ""
    reason: str = ""
    warning: str = ""
    baseline: Measured | None = None
    change: float | None = None
    p: float | None = None
    recorded: bool = False

    def __bool__(self) -> bool:
        return self.passed is not False


def with_unit(value: float, unit: str) -> str:
    """A value in its unit, as a limit has it."""
    return number(value) if unit == "1" else f"{number(value)} {unit}"


def sample_advice(value: Measured) -> str:
    """How many samples *value* is made from, and how to know it better."""
    if value.n < 2:
        return "measure longer or more often"
    if value.n < ENOUGH:
        return (
            f"it is made from {value.n} samples, which is few: measure longer (duration=), take samples more often "
            f"(interval=), or evaluate the means of several rounds; {ENOUGH} or more make a good interval"
        )
    return f"it is made from {value.n} samples: measure longer (duration=), or evaluate the means of several rounds"


def check_confidence(confidence: object) -> float:
    """*confidence* if it is one.

    Raises:
        UsageError: it is not between 0.5 and 1.
    """
    if not isinstance(confidence, float) or not 0.5 <= confidence < 1:
        raise UsageError(f"a confidence is a number from 0.5 to less than 1, for example 0.95, not {confidence!r}")
    return confidence


def check_unclear(unclear: object) -> None:
    """Raises UsageError if *unclear* is not one of the accepted words."""
    if unclear not in ("fail", "pass", "value"):
        raise UsageError(f"when_unclear is 'fail', 'pass' or 'value', not {unclear!r}")
