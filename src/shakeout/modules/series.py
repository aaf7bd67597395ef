"""Measurements over time that a test module makes: a series of samples, each with its moment."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, TypeAlias

from shakeout.errors import ModuleFailed, did_you_mean
from shakeout.wire import samples

if TYPE_CHECKING:
    from collections.abc import Callable

#: Samples are sent one by one as long as there are no more than so many a second (in the mean, with bursts of up to
#: `_BURST`); what comes faster is sent together. So whatever is slow is seen at once, without a thread or a timer.
_SINGLY = 200
_BURST = 64
_PAUSE_NS = 10**9 // _SINGLY

#: Where the frames of samples go; returns when they are there.
Sink: TypeAlias = "Callable[[bytes], object]"


class Series:
    """Made by `BaseTestModule.series`; each `add` is a row of it in the run's journal.

    It may be used from several threads, but not from processes that the module forks.

    Attributes:
        name: what it is called.
        columns: name -> unit ("bit/s", "s", "%", "1" for a plain number).
    """

    def __init__(self, name: str, columns: Mapping[str, str], number: int, sink: Sink) -> None:
        """Begin it.

        Raises:
            ModuleFailed: a name or unit that cannot be one, no columns, or too many.
        """
        pairs = tuple(columns.items())
        wrong = samples.problem(name, pairs)
        if not wrong and number >= samples.MAX_SERIES:
            wrong = f"the series {name!r} is one too many: a test module has at most {samples.MAX_SERIES}"
        if wrong:
            raise ModuleFailed(wrong)
        self.name = name
        self.columns = dict(columns)
        self._number = number
        self._sink = sink
        self._pack: Callable[..., bytes] = samples.row_format(len(pairs)).pack
        self._order = tuple(columns)
        self._most = samples.room(samples.row_format(len(pairs)).size)
        self._pending: list[bytes] = []
        #: When the next sample would be sent if they came as slowly as they are sent one by one.
        self._due_ns = 0
        self._lock = threading.RLock()  # a handler of a signal may take a sample, too
        self._pid = os.getpid()
        self._ended = False
        sink(samples.declaration(samples.Declared(number, name, pairs)))

    def add(self, at_ns: int | None = None, /, **values: float) -> None:
        """One sample.

        Up to some 200 a second go at once. What comes faster is kept for 5 ms or 4 KiB; where many are followed by
        silence, `flush` sends the last of them.

        Args:
            at_ns: when it was taken, in nanoseconds of this host's CLOCK_MONOTONIC; None: now.
            values: a finite number for each column.

        Raises:
            ModuleFailed: a column is missing or unknown, or no finite number; or this is a forked process.
        """
        now = time.monotonic_ns()
        given = tuple(values.values()) if tuple(values) == self._order else self._sorted(values)
        try:
            if not isfinite(sum(given)) and not all(map(isfinite, given)):
                raise ValueError
            row = self._pack(now if at_ns is None else at_ns, *given)
        except (TypeError, ValueError, OverflowError, struct.error):
            raise self._refused(at_ns, values) from None
        with self._lock:
            pending = self._pending
            pending.append(row)
            if self._due_ns - now <= _BURST * _PAUSE_NS:
                self._due_ns = max(self._due_ns, now) + _PAUSE_NS
                self.flush()
            elif len(pending) >= self._most:
                self.flush()

    def flush(self) -> None:
        """Send now what has been added; a series does that by itself, at the latest at the module's end.

        Raises:
            ModuleFailed: this is a process that the module forked.
        """
        if os.getpid() != self._pid:
            raise ModuleFailed(
                f"the series {self.name} belongs to the test module's own process, not to those that it forks: "
                "have them tell it their figures, and add these there"
            )
        with self._lock:
            pending, self._pending = self._pending, []
            if not self._ended:
                for start in range(0, len(pending), self._most):
                    self._sink(samples.rows(self._number, b"".join(pending[start : start + self._most])))

    def end(self) -> None:
        """Send what is left; whatever is added from now on (by a thread that still runs) is lost."""
        if os.getpid() == self._pid:
            with self._lock:
                self.flush()
                self._ended = True

    def _sorted(self, values: Mapping[str, float]) -> tuple[float, ...]:
        if values.keys() != self.columns.keys():
            unknown = [name for name in values if name not in self.columns]
            hint = did_you_mean(unknown[0], self.columns) if unknown else ""
            has = ", ".join(values) or "nothing"
            raise ModuleFailed(f"a sample of {self.name} has {has} but must have {', '.join(self.columns)}{hint}")
        return tuple(values[name] for name in self._order)

    def _refused(self, at_ns: object, values: Mapping[str, object]) -> ModuleFailed:
        if at_ns is not None and not (isinstance(at_ns, int) and -(2**63) <= at_ns < 2**63):
            return ModuleFailed(f"a sample of {self.name} was taken at {at_ns!r}, which is no number of nanoseconds")
        shown = ", ".join(f"{name}={value!r}" for name, value in values.items())
        return ModuleFailed(f"a sample of {self.name} takes a finite number for each column, not {shown[:200]}")
