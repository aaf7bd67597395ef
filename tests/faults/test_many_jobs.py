"""Thousands of jobs in one session: descriptors, memory and threads stay what they were.

SHAKEOUT_JOBS says how many (the target is 100,000).
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.nothing import Nothing
from tests.faults.processes import descendants, is_first, named

from shakeout.hosts.host import Host
from shakeout.hosts.job import Job
from shakeout.hosts.waiting import wait_all
from shakeout.testing.laboratory import Laboratory
from shakeout.testing.recording import Recording

pytestmark = pytest.mark.needs("namespaces")

JOBS = int(os.environ.get("SHAKEOUT_JOBS", "5000"))


class Counting(Recording):
    """Forgets what it is told, as a journal on disk does, and counts it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.count = 0

    def write(self, event):  # type: ignore[no-untyped-def]
        self.count += 1
        return event


class Footprint:
    """What the controller and the processes of a host have open and in memory."""

    def __init__(self, agents: list[int]) -> None:
        gc.collect()
        pids = [os.getpid(), *agents]
        self.descriptors = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids]
        self.memory = [_private_kib(pid) for pid in pids]
        self.threads = threading.active_count()


def _private_kib(pid: int) -> int:
    """Private memory of a process, in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


@pytest.fixture(scope="module")
def laboratory() -> Iterator[Laboratory]:
    with Laboratory() as made:
        yield made


def _agents() -> list[int]:
    """Process 1 of the host, and its zygote."""
    (init,) = (pid for pid in named(os.getpid(), "shakeout-agent") if is_first(pid))
    return [init, *[pid for pid in descendants(init) if pid in named(init, "shakeout-zygote")]]


def _in_background(host: Host, count: int) -> None:
    jobs: list[Job] = []
    for number in range(count):
        jobs.append(host.run(["true"], bg=True))
        if number % 50 == 49:
            assert wait_all(jobs, 60)
            jobs.clear()


@pytest.mark.timeout(600)
def test_nothing_grows(laboratory: Laboratory, tmp_path: Path) -> None:
    recording = Counting(tmp_path)
    with laboratory.hosts("m1", recorder=recording) as matched:
        host = matched.m1

        def work(count: int) -> None:
            """A mix: commands alone and in the background, with more output than a journal line holds, modules."""
            for _ in range(count // 10):
                assert host.run(["true"]).passed
                assert host.run("head -c 10000 /dev/zero | tr '\\0' x").passed
                assert host.run(Nothing()).passed
            _in_background(host, count * 7 // 10)

        work(JOBS // 10)
        before = Footprint(_agents())
        work(JOBS)
        after = Footprint(_agents())
        assert after.descriptors == before.descriptors
        assert after.threads == before.threads
        for was, now in zip(before.memory, after.memory, strict=True):
            assert now - was < 2048, f"KiB of each: {before.memory} {after.memory}"
        assert len(host.jobs) <= 1
        assert recording.count >= 2 * JOBS


def test_what_the_recipe_holds_stays(laboratory: Laboratory) -> None:
    with laboratory.hosts("m1") as matched:
        host = matched.m1
        kept = [host.run(f"echo {number}") for number in range(20)]
        for _ in range(20):
            host.run("true")
        assert [job.stdout for job in kept] == [f"{number}\n" for number in range(20)]
        assert set(kept) <= set(host.jobs)


def test_a_job_that_left_something_behind_is_heard_though_nobody_holds_it(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """Its output goes on into its artifact; and it never has to wait for somebody to read."""
    with laboratory.hosts("m1", recorder=Recording(tmp_path)) as matched:
        host = matched.m1
        host.run("(head -c 3000000 /dev/zero; echo done > /tmp/written; sleep 1000) & true")
        gc.collect()
        host.wait_for("test -e /tmp/written", timeout=60)
        host.run("setsid -f sh -c 'head -c 3000000 /dev/zero; echo done > /tmp/written2; exec sleep 1000'")
        gc.collect()
        host.wait_for("test -e /tmp/written2", timeout=60)
