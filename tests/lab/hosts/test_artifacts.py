"""Files of hosts that become artifacts of the run."""

from __future__ import annotations

import gc

import pytest
from tests.lab.hosts.artifact_cases import Leaves
from tests.lab.hosts.conftest import ALL

from shakeout.errors import TransferError, UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import FileTransfer, Log
from shakeout.testing import Laboratory, Recording

every = pytest.mark.parametrize("connected", ALL, indirect=True)


@every
def test_files_are_fetched_when_the_job_was_waited_for(host: Host, recording: Recording) -> None:
    job = host.run(Leaves(paths=["/tmp/one.txt", "/tmp/two.txt"]))
    assert [path.name for path in job.artifacts] == ["m1-job1-Leaves-one.txt", "m1-job1-Leaves-two.txt"]
    assert job.artifacts[1].read_text() == "what was in /tmp/two.txt\n"
    assert job.artifacts == job.artifacts
    first, second = recording.of(FileTransfer)
    assert (first.artifact, first.job, first.bytes) == ("artifacts/m1-job1-Leaves-one.txt", 1, 25)
    assert recording.artifact_path(second.artifact) == job.artifacts[1]
    assert host.run(["cat", "/tmp/one.txt", "/tmp/two.txt"]).passed


@every
def test_moved_files_are_no_longer_there(host: Host) -> None:
    job = host.run(Leaves(paths=["/tmp/one.txt"], move=True, passes=False))
    assert not job.passed
    assert job.artifacts[0].read_text() == "what was in /tmp/one.txt\n"
    assert host.run(["test", "-e", "/tmp/one.txt"], fail=True).passed


def test_their_names_have_nothing_by_chance_and_are_unique(host: Host) -> None:
    job = host.run(Leaves(paths=["/tmp/shakeout-eth0-_05ocw1l.pcap", "/tmp/shakeout-eth0-k3jx2abc.pcap", "/tmp/a-b"]))
    assert [path.name for path in job.artifacts] == [
        "m1-job1-Leaves-eth0.pcap",
        "m1-job1-Leaves-eth0-2.pcap",
        "m1-job1-Leaves-a-b",
    ]


def test_in_the_background_they_are_fetched_when_asked_for(host: Host) -> None:
    job = host.run(Leaves(paths=["/tmp/one.txt"]), bg=True)
    assert job._done.wait(10)
    assert [path.name for path in job.artifacts] == ["m1-job1-Leaves-one.txt"]


def test_at_the_end_a_job_may_finish_its_files(host: Host, recording: Recording) -> None:
    job = host.run(Leaves(paths=["/tmp/one.txt"], endless=True), bg=True)
    job.wait_output("ready")
    assert job.artifacts == []
    job.dismiss()
    assert job.passed
    assert [event.artifact for event in recording.of(FileTransfer)] == ["artifacts/m1-job1-Leaves-one.txt"]
    assert job.artifacts[0].read_text() == "whole\n"


def test_what_cannot_be_fetched_is_recorded(host: Host, recording: Recording) -> None:
    job = host.run(Leaves(paths=["/nonesuch/one", "/tmp/two.txt"]))
    assert job.passed
    assert [path.name for path in job.artifacts] == ["m1-job1-Leaves-two.txt"]
    refused, fetched = recording.of(FileTransfer)
    assert (refused.job, refused.artifact, fetched.error) == (1, "", "")
    assert "/nonesuch/one" in refused.error
    assert len(list(recording.artifact_path("artifacts").iterdir())) == 1


def test_a_killed_job_has_told_of_no_files(host: Host, recording: Recording) -> None:
    job = host.run(Leaves(paths=["/tmp/one.txt"], endless=True), bg=True)
    job.wait_output("ready")
    job.kill()
    assert job.artifacts == []
    [said] = recording.of(Log)
    assert said.text.startswith("which files job 1 left is not known: TypeError")


@every
def test_any_file_can_be_saved(host: Host, recording: Recording) -> None:
    assert host.run("mkdir -p /tmp/d; echo a > /tmp/d/log; ln -s log /tmp/d/..evil").passed
    first = host.save_artifact("/tmp/d/log")
    second = host.save_artifact("/tmp/d/log")
    named = host.save_artifact("/tmp/d/..evil", "../../x y")
    assert [path.name for path in (first, second, named)] == ["m1-log", "m1-log-2", "x-y"]
    assert all(path.parent == recording.artifact_path("artifacts") for path in (first, second, named))
    assert first.read_text() == "a\n"
    with pytest.raises(TransferError, match="/tmp/nonesuch"):
        host.save_artifact("/tmp/nonesuch")
    with pytest.raises(UsageError):
        host.save_artifact("")


def test_without_a_run_there_is_no_place_for_them(laboratory: Laboratory) -> None:
    with laboratory.hosts("m1") as matched:
        job = matched.m1.run(Leaves(paths=["/tmp/one.txt"], move=True))
        assert job.passed
        assert job.artifacts == []
        assert matched.m1.run(["cat", "/tmp/one.txt"]).passed
        with pytest.raises(UsageError, match="no run with a journal"):
            matched.m1.save_artifact("/tmp/one.txt")


def test_a_job_that_nobody_holds_is_not_forgotten(host: Host, recording: Recording) -> None:
    host.run(Leaves(paths=["/tmp/one.txt"]), bg=True)
    host.wait_for("test -s /tmp/one.txt", timeout=10)
    while not host.jobs[0].finished:
        host.jobs[0]._done.wait(10)
    gc.collect()
    for job in host.jobs:
        job.dismiss()
    assert [event.artifact for event in recording.of(FileTransfer)] == ["artifacts/m1-job1-Leaves-one.txt"]
