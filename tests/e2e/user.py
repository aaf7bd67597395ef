"""Somebody at a shell, in a folder of their own, with a state directory of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shakeout.testing.fleet import Fleet

SHAKEOUT = str(Path(sys.executable).parent / "shakeout")

#: What most recipes in these tests begin with.
IMPORTS = "from shakeout import *\nfrom shakeout.modules import Ping\n"


@dataclass(frozen=True)
class Ended:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def result(self) -> str:
        """The last line of the summary."""
        return self.out.splitlines()[-1] if self.out else ""

    @property
    def summary(self) -> list[str]:
        """The lines between the first and the last of the summary."""
        lines = self.out.splitlines()
        return lines[lines.index("RESULTS SUMMARY:") + 1 : -1]

    @property
    def complaint(self) -> str:
        """The one paragraph of an error; fails if there is more, or a traceback."""
        assert "Traceback" not in self.err + self.out, self.err + self.out
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


class User:
    """Writes recipes into a folder and runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if (name not in ("NO_COLOR", "FORCE_COLOR") and not name.startswith("SHAKEOUT_"))
            or name == "SHAKEOUT_TESTS_OF"
        }
        self.environment["XDG_STATE_HOME"] = str(folder / ".state")
        self.environment["XDG_CONFIG_HOME"] = str(folder / ".config")

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def recipe(self, text: str, name: str = "my.py") -> Path:
        """A recipe file that begins with the usual imports."""
        return self.write(name, IMPORTS + textwrap.dedent(text))

    def shakeout(self, *arguments: str | Path, **more: str) -> Ended:
        """Run the command; *more* are environment variables."""
        return self.command(SHAKEOUT, *arguments, **more)

    def python(self, script: str | Path, *arguments: str, **more: str) -> Ended:
        """Run a Python script."""
        return self.command(sys.executable, str(script), *arguments, **more)

    def command(self, *command: str | Path, **more: str) -> Ended:
        """Run any command, with nothing to read."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=50,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def runs(self) -> list[Path]:
        """The folders of all runs so far."""
        folder = self.folder / ".state" / "shakeout" / "runs"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def journal(self) -> str:
        """The journal of the only run."""
        (run,) = self.runs()
        return (run / "journal.jsonl").read_text()


@contextmanager
def on_fleet(folder: Path, fleet: Fleet) -> Iterator[User]:
    """Somebody on the management network of the machines, who may use them."""
    with fleet.inside():
        someone = User(folder)
        someone.environment |= fleet.environment
        yield someone
