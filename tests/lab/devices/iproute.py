"""What the kernel has, as iproute2 sees it."""

from __future__ import annotations

import subprocess


def ip(*words: str) -> str:
    """What `ip` prints: the other opinion on what the kernel has."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
