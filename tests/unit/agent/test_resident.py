"""An agent that stays loads nothing of shakeout later: its files may have been replaced by then."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import shakeout

ROOT = Path(shakeout.__file__).parent
PROGRAM = """
import sys
import shakeout.cli.agent, shakeout.agent.standalone
from shakeout.agent.resident import load_all
from shakeout.modules import runner
runner.warm_up()
load_all()
print("\\n".join(name for name in sys.modules if name.startswith("shakeout.")))
"""
#: What is in the process that stays; of the others, only what was loaded is looked into.
RESIDENT = ("agent", "wire", "devices", "processes", "files", "modules", "params", "errors")
#: Only the controller's side of what is loaded asks for it.
ELSEWHERE = ("shakeout.plugins", "shakeout.plugins.registry")


def imports(path: Path) -> Iterator[str]:
    """The modules of shakeout that functions in *path* import when they are called."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("shakeout"):
                yield node.module
                yield from (f"{node.module}.{each.name}" for each in node.names if each.name.islower())
            elif isinstance(node, ast.Import):
                yield from (each.name for each in node.names if each.name.startswith("shakeout."))


def source(name: str) -> Path:
    """The file of a module or package."""
    path = Path(ROOT.parent, *name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def is_module(name: str) -> bool:
    """Whether there is such a module, rather than such a function in one."""
    package, _, _ = name.rpartition(".")
    above = find_spec(package) if package else None
    return above is None or (above.submodule_search_locations is not None and find_spec(name) is not None)


def test_all_that_it_may_need_is_loaded_at_its_start() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = {"shakeout", *done.stdout.split()}
    resident = {name for name in loaded if name.split(".")[1:2] and name.split(".")[1] in RESIDENT}
    assert len(resident) > 80
    late = {
        f"{name} imports {other}"
        for name in resident
        for other in imports(source(name))
        if is_module(other) and other not in loaded and other not in ELSEWHERE
    }
    assert late == set()
