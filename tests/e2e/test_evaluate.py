"""Measured values from a recipe to the reports, and baselines from run to run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.e2e.user import SHAKEOUT, User

pytestmark = pytest.mark.needs("namespaces")

RECIPE = """
class Rate(BaseTestModule):
    mean = FloatParam(default=9.4)

    def run(self):
        series = self.series("throughput", rate="bit/s", loss="1")
        for number in range(400):
            series.add(rate=(self.params.mean + (number * 7 % 11 - 5) / 50) * 1e9, loss=0)
        return {"sent_bps": self.params.mean * 1e9}


class Judged(BaseRecipe):
    m1 = HostReq()
    mean = FloatParam(default=9.4)
    least = FloatParam(default=9.0)

    def test(self):
        job = self.matched.m1.run(Rate(mean=self.params.mean), desc="bulk")
        own = self.series("steps", number="1")
        for number in range(20):
            own.add(number=number)
        limit = Threshold(at_least=self.params.least, unit="Gbit/s")
        self.evaluate("sent", job.result["sent_bps"], limit)
        good = self.evaluate("over time", job.series["throughput"], limit, column="rate")
        assert bool(good) is (good.verdict == "passed")
        self.evaluate("as before", job.series["throughput"], Baseline("tcp rate", by=["m1.arch", "params.least"],
                                                                      unit="Gbit/s"), column="rate")
        self.evaluate("steps", own)
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody with three runs: the first, one that is like it, and one that is slower."""
    somebody = User(tmp_path_factory.mktemp("judged"))
    somebody.recipe(RECIPE)
    somebody.first = somebody.shakeout("run", "my.py")  # type: ignore[attr-defined]
    somebody.again = somebody.shakeout("run", "my.py")  # type: ignore[attr-defined]
    somebody.slower = somebody.shakeout("run", "my.py", "--", "mean=8.5")  # type: ignore[attr-defined]
    yield somebody


def test_the_summary_says_value_uncertainty_limit_and_verdict(user: User) -> None:
    first = user.first  # type: ignore[attr-defined]
    assert first.status == 0, first.err
    assert "    sent 9.4 Gbit/s ≥ 9 Gbit/s PASS" in first.summary
    assert any(
        line.startswith("    over time 9.4") and line.endswith("Gbit/s ≥ 9 Gbit/s PASS") for line in first.summary
    )
    assert "        Recorded as the baseline 'tcp rate', which had none yet" in first.summary
    assert any("Series throughput rate: 400 samples" in line and "mean 9.4 Gbit/s" in line for line in first.summary)
    assert any(line.startswith("    Series steps number: 20 samples") for line in first.summary)
    assert any(line.startswith("    steps 9.5 ± ") for line in first.summary)


def test_the_same_again_is_within_tolerance(user: User) -> None:
    again = user.again  # type: ignore[attr-defined]
    assert again.status == 0
    assert "        0 % against the baseline, p = 1" in again.summary


def test_a_regression_fails_the_recipe_and_says_how_much(user: User) -> None:
    slower = user.slower  # type: ignore[attr-defined]
    assert slower.status == 1
    assert "    sent 8.5 Gbit/s ≥ 9 Gbit/s FAIL" in slower.summary
    assert any(line.startswith("    as before 8.5") and line.endswith(" FAIL") for line in slower.summary)
    assert "        -9.57 % against the baseline, p < 0.001" in slower.summary
    assert slower.result.startswith("RESULT FAIL")


def test_all_reports_have_the_values(user: User, tmp_path: Path) -> None:
    files = {form: tmp_path / f"report.{form}" for form in ("html", "junit", "json", "ktap")}
    assert not user.shakeout("report", "last", *(w for form, file in files.items() for w in (f"--{form}", file))).status
    part = json.loads(files["json"].read_text())["parts"][0]
    values = {value["name"]: value for value in part["values"]}
    assert (values["sent"]["value"], values["sent"]["unit"], values["sent"]["uncertainty"]) == (8.5, "Gbit/s", None)
    assert (values["over time"]["verdict"], values["over time"]["method"]) == ("failed", "batch means")
    assert values["as before"]["baseline"] == pytest.approx(9.4, abs=0.01)
    assert values["as before"]["change"] == pytest.approx(-0.0957, abs=0.001)
    assert (values["steps"]["passed"], values["steps"]["verdict"]) == (None, "measured")
    [series] = part["jobs"][0]["series"]
    assert (series["columns"]["rate"]["count"], series["columns"]["rate"]["unit"]) == (400, "bit/s")
    assert [own["name"] for own in part["series"]] == ["steps"]
    cases = {case.get("name"): case for case in ElementTree.parse(files["junit"]).iter("testcase")}
    assert cases["Value 1 sent"].find("failure") is not None
    ktap = files["ktap"].read_text()
    assert "not ok 2 sent 8.5 Gbit/s ≥ 9 Gbit/s" in ktap
    page = files["html"].read_text()
    assert page.count("<figure") == 2  # what is always 0 has no curve
    assert "always 0" in page
    assert re.search(r"8\.[45]\d* ± 0\.\d+ Gbit/s", page)
    assert 'href="#part1-value1"' in page
    assert len(page) < 100_000


def test_values_of_two_runs_side_by_side(user: User) -> None:
    runs = [entry["run"] for entry in json.loads(user.shakeout("runs", "list", "--format", "json").out)]
    compared = user.shakeout("compare", runs[1], runs[0])
    assert "value of sent PASS -> FAIL, 9.4 Gbit/s -> 8.5 Gbit/s (-9.57 %)" in compared.out
    same = user.shakeout("compare", runs[2], runs[1])
    assert "value of" not in same.out.replace("as before PASS", "")


def test_baselines_are_listed_shown_replaced_and_removed(user: User) -> None:
    [entry] = json.loads(user.shakeout("baselines", "list", "--format", "json").out)
    assert (entry["name"], entry["n"], entry["unit"]) == ("tcp rate", 400, "Gbit/s")
    assert entry["key"]["params.least"] == "9.0"
    assert entry["value"] == pytest.approx(9.4, abs=0.01)
    shown = user.shakeout("baselines", "show", "tcp rate").out
    assert "Made of:     400 measurements (batch means)" in shown
    updated = user.shakeout("run", "my.py", "--update-baseline", "--", "mean=9.1")
    assert updated.status == 0
    assert "Recorded as the new baseline 'tcp rate', in place of 9.4 Gbit/s" in updated.out
    [entry] = json.loads(user.shakeout("baselines", "show", "tcp rate", "--format", "json").out)
    assert entry["value"] == pytest.approx(9.1, abs=0.01)
    assert (
        "no baseline is called 'tcp rat' (did you mean 'tcp rate'?)" in user.shakeout("baselines", "rm", "tcp rat").err
    )
    assert user.shakeout("baselines", "rm", "tcp rate").status == 0
    assert user.shakeout("baselines", "list").err.startswith("There are no baselines in ")


def test_a_damaged_baseline_is_an_error_and_stays(user: User) -> None:
    user.shakeout("run", "my.py")
    [file] = (user.folder / ".state/shakeout/baselines").rglob("*.json")
    file.write_text("{")
    ended = user.shakeout("run", "my.py", "--update-baseline")
    assert ended.status == 3
    assert "is no baseline (Input data was truncated); it is left as it is" in ended.out
    assert file.read_text() == "{"
    assert "unreadable" in user.shakeout("baselines", "list").out
    assert not user.shakeout("baselines", "rm", "tcp-rate-" + file.parent.name.rpartition("-")[2]).status


def test_baselines_in_a_repository(user: User) -> None:
    (user.folder / "shakeout.toml").write_text('baselines_dir = "mine"\n')
    try:
        assert user.shakeout("run", "my.py").status == 0
        assert len(list((user.folder / "mine").rglob("*.json"))) == 1
    finally:
        (user.folder / "shakeout.toml").unlink()


MISTAKES = {
    'self.evaluate("x", 5, Threshold(at_least=9, unit="Gbit/s"), unit="ms")': "cannot be told in Gbit/s",
    'self.evaluate("x", {"sent_bps": 5})': "it has the numbers sent_bps: give one of them",
    'self.evaluate("x", 5, Baseline("b", by=["speed"]))': "no parameter or property of host m1 is called 'speed'",
    'self.evaluate("x", 5, Baseline("b", by=["params.mtu"]))': "no parameter of the recipe is called 'mtu'",
    'self.series("x", v="")': "'' cannot be the unit of 'v'",
    'self.series("x", v="1").add(w=1)': "has w but must have v",
    'self.series("x", v="1").add(v=float("nan"))': "takes a finite number",
    "Threshold()": "a Threshold needs a limit",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_explained_with_their_line(line: str, tmp_path: Path) -> None:
    user = User(tmp_path)
    user.recipe(f"class Wrong(BaseRecipe):\n    m1 = HostReq()\n    def test(self):\n        {line}\n")
    ended = user.shakeout("run", "my.py")
    assert ended.status == 3
    assert MISTAKES[line] in ended.out
    assert "my.py:" in ended.out


def test_a_run_that_goes_on_shows_what_was_measured_so_far(tmp_path: Path) -> None:
    user = User(tmp_path)
    user.recipe(
        """
        import threading

        class Goes(BaseTestModule):
            def run(self):
                self.series("cpu", user="%").add(user=12.5)
                threading.Event().wait()

        class Waits(BaseRecipe):
            m1 = HostReq()
            def test(self):
                job = self.matched.m1.run(Goes(), bg=True)
                job.series.wait("cpu")
                import subprocess
                print(subprocess.run(["SHAKEOUT", "report", "last"], capture_output=True, text=True).stdout)
        """.replace("SHAKEOUT", SHAKEOUT)
    )
    ended = user.shakeout("run", "my.py")
    assert ended.status == 0, ended.err
    assert "Series cpu user: 1 sample, mean 12.5 %" in ended.out.partition("RUNNING")[0]
