"""Every file in examples/ runs and passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.needs("namespaces", "ping", "ip")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_passes(example: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "shakeout"), "run", str(example)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RESULT PASS" in done.stdout.splitlines()[-1]
