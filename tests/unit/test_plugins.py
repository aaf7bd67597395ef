"""Plugins: found in folders, packages and entry points, with what is wrong told and nothing else hindered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shakeout.errors import BadPlugin, UnknownName
from shakeout.modules.base import BaseTestModule
from shakeout.plugins import Registry

OWN = '''\
"""Own test modules."""
from pathlib import Path
from shakeout.modules.base import BaseTestModule

Path(__file__).with_suffix(".loaded").touch()


class MyOwn(BaseTestModule):
    """Does my own test.

    And more."""

    def run(self):
        return 1


class _Hidden(BaseTestModule):
    pass
'''


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = set(sys.modules)
    (tmp_path / "own.py").write_text(OWN)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("shakeout_plugins_"):
            del sys.modules[name]


def registry(*folders: Path) -> Registry:
    return Registry(folders, entry_points=False, builtin_packages=())


def test_a_class_in_a_folder_is_found_with_its_place(folder: Path) -> None:
    found = registry(folder).all(BaseTestModule)
    assert [(one.name, one.line, one.summary) for one in found] == [("MyOwn", 8, "Does my own test.")]
    assert found[0].place == f"{folder / 'own.py'}:8"
    assert found[0].origin == f"folder {folder}"
    assert registry(folder).find(BaseTestModule, "MyOwn") is found[0].cls, "the same class each time"


def test_only_files_that_define_the_name_are_imported(folder: Path) -> None:
    (folder / "other.py").write_text(OWN.replace("MyOwn", "Other"))
    registry(folder).find(BaseTestModule, "Other")
    assert (folder / "other.loaded").exists()
    assert not (folder / "own.loaded").exists()


def test_a_typo_gets_the_nearest_name_and_the_places(folder: Path) -> None:
    with pytest.raises(UnknownName, match=r"no test module is called 'MyOwm'.*did you mean 'MyOwn'") as caught:
        registry(folder).find(BaseTestModule, "MyOwm", what="test module")
    assert str(folder) in str(caught.value)


def test_broken_files_hinder_nobody_and_are_reported(folder: Path) -> None:
    (folder / "bad.py").write_text("x = 1\nclass Bad(:\n")
    (folder / "raises.py").write_text("import os\n\nclass Raises: pass\nos.environ['NOT_SET_ANYWHERE']\n")
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    found = registry(folder, folder / "missing")
    assert [one.name for one in found.all(BaseTestModule)] == ["MyOwn"]
    assert [str(one) for one in found.broken()] == [
        f"{folder / 'missing'}: no such folder",
        f"{folder / 'bad.py'}:2: syntax error: invalid syntax",
        f"{folder / 'exits.py'}:1: SystemExit: 3",
        f"{folder / 'raises.py'}:4: KeyError: 'NOT_SET_ANYWHERE'",
    ]
    assert found.find(BaseTestModule, "MyOwn")
    with pytest.raises(BadPlugin, match=r"Bad cannot be used: .*bad.py:2: syntax error"):
        found.find(BaseTestModule, "Bad")
    with pytest.raises(UnknownName, match=r"could not be loaded: .*bad.py:2"):
        found.find(BaseTestModule, "Nobody")


def test_one_name_twice_is_an_error_with_both_places(folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "own.py").write_text("\n" + OWN)
    found = registry(folder, second)
    with pytest.raises(BadPlugin) as caught:
        found.find(BaseTestModule, "MyOwn")
    assert f"{folder / 'own.py'}:8 (folder {folder})" in str(caught.value)
    assert f"{second / 'own.py'}:9 (folder {second})" in str(caught.value)
    assert list(found.duplicates(BaseTestModule)) == ["MyOwn"]
    assert len(found.all(BaseTestModule)) == 2, "a list shows both"


def test_siblings_packages_and_odd_names(folder: Path) -> None:
    (folder / "with-hyphen.py").write_text("from .own import MyOwn\nclass Further(MyOwn): pass\n")
    (folder / "pack").mkdir()
    (folder / "pack/__init__.py").write_text("from .inner import Inner\n")
    (folder / "pack/inner.py").write_text(OWN.replace("MyOwn", "Inner"))
    (folder / "_private.py").write_text(OWN.replace("MyOwn", "Private"))
    found = registry(folder)
    assert [one.name for one in found.all(BaseTestModule)] == ["Further", "Inner", "MyOwn"]
    assert found.broken() == []
    assert found.find(BaseTestModule, "Further").__mro__[1] is found.find(BaseTestModule, "MyOwn")
    assert found.find(BaseTestModule, "Inner").__name__ == "Inner"


def test_what_comes_with_shakeout_is_found() -> None:
    ping = Registry(entry_points=False).find(BaseTestModule, "Ping")
    assert ping.__module__ == "shakeout.modules.ping"


def test_entry_points_of_installed_distributions(tmp_path: Path) -> None:
    (tmp_path / "thirdparty.py").write_text(OWN.replace("MyOwn", "Third"))
    info = tmp_path / "thirdparty-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[shakeout.plugins]\nmods = thirdparty\nlost = nowhere.at_all\n")
    program = (
        "from shakeout.plugins import Registry\n"
        "from shakeout.modules.base import BaseTestModule as B\n"
        "r = Registry(builtin_packages=())\n"
        "print(r.find(B, 'Third').__name__, [i.origin for i in r.all(B)], *r.broken(), sep='|')\n"
    )
    command = [sys.executable, "-c", program]
    env = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    name, origins, broken = done.stdout.strip().split("|")
    assert name == "Third"
    assert origins == "['entry point mods of thirdparty']"
    assert broken.startswith("nowhere.at_all: ModuleNotFoundError")


def test_from_shakeout_modules_import_looks_where_configured(folder: Path) -> None:
    program = (
        "import sys, shakeout.modules\n"
        "from shakeout.plugins import configure\n"
        "configure([sys.argv[1]])\n"
        "from shakeout.modules import MyOwn\n"
        "assert shakeout.modules.MyOwn is MyOwn\n"
        "try: from shakeout.modules import MyOwm\n"
        "except ImportError as error: print(error)\n"
        "print(hasattr(shakeout.modules, 'Nobody'))\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "did you mean 'MyOwn'" in done.stdout
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("shakeout.params", ["pathlib", "ipaddress", "json", "inspect", "difflib"]),
        ("shakeout.plugins", ["importlib.metadata", "json", "inspect", "shakeout.modules"]),
        ("shakeout.config", ["ruamel.yaml", "jsonschema", "json", "tomllib"]),
    ],
)
def test_importing_costs_little(module: str, heavy: list[str]) -> None:
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\nimport msgspec; before = set(sys.modules)\n"
        f"import {module}\nprint([m for m in {heavy!r} if m in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
