"""Every file in examples/ runs and passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHAKEOUT = str(Path(sys.executable).parent / "shakeout")


def run(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would, with a state directory of its own."""
    return subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.needs("namespaces", "ping", "ip", "bridge")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_passes(example: Path, tmp_path: Path) -> None:
    done = run(tmp_path, SHAKEOUT, "run", str(example))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RESULT PASS" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_says_how_to_run_it(example: Path) -> None:
    text = example.read_text()
    assert text.startswith('"""')
    assert f"examples/{example.name}" in text.split('"""')[1]


@pytest.mark.needs("namespaces", "ping")
def test_the_script_runs_as_a_script(tmp_path: Path) -> None:
    done = run(tmp_path, sys.executable, str(ROOT / "examples" / "script.py"), "--sizes", "100", "1000")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("   100 bytes: ")
    assert "(passed, run " in second
    assert done.stderr == ""


@pytest.mark.needs("namespaces")
def test_requirements_that_depend_on_arguments(tmp_path: Path) -> None:
    example = str(ROOT / "examples" / "requirements.py")
    shown = run(tmp_path, SHAKEOUT, "run", "--match-only", example, "--", "spare=2", "network=lan")
    assert shown.returncode == 0, shown.stderr
    assert "    server = server (pool netns): eth0 = eth0 on lan" in shown.stdout.splitlines()
    assert "    spare1 = spare1 (pool netns)" in shown.stdout.splitlines()
    unmet = run(tmp_path, SHAKEOUT, "run", "--match-only", example, "--", "driver=mlx5_core")
    assert unmet.returncode == 2
    assert "driver=mlx5_core" in unmet.stderr
