"""How what ended a recipe is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from shakeout.controller.failure import one_paragraph, whole_traceback
from shakeout.controller.interrupts import Interrupted
from shakeout.errors import UnknownName


def raised(act: object) -> BaseException:
    try:
        act()  # type: ignore[operator]
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError


def test_the_place_is_the_users_own_not_the_librarys() -> None:
    for act in (lambda: json.loads("{"), lambda: subprocess.run(["/no/such"], check=True), lambda: 1 / 0):
        text = one_paragraph(raised(act))
        assert f"({__file__}:" in text
        assert "\n" not in text


@pytest.mark.parametrize(
    ("line", "told"),
    [("assert 1 + 1 == 3", "AssertionError: assert 1 + 1 == 3 ("), ("raise AssertionError", "AssertionError (")],
)
def test_an_assertion_without_words_is_told_by_its_source(line: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"  # pytest rewrites assertions of its own files
    path.write_text(line)
    error = raised(lambda: exec(compile(line, str(path), "exec")))
    assert one_paragraph(error).startswith(told)


def test_what_shakeout_says_stays_as_it_is() -> None:
    def act() -> None:
        raise UnknownName("host", "m7", ["m1"])

    assert one_paragraph(raised(act)).startswith("no host is called 'm7' (known: m1) (")


def test_odd_exceptions() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def act() -> None:
        raise Silent

    assert "its text cannot be shown" in one_paragraph(raised(act))
    assert one_paragraph(ValueError()) == "ValueError"
    assert one_paragraph(ValueError("a\n  b\n")) == "ValueError: a b"
    assert "sys.exit(3)" in one_paragraph(SystemExit(3))


def test_an_interruption_is_no_error() -> None:
    assert one_paragraph(Interrupted("SIGINT")) == "interrupted"
    assert whole_traceback(Interrupted("SIGINT")) == ""
    assert "ZeroDivisionError" in whole_traceback(raised(lambda: 1 / 0))
