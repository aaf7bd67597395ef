"""The examples in the docstrings of the shipped test modules do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.needs("ping", "unshare", "ip", "iperf3", "openssl")
def test_the_examples_of_the_modules_work() -> None:
    program = str(Path(__file__).with_name("module_examples.py"))
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed" in done.stdout
