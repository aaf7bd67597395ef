"""One row of the benchmark table: what is measured, against what, and the figure to reach.

A module in this folder takes part by having a function `rows()` that yields rows. Nothing is measured until
a row's `measure` is called, so that `--only` costs nothing for the others::

    def rows() -> Iterable[Row]:
        yield Row("import of shakeout.params", lambda: interleave(ours, reference, 30), target_ratio=2)

Only ratios inside one interleaved run say something: this machine is never as fast as it was a minute ago.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Literal


class NotMeasured(Exception):
    """A row cannot be measured here; the message says what is missing."""


@dataclass(frozen=True)
class Figures:
    """What was measured, in the unit of the row."""

    ours: float
    #: None where there is nothing to compare with, and the target is a number of its own.
    reference: float | None = None
    #: What a reader should know about this measurement: how often, on what.
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One row: how to measure it and what to reach (`target_ratio`, `target` or neither)."""

    what: str
    #: Called once. Raises NotMeasured with the reason where something is missing.
    measure: Callable[[], Figures]
    unit: str = "ms"
    #: Bound of ours / reference: an upper one if lower is better, else a lower one.
    target_ratio: float | None = None
    #: Bound of ours alone, in `unit`.
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    note: str = ""

    def reaches(self, figures: Figures) -> bool | None:
        """True if the target is reached, None without a target or without the reference that it needs."""
        if self.target is not None:
            value, bound = figures.ours, self.target
        elif self.target_ratio is not None and figures.reference:
            value, bound = figures.ours / figures.reference, self.target_ratio
        else:
            return None
        return value <= bound if self.better == "lower" else value >= bound


def interleave(
    ours: Callable[[], object], reference: Callable[[], object], n: int, *, scale: float = 1000.0
) -> Figures:
    """Medians of *n* calls of each, taken in turns (ours first, then the reference first, and so on).

    Args:
        scale: what to multiply seconds with; milliseconds by default.
    """
    ours()  # imports, caches, connections: neither side pays for its first time
    reference()
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for turn in range(n):
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                call = reference if side else ours
                begin = perf_counter()
                call()
                times[side].append(perf_counter() - begin)
    finally:
        gc.enable()
    first, second = (statistics.median(series) * scale for series in times)
    return Figures(first, second, f"median of {n}")


def repeat(ours: Callable[[], object], n: int, *, scale: float = 1000.0) -> Figures:
    """Median of *n* calls where there is nothing to compare with; *scale* as in `interleave`."""
    ours()
    series = []
    for _ in range(n):
        begin = perf_counter()
        ours()
        series.append(perf_counter() - begin)
    return Figures(statistics.median(series) * scale, None, f"median of {n}, worst {max(series) * scale:.3g}")
