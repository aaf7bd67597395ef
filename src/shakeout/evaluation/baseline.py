"""Comparison with what was measured before: better, worse, or the same within tolerance and chance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from shakeout.errors import UsageError
from shakeout.evaluation.arguments import by_name
from shakeout.evaluation.judgement import (
    Judgement,
    Unclear,
    check_confidence,
    check_unclear,
    sample_advice,
    with_unit,
)  # fmt: skip
from shakeout.evaluation.measured import CONFIDENCE, Measured
from shakeout.evaluation.significance import mann_whitney, welch
from shakeout.units import convert, number, plain, unit, with_uncertainty

#: Below this many values on either side, Mann-Whitney's test cannot tell anything at the usual confidence.
FEWEST_RANKED = 4
_TOLERANCE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(.*)")


class Baseline:
    """What was measured once, and is stored: a value may be worse by the tolerance, or by chance.

    A value fails if it is worse than the baseline by more than *tolerance*, and the difference is significant. If it is
    worse by more than that, but may be so by chance, it is inconclusive, which counts as passed unless *when_unclear*
    says otherwise. Where nothing is known about the uncertainty on either side (single numbers), the tolerance alone
    decides. The first value that is measured is recorded as the baseline, and the summary says so; later ones
    never change it, unless ``--update-baseline`` (or *update*) asks for it.

    Measurements of one run resemble each other more than those of two runs do: choose a tolerance that covers what
    differs from run to run, or evaluate the means of several repetitions.

    Args:
        name: what it is called, in all recipes: "tcp-throughput".
        tolerance: how much worse is still good: "5%", 0.05, or in a unit: "0.2 Gbit/s".
        better: which values are better, "higher" or "lower"; "same": a change either way is one for the worse.
        by: what is kept apart, each with a baseline of its own: names of parameters or properties of hosts
            ("arch", "driver": of all hosts of the match; "m1.driver": of one), or of the recipe ("params.mtu").
        unit: in which the value is shown and stored; "" is its own.
        confidence: a difference is significant if it would come about by chance less often than 1 - confidence.
        test: "welch" (means; Student's t for unequal variances) or "mann-whitney" (ranks; takes nothing for granted
            about the distribution, but needs the single values on both sides, four at the least).
        update: record what is measured as the new baseline.
        when_unclear: what an inconclusive value counts as: "pass", "fail", or "value" (which here is "fail").

    Raises:
        UsageError: an argument that makes no sense.
    """

    @by_name
    def __init__(
        self,
        name: str,
        *,
        tolerance: str | float = "5%",
        better: Literal["higher", "lower", "same"] = "higher",
        by: Sequence[str] = (),
        unit: str = "",
        confidence: float = CONFIDENCE,
        test: Literal["welch", "mann-whitney"] = "welch",
        update: bool = False,
        when_unclear: Unclear = "pass",
    ) -> None:
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 100:
            raise UsageError(f"{name!r} cannot be the name of a baseline: it takes 1 to 100 printable characters")
        if better not in ("higher", "lower", "same"):
            raise UsageError(f"better is 'higher', 'lower' or 'same', not {better!r}")
        if test not in ("welch", "mann-whitney"):
            raise UsageError(f"test is 'welch' or 'mann-whitney', not {test!r}")
        check_unclear(when_unclear)
        self.name = name
        self.better = better
        self.by = (by,) if isinstance(by, str) else tuple(by)
        self.unit = _checked(unit)
        self.confidence = check_confidence(confidence)
        self.test = test
        self.update = update
        self.when_unclear: Unclear = when_unclear
        #: As a share of the baseline, or in a unit.
        self.share, self.absolute, self.absolute_unit = _tolerance(tolerance)

    @property
    def plain_unit(self) -> str:
        """The unit of a plain number that is judged."""
        return plain(self.unit or self.absolute_unit) if self.unit or self.absolute_unit else "1"

    def judge(self, measured: Measured, reference: Measured | None, *, update: bool = False) -> Judgement:
        """Compare *measured* with *reference*.

        Args:
            reference: the stored baseline; None if there is none yet.
            update: record *measured*, whatever it is.

        Raises:
            UsageError: they measure different things.
        """
        value = (measured.to(self.unit) if self.unit else measured).at(self.confidence)
        if reference is None:
            reason = f"recorded as the baseline {self.name!r}, which had none yet"
            return Judgement(
                verdict="recorded",
                passed=True,
                measured=value,
                reason=reason,
                warning=self._blurred(value, None),
                recorded=True,
            )
        before = reference.to(value.unit).at(self.confidence)
        change = (value.value - before.value) / abs(before.value) if before.value else None
        p, remark = self._significance(value, before)
        verdict, reason = self._verdict(value, before, p)
        if update or self.update:
            reason = f"recorded as the new baseline {self.name!r}, in place of {with_unit(before.value, before.unit)}"
            verdict, remark = "recorded", ""
        passed = verdict in ("passed", "recorded") or (verdict == "inconclusive" and self.when_unclear == "pass")
        return Judgement(
            verdict=verdict,
            passed=passed,
            measured=value,
            limit=self._limit(before),
            reason="; ".join(text for text in (reason, remark, value.note) if text),
            warning=self._blurred(value, None if verdict == "recorded" else before),
            baseline=before,
            change=change,
            p=p,
            recorded=verdict == "recorded",
        )

    def _verdict(
        self, value: Measured, before: Measured, p: float | None
    ) -> tuple[Literal["passed", "failed", "inconclusive", "recorded"], str]:
        gain = value.value - before.value
        gain = {"higher": gain, "lower": -gain, "same": -abs(gain)}[self.better]
        allowed = self._allowed(before)
        by_chance = p is not None and p > 1 - self.confidence
        if gain < -allowed and by_chance:
            return (
                "inconclusive",
                f"it is worse by more than the tolerance, but that may be chance: {sample_advice(value)}",
            )
        if gain < -allowed:
            return "failed", f"it is worse by more than the tolerance of {self._tolerance_words(before.unit)}"
        if gain > allowed and not by_chance and self.better != "same":
            return "passed", "it is better by more than the tolerance; --update-baseline records it"
        return "passed", ""

    def _significance(self, value: Measured, before: Measured) -> tuple[float | None, str]:
        """The p-value; and what is to be said of it."""
        ranked = min(len(value.samples), len(before.samples))
        if self.test == "mann-whitney" and ranked >= FEWEST_RANKED:
            return mann_whitney(value.samples, before.samples), ""
        remark = ""
        if self.test == "mann-whitney":
            remark = f"too few values for Mann-Whitney's test ({ranked}, it needs {FEWEST_RANKED})"
        if value.uncertainty is None or before.uncertainty is None:
            known = "nothing is known about the uncertainty: the tolerance alone decides"
            return None, "; ".join(text for text in (remark, known) if text)
        p = welch(value.value, value.error, value.freedom, before.value, before.error, before.freedom)
        return p, f"{remark}, so Welch's was used" if remark else ""

    def _allowed(self, before: Measured) -> float:
        if self.absolute is None:
            return self.share * abs(before.value)
        return convert(self.absolute, self.absolute_unit, before.unit)

    def _blurred(self, value: Measured, before: Measured | None) -> str:
        """What to say where the uncertainty hides changes of the tolerance's size; *before*: None if it is recorded."""
        allowed = self._allowed(before or value)
        words = f"than the tolerance ({self._tolerance_words(value.unit)})"
        if before is None and (value.uncertainty or 0.0) > allowed:
            return (
                f"this baseline is less certain (± {_extent(value)}) {words}, so that later runs hardly fail against "
                f"it: {sample_advice(value)}; then record it again with --update-baseline"
            )
        if before is not None and (before.uncertainty or 0.0) > allowed:
            return (
                f"the baseline is less certain (± {_extent(before)}, from {before.n} samples) {words}, so that hardly "
                "anything fails against it: measure longer or more often, and record it again with --update-baseline"
            )
        if before is not None and (value.uncertainty or 0.0) > allowed:
            return f"the value is less certain (± {_extent(value)}) {words}: {sample_advice(value)}"
        return ""

    def _limit(self, before: Measured) -> str:
        allowed = self._allowed(before)
        reference = f"baseline {with_uncertainty(before.value, before.uncertainty, '1')}"
        low, high = before.value - allowed, before.value + allowed
        if self.better == "same":
            return f"{number(low)} … {with_unit(high, before.unit)} ({reference})"
        sign, edge = ("≥", low) if self.better == "higher" else ("≤", high)
        return f"{sign} {with_unit(edge, before.unit)} ({reference})"

    def _tolerance_words(self, shown: str) -> str:
        if self.absolute is None:
            return f"{number(100 * self.share)} %"
        return with_unit(convert(self.absolute, self.absolute_unit, shown), shown)

    def __repr__(self) -> str:
        return f"<Baseline {self.name!r}, {self.better} is better>"


def _extent(value: Measured) -> str:
    """The uncertainty as a share of the value, or in its unit."""
    uncertainty = value.uncertainty or 0.0
    if not value.value:
        return with_unit(uncertainty, value.unit)
    return f"{number(100 * uncertainty / abs(value.value))} %"


def _tolerance(given: str | float) -> tuple[float, float | None, str]:
    """Share of the baseline; or value and unit."""
    found = _TOLERANCE.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is not None and found[2] == "%":
        return float(found[1]) / 100, None, ""
    if found is not None and found[2]:
        return 0.0, float(found[1]), unit(found[2]).text
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < 1:
        return float(given), None, ""
    raise UsageError(
        f"{given!r} is no tolerance: it is a share of the baseline ('5%', or 0.05), or a value with its unit "
        "('0.2 Gbit/s')"
    )


def _checked(text: str) -> str:
    return unit(text).text if text else ""
