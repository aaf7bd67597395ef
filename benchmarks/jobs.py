"""Jobs on namespace hosts against processes started here."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
from collections.abc import Iterable
from time import perf_counter

from benchmarks.empty_module import Empty
from benchmarks.modules_at_hand import Forks
from benchmarks.row import Figures, Row, interleave
from benchmarks.stage import on_hosts
from shakeout import wait_all
from shakeout.hosts.matched import Matched

#: Background jobs started before the first is waited for.
AT_ONCE = 100


def passed(job: object) -> None:
    """A figure of a job that failed would be no figure."""
    if not getattr(job, "passed", False):
        raise RuntimeError(f"{job!r}: {getattr(job, 'reason', '')}")


def foreground(matched: Matched) -> Figures:
    """`host.run("true")` against a local `subprocess.run` of the same shell."""
    host = matched.m1
    return interleave(
        lambda: passed(host.run("true")),
        lambda: subprocess.run(["bash", "-c", "true"], capture_output=True, check=True),
        500,
    )


def module(matched: Matched) -> Figures:
    """An empty test module against fork and exit in a process of the zygote's size, in blocks of 50."""
    host, empty = matched.m1, Empty()
    series: list[float] = []
    reference: list[float] = []
    host.run(empty)
    for _ in range(10):
        for _ in range(50):
            begin = perf_counter()
            passed(host.run(empty))
            series.append(perf_counter() - begin)
        forks = host.run(Forks(count=50))
        passed(forks)
        reference += forks.result
    return Figures(statistics.median(series) * 1000, statistics.median(reference) * 1000, "median of 500")


def background(matched: Matched) -> Figures:
    """Jobs a second through one host against asyncio's own spawns, both with their output collected."""
    host = matched.m1

    def ours() -> None:
        jobs = [host.run(["true"], bg=True) for _ in range(AT_ONCE)]
        wait_all(jobs)
        for job in jobs:
            passed(job)

    async def local() -> None:
        async def one() -> None:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                "true", stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
            await process.communicate()

        await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    times = interleave(ours, lambda: asyncio.run(local()), 11, scale=1)
    assert times.reference is not None
    return Figures(AT_ONCE / times.ours, AT_ONCE / times.reference, f"{AT_ONCE} at once, {times.note}")


def on_fifty(what: str | list[str]) -> Figures:
    """One command on 50 hosts at once against as many local processes at once, their output collected."""
    argv = ["bash", "-c", what] if isinstance(what, str) else what

    def measure(matched: Matched) -> Figures:
        def ours() -> None:
            for job in matched.run(what).values():
                passed(job)

        def local() -> None:
            null, pipe = subprocess.DEVNULL, subprocess.PIPE
            started = [subprocess.Popen(argv, stdin=null, stdout=pipe, stderr=pipe) for _ in range(50)]
            for process in started:
                process.communicate()

        return interleave(ours, local, 21)

    return on_hosts(measure, 50)


def rows() -> Iterable[Row]:
    """Jobs of the control plane."""
    yield Row('host.run("true") / subprocess.run(bash -c true)', lambda: on_hosts(foreground), target_ratio=1.3)
    yield Row("empty test module / fork and exit in the zygote", lambda: on_hosts(module), target_ratio=2)
    yield Row(
        "background jobs on one host / asyncio's spawns",
        lambda: on_hosts(background),
        unit="/s",
        target_ratio=0.7,
        better="higher",
    )
    yield Row('"true" on 50 hosts at once / 50 Popen(bash -c true)', lambda: on_fifty("true"), target_ratio=1.3)
    yield Row('["true"] on 50 hosts at once / 50 Popen(true)', lambda: on_fifty(["true"]), target_ratio=1.3)
