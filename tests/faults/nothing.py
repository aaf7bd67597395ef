"""A test module alone in its file, because whole files are shipped, and what they import is imported for each run."""

from __future__ import annotations

from shakeout.modules import BaseTestModule


class Nothing(BaseTestModule):
    """Passes."""

    def run(self) -> None:
        """Print something, and that is all."""
        print("something")
