"""DiskStress: read and write a file that nobody sees."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.beat import Beat, Sampling
from shakeout.modules.durations import Latency
from shakeout.modules.extent import Extent, Range, shown_range
from shakeout.modules.latencies import CLASSES
from shakeout.modules.sizes import SizeParam
from shakeout.params import BoolParam, ChoiceParam, DurationParam, FloatParam, IntParam, StrParam

if TYPE_CHECKING:
    from shakeout.modules.workers import Workers

#: Counters of a worker: reads, writes; of the latencies the least, the sum and the greatest, in nanoseconds; then how
#: many of each class.
_READS, _WRITES, _LEAST, _SUM, _MOST, _CLASSES = range(6)
#: Written at once while the file is made.
_PREPARED = 1 << 20
_SECTOR = 512


class DiskStressResult(TypedDict):
    """What DiskStress did.

    Keys:
        file_system: of the folder ("ext4").
        size: bytes of the file, of all workers together.
        reads, writes: operations; read, written: their bytes. What it took to make the file is not among them.
        iops: operations per second.
        throughput: bytes per second, both directions.
        latency: how long an operation took, with its fsync if each has one; None if there was none. The percentiles
            are at most 12.5 % too high.
        prepared_s: seconds that making the file took.
        sampling: how it kept its time.
    """

    file_system: str
    size: int
    reads: int
    writes: int
    read: int
    written: int
    iops: Range | None
    throughput: Range | None
    latency: Latency | None
    prepared_s: float
    sampling: Sampling


class DiskStress(BaseTestModule):
    """Read and write a file; prints "stressing FOLDER" once it does.

    The file has no name, so it is gone however this ends. It is refused if less than 5 % or 512 MiB of the file
    system would stay free, unless forced. In the background without *duration*, ``job.kill(signal.SIGINT)`` ends it
    with what it did so far. Without *direct* the host's page cache takes part; what is written is random. The result
    is a `DiskStressResult`.

    Examples:
        >>> stress = m1.run(DiskStress(path="/var/tmp", size="4MiB", pattern="mixed", duration=0.3, interval=0.1))
        >>> stress.result["reads"] > 0 and stress.result["writes"] > 0
        True
    """

    path = StrParam(default="/var/tmp", pattern="/.*", desc="the folder, on the file system to stress")
    size = SizeParam(default="256MiB", share=True, minimum=4096, desc="of the file: bytes, or percent of what is free")
    block = SizeParam(default="64KiB", minimum=_SECTOR, desc="bytes of one operation, a multiple of 512")
    pattern = ChoiceParam(("read", "write", "mixed"), default="mixed", desc="what to do")
    reads = FloatParam(default=50.0, minimum=0.0, maximum=100.0, desc="percent of the operations that read, if mixed")
    order = ChoiceParam(("random", "sequential"), default="random", desc="where in the file")
    direct = BoolParam(default=False, desc="past the page cache (O_DIRECT)")
    fsync = ChoiceParam(("never", "each"), default="never", desc="when to wait until what was written is on the disk")
    workers = IntParam(default=1, minimum=1, maximum=256, desc="processes, each with its part of the file")
    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample to the next")
    duration = DurationParam(minimum=0.01, desc="how long, without making the file; until stopped, if not given")
    force = BoolParam(default=False, desc="even if the file system may become full")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = []
        if self.block % _SECTOR or self.block > 1 << 28:
            problems.append(f"block={self.block}: expected a multiple of {_SECTOR}, at most 256 MiB")
        if isinstance(self.size, int) and self.size < self.block * self.workers:
            problems.append(f"size={self.size} is less than one block for each worker")
        if problems:
            raise BadParameters("DiskStress", problems)

    def run(self) -> DiskStressResult:
        from shakeout.modules import sizes
        from shakeout.modules.workers import Workers

        free, kept = sizes.free_space(self.path)
        part = sizes.in_bytes(self.size, free) // self.workers // self.block * self.block
        size = part * self.workers
        if not self.force and (size > free - kept or not size):
            raise ModuleFailed(
                f"a file of {size} bytes is not made in {self.path}: {free} are free, and {kept} of them must stay so; "
                "give a smaller size, or force=True if it may become full"
            )
        begin = time.monotonic()
        descriptor = sizes.nameless_file(self.path, os.O_DIRECT if self.direct else 0)
        try:
            prepare(descriptor, size)
            result = self._res_data = self._result(size, time.monotonic() - begin)
            with (
                Beat(self.interval, self.duration) as beat,
                Workers(
                    self.workers,
                    lambda number, counters: self._work(descriptor, number * part, part, counters),
                    counters=_CLASSES + CLASSES,
                ) as workers,
            ):
                workers.attend(beat)
                print(f"stressing {self.path}", flush=True)  # noqa: T201 - it is the module's output
                self._follow(beat, workers, result)
        finally:
            os.close(descriptor)
        return result

    def _result(self, size: int, prepared: float) -> DiskStressResult:
        from shakeout.modules.sizes import file_system

        return DiskStressResult(
            file_system=file_system(self.path), size=size, reads=0, writes=0, read=0, written=0, iops=None,
            throughput=None, latency=None, prepared_s=round(prepared, 3),
            sampling=Sampling(seconds=0, samples=0, missed=0, late_ms=0, late_max_ms=0, cpu=0),
        )  # fmt: skip

    def _follow(self, beat: Beat, workers: Workers, result: DiskStressResult) -> None:
        series = self.series("disk", reads="1/s", writes="1/s", read="B/s", written="B/s")
        iops, throughput = Extent(), Extent()
        block, last = self.block, (0, 0)
        for moment in beat:
            now = workers.total(_READS), workers.total(_WRITES)
            result["reads"], result["writes"] = now
            result["read"], result["written"] = now[0] * block, now[1] * block
            if beat.whole:
                reads, writes = ((new - old) / max(1e-9, beat.elapsed) for new, old in zip(now, last, strict=True))
                last = now
                iops.add(reads + writes, beat.elapsed)
                throughput.add((reads + writes) * block, beat.elapsed)
                series.add(moment, reads=reads, writes=writes, read=reads * block, written=writes * block)
            result["iops"], result["throughput"] = iops.range(1), throughput.range(0)
            result["latency"] = self._latency(workers)
            result["sampling"] = beat.sampling()

    def _latency(self, workers: Workers) -> Latency | None:
        from shakeout.modules.latencies import latency

        each = [workers.counters(number) for number in range(self.workers)]
        busy = [counters for counters in each if counters[_MOST]]
        if not busy:
            return None
        classes = [workers.total(_CLASSES + number) for number in range(CLASSES)]
        least, most = min(counters[_LEAST] for counters in busy), max(counters[_MOST] for counters in busy)
        return latency(classes, least, workers.total(_SUM), most)

    def _work(self, descriptor: int, begin: int, size: int, counters: memoryview) -> None:
        """In a worker: operations in its part of the file, one after the other."""
        import mmap
        import random

        from shakeout.modules.latencies import class_of

        share = {"read": 100.0, "write": 0.0}.get(self.pattern, self.reads)
        blocks, number = size // self.block, 0
        buffer = memoryview(mmap.mmap(-1, self.block))[: self.block]  # on a page's boundary, as O_DIRECT wants it
        buffer[:] = os.urandom(self.block)
        counters[_LEAST] = (1 << 64) - 1
        while True:
            number = random.randrange(blocks) if self.order == "random" else (number + 1) % blocks
            at = begin + number * self.block
            reading = random.random() * 100 < share
            start = time.monotonic_ns()
            if reading:
                done = os.preadv(descriptor, [buffer], at)
                counters[_READS] += 1
            else:
                done = os.pwritev(descriptor, [buffer], at)
                if self.fsync == "each":
                    os.fdatasync(descriptor)
                counters[_WRITES] += 1
            if done != self.block:
                raise ModuleFailed(f"only {done} of {self.block} bytes were {'read' if reading else 'written'}")
            took = max(1, time.monotonic_ns() - start)
            counters[_LEAST] = min(counters[_LEAST], took)
            counters[_SUM] += took
            counters[_MOST] = max(counters[_MOST], took)
            counters[_CLASSES + class_of(took)] += 1

    def format_result(self, result: Any) -> str:
        """Operations, throughput and latency on one line."""
        try:
            text = f"{result['reads']} reads, {result['writes']} writes on {result['file_system']}, "
            text += f"{shown_range(result['iops'])} a second, {shown_range(result['throughput'], 'B/s')}"
            if result["latency"] is not None:
                text += ", {min:.3f}/{avg:.3f}/{p99:.3f}/{max:.3f} ms (least, mean, 99 %, greatest)".format(
                    **result["latency"]
                )
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)
        return text


def prepare(descriptor: int, size: int) -> None:
    """Fill a new file with *size* random bytes: what was never written would be read without the disk.

    Raises:
        ModuleFailed: the disk is full or broken.
    """
    import mmap

    with mmap.mmap(-1, _PREPARED) as buffer:
        buffer[:] = os.urandom(_PREPARED)
        with memoryview(buffer) as view:
            at = 0
            while at < size:
                with view[: min(_PREPARED, size - at)] as piece:
                    try:
                        at += os.pwritev(descriptor, [piece], at)
                    except OSError as error:
                        raise ModuleFailed(f"the file could not be made beyond {at} bytes: {error.strerror}") from None
