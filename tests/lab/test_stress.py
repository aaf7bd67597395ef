"""The stress modules: what they reach, what they refuse, and that nothing of them is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.module_process import ModuleProcess, reason, run

from shakeout.modules import CpuStress, DiskFill, DiskStress, MemoryStress

CPU = min(os.sched_getaffinity(0))
DISK = {"size": "4MiB", "block": "4KiB", "interval": 0.05}


def children(running: ModuleProcess) -> list[int]:
    pid = running.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ended(pidfds: list[int]) -> None:
    """Wait until all processes have ended."""
    for descriptor in pidfds:
        select.select([descriptor], [], [])
        os.close(descriptor)


@pytest.mark.parametrize("load", [20, 100])
def test_the_load_is_reached_as_far_as_others_let_it(load: float) -> None:
    outcome = run(CpuStress(workers=1, load=load, affinity=[CPU], duration=0.6, interval=0.1))
    assert outcome.passed
    result = outcome.result
    assert load / 20 < result["load"] < load * 1.15
    assert result["cpu_seconds"] == pytest.approx(result["load"] / 100 * result["sampling"]["seconds"], rel=0.2)
    assert result["load_range"]["max"] <= 110


def test_workers_share_a_cpu() -> None:
    outcome = run(CpuStress(workers=3, affinity=[CPU], duration=0.4, interval=0.1))
    assert outcome.result["workers"] == 3
    assert outcome.result["load"] < 40


@pytest.mark.parametrize(
    "module",
    [CpuStress(workers=2), MemoryStress(size="8MiB", touch="random"), DiskStress(path="/var/tmp", **DISK)],
    ids=lambda module: type(module).__name__,
)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_however_the_module_does(module: Any, how: signal.Signals) -> None:
    with ModuleProcess(module) as running:
        assert running.line().startswith("stressing ")
        workers = children(running)
        assert workers
        pidfds = [os.pidfd_open(pid) for pid in workers]
        if how == signal.SIGINT:
            os.kill(workers[0], signal.SIGINT)  # as a whole job gets it
            assert running.outcome(how).passed
        else:
            running.process.send_signal(how)
        ended(pidfds)


def test_a_worker_that_is_killed_is_a_failure() -> None:
    with ModuleProcess(MemoryStress(size="1MiB")) as running:
        running.line()
        os.kill(children(running)[0], signal.SIGKILL)
        outcome = running.outcome()
    assert "a worker was ended by signal 9" in reason(outcome)
    assert outcome.result["size"] == 1 << 20


def test_a_cpu_that_is_not_there_is_named() -> None:
    assert "CPU 4095 cannot be used on this host" in reason(run(CpuStress(affinity=[4095])))


def test_memory_is_held_and_given_back() -> None:
    with ModuleProcess(MemoryStress(size="32MiB", touch="rewrite", interval=0.02)) as running:
        assert running.line() == f"stressing {32 << 20} bytes"
        assert running.line() == "full"
        [worker] = children(running)
        assert int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * 4096 >= 32 << 20
        assert Path(f"/proc/{worker}/oom_score_adj").read_text() == "1000\n"
        outcome = running.outcome(signal.SIGINT)
    assert outcome.passed
    result = outcome.result
    assert result["held"] == result["size"] == 32 << 20
    assert result["touched"] >= 32 << 20
    assert 0 < result["available_min"] <= result["available_before"]
    assert result["full_after"] < result["sampling"]["seconds"]


def test_a_ramp_takes_its_time() -> None:
    outcome = run(MemoryStress(size="16MiB", ramp=0.4, interval=0.05, duration=0.6))
    assert outcome.passed
    assert outcome.result["full_after"] > 0.3
    assert "only " in reason(run(MemoryStress(size="64MiB", ramp=60, duration=0.1)))


def test_memory_that_is_not_there_is_refused() -> None:
    assert "give a smaller size, or force=True" in reason(run(MemoryStress(size=1 << 50)))
    assert "give a smaller size, or force=True" in reason(run(MemoryStress(size="100%")))


@pytest.mark.parametrize(
    ("pattern", "busy"), [("read", ["reads"]), ("write", ["writes"]), ("mixed", ["reads", "writes"])]
)
def test_a_disk_is_read_and_written(pattern: str, busy: list[str]) -> None:
    outcome = run(DiskStress(path="/var/tmp", pattern=pattern, workers=2, duration=0.2, **DISK))
    assert outcome.passed
    result = outcome.result
    assert [kind for kind in ("reads", "writes") if result[kind]] == busy
    assert result["read"] == result["reads"] * 4096
    assert result["written"] == result["writes"] * 4096
    latency = result["latency"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"] <= latency["max"]
    assert result["iops"]["max"] >= result["iops"]["avg"] > 0
    assert result["size"] == 4 << 20


def test_each_write_can_be_waited_for() -> None:
    cached = run(DiskStress(path="/var/tmp", pattern="write", order="sequential", duration=0.2, **DISK))
    synced = run(DiskStress(path="/var/tmp", pattern="write", fsync="each", duration=0.2, **DISK))
    assert synced.passed
    assert synced.result["latency"]["p50"] > cached.result["latency"]["p50"]


def test_nobody_sees_the_file(tmp_path: Path) -> None:
    with ModuleProcess(DiskStress(path=str(tmp_path), **DISK)) as running:
        running.line()
        assert list(tmp_path.iterdir()) == []
        assert running.outcome(signal.SIGINT).passed


def test_a_place_that_is_none_is_named(tmp_path: Path) -> None:
    nowhere = f"{tmp_path}/nowhere"
    assert f"{nowhere} is no place for a file" in reason(run(DiskStress(path=nowhere)))
    assert f"{nowhere} is no place for a file" in reason(run(DiskFill(path=nowhere, leave=1)))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(tmp_path)], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


@pytest.mark.needs("root", "mount")
def test_a_disk_is_not_filled_by_accident(small: Path) -> None:
    assert "of them must stay so" in reason(run(DiskStress(path=str(small), size="20MiB")))
    assert "must stay so; give force=True" in reason(run(DiskFill(path=str(small), leave="1MiB")))
    full = reason(run(DiskStress(path=str(small), size="40MiB", force=True)))
    assert full == f"the file could not be made beyond {32 << 20} bytes: No space left on device"
    assert free(small) == 32 << 20


@pytest.mark.needs("root", "mount")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_full_disk_has_room_again_afterwards(small: Path, how: signal.Signals) -> None:
    with ModuleProcess(DiskFill(path=str(small), leave="1MiB", force=True)) as running:
        assert running.line() == "full"
        assert free(small) == 1 << 20
        if how == signal.SIGINT:
            outcome = running.outcome(how)
            assert outcome.passed
            assert (outcome.result["taken"], outcome.result["free"]) == (31 << 20, 1 << 20)
            assert outcome.result["file_system"] == "tmpfs"
        else:
            running.process.kill()
            running.process.wait()
    assert free(small) == 32 << 20
