"""Whole commands, as a person waits for them: the help text, and the example on two hosts from nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.row import Figures, NotMeasured, Row, interleave

ROOT = Path(__file__).resolve().parent.parent
SHAKEOUT = Path(sys.executable).parent / "shakeout"
HELLO = ROOT / "examples" / "hello.py"


def run(*command: str | Path) -> None:
    """Run a command to its end, its output thrown away; RuntimeError with its last words if it fails."""
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "XDG_STATE_HOME": state}
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {words}")


def python_starts() -> None:
    """The shortest thing that Python can do."""
    subprocess.run(
        [sys.executable, "-c", "pass"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip


def help_text() -> Figures:
    """`shakeout --help` against a bare interpreter."""
    return interleave(lambda: run(SHAKEOUT, "--help"), python_starts, 30)


def hello() -> Figures:
    """The example against 30 bare interpreters, one after the other."""

    def thirty() -> None:
        for _ in range(30):
            python_starts()

    return interleave(lambda: run(SHAKEOUT, "run", HELLO), thirty, 5)


def no_uml() -> Figures:
    """Hosts with a kernel of their own come with a later release."""
    raise NotMeasured("hosts with their own kernel are not there yet")


def rows() -> Iterable[Row]:
    """Commands of the control plane."""
    yield Row("shakeout --help / python -c pass", help_text, target_ratio=4)
    yield Row("shakeout run examples/hello.py / 30 × python -c pass", hello, target_ratio=1.2)
    yield Row("hello.py with --lab uml / bare boot of two guests", no_uml, target_ratio=1.5)
