"""Series of samples that a recipe takes itself, on the controller, on the run's own axis."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from shakeout.errors import BadRecipe, did_you_mean
from shakeout.hosts.recorder import Recorder
from shakeout.journal.events import SeriesStarted
from shakeout.journal.samples import Column, SamplesHeader, SamplesReader, SamplesWriter
from shakeout.journal.series import SeriesView
from shakeout.wire.samples import problem

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


class RecipeSeries(SeriesView):
    """Made by `BaseRecipe.series`; each `add` is a row of it in the run's folder, and it can be asked like a job's.

    Raises:
        BadRecipe: a name or unit that cannot be one.
    """

    def __init__(self, name: str, columns: Mapping[str, str], recorder: Recorder) -> None:
        wrong = problem(name, tuple(columns.items()))
        if wrong:
            raise BadRecipe(wrong)
        file, opened = recorder.samples(f"recipe-{name}")
        header = SamplesHeader(
            series=name,
            columns=(Column("t_ns", "i64", "ns"), *(Column(column, "f64", unit) for column, unit in columns.items())),
        )
        self._writer = SamplesWriter(opened, header)
        self._began_ns = getattr(recorder, "began_ns", 0)
        self._lock = threading.Lock()
        place: Any = getattr(recorder, "artifact_path", None)
        kept: Path | BinaryIO = place(file) if file and place is not None else opened
        super().__init__(name, columns, lambda: SamplesReader(kept), lambda: 0, file=file)
        recorder.write(SeriesStarted(host="", name=name, columns=dict(columns), file=file))

    def add(self, at_ns: int | None = None, /, **values: float) -> None:
        """One sample.

        Args:
            at_ns: when it was taken, in nanoseconds of `time.monotonic_ns`; None: now.
            values: a finite number for each column.

        Raises:
            BadRecipe: a column is missing or unknown, or no finite number.
            JournalBroken: it cannot be stored.
        """
        moment = time.monotonic_ns() if at_ns is None else at_ns
        if values.keys() != self.columns.keys():
            unknown = [name for name in values if name not in self.columns]
            hint = did_you_mean(unknown[0], self.columns) if unknown else ""
            has = ", ".join(values) or "nothing"
            raise BadRecipe(f"a sample of {self.name} has {has} but must have {', '.join(self.columns)}{hint}")
        row = [float(values[name]) for name in self.columns]
        if not all(map(isfinite, row)):
            raise BadRecipe(f"a sample of {self.name} takes a finite number for each column, not {values}")
        with self._lock:
            self._writer.add(moment - self._began_ns, *row)

    def close(self) -> None:
        """The part is over."""
        if self.file:
            self._writer.close()
