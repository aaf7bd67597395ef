"""The checks of tests/leaks.py find what a test leaves, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def outcome_of(body: str, folder: Path) -> str:
    """What pytest prints about a test with this body."""
    test = folder / "test_trial.py"
    test.write_text(f"import os, subprocess, threading, pytest\n\ndef test_trial():\n    {body}\n")
    options = ["-p", "tests.leaks", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(test)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("os.open('/dev/null', os.O_RDONLY)", "descriptors: "),
        (
            "threading.Thread(target=threading.Event().wait, name='idler', daemon=True).start()",
            "idler (daemon)",
        ),
        ("pytest.child = subprocess.Popen(['true'])", "zombie: [true]"),
        ("subprocess.run('setsid sleep 4 >/dev/null 2>&1 &', shell=True)", "running: sleep 4"),
    ],
)
def test_a_leak_is_named(body: str, named: str, tmp_path: Path) -> None:
    output = outcome_of(body, tmp_path)
    assert "the test left behind" in output
    assert named in output
    assert "1 passed, 1 error" in output


@pytest.mark.parametrize(
    "body",
    [
        "subprocess.run(['true'], check=True)",
        "threading.Timer(0.1, int).start()",
        "subprocess.run('setsid sleep 0.1 >/dev/null 2>&1 &', shell=True)",
    ],
)
def test_what_goes_by_itself_is_no_leak(body: str, tmp_path: Path) -> None:
    assert "1 passed in" in outcome_of(body, tmp_path)
