"""Processes that left their job's group are found, whatever they are about to do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from shakeout.processes.strays import MARK, kill_marked, marked


def test_what_is_in_the_middle_of_an_exec_is_found(tmp_path: Path) -> None:
    """There it has no environment for a moment, and so no mark."""
    script = tmp_path / "again.sh"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o755)
    mark = f"strays-{os.getpid()}"
    with subprocess.Popen([script], env={**os.environ, MARK: mark}, start_new_session=True) as restless:
        found = [list(marked(mark)) for _ in range(300)]
        assert kill_marked(mark)
        assert restless.wait(10) == -9
    assert found == [[restless.pid]] * 300


def test_a_process_without_any_environment_is_no_stray() -> None:
    with subprocess.Popen(["sleep", "4712"], env={}) as bare:
        try:
            assert bare.pid not in list(marked(""))
        finally:
            bare.kill()
