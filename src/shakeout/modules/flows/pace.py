"""How often a measurement of throughput takes a sample, unless somebody says so."""

from __future__ import annotations

from typing import Final

#: Samples that a measurement of medium length has: enough for means of batches (see `evaluation.measured`).
SAMPLES: Final = 20
#: Seconds between two samples at most, however long it takes.
LONGEST: Final = 1.0


def usual_interval(duration: float, shortest: float) -> float:
    """Seconds between samples: a twentieth of *duration*, but from *shortest* to `LONGEST`.

    A mean of two or three samples says next to nothing of its uncertainty, so short measurements take them faster.
    """
    return min(LONGEST, max(shortest, duration / SAMPLES))
