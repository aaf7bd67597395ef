"""What a recipe may do besides using its hosts; given to it by whoever runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shakeout.evaluation.baseline import Baseline
    from shakeout.evaluation.judgement import Judgement
    from shakeout.evaluation.measured import Measured
    from shakeout.evaluation.threshold import Threshold
    from shakeout.hosts.matched import Matched
    from shakeout.hosts.ownseries import RecipeSeries


class RunContext(Protocol):
    """The run, as a recipe sees it. Later abilities (load, measurements, networks) are further methods here."""

    @property
    def matched(self) -> Matched:
        """The hosts of this match."""

    def add_result(self, passed: bool | None, description: str, data: Any) -> None:
        """A record of the recipe's own in the summary."""

    def evaluate(self, name: str, measured: Measured, criterion: Threshold | Baseline | None) -> Judgement:
        """Judge a measured value, and put it into the summary."""

    def series(self, name: str, columns: Mapping[str, str]) -> RecipeSeries:
        """Begin a series of samples of the recipe's own."""

    def breakpoint(self, text: str) -> None:
        """Stop and let somebody look around."""

    def log(self, text: str, level: str) -> None:
        """A line in the journal."""
