"""A measured value: what it is, in which unit, how far off it may be, and from how many measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import fsum, sqrt
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from shakeout.errors import UsageError
from shakeout.evaluation.distributions import KNOWN, binomial_half, student_quantile
from shakeout.journal.series import SeriesView, quantile
from shakeout.units import convert, unit, with_uncertainty

if TYPE_CHECKING:
    from typing import TypeAlias

    #: What can be evaluated: a number, several measurements of one thing, a series, a dict, or a `Measured`.
    Measurable: TypeAlias = "Measured | float | Sequence[float] | SeriesView | Mapping[str, Any]"

#: How sure an interval is, unless somebody says otherwise.
CONFIDENCE = 0.95
#: Into how many means a series is divided, the finest first; samples in a row resemble each other, means do less.
BATCHES = (32, 16, 8)
#: Correlation of neighbours above which they count as dependent.
_DEPENDENT = 0.3
#: No measured value is as great, and the squares of those that are less are numbers, too.
_GREATEST = 1e150
#: Values that are kept for tests.
_KEPT = 1000


class Measured(msgspec.Struct, frozen=True):
    """A value with its uncertainty.

    Make it from whatever there is with `Measured.of`, or directly, if its uncertainty is known:
    ``Measured(9.41, "Gbit/s", uncertainty=0.03)``.

    Attributes:
        value: the mean (or median), in *unit*.
        unit: "1" for a plain number.
        uncertainty: half the width of the confidence interval, in *unit*; None if nothing is known about it.
        n: measurements that it is made from.
        confidence: of that interval.
        freedom: its degrees of freedom.
        method: "given", "mean" (Student's t), "batch means" (of a series, Student's t) or "median".
        samples: independent values behind it, if they are known (at most a thousand, evenly chosen).
        note: what a reader should know of it; "" if nothing.
        assumed: nobody said its unit.
    """

    value: float
    unit: str = "1"
    uncertainty: float | None = None
    n: int = 1
    confidence: float = CONFIDENCE
    freedom: float = KNOWN
    method: Literal["given", "mean", "batch means", "median"] = "given"
    samples: tuple[float, ...] = ()
    note: str = ""
    assumed: bool = False

    def __str__(self) -> str:
        return with_uncertainty(self.value, self.uncertainty, self.unit)

    def __repr__(self) -> str:
        return f"<Measured {self}, n={self.n}>"

    @classmethod
    def of(
        cls,
        data: Measurable,
        unit: str = "",
        *,
        column: str = "",
        statistic: Literal["mean", "median"] = "mean",
        correlated: bool = False,
    ) -> Measured:
        """What *data* amounts to.

        Args:
            data: a number; several measurements of one thing, independent of each other (repetitions); a series of a
                job (``job.series["cpu"]``); or a dict with "value" (or "mean"), and perhaps "unit", "uncertainty"
                and "n".
            unit: of *data*, where it does not say its own.
            column: of a series with several.
            statistic: "mean" with an interval by Student's t (good for 5 and more values that are not too skewed), or
                "median" with an interval from the ranks, which takes nothing for granted about the distribution.
            correlated: the measurements followed one another, as those of a series do: they are judged by the means
                of batches, since neighbours tell the same twice.

        Raises:
            UsageError: it is none of these, has no finite numbers, or none at all.
        """
        if isinstance(data, Measured):
            return data if not unit else data.to(unit)
        if isinstance(data, SeriesView):
            name = data.column(column)
            made = _of_values(data.values(name), data.columns[name], statistic, correlated=True, what=repr(data.name))
            return made.to(unit) if unit else made
        if isinstance(data, Mapping):
            return _of_mapping(data, unit)
        if isinstance(data, int | float):
            return cls(_finite([data], "the value")[0], unit or "1")
        if isinstance(data, Iterable) and not isinstance(data, str | bytes):
            return _of_values(list(data), unit or "1", statistic, correlated=correlated, what="the list")
        raise UsageError(
            f"{data!r:.80} is no measured value: it takes a number, a list of numbers, a series of a job, or a "
            'dict with "value"'
        )

    def to(self, unit: str) -> Measured:
        """The same in another unit.

        Raises:
            UsageError: it measures something else.
        """
        if unit == self.unit:
            return self
        return msgspec.structs.replace(
            self,
            value=convert(self.value, self.unit, unit),
            unit=unit,
            uncertainty=None if self.uncertainty is None else convert(self.uncertainty, self.unit, unit),
            samples=tuple(convert(sample, self.unit, unit) for sample in self.samples),
        )

    def at(self, confidence: float) -> Measured:
        """The same with an interval of another confidence."""
        if self.uncertainty is None or confidence == self.confidence:
            return self
        if self.method == "median" and len(self.samples) == self.n:
            wider = _median_interval(sorted(self.samples), confidence)
        else:
            wider = self.error * student_quantile((1 + confidence) / 2, self.freedom)
        return msgspec.structs.replace(self, uncertainty=wider, confidence=confidence)

    @property
    def error(self) -> float:
        """The standard error; 0 if nothing is known about it."""
        if not self.uncertainty:
            return 0.0
        return self.uncertainty / student_quantile((1 + self.confidence) / 2, self.freedom)

    @property
    def low(self) -> float:
        """The lower end of its interval."""
        return self.value - (self.uncertainty or 0.0)

    @property
    def high(self) -> float:
        """The upper end of its interval."""
        return self.value + (self.uncertainty or 0.0)


def measure(data: Measurable, unit: str, usual: str, *, column: str = "") -> Measured:
    """What *data* amounts to, as `Measured.of` says.

    Args:
        unit: of *data*; "" if nobody said.
        usual: the unit of plain numbers that nobody gave a unit.
    """
    says = isinstance(data, Measured | SeriesView) or (isinstance(data, Mapping) and "unit" in data)
    made = Measured.of(data, unit or ("" if says else usual), column=column)
    return made if unit or says else msgspec.structs.replace(made, assumed=True)


def _of_mapping(data: Mapping[str, Any], given_unit: str) -> Measured:
    value = data.get("value", data.get("mean"))
    if not _is_number(value):
        numbers = [str(name) for name, entry in data.items() if _is_number(entry)]
        hint = f"; it has the numbers {', '.join(numbers[:20])}: give one of them" if numbers else ""
        raise UsageError(f'a dict that is evaluated must have "value" or "mean", a number{hint}')
    stated, uncertainty, n = data.get("unit", given_unit or "1"), data.get("uncertainty"), data.get("n", 1)
    wrong = uncertainty is not None and not (_is_number(uncertainty) and uncertainty >= 0)
    if wrong or not isinstance(n, int) or n < 1 or not isinstance(stated, str):
        raise UsageError(
            f'the dict {dict(data)!r:.120} is no measured value: "unit" is text, "uncertainty" a number, "n" an integer'
        )
    made = Measured(
        float(value), unit(stated).text, None if uncertainty is None else float(uncertainty), n,
        freedom=n - 1 if n > 1 else KNOWN,
    )  # fmt: skip
    return made.to(given_unit) if given_unit else made


def _of_values(
    data: Sequence[Any], unit: str, statistic: Literal["mean", "median"], *, correlated: bool, what: str
) -> Measured:
    values = _finite(data, what)
    if not values:
        raise UsageError(f"{what} has no measurements to evaluate")
    if statistic not in ("mean", "median"):
        raise UsageError(f"a statistic is 'mean' or 'median', not {statistic!r}")
    n, note = len(values), ""
    if correlated and statistic == "mean" and n >= 2 * BATCHES[-1]:
        kept, note = _batches(values)
        made = _mean(kept, unit)
        return msgspec.structs.replace(made, value=fsum(values) / n, n=n, method="batch means", note=note)
    if statistic == "median":
        ordered = sorted(values)
        uncertainty = _median_interval(ordered, CONFIDENCE)
        if uncertainty is None:
            note = "fewer than 6 values: nothing is known about the uncertainty of their median"
        elif correlated:
            note = "samples of a series are not independent: the uncertainty is at least this"
        return Measured(
            quantile(ordered, 0.5), unit, uncertainty, n, method="median", samples=_some(values), note=note,
            freedom=max(1, n - 1),
        )  # fmt: skip
    made = _mean(values, unit)
    if correlated and n > 1:
        note = f"fewer than {2 * BATCHES[-1]} samples, taken for independent: the uncertainty is at least this"
        return msgspec.structs.replace(made, note=note)
    return made


def _mean(values: list[float], unit: str) -> Measured:
    n = len(values)
    mean = fsum(values) / n
    if n == 1:
        return Measured(mean, unit, None, 1, method="mean", samples=tuple(values))
    error = sqrt(fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    uncertainty = error * student_quantile((1 + CONFIDENCE) / 2, n - 1)
    return Measured(mean, unit, uncertainty, n, freedom=n - 1, method="mean", samples=_some(values))


def _batches(values: list[float]) -> tuple[list[float], str]:
    """Means of values in a row, in as many batches as are independent of each other; and what is to be said of that."""
    means: list[float] = []
    for count in BATCHES:
        if len(values) < 2 * count:
            continue
        edges = [len(values) * i // count for i in range(count + 1)]
        means = [fsum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
        if _correlation(means) <= _DEPENDENT:
            return means, ""
    return means, "the series drifts or hangs together over its whole length: the uncertainty is at least this"


def _correlation(values: list[float]) -> float:
    """Of each value with the next."""
    mean = fsum(values) / len(values)
    around = [value - mean for value in values]
    total = fsum(value * value for value in around)
    return fsum(a * b for a, b in pairwise(around)) / total if total else 0.0


def _median_interval(ordered: list[float], confidence: float) -> float | None:
    """Half the width of the median's interval from the ranks (exact, whatever the distribution); None: too few."""
    n = len(ordered)
    if n > _KEPT:
        reach = student_quantile((1 + confidence) / 2, KNOWN) * sqrt(n) / 2
        rank = max(0, int(n / 2 - reach) - 1)
    else:
        tail, rank = 0.0, -1
        for weight in binomial_half(n)[: n // 2]:
            tail += weight
            if 2 * tail > 1 - confidence:
                break
            rank += 1
        if rank < 0:
            return None
    middle = quantile(ordered, 0.5)
    return max(middle - ordered[rank], ordered[n - 1 - rank] - middle)


def _some(values: list[float]) -> tuple[float, ...]:
    stride = -(-len(values) // _KEPT)
    return tuple(values[::stride])


def _finite(data: Iterable[Any], what: str) -> list[float]:
    values = []
    for value in data:
        if not _is_number(value):
            raise UsageError(f"{what} has {value!r:.60}, which is no finite number")
        values.append(float(value))
    return values


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return False
    try:
        return abs(float(value)) < _GREATEST
    except (TypeError, ValueError, OverflowError):
        return False
