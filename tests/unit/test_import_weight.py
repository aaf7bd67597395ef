"""What recipes, modules and agents import starts at once and needs nothing that a host may lack.

Checked in a fresh interpreter, because what counts is what is loaded, not what stands in the source.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "shakeout"

#: What an agent's machine need not have.
NOT_ON_HOSTS = {
    "click",
    "rich",
    "jinja2",
    "ruamel.yaml",
    "yaml",
    "jsonschema",
    "numpy",
    "sqlalchemy",
    "fastapi",
}

#: Milliseconds each, or tens of them, at every start of whatever imports the layer.
SLOW = {
    *(
        "asyncio",
        "concurrent.futures",
        "dataclasses",
        "email",
        "http.client",
        "importlib.metadata",
        "logging",
    ),
    *("multiprocessing", "pyroute2", "ssl", "subprocess", "unittest", "xml.etree.ElementTree"),
}

#: What a test module imports only when it runs, because it needs what is slow.
ONLY_IN_RUN = {"shakeout.modules.http.client", "shakeout.modules.http.server"}

QUICK_LAYERS = ("errors", "params", "matching", "wire", "journal", "processes", "recipe", "modules")
LAYERS_ON_HOSTS = ("agent", "devices")

PROGRAM = """
import importlib, json, sys
for name in sys.argv[1].split(): importlib.import_module(name)
print("\\n".join(sys.modules))
"""


def modules_of(layer: str) -> list[str]:
    """Every module of a layer; empty if there is no such layer yet."""
    place = SOURCE / layer
    if place.with_suffix(".py").is_file():
        return [f"shakeout.{layer}"]
    names = [path.relative_to(SOURCE.parent).with_suffix("") for path in sorted(place.rglob("*.py"))]
    return [".".join(name.parts).removesuffix(".__init__") for name in names if name.name != "__main__"]


def loaded_by(names: list[str]) -> set[str]:
    """What is loaded once *names* are imported."""
    command = [sys.executable, "-c", PROGRAM, " ".join(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("layer", QUICK_LAYERS)
def test_nothing_slow_is_loaded(layer: str) -> None:
    names = [name for name in modules_of(layer) if name not in ONLY_IN_RUN]
    assert not loaded_by(names) & (SLOW | NOT_ON_HOSTS)


@pytest.mark.parametrize("layer", LAYERS_ON_HOSTS)
def test_nothing_that_hosts_lack_is_loaded(layer: str) -> None:
    assert not loaded_by(modules_of(layer)) & NOT_ON_HOSTS


def test_the_package_itself_loads_nothing() -> None:
    assert {name for name in loaded_by(["shakeout"]) if name.startswith("shakeout")} == {"shakeout"}


def test_what_is_forked_has_not_loaded_threading() -> None:
    """Its books are put in order in every child, unless `shakeout.modules.runner` is the one to load it."""
    forked = ["shakeout.agent.standalone", "shakeout.labs.spawner", "shakeout.labs.hostinit"]
    assert "threading" not in loaded_by(forked)
