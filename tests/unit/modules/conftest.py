"""An agent's way with a test module, without the agent."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest

from shakeout.modules.order import encode_order
from shakeout.modules.outcome import Outcome, decode_outcome, render
from shakeout.modules.source import order_for

TWIN = Path(__file__).with_name("agent_twin.py")


class Ran(NamedTuple):
    """What became of a test module on a host."""

    exit_status: int
    stdout: str
    stderr: str
    outcome: Outcome | None

    @property
    def passed(self) -> bool:
        assert self.outcome is not None, self.stderr
        return self.outcome.passed

    @property
    def result(self) -> Any:
        assert self.outcome is not None, self.stderr
        assert self.outcome.error is None, self.traceback
        return self.outcome.result

    @property
    def message(self) -> str:
        assert self.outcome is not None, self.stderr
        assert self.outcome.error is not None, f"passed with {self.outcome.result!r}"
        return self.outcome.error.message

    @property
    def traceback(self) -> str:
        assert self.outcome is not None, self.stderr
        assert self.outcome.error is not None, f"passed with {self.outcome.result!r}"
        return render(self.outcome.error, "m1")


def send(instance: Any, *, signal_number: int = 0, stdin: bytes = b"") -> Ran:
    """Run *instance* where nothing of the controller's can be imported but what was shipped."""
    order, manifest = order_for(instance, "m1")
    sources = [(source.sha256, source.filename, source.text) for source in manifest.sources]
    data = msgspec.msgpack.encode([encode_order(order), sources, signal_number, stdin])
    done = subprocess.run([sys.executable, "-I", TWIN], input=data, capture_output=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr.decode()
    status, stdout, stderr, outcome = msgspec.msgpack.decode(done.stdout)
    return Ran(status, stdout.decode(), stderr.decode(), decode_outcome(outcome) if outcome else None)


@pytest.fixture
def on_host() -> Callable[..., Ran]:
    return send


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Write files and load the first of them by its path, as a recipe file is loaded."""
    before = set(sys.modules)

    def load_files(**files: str) -> ModuleType:
        monkeypatch.syspath_prepend(tmp_path)
        for name, text in files.items():
            path = tmp_path / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        first = next(iter(files))
        spec = importlib.util.spec_from_file_location(first, tmp_path / f"{first}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, first, module)
        spec.loader.exec_module(module)
        return module

    yield load_files  # type: ignore[misc]
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None)
        if path and path.startswith(str(tmp_path)):
            del sys.modules[name]
