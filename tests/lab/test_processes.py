"""ProcessMonitor and ProcessWatch beside real processes, and the monitors of the machine beside load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.lab.module_process import ModuleProcess, reason, run

from shakeout.errors import BadParameters
from shakeout.modules import CpuMonitor, DiskMonitor, MemoryMonitor, ProcessMonitor, ProcessWatch

IDLE = "print('ready', flush=True); input()"
SPIN = "print('ready', flush=True)\nwhile True: pass"
LEAK = """
import os, sys, time
held = []
print('ready', flush=True)
while True:
    held.append(os.open('/dev/null', os.O_RDONLY))
    time.sleep(0.005)
"""

Start = Any


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program, which prints a line when it is ready; ended at the end."""
    with ExitStack() as stack:

        def started(program: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
            argv = [sys.executable, "-c", program, *arguments]
            process = stack.enter_context(
                subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            return process

        yield started


def test_what_a_busy_process_uses_is_seen(start: Start) -> None:
    busy, idle = start(SPIN), start(IDLE)
    outcome = run(ProcessMonitor(pids=[busy.pid, idle.pid], interval=0.05, duration=0.5))
    assert outcome.passed
    result = outcome.result
    by_pid = {each["pid"]: each for each in result["each"]}
    assert by_pid[busy.pid]["cpu_seconds"] > 10 * by_pid[idle.pid]["cpu_seconds"]
    assert result["cpu"]["max"] <= 100 * len(os.sched_getaffinity(0)) * 1.5
    assert result["processes"] == {"min": 2, "avg": 2, "max": 2}
    assert by_pid[idle.pid]["rss_max"] > 1 << 20
    assert result["growth"]["descriptors"] == 0


def test_a_leak_of_descriptors_is_a_failure(start: Start) -> None:
    leaking = start(LEAK)
    outcome = run(ProcessMonitor(pids=[leaking.pid], interval=0.05, duration=1, max_descriptor_growth=5))
    assert reason(outcome).startswith("descriptors grew by ")
    assert outcome.result["growth"]["descriptors"] > 5


def test_a_whole_tree_belongs_to_a_job(start: Start) -> None:
    tree = "import subprocess, sys; children = [subprocess.Popen(['sleep', '60']) for _ in range(3)]\n"
    tree += "print('ready', flush=True); input(); [child.kill() for child in children]"
    root = start(tree, start_new_session=True)
    with ModuleProcess(ProcessMonitor(job=root.pid, interval=0.02, pss=True)) as monitor:
        assert monitor.line() == "watching 4 processes"
        root.communicate("\n")
        outcome = monitor.outcome()  # it ends by itself: nothing is left to watch
    assert outcome.passed
    assert outcome.result["each_total"] == 4
    assert all(each["ended"] for each in outcome.result["each"])
    assert outcome.result["pss"]["min"] <= outcome.result["rss"]["max"]


def test_nothing_to_watch_says_so() -> None:
    assert "no process on this host is described by the name nonesuch" in reason(run(ProcessMonitor(name="nonesuch")))
    assert "0 processes on this host are described by" in reason(run(ProcessWatch(name="nonesuch")))


def test_the_death_of_a_process_is_told_with_its_signal(start: Start) -> None:
    victim = start(IDLE)
    with ModuleProcess(ProcessWatch(pids=[victim.pid])) as watch:
        assert watch.line() == "watching 1 processes"
        before = time.time_ns()
        victim.kill()
        outcome = watch.outcome()
    after = time.time_ns()
    assert f"process {victim.pid} (python" in reason(outcome)
    assert "ended by signal 9 (SIGKILL)" in reason(outcome)
    event = outcome.result["events"][-1]
    assert (event["what"], event["signal"], event["status"]) == ("ended", 9, None)
    assert before <= event["time_ns"] <= after
    assert (outcome.result["found"], outcome.result["ended"], outcome.result["alive"]) == (1, 1, 0)


def test_the_exit_status_is_told(start: Start) -> None:
    victim = start("import sys; print('ready', flush=True); input(); sys.exit(7)")
    with ModuleProcess(ProcessWatch(pids=[victim.pid], expect="end", duration=30)) as watch:
        watch.line()
        victim.communicate("\n")  # it is waited for at once: there may be nothing of it in /proc any more
        outcome = watch.outcome()
    assert outcome.passed
    assert outcome.result["events"][-1]["status"] in (7, None)
    assert outcome.result["alive"] == 0


def test_who_does_not_end_is_named(start: Start) -> None:
    idle = start(IDLE)
    text = reason(run(ProcessWatch(pids=[idle.pid], expect="end", duration=0.05)))
    assert text.startswith("1 of 1 processes did not end within 0.")
    assert f"(pid {idle.pid})" in text


def test_a_restart_is_seen(start: Start) -> None:
    mark = f"shakeout-test-{os.getpid()}"
    first = start(IDLE, mark)
    with ModuleProcess(ProcessWatch(cmdline=f"^.*{mark}$", max_ends=1, interval=0.02)) as watch:
        assert watch.line() == "watching 1 processes"
        first.communicate("\n")
        second = start(IDLE, mark)
        seen = Path(f"/proc/{watch.process.pid}/fdinfo")
        while not any(f"Pid:\t{second.pid}\n" in _text(each) for each in seen.iterdir()):
            assert watch.process.poll() is None
        outcome = watch.outcome(signal.SIGINT)
    assert outcome.passed
    told = [(each["what"], each["pid"]) for each in outcome.result["events"]]
    assert told == [("found", first.pid), ("ended", first.pid), ("started", second.pid)]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_one_that_must_appear_does_or_does_not(start: Start) -> None:
    mark = f"shakeout-test-{os.getpid()}"
    wanted = {"cmdline": f"{mark}-x$", "expect": "appear", "interval": 0.02}
    assert "only 0 of 1 processes" in reason(run(ProcessWatch(**wanted, duration=0.05)))
    with ModuleProcess(ProcessWatch(**wanted, duration=30)) as watch:
        assert watch.line() == "watching 0 processes"
        start(IDLE, f"{mark}-x")
        assert watch.outcome().passed


def test_more_than_allowed_is_a_failure(start: Start) -> None:
    pids = [start(IDLE).pid, start(IDLE).pid]
    assert "at most 1 may be" in reason(run(ProcessWatch(pids=pids, maximum=1)))
    with pytest.raises(BadParameters, match="is more than maximum=1"):
        ProcessWatch(pids=[1], minimum=2, maximum=1)


def test_a_busy_cpu_is_seen(start: Start) -> None:
    cpu = min(os.sched_getaffinity(0))
    start(f"import os; os.sched_setaffinity(0, [{cpu}])\n{SPIN}")
    outcome = run(CpuMonitor(interval=0.1, duration=0.6, each_cpu=True))
    assert outcome.passed
    use = outcome.result["each"][f"cpu{cpu}"]
    assert use["busy"]["avg"] > 60
    assert use["busy"]["avg"] + use["idle"]["avg"] + use["iowait"]["avg"] == pytest.approx(100, abs=0.1)
    assert outcome.result["sampling"]["cpu"] < 25
    assert "is no" not in reason(run(CpuMonitor(interval=0.1, duration=0.3, max_busy=0)))


def test_memory_that_is_taken_is_missing(start: Start) -> None:
    with ModuleProcess(MemoryMonitor(interval=0.02)) as monitor:
        monitor.line()
        start("held = bytearray(b'x') * (600 << 20); print('ready', flush=True); input()")
        outcome = monitor.outcome(signal.SIGINT)
    assert outcome.passed
    used = outcome.result["used"]
    assert used["max"] - used["min"] > 100 << 20
    least = MemoryMonitor(interval=0.01, duration=0.02, min_available=1 << 60)
    assert "bytes of memory were available" in reason(run(least))


def test_a_disk_that_is_not_there_is_refused() -> None:
    assert "this host has no disk 'nonesuch'" in reason(run(DiskMonitor(disks=["nonesuch"], duration=0.1)))


def test_an_interrupt_ends_each_of_them_in_order() -> None:
    for module in (CpuMonitor(), MemoryMonitor(), DiskMonitor(), ProcessMonitor(pids=[os.getpid()])):
        with ModuleProcess(module) as monitor:
            assert monitor.line().startswith("watching ")
            outcome = monitor.outcome(signal.SIGINT)
        assert outcome.passed, module
        assert outcome.result["sampling"]["samples"] == 1
