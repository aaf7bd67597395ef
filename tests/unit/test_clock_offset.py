"""Of several measurements of a host's clock, the best counts."""

from __future__ import annotations

from shakeout.journal.clock import ClockOffset

SECOND = 10**9


def test_the_best_measurement_counts_until_drift_makes_a_later_one_better() -> None:
    offset = ClockOffset()
    assert (offset.offset_ns, offset.error_ns) == (0, None)
    offset.take(1000, 100_000_000, 0)  # a Hello that waited for the agent to start
    assert offset.offset_ns == 1000
    offset.take(2000, 50_000, SECOND)
    assert (offset.offset_ns, offset.error_ns) == (2000, 50_000)
    offset.take(3000, 400_000, 2 * SECOND)  # a slow answer
    assert offset.offset_ns == 2000
    offset.take(4000, 400_000, 6 * SECOND)  # 50 µs and 5 s of drift are more than 400 µs
    assert (offset.offset_ns, offset.error_ns) == (4000, 400_000)
