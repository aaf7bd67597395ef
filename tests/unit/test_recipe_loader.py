"""From a command line to recipe instances."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters, BadRecipe
from shakeout.recipe.loader import Target, load, load_file, parse_target, with_arguments


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    """Imported recipe files are forgotten."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("recipe_", "beside")):
            del sys.modules[name]


def recipe_file(folder: Path, text: str, name: str = "my.py") -> str:
    path = folder / name
    path.write_text("from shakeout import *\n" + text)
    return str(path)


def test_a_misspelt_import_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"my\.py:2: ImportError: cannot import name 'HostReqq'.*mean 'HostReq'\?"):
        load_file(recipe_file(tmp_path, "from shakeout import HostReqq\n"))


def test_a_parameter_without_dashes_before_it_is_no_missing_file() -> None:
    with pytest.raises(BadRecipe, match="if it is a parameter, write it after --: -- mtu=8000"):
        load(Target("mtu=8000"))


RECIPE = "class {}(BaseRecipe):\n    n = IntParam(default=1)\n    m1 = HostReq()\n    def test(self): pass\n"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("my.py", Target("my.py")),
        ("my.py:Mine", Target("my.py", "Mine")),
        ("a:b/my.py", Target("a:b/my.py")),
        ("a:b/my.py:Mine", Target("a:b/my.py", "Mine")),
        (":Mine", Target(":Mine")),
        ("my.py:", Target("my.py:")),
        ("my.py:not a name", Target("my.py:not a name")),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_target_is_never_longer_than_what_was_given(text: str) -> None:
    target = parse_target(text)
    assert text in (target.path, f"{target.path}:{target.cls}")


def test_classes_in_the_order_of_the_file_and_only_its_own(tmp_path: Path) -> None:
    recipe_file(tmp_path, RECIPE.format("Elsewhere"), "beside.py")
    path = recipe_file(tmp_path, "from beside import Elsewhere\n" + RECIPE.format("B") + RECIPE.format("A") + "C = A\n")
    assert [cls.__name__ for cls in load(Target(path))] == ["B", "A"]
    assert [cls.__name__ for cls in load(Target(path, "Elsewhere"))] == ["Elsewhere"]


def test_a_file_is_imported_once_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recipe_file(tmp_path, RECIPE.format("A"))
    monkeypatch.chdir(tmp_path)
    assert load_file(path) is load_file("my.py") is load_file("./my.py")


def test_files_of_one_name_do_not_disturb_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        recipe_file(tmp_path / name, RECIPE.format(name.upper()))
    first, second = (load(Target(str(tmp_path / name / "my.py"))) for name in ("a", "b"))
    assert [cls.__name__ for cls in first + second] == ["A", "B"]


def test_a_file_that_fails_can_be_loaded_again(tmp_path: Path) -> None:
    path = recipe_file(tmp_path, "1 / 0\n")
    with pytest.raises(BadRecipe, match=r"my\.py:2: ZeroDivisionError"):
        load_file(path)
    recipe_file(tmp_path, RECIPE.format("A"))
    assert load(Target(path))


def test_folders_come_after_the_standard_library_and_before_the_rest(tmp_path: Path) -> None:
    recipe_file(tmp_path, "import json\nassert hasattr(json, 'dumps')\n" + RECIPE.format("A"), "json.py")
    load_file(str(tmp_path / "json.py"))
    assert sys.path.count(str(tmp_path)) == 1
    installed = [place for place, entry in enumerate(sys.path) if entry.endswith("site-packages")]
    assert all(sys.path.index(str(tmp_path)) < place for place in installed)


def test_keyboard_interrupt_goes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_file(recipe_file(tmp_path, "raise KeyboardInterrupt\n"))


def test_parameters_and_their_receivers(tmp_path: Path) -> None:
    path = recipe_file(tmp_path, RECIPE.format("my") + RECIPE.format("other"))
    target = Target(path)
    (recipe,) = with_arguments(target, load(target), ["n=7"])
    assert (type(recipe).__name__, recipe.params.n) == ("my", 7)
    assert [type(each).__name__ for each in with_arguments(target, load(target), [])] == ["my", "other"]


def test_what_several_classes_lack_is_in_one_message(tmp_path: Path) -> None:
    text = "class {}(BaseRecipe):\n    x = IntParam(mandatory=True)\n    def test(self): pass\n"
    target = Target(recipe_file(tmp_path, text.format("A") + text.format("B")))
    with pytest.raises(BadRecipe, match=r"A: .*'x'.*B: .*'x'"):
        with_arguments(target, load(target), [])


def test_unknown_missing_and_mistyped_together(tmp_path: Path) -> None:
    text = "class A(BaseRecipe):\n    x = IntParam(mandatory=True)\n    y = IntParam()\n    def test(self): pass\n"
    target = Target(recipe_file(tmp_path, text))
    with pytest.raises(BadParameters) as caught:
        with_arguments(target, load(target), ["z=1", "y=no"])
    assert len(caught.value.problems) == 3


def test_thousands_of_problems_are_counted() -> None:
    error = BadParameters("Many", [f"problem {number}" for number in range(1000)])
    assert len(error.problems) == 1000
    assert str(error).endswith("; and 960 more")
