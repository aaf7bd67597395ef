"""The set-up says exactly what is missing, and never goes on without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAIN_TOOLS = ("sh", "awk", "cat", "cksum", "dirname", "env", "find", "grep", "head", "id", "mkdir", "printf")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the set-up reads, and one package more that no machine has."""
    folder = tmp_path / "a check out"
    shutil.copytree(ROOT / "packaging", folder / "packaging")
    shutil.copy(ROOT / "pyproject.toml", folder)
    with (folder / "packaging" / "debian-packages.txt").open("a") as packages:
        packages.write("shakeout-nonesuch  shakeout-nonesuch  test  only to be missing\n")
    (folder / ".venv").mkdir()  # unfinished, to be found so
    return folder


def set_up(
    checkout: Path, what: str, *, wrapper: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the set-up there."""
    return subprocess.run(
        [*wrapper, "packaging/setup.sh", what],
        cwd=checkout,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.needs("namespaces")
def test_without_rights_it_says_what_to_install(checkout: Path) -> None:
    done = set_up(checkout, "test", wrapper=("unshare", "--user"))
    assert done.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends" in done.stderr
    assert "shakeout-nonesuch" in done.stderr


def test_without_apt_it_names_the_packages(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in PLAIN_TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    done = set_up(checkout, "test", PATH=str(tools), PYTHON=sys.executable)
    assert done.returncode == 1
    assert "shakeout-nonesuch" in done.stderr
    assert "no apt-get" in done.stderr


def test_a_python_that_does_not_run_is_named(checkout: Path) -> None:
    done = set_up(checkout, "run", PYTHON="/nonesuch/python3")
    assert done.returncode == 1
    assert "PYTHON=/nonesuch/python3" in done.stderr


def test_an_unknown_set_is_refused(checkout: Path) -> None:
    done = set_up(checkout, "tset")
    assert done.returncode == 2
    assert "'tset'" in done.stderr
