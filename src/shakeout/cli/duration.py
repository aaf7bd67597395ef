"""A length of time on the command line: 90s, 30m, 2h, 1d, 1h30m."""

from __future__ import annotations

from typing import Any

import click

#: Seconds; clocks and the kernel's waits go further than this.
_LONGEST = 3650 * 86400


class Duration(click.ParamType[float]):
    """Becomes seconds, above 0."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from shakeout.params.numeric import seconds

        try:
            found = seconds(value)
        except ValueError:
            found = 0.0
        if found <= 0:
            self.fail(f"{value!r} is no length of time; say 90s, 30m, 2h, 1d or 1h30m", param, ctx)
        if found > _LONGEST:
            self.fail(f"{value!r} is longer than anybody waits; up to {_LONGEST // 86400} d are accepted", param, ctx)
        return found
