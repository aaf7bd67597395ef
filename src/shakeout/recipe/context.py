"""What a recipe may do besides using its hosts; given to it by whoever runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from shakeout.hosts.matched import Matched


class RunContext(Protocol):
    """The run, as a recipe sees it. Later abilities (load, measurements, networks) are further methods here."""

    @property
    def matched(self) -> Matched:
        """The hosts of this match."""

    def add_result(self, passed: bool | None, description: str, data: Any) -> None:
        """A record of the recipe's own in the summary."""

    def breakpoint(self, text: str) -> None:
        """Stop and let somebody look around."""

    def log(self, text: str, level: str) -> None:
        """A line in the journal."""
