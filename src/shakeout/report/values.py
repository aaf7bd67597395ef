"""Evaluated values in words: "throughput 9.41 ± 0.03 Gbit/s ≥ 9 Gbit/s PASS"."""

from __future__ import annotations

from collections.abc import Iterator

from shakeout.journal.events import Evaluated
from shakeout.report.text import one_line
from shakeout.units import number, with_uncertainty


def value_words(event: Evaluated) -> str:
    """The value with its uncertainty and unit: "9.41 ± 0.03 Gbit/s"."""
    return with_uncertainty(event.value, event.uncertainty, one_line(event.unit, 30))


def verdict_word(event: Evaluated) -> str:
    """PASS, FAIL, or "" where nothing was to be kept."""
    return "" if event.passed is None else "PASS" if event.passed else "FAIL"


def title(event: Evaluated) -> str:
    """Name, value and limit, on one line."""
    limit = f" {one_line(event.limit, 200)}" if event.limit else ""
    unclear = " (inconclusive)" if event.verdict == "inconclusive" else ""
    return f"{one_line(event.name)} {value_words(event)}{limit}{unclear}"


def origin(event: Evaluated) -> str:
    """Where the value comes from: how many measurements, and what the figure after the ± is; "" of a single one."""
    if event.n < 2:
        return ""
    sure = f", ± is the {number(100 * event.confidence)} % confidence interval" if event.uncertainty else ""
    return f"{'median' if event.method == 'median' else 'mean'} of {event.n} measurements{sure}"


def details(event: Evaluated) -> Iterator[str]:
    """What else there is to know, a line each: the change with its significance, a warning, and the reason."""
    if event.change is not None:
        words = [f"{percent(event.change)} against the baseline"]
        words += ["p < 0.001" if event.p < 0.001 else f"p = {event.p:.2g}"] if event.p is not None else []
        yield ", ".join(words)
    if event.warning:
        yield f"Warning: {one_line(event.warning, 400)}"
    if event.reason:
        yield event.reason[:1].upper() + one_line(event.reason[1:], 400)


def percent(share: float) -> str:
    """A change in per cent, with its sign: "-5.2 %"."""
    return f"{100 * share:+.3g} %" if share else "0 %"
