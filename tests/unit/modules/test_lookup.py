"""Test modules by name: those that come with shakeout, and those in folders."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shakeout import modules, plugins
from shakeout.errors import UnknownName

OWN = """
from shakeout.modules import BaseTestModule
from .near import value

class MyOwn(BaseTestModule):
    def run(self):
        return value
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "near.py").write_text("value = 7\n")
    plugins.configure([tmp_path], entry_points=False)
    yield tmp_path
    plugins.configure()
    for name in [name for name in sys.modules if name.startswith("shakeout_plugins_")]:
        del sys.modules[name]


def test_importing_one_does_not_import_the_others() -> None:
    code = (
        "import sys\nfrom shakeout.modules import TcpConnect\n"
        "assert 'shakeout.modules.tcp' in sys.modules and 'shakeout.modules.ping' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_from_a_folder_is_found_and_runs_on_a_host(folder: Path, on_host: Any) -> None:
    from shakeout.modules import MyOwn  # type: ignore[attr-defined]

    assert modules.MyOwn is MyOwn
    assert on_host(MyOwn()).result == 7


def test_a_file_that_uses_one_from_a_folder_takes_it_along(folder: Path, load: Any, on_host: Any) -> None:
    module = load(
        recipe="from shakeout import modules\nimport shakeout.modules\nfrom shakeout.modules import MyOwn\n"
        "class Case(MyOwn):\n    def run(self):\n"
        "        here = modules.MyOwn is shakeout.modules.MyOwn is MyOwn\n"
        "        return super().run(), here, hasattr(modules, 'Pong')\n"
    )
    assert on_host(module.Case()).result == (7, True, False)


def test_a_typo_is_told_whichever_way_it_is_made(folder: Path) -> None:
    with pytest.raises(AttributeError, match=r"no test module is called 'Pingg' \(did you mean 'Ping'\?\)"):
        _ = modules.Pingg
    with pytest.raises(ImportError, match=r"no test module is called 'MyOwm' \(did you mean 'MyOwn'\?\)"):
        from shakeout.modules import MyOwm  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(UnknownName, match=f"looked in {folder}"):
        _ = modules.Nothing
    assert not hasattr(modules, "Nothing")
    assert not hasattr(modules, "nothing")


def test_names_are_listed_for_completion() -> None:
    assert {"Ping", "TcpListen", "BaseTestModule"} <= set(dir(modules))
