"""What holds for every test: its place in the order, what it needs, and that it leaves nothing behind.

A test is marked by the folder it stands in (`-m unit`, `-m "not faults"`). One that needs a command, root or
namespaces says so with `@pytest.mark.needs("ping", "root")`, and is skipped with a reason that begins with
"needs". With CI or SHAKEOUT_REQUIRE in the environment such a skip is a failure: a suite that passes because
its tools are missing says nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

# The same examples in every run: who changes one thing shall not be told of another. To look for new ones:
# HYPOTHESIS_EXPLORE=1 make test ARGS=tests/unit
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("explore" if os.environ.get("HYPOTHESIS_EXPLORE") else "suite")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

pytest_plugins = ["tests.leaks"]

TESTS = Path(__file__).resolve().parent
PACKAGES = TESTS.parent / "packaging" / "debian-packages.txt"
KINDS = ("unit", "lab", "e2e", "faults")  # in the order in which they run: the cheapest first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its kind, and run the kinds in order."""
    order = {kind: place for place, kind in enumerate(KINDS)}

    def place_of(item: pytest.Item) -> int:
        kind = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if kind in order:
            item.add_marker(kind)
        return order.get(kind, len(KINDS))

    items.sort(key=place_of)  # stable: inside a kind pytest's own order stays


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose `needs` are not met."""
    for marker in item.iter_markers("needs"):
        for what in marker.args:
            if problem := lacking(what):
                pytest.skip(f"needs {problem}")


@cache
def lacking(what: str) -> str | None:
    """What is missing if *what* (a command, "root" or "namespaces") is not there; None if it is."""
    if what == "root":
        return None if os.geteuid() == 0 else "root"
    if what == "namespaces":
        probe = ["unshare", "--map-root-user", "--net", "--mount", "--pid", "--fork", "true"]
        try:
            done = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"namespaces, and unshare does not run: {error}"
        return None if done.returncode == 0 else f"namespaces: {done.stderr.strip() or 'unshare failed'}"
    search = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    if shutil.which(what, path=search):
        return None
    for line in PACKAGES.read_text().splitlines():
        words = line.split()
        if len(words) > 1 and words[1] == what:
            return f"the command {what} (Debian package {words[0]})"
    return f"the command {what}"


def skips_are_failures() -> bool:
    """True where everything that the tests need must be there."""
    return any(os.environ.get(name, "").lower() not in {"", "0", "false"} for name in ("CI", "SHAKEOUT_REQUIRE"))


def forbid_skip(report: Report) -> Report:
    """*report*, failed if it is a skip for something that CI should have installed."""
    if not report.skipped or hasattr(report, "wasxfail") or not skips_are_failures():
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason.startswith(("needs ", "could not import ")):
        report.outcome = "failed"
        report.longrepr = f"skipped although CI or SHAKEOUT_REQUIRE is set, where all tools must be there: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skips in a test."""
    report = yield
    return forbid_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skips of a whole file."""
    report = yield
    return forbid_skip(report)
