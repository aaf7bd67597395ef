"""Test modules that take samples."""

from __future__ import annotations

import os
import threading
import time

from shakeout import BaseTestModule, BoolParam, IntParam, ModuleFailed


class Counts(BaseTestModule):
    """So many samples, as fast as they go."""

    count = IntParam(default=10)
    broken = BoolParam(default=False)

    def run(self) -> int:
        series = self.series("count", number="1", half="ms")
        for number in range(self.params.count):
            series.add(number=number, half=number / 2)
        if self.params.broken:
            raise ModuleFailed("after all")
        return int(self.params.count)


class Goes(BaseTestModule):
    """Some samples at once, in two series, and then nothing for ever."""

    def run(self) -> None:
        cpu, memory = self.series("cpu", user="%"), self.series("memory", used="B")
        for number in range(3):
            cpu.add(user=number)
            memory.add(used=number * 1000)
        threading.Event().wait()


class Forks(BaseTestModule):
    """Both sides of a fork come back."""

    def run(self) -> str:
        series = self.series("x", v="1")
        for number in range(1000):
            series.add(v=number)
        if os.fork() == 0:
            time.sleep(0.05)
            return "the child"
        os.wait()
        return "the parent"


class Misdeclares(BaseTestModule):
    def run(self) -> None:
        self.series("cpu", user="KB", system="")


class Scribbles(BaseTestModule):
    """Writes what it should not to every descriptor."""

    def run(self) -> None:
        self.series("cpu", user="%").add(user=1)
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b"\xc1\x09\x05\x00hello")
            except OSError:
                continue
