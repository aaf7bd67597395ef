"""Controller and agent in one interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_recipe_over_a_transport_in_memory() -> None:
    root = Path(__file__).parents[3]
    sandbox = ["unshare", "-n", "-m", "-p", "-i", "-u", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*sandbox, sys.executable, "-m", "tests.lab.hosts.one_process"],
        cwd=root, capture_output=True, text=True, timeout=50, check=False, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
