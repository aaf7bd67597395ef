"""What an agent tells whoever has started it: lines on its standard error, where there may be nobody any more."""

from __future__ import annotations

import sys
from contextlib import suppress


def tell(text: str) -> None:
    """Write a line; where that cannot be done (a closed pipe, a full disk), the agent goes on all the same."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"shakeout: {text}\n")
        sys.stderr.flush()
