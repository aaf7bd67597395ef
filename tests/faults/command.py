"""`shakeout run` as a process of its own, that tests can disturb at exact moments."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.faults.processes import Watched, descendants, is_first, named

from shakeout.journal.events import BaseEvent
from shakeout.journal.reader import JournalReader, State
from shakeout.journal.runs import RunEntry, RunStore

SHAKEOUT = str(Path(sys.executable).parent / "shakeout")
#: Seconds that anything may take on a machine that has much else to do.
PATIENCE = 50.0

RECIPE = """\
import ctypes, os, signal, sys, time
from pathlib import Path
from shakeout import *
from shakeout.modules import Ping, TcpListen

def tell(word):
    os.write(1, (word + "\\n").encode())

class R(BaseRecipe):
    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net1")

    def test(self):
        m1, m2 = self.matched.m1, self.matched.m2
"""


def recipe(folder: Path, body: str, name: str = "r.py", head: str = RECIPE) -> Path:
    """A recipe file whose `test()` is *body*; it says ``tell("word")`` when the test shall do something."""
    path = folder / name
    path.write_text(head + "".join(f"        {line}\n" for line in body.strip("\n").splitlines()))
    return path


class Command:
    """A running ``shakeout run``; a context manager that leaves no process of it.

    Attributes:
        process: the program.
        out: the folder of its runs.
    """

    def __init__(
        self,
        file: Path,
        *options: str,
        out: Path | None = None,
        env: dict[str, str] | None = None,
        argv: Sequence[str] = (),
    ) -> None:
        self.out = out or file.parent / "runs"
        self.process = subprocess.Popen(
            [*(argv or (SHAKEOUT, "run")), str(file), "--out", str(self.out), *options],
            cwd=file.parent,
            env={**os.environ, "XDG_STATE_HOME": str(file.parent / "state"), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._said = b""

    @property
    def pid(self) -> int:
        """The controller."""
        return self.process.pid

    def await_word(self, word: str) -> None:
        """Wait until the recipe tells *word*."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while f"{word}\n".encode() not in self._said:
            ready, _, _ = select.select([self.process.stdout], (), (), max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                self.process.kill()
                _, err = self.process.communicate()
                raise AssertionError(f"it never said {word!r}, but: {self._said!r} {err.decode()}")
            self._said += data

    def lab(self) -> list[int]:
        """The processes of its laboratory, the spawner's outer half first."""
        return [pid for top in named(self.pid, "shakeout-lab") for pid in (top, *descendants(top))]

    def host_inits(self) -> list[int]:
        """Process 1 of each host (what it has just forked may still have its name)."""
        return [pid for pid in named(self.pid, "shakeout-agent") if is_first(pid)]

    def signal(self, number: int) -> None:
        """Send a signal to the controller alone."""
        self.process.send_signal(number)

    def end(self, seconds: float = PATIENCE) -> tuple[int, str, str]:
        """Wait for its end; exit status, standard output and error."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, (self._said + out).decode(), err.decode()

    @property
    def run(self) -> RunEntry:
        """What its runs' folder says of its (only) run."""
        (entry,) = RunStore(self.out).list()
        return entry

    def events(self) -> list[BaseEvent]:
        """What its journal says."""
        assert self.run.state in (State.ABORTED, State.FINISHED)
        return list(JournalReader(self.run.folder).events())

    def __enter__(self) -> Command:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            with Watched(descendants(self.pid)) as rest:
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()
                self.process.communicate()
                left = rest.left_after(10)
                for pid in rest.pids:
                    if any(text.startswith(f"{pid} ") for text in left):
                        rest.kill(pid)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
