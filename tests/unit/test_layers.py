"""Imports point down: the contracts of pyproject.toml hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_map_leads_to_modules_that_are_there() -> None:
    """`agent.jobs`, `job` are two modules of agent; `modules.logs`: `files`, `sources` two of modules.logs."""
    page = (ROOT / "docs/architecture.md").read_text().partition("## Where to look for")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| (.+) \|$", page, re.MULTILINE)
    nowhere = [name for row in rows for name in _unknown(row)]
    assert len(rows) > 30
    assert not nowhere


def _unknown(row: str) -> list[str]:
    """The names in *row* that no module has; names of attributes stand in parentheses, and do not count."""
    package, unknown = Path(), []
    for name in re.findall(r"(?<!\()`([a-z0-9_.]+)`(?!\))", row):
        place = ROOT / "src/shakeout" / name.replace(".", "/") if "." in name else package / name
        if place.is_dir():
            package = place
        elif place.with_suffix(".py").is_file():
            package = place.parent
        elif not place.parent.with_suffix(".py").is_file():  # of a module: `report.text.harmless`
            unknown.append(name)
    return unknown
