"""MemoryStress: take memory, and use it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from shakeout.errors import ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.extent import Extent, Range, shown_range
from shakeout.modules.sizes import SizeParam
from shakeout.params import BoolParam, ChoiceParam, DurationParam

#: Written at once.
_CHUNK = 1 << 20
_PAGE = 4096
#: Counters of the worker: bytes that it holds, bytes that it has written in all.
_HELD, _TOUCHED = 0, 1


class MemoryStressResult(TypedDict):
    """What MemoryStress did.

    Keys:
        size: bytes that were asked for.
        held: bytes that were in use in the end.
        full_after: seconds until all were; None if that did not happen.
        touched: bytes written, again and again ones, too.
        rate: bytes written per second.
        available_before, available_min: bytes that were available on the host before, and at the least.
        sampling: how it kept its time.
    """

    size: int
    held: int
    full_after: float | None
    touched: int
    rate: Range | None
    available_before: int
    available_min: int
    sampling: Sampling


class MemoryStress(BaseTestModule):
    """Take memory and use it; prints "stressing N bytes" when it begins, and "full" when it has all.

    Refused if it would leave the host less than 5 % of what is available, or 64 MiB, unless forced. If the host runs
    out of memory nevertheless, the kernel ends the worker first. In the background without *duration*,
    ``job.kill(signal.SIGINT)`` ends it with what it did so far; however it ends, the memory is free again. Hosts of
    the default laboratory share the machine's memory. The result is a `MemoryStressResult`.

    Examples:
        >>> stress = m1.run(MemoryStress(size="64MiB", duration=1, interval=0.1))
        >>> stress.result["held"]
        67108864
    """

    size = SizeParam(mandatory=True, share=True, minimum=_PAGE, desc="bytes, or percent of what is available")
    touch = ChoiceParam(
        ("once", "rewrite", "random"), default="once", desc="write it once, again and again, or at random"
    )
    ramp = DurationParam(default=0.0, desc="in which time to take it, evenly")
    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample to the next")
    duration = DurationParam(minimum=0.01, desc="how long, with the ramp; until stopped, if not given")
    force = BoolParam(default=False, desc="even if the host may run out of memory")

    def run(self) -> MemoryStressResult:
        from shakeout.modules.sizes import available_memory, in_bytes, refuse_memory
        from shakeout.modules.workers import Workers

        before = available_memory()
        size = max(_PAGE, in_bytes(self.size, before) // _PAGE * _PAGE)
        if not self.force:
            refuse_memory(size, before)
        result = self._res_data = MemoryStressResult(
            size=size, held=0, full_after=None, touched=0, rate=None, available_before=before, available_min=before,
            sampling=Sampling(seconds=0, samples=0, missed=0, late_ms=0, late_max_ms=0, cpu=0),
        )  # fmt: skip
        filled = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        with (
            Beat(self.interval, self.duration) as beat,
            Workers(1, lambda _, counters: self._fill(size, counters, filled), counters=2) as workers,
        ):
            workers.attend(beat)

            def full() -> None:
                beat.leave(filled)
                result["full_after"] = round(beat.seconds(), 3)
                print("full", flush=True)  # noqa: T201

            beat.attend(filled, full)
            print(f"stressing {size} bytes", flush=True)  # noqa: T201 - it is the module's output
            self._follow(beat, workers.counters(0), result)
        os.close(filled)
        if result["full_after"] is None and not beat.interrupted:
            raise ModuleFailed(f"only {result['held']} of {size} bytes were taken within {beat.seconds():.3f} s")
        return result

    def _follow(self, beat: Beat, counters: memoryview, result: MemoryStressResult) -> None:
        from shakeout.modules.sizes import available_memory

        series = self.series("memory", held="B", rate="B/s", available="B")
        extent, last = Extent(), 0
        for moment in beat:
            held, touched, available = counters[_HELD], counters[_TOUCHED], available_memory()
            result["held"], result["touched"] = held, touched
            result["available_min"] = min(result["available_min"], available)
            if beat.whole:
                rate = (touched - last) / max(1e-9, beat.elapsed)
                last = touched
                extent.add(rate, beat.elapsed)
                series.add(moment, held=held, rate=rate, available=available)
            result["rate"], result["sampling"] = extent.range(0), beat.sampling()

    def _fill(self, size: int, counters: memoryview, filled: int) -> None:
        """In the worker: take the memory bit by bit, then use it."""
        import mmap
        import random

        with suppress(OSError):  # the kernel's choice then, if it comes to that
            Path("/proc/self/oom_score_adj").write_text("1000")
        data = os.urandom(_CHUNK)  # neither the kernel nor a hypervisor finds pages to share
        begin = time.monotonic()
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            for at in range(0, size, _CHUNK):
                time.sleep(max(0.0, begin + self.ramp * at / size - time.monotonic()))
                _write(memory, at, data, size)
                counters[_HELD] = min(size, at + _CHUNK)
                counters[_TOUCHED] += min(_CHUNK, size - at)
            os.eventfd_write(filled, 1)
            while self.touch == "rewrite":
                for at in range(0, size, _CHUNK):
                    _write(memory, at, data, size)
                    counters[_TOUCHED] += min(_CHUNK, size - at)
            pages = size // _PAGE
            while self.touch == "random":
                for _ in range(256):
                    at = random.randrange(pages) * _PAGE
                    memory[at : at + _PAGE] = data[:_PAGE]
                counters[_TOUCHED] += 256 * _PAGE
            _for_ever()

    def format_result(self, result: Any) -> str:
        """ "67108864 of 67108864 bytes held after 0.03 s, …"."""
        try:
            after = "" if result["full_after"] is None else f" after {result['full_after']:g} s"
            return (
                f"{result['held']} of {result['size']} bytes held{after}, "
                f"written {shown_range(result['rate'], 'B/s')}, at least {result['available_min']} bytes were available"
            )
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


def _write(memory: Any, at: int, data: bytes, size: int) -> None:
    end = min(size, at + _CHUNK)
    memory[at:end] = data[: end - at]


def _for_ever() -> None:
    import signal

    while True:
        signal.pause()
