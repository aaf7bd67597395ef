"""Hosts to measure on: a real run, with its journal, of a recipe that does the measuring.

So what a row says is what a recipe sees: events are written, clocks are compared, everything is undone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.row import Figures, NotMeasured
from shakeout import BaseRecipe, Controller, DeviceReq, HostReq
from shakeout.errors import LabLacks
from shakeout.hosts.matched import Matched

Measurement = Callable[[Matched], Figures]


class Stage(BaseRecipe):
    """Hosts m1 to m<count>, each with a port eth0 on one network."""

    def __init__(self, count: int, measure: Measurement) -> None:
        super().__init__()
        self._measure = measure
        self.figures: Figures | None = None
        for number in range(1, count + 1):
            host = HostReq()
            host.eth0 = DeviceReq(label="net1")
            setattr(self.req, f"m{number}", host)

    def test(self) -> None:
        self.figures = self._measure(self.matched)


def on_hosts(measure: Measurement, count: int = 1, *, pool: Path | None = None) -> Figures:
    """What *measure* finds out on *count* fresh hosts of the default laboratory, or on those of a *pool*.

    Raises:
        NotMeasured: there can be no laboratory here.
    """
    stage = Stage(count, measure)
    with tempfile.TemporaryDirectory() as runs:
        try:
            pools = [str(pool)] if pool else []
            Controller(pools=pools, runs_dir=runs, breakpoints=False, quiet=True).run(stage)
        except LabLacks as error:
            raise NotMeasured(str(error)) from None
    if stage.figures is None:
        raise RuntimeError("the recipe ended without its measurement")
    return stage.figures


def need_root(why: str) -> None:
    """Raise NotMeasured unless this is root: a reference makes namespaces without a user namespace."""
    if os.geteuid() != 0:
        raise NotMeasured(f"needs root: {why}")
