"""`shakeout report` and `shakeout compare`, on runs that were made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.e2e.user import User

RECIPE = """
class Change(BaseRecipe):
    m1 = HostReq()
    good = BoolParam(default=True)

    def test(self):
        self.matched.m1.run("true" if self.params.good else "exit 3", desc="the point")
        self.matched.m1.run("echo more" if self.params.good else "echo other")
"""


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody with a run that passed and, after it, one that failed."""
    user = User(tmp_path_factory.mktemp("twice"))
    user.recipe(RECIPE)
    assert user.shakeout("run", "my.py").status == 0
    assert user.shakeout("run", "my.py", "--", "good=no").status == 1
    yield user


pytestmark = pytest.mark.needs("namespaces")


def test_without_a_file_it_prints_the_summary(twice: User) -> None:
    ended = twice.shakeout("report", "last")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("RESULTS SUMMARY:\n")
    assert "the point FAIL" in ended.out
    assert ended.result.startswith("RESULT FAIL (0 passed, 1 failed")


def test_all_forms_at_once(twice: User, tmp_path: Path) -> None:
    files = {form: tmp_path / f"report.{form}" for form in ("html", "junit", "json", "ktap")}
    ended = twice.shakeout("report", "last", *(word for form, file in files.items() for word in (f"--{form}", file)))
    assert (ended.status, ended.out) == (0, "")
    assert ended.err.splitlines() == [f"{form}: {file}" for form, file in files.items()]
    assert files["html"].read_text().lstrip().lower().startswith("<!doctype html")
    assert ElementTree.parse(files["junit"]).getroot().get("failures") == "1"
    assert json.loads(files["json"].read_text())["verdict"] == "failed"
    assert files["ktap"].read_text().startswith("KTAP version 1\n")


def test_a_dash_is_standard_output(twice: User) -> None:
    ended = twice.shakeout("report", "last", "--json", "-")
    assert json.loads(ended.out)["verdict"] == "failed"
    assert not (twice.folder / "-").exists()


def test_a_file_that_cannot_be_written_is_said_before_anything(twice: User, tmp_path: Path) -> None:
    good = tmp_path / "good.html"
    ended = twice.shakeout("report", "last", "--html", good, "--json", tmp_path / "no" / "x.json")
    assert ended.status == 2
    assert "there is no folder" in ended.complaint
    assert not good.exists()


def test_a_folder_from_elsewhere(twice: User, tmp_path: Path) -> None:
    run = twice.runs()[0].rename(tmp_path / "copied")
    try:
        assert "RESULT PASS" in twice.shakeout("report", run).out
    finally:
        run.rename(
            twice.folder
            / ".state/shakeout/runs"
            / json.loads((run / "journal.jsonl").read_text().splitlines()[0])["run"]
        )


def test_compare_says_what_changed(twice: User) -> None:
    before, after = (run.name for run in twice.runs())
    ended = twice.shakeout("compare", before, "last")
    assert ended.status == 0, ended.err
    heading, *changes, last = ended.out.splitlines()
    assert heading == f"COMPARED run {before} with run {after}:"
    assert any("the point PASS -> FAIL" in line for line in changes)
    assert any("echo more is gone: PASS" in line for line in changes)
    assert any("echo other is new: PASS" in line for line in changes)
    assert last.endswith("as before")


def test_compare_of_several_for_programs(twice: User) -> None:
    before, after = (run.name for run in twice.runs())
    compared = json.loads(twice.shakeout("compare", before, before, after, "--format", "json").out)
    assert [(one["before"], one["after"]) for one in compared] == [(before, before), (before, after)]
    assert not any(entry["changed"] for entry in compared[0]["entries"])
    (point,) = (entry for entry in compared[1]["entries"] if entry["name"].endswith("the point"))
    assert (point["before"], point["after"], point["changed"]) == ("PASS", "FAIL", True)
