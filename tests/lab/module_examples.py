"""The examples in the docstrings of the shipped test modules, run by `test_module_examples`."""

from __future__ import annotations

import doctest
import re
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab.module_process import ModuleProcess

from shakeout import modules, params
from shakeout.modules.base import BaseTestModule
from shakeout.modules.outcome import Outcome


class Job:
    """What the examples use of a job."""

    def __init__(self, module: BaseTestModule) -> None:
        self._module = module
        self._process = ModuleProcess(module)
        self._outcome: Outcome | None = None

    def wait_output(self, pattern: str) -> re.Match[str]:
        found = re.search(pattern, self._process.line())
        assert found is not None
        return found

    @property
    def pid(self) -> int:
        return self._process.process.pid

    def end(self) -> None:
        """What the end of a recipe does."""
        self._process.__exit__()

    def wait(self, timeout: float = 0) -> bool:
        self._outcome = self._process.outcome()
        assert self._outcome.passed, self._outcome
        for path, temporary in self._module.artifacts(self._outcome.result).items():
            if temporary:
                Path(path).unlink()
        return True

    def kill(self, signalnum: int = signal.SIGKILL) -> None:
        self._process.process.send_signal(signalnum)

    @property
    def result(self) -> Any:
        assert self._outcome is not None
        return self._outcome.result


class Host:
    """What the examples use of a host."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(self, module: BaseTestModule, bg: bool = False) -> Job:
        job = Job(module)
        self.jobs.append(job)
        if not bg:
            job.wait()
        return job


def main() -> int:
    names = {name: getattr(modules, name) for name in (*modules.BUILTIN, "BaseTestModule")}
    names |= {name: getattr(params, name) for name in params.__all__}
    tried = failed = 0
    for name in (*modules.BUILTIN, "BaseTestModule"):
        hosts: dict[str, Any] = {"m1": Host(), "m2": Host(), "m2_address": "127.0.0.1", "signal": signal}
        [example] = doctest.DocTestFinder(recurse=False).find(names[name], name, globs=names | hosts)
        outcome = doctest.DocTestRunner().run(example)
        for job in (*hosts["m1"].jobs, *hosts["m2"].jobs):
            job.end()
        assert outcome.attempted > 0, f"{name} has no example"
        tried, failed = tried + outcome.attempted, failed + outcome.failed
    print(f"{tried} tried, {failed} failed")
    return failed


sys.exit(main())
