"""Much output: bounded in memory, whole in the artifact, and nobody else waits for it."""

from __future__ import annotations

import resource
import statistics
import threading
import time
from pathlib import Path

import pytest
from tests.lab.hosts import cases

from shakeout.hosts.host import PIPE, Host
from shakeout.journal.events import JobFinished
from shakeout.testing import Connected, Laboratory, Recording

GIGABYTE = 1 << 30


def resident() -> int:
    """Bytes that this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def timed(host: Host) -> float:
    began = time.monotonic()
    assert host.run("true").passed
    return time.monotonic() - began


@pytest.mark.parametrize("connected", ["netns"], indirect=True)
def test_a_gigabyte_is_whole_in_the_artifact_and_delays_nobody(host: Host, recording: Recording) -> None:
    quiet = statistics.median(timed(host) for _ in range(20))
    before = resident()
    job = host.run(f"head -c {GIGABYTE} /dev/zero | tr '\\0' x", bg=True)
    loud = [timed(host)]
    while not job.finished:
        loud.append(timed(host))
    assert job.passed
    assert resident() - before < 100 << 20
    assert job.captured(1).size == GIGABYTE
    artifact = recording.artifact_path(job.captured(1).artifact)
    assert artifact.stat().st_size == GIGABYTE
    assert len(job.stdout_bytes) < 2 << 20
    assert f"bytes are left out here; the whole output is in {job.captured(1).artifact}" in (job.stdout or "")
    # Two cores and a copy of each byte in between: generous, but far from the seconds that the gigabyte takes.
    assert statistics.median(loud) < max(60 * quiet, 0.25)
    artifact.unlink()


@pytest.mark.parametrize("connected", ["netns"], indirect=True)
def test_a_module_that_prints_a_gigabyte(host: Host, recording: Recording) -> None:
    job = host.run(cases.PrintsMuch(megabytes=1024))
    assert job.passed
    assert job.result == "done"
    assert job.captured(1).size == GIGABYTE
    recording.artifact_path(job.captured(1).artifact).unlink()


@pytest.mark.parametrize("connected", ["netns", "tls", "ssh"], indirect=True)
def test_output_is_kept_in_order_and_whole(host: Host, recording: Recording) -> None:
    job = host.run("seq 1000000; seq 300000 >&2")
    out = recording.artifact_path(job.captured(1).artifact).read_bytes()
    err = recording.artifact_path(job.captured(2).artifact).read_bytes()
    assert out == b"".join(b"%d\n" % number for number in range(1, 1_000_001))
    assert err == b"".join(b"%d\n" % number for number in range(1, 300_001))
    assert job.stdout_bytes.startswith(b"1\n2\n")
    assert job.stdout_bytes.endswith(b"999999\n1000000\n")
    finished = recording.of(JobFinished)[-1]
    assert (finished.stdout_bytes, finished.stderr_bytes) == (len(out), len(err))
    assert len(finished.stdout_head) + len(finished.stdout_tail) <= 4096
    assert finished.truncated_at == 0


def test_up_to_a_mebibyte_is_whole_in_memory(host: Host) -> None:
    job = host.run("head -c 1000000 /dev/zero | tr '\\0' y")
    assert job.stdout == "y" * 1_000_000


def test_short_output_needs_no_artifact(host: Host) -> None:
    assert host.run("seq 100").captured(1).artifact == ""


def test_an_artifact_ends_at_its_limit_and_says_so(
    laboratory: Laboratory,
    connect_to_agent,
    recording: Recording,
    tmp_path: Path,  # type: ignore[no-untyped-def]
) -> None:
    (tmp_path / "run").mkdir()
    host = connect_to_agent(artifact_limit=100_000).host
    job = host.run("head -c 3000000 /dev/zero | tr '\\0' z")
    assert job.passed
    assert job.captured(1).size == 3_000_000
    assert job.captured(1).truncated_at == 100_000
    assert recording.artifact_path(job.captured(1).artifact).stat().st_size == 100_000
    assert recording.of(JobFinished)[-1].truncated_at == 100_000
    assert "truncated at 100000 bytes" in (job.stdout or "")


def test_artifacts_that_cannot_be_written_lose_no_job(laboratory: Laboratory, agent) -> None:  # type: ignore[no-untyped-def]
    broken = Recording(Path("/proc/no/such/folder"))
    with Connected("m1", agent.connect(), laboratory.loop.reactor, broken) as host:
        job = host.run("seq 100000")
        assert job.passed
        assert job.captured(1).trouble
        assert (job.stdout or "").startswith("1\n2\n")


def test_jobs_that_have_ended_hold_no_files_open(host: Host) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    jobs = [host.run("seq 5000") for _ in range(20)]
    assert all(job.captured(1).artifact for job in jobs)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_input_that_a_job_does_not_take_waits_here(host: Host) -> None:
    """Its agent has only so much of it; what is left comes when the job reads on."""

    def of_the_agent() -> int:
        return int((host.run("grep VmRSS /proc/$PPID/status").stdout or "").split()[1]) << 10

    data = b"x" * (64 << 20)
    host.run("mkfifo /tmp/go")
    before = of_the_agent()
    job = host.run("cat /tmp/go; wc -c", stdin=data, bg=True)
    assert of_the_agent() < before + (8 << 20)
    host.run("echo going >/tmp/go; rm /tmp/go")
    assert job.wait(60)
    assert job.stdout == f"going\n{len(data)}\n"


def test_writing_to_a_job_that_does_not_read_ends_with_it(host: Host) -> None:
    job = host.run("sleep 1000", stdin=PIPE, bg=True)
    writer = threading.Thread(target=job.write, args=(b"x" * (4 << 20),))
    writer.start()
    assert host.run("true").passed
    assert writer.is_alive()
    job.kill()
    writer.join(20)
    assert not writer.is_alive()
