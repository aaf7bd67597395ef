"""A test module run in a process of its own, as on a host, if wanted in a network namespace of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from shakeout.modules.base import BaseTestModule
from shakeout.modules.order import encode_order
from shakeout.modules.outcome import Outcome, decode_outcome
from shakeout.modules.source import order_for
from shakeout.wire.samples import Rows, SampleFrame, SampleFrames

PROGRAM = """
import sys
from shakeout.modules.runner import run_module
from shakeout.modules.shipped import CodeCache
sys.exit(run_module(bytes.fromhex(sys.argv[2]), CodeCache(), int(sys.argv[1])))
"""
LO_UP = "ip link set lo up"


class ModuleProcess:
    """A test module that runs; killed, if it still does, when the block ends.

    Args:
        before: shell commands that prepare a network namespace of its own; "" for none.
        within: the name of a network namespace that is there already.
    """

    def __init__(self, module: BaseTestModule, before: str = "", within: str = "", **options: Any) -> None:
        self._result, write = os.pipe()
        argv = [sys.executable, "-c", PROGRAM, str(write), encode_order(order_for(module, "m1")[0]).hex()]
        if before:
            argv = ["unshare", "-n", "sh", "-c", before + '; exec "$@"', "sh", *argv]
        if within:
            argv = ["ip", "netns", "exec", within, *argv]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, pass_fds=[write], **options
        )
        os.close(write)
        #: What it sent of its series, until `outcome` has returned.
        self.samples: list[SampleFrame] = []
        self._frames, self._data = SampleFrames(), b""

    def __enter__(self) -> ModuleProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._result)

    def line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        line: str = self.process.stdout.readline()
        return line.rstrip("\n")

    def wait_for_sample(self) -> None:
        """Wait until it has measured something, or ended."""
        while not any(isinstance(frame, Rows) for frame in self.samples) and self._receive():
            pass

    def _receive(self) -> bool:
        part = os.read(self._result, 1 << 16)
        found, rest = self._frames.feed(part)
        self.samples += found
        self._data += rest
        return bool(part)

    def outcome(self, signal_number: signal.Signals | None = None) -> Outcome:
        """Its outcome, once it has ended, after *signal_number* was sent if any."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        while self._receive():
            pass
        self.process.wait()
        return decode_outcome(self._data)


def run(module: BaseTestModule, before: str = "", **options: Any) -> Outcome:
    """Run *module* to its end."""
    with ModuleProcess(module, before, **options) as process:
        return process.outcome()


def reason(outcome: Outcome) -> str:
    """Why it failed; an error, or no failure at all, is one of the test."""
    assert outcome.error is not None, outcome.result
    assert outcome.error.kind == "failed", outcome.error
    return outcome.error.message
