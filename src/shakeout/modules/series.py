"""Measurements over time that a test module makes: a series of samples, each with its moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from shakeout.errors import ModuleFailed

#: Takes (series' number, monotonic nanoseconds, values in the order of the columns).
Sink = Callable[[int, int, tuple[float, ...]], None]


class Series:
    """Made by `BaseTestModule.series`; each `add` is a row of it in the run's journal.

    Attributes:
        name: what it is called.
        columns: name -> unit ("bit/s", "s", "%", "1" for a plain number).
    """

    __slots__ = ("_number", "_sink", "columns", "name")

    def __init__(self, name: str, columns: Mapping[str, str], number: int, sink: Sink) -> None:
        self.name = name
        self.columns = dict(columns)
        self._number = number
        self._sink = sink

    def add(self, at_ns: int | None = None, /, **values: float) -> None:
        """One sample.

        Args:
            at_ns: when it was taken, in nanoseconds of this host's CLOCK_MONOTONIC; None: now.
            values: a number for each column.

        Raises:
            ModuleFailed: a column is missing or unknown: a mistake of the module's.
        """
        moment = time.monotonic_ns() if at_ns is None else at_ns
        if values.keys() != self.columns.keys():
            raise ModuleFailed(
                f"a sample of {self.name} has {', '.join(values)} but must have {', '.join(self.columns)}"
            )
        self._sink(self._number, moment, tuple(float(values[name]) for name in self.columns))
