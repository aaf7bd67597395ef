"""Waiting for jobs: one, any, all; through descriptors; for what they print; for conditions."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import select
import time

import pytest

from shakeout import wait_all, wait_any
from shakeout.errors import ConditionTimeout, JobError, UsageError
from shakeout.hosts.host import PIPE, Host
from shakeout.testing import Laboratory, Recording


def test_wait_all(host: Host) -> None:
    jobs = [host.run(f"sleep 0.{number}", bg=True) for number in (2, 1, 0)]
    assert wait_all(jobs, timeout=10)
    assert all(job.passed for job in jobs)
    slow = host.run("sleep 1000", bg=True)
    assert wait_all([*jobs, slow], timeout=0.05) is False
    slow.kill()
    assert wait_all([])


def test_wait_any(host: Host) -> None:
    slow, quick = host.run("sleep 1000", bg=True), host.run("read", bg=True, stdin=PIPE)
    assert wait_any([slow], timeout=0.05) == []
    quick.write("\n")
    assert wait_any([slow, quick], timeout=10) == [quick]
    assert wait_any([slow, quick]) == [quick]
    slow.kill()
    assert wait_any([slow, quick]) == [slow, quick]
    with pytest.raises(UsageError):
        wait_any([])


def test_a_job_can_be_selected(host: Host) -> None:
    slow, quick = host.run("sleep 1000", bg=True), host.run("sleep 0.1", bg=True)
    ready, _, _ = select.select([slow, quick], [], [], 10)
    assert ready == [quick]
    assert select.select([slow], [], [], 0) == ([], [], [])
    poll = select.poll()
    poll.register(slow, select.POLLIN)
    slow.kill()
    assert poll.poll(5000)[0][0] == slow.fileno()
    finished = host.run("true")
    assert select.select([finished], [], [], 5)[0] == [finished]


def test_a_job_can_be_awaited_in_asyncio(host: Host) -> None:
    async def wait() -> bool:
        loop = asyncio.get_running_loop()
        job = host.run("sleep 0.1", bg=True)
        ended = loop.create_future()
        loop.add_reader(job, ended.set_result, True)
        try:
            await asyncio.wait_for(ended, 10)
            return job.finished
        finally:
            loop.remove_reader(job)

    assert asyncio.run(wait())


def test_the_descriptor_goes_with_the_job(host: Host) -> None:
    job = host.run("true")
    number = job.fileno()
    del job
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_wait_output(host: Host) -> None:
    job = host.run("echo one; echo 'listening on 4711' >&2; sleep 1000", bg=True)
    match = job.wait_output(r"listening on (\d+)", timeout=10)
    assert match[1] == "4711"
    assert job.wait_output(re.compile("^one$", re.MULTILINE)).start() == 0
    with pytest.raises(ConditionTimeout, match=r"within 0.05 s; last it printed 'one' and .* 'listening on 4711'$"):
        job.wait_output("never", timeout=0.05)
    job.kill()
    with pytest.raises(JobError, match="ended without printing 'never'"):
        job.wait_output("never")


def test_wait_output_of_a_job_that_prints_nothing(host: Host) -> None:
    job = host.run("sleep 1000", bg=True)
    with pytest.raises(ConditionTimeout, match=r"did not print 'never' within 0.01 s; it printed nothing"):
        job.wait_output("never", timeout=0.01)
    job.kill()


def test_wait_output_of_a_job_that_ends_without_it(host: Host) -> None:
    job = host.run("sleep 0.1; exit 3", bg=True)
    with pytest.raises(JobError, match=f"job {job.id} on m1 ended without printing 'ready' .exit status 3"):
        job.wait_output("ready", timeout=10)


def test_wait_output_over_the_end_of_a_piece(host: Host) -> None:
    job = host.run("printf rea; sleep 0.1; printf 'dy'; sleep 1000", bg=True)
    assert job.wait_output("ready", timeout=10)
    job.kill()


def test_wait_output_in_a_flood_does_not_slow_the_session_down(host: Host) -> None:
    job = host.run("head -c 100000000 /dev/zero | tr '\\0' 'x'; echo; echo ready; sleep 1000", bg=True)
    assert job.wait_output("ready", timeout=40)
    job.kill()


def test_hosts_run_on_all_at_once(laboratory: Laboratory, recording: Recording, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with laboratory.hosts("m1", "m2", "m3", recorder=recording) as matched:
        began = time.monotonic()
        jobs = matched.run("sleep 0.5; hostname")
        assert time.monotonic() - began < 1.4
        assert {name: job.stdout for name, job in jobs.items()} == {"m1": "m1\n", "m2": "m2\n", "m3": "m3\n"}
        late = matched.run("[ $(hostname) = m2 ] && sleep 1000; true", timeout=0.4)
        assert [job.passed for job in late.values()] == [True, False, True]
        assert late["m2"].reason == "timed out after 0.4 s, killed"
        running = matched.run("sleep 1000", bg=True)
        assert not any(job.finished for job in running.values())


@pytest.mark.parametrize("kind", ["shell", "forked"])
def test_a_thousand_jobs_at_once(host: Host, kind: str) -> None:
    jobs = [
        host.run(f"echo {number}; exec sleep 0.01", bg=True, path="/" if kind == "forked" else "")
        for number in range(1000)
    ]
    assert wait_all(jobs, timeout=50)
    assert [job.stdout for job in jobs] == [f"{number}\n" for number in range(1000)]
    assert [job.id for job in jobs] == list(range(1, 1001))
    assert all(job.passed for job in jobs)


def test_wait_for_a_command(host: Host) -> None:
    host.run("sleep 0.3; touch there", bg=True)
    job = host.wait_for("test -e there", timeout=10)
    assert job.passed
    assert host.wait_for(["test", "-e", "there"]).passed
    host.run("rm there")


def test_wait_for_tries_on_the_host_itself(host: Host) -> None:
    host.run("rm -f tries")
    before = host.run("true").id
    assert host.wait_for("echo . >> tries; test $(wc -l < tries) -ge 6", timeout=30).id == before + 1
    assert host.run("rm tries").id == before + 2  # however often it was tried


def test_wait_for_a_function(host: Host) -> None:
    host.run("sleep 0.2; touch there", bg=True)
    assert host.wait_for(lambda: host.run("test -e there", fail=False).passed, timeout=10) is True
    assert host.wait_for(lambda: 7) == 7
    host.run("rm there")


@pytest.mark.parametrize("condition", ["false", ["false"], lambda: False, "exec sleep 1000"])
def test_wait_for_what_does_not_come(host: Host, condition: object) -> None:
    with pytest.raises(ConditionTimeout, match=r"m1: .* within 0.2 s"):
        host.wait_for(condition, timeout=0.2)  # type: ignore[arg-type]


@pytest.mark.parametrize("condition", [None, "", [], 7])
def test_what_is_no_condition(host: Host, condition: object) -> None:
    with pytest.raises(UsageError):
        host.wait_for(condition, timeout=1)  # type: ignore[arg-type]
