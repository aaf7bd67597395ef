"""Samples of test modules: from their process into the run's folder, and back to the recipe."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.lab.hosts import measuring

from shakeout.errors import ConditionTimeout, JobError, UnknownName, UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import JobFinished, SeriesStarted
from shakeout.journal.samples import SamplesReader
from shakeout.testing import Connected, Recording


def test_every_sample_arrives(host: Host, recording: Recording) -> None:
    job = host.run(measuring.Counts(count=50_000))
    assert (job.passed, job.result) == (True, 50_000)
    series = job.series["count"]
    assert series.columns == {"number": "1", "half": "ms"}
    assert series.values("number") == [float(number) for number in range(50_000)]
    assert series.values("half")[:3] == [0.0, 0.5, 1.0]
    assert series.mean("number") == 24_999.5
    assert repr(series) == "<Series count: number [1], half [ms]>"
    [event] = recording.of(SeriesStarted)
    assert (event.host, event.job, event.name, event.columns) == ("m1", job.id, "count", series.columns)
    assert event.file == series.file == f"samples-m1-job{job.id}-count.bin"
    assert len(SamplesReader(recording.artifact_path(event.file))) == 50_000


def test_times_are_on_the_axis_of_the_run(host: Host, recording: Recording) -> None:
    before = (time.monotonic_ns() - recording.began_ns) / 1e9
    times = host.run(measuring.Counts()).series["count"].times
    after = (time.monotonic_ns() - recording.began_ns) / 1e9
    assert len(times) == 10
    assert sorted(times) == times
    assert before - 0.05 <= times[0] <= times[-1] <= after + 0.05


def test_slow_samples_are_seen_while_the_module_runs_and_a_killed_one_loses_none(host: Host) -> None:
    job = host.run(measuring.Goes(), bg=True)
    assert job.series.wait("cpu", 3).values() == [0.0, 1.0, 2.0]
    memory = job.series.wait("memory", 3)
    assert not job.finished
    job.kill()
    assert memory.values("used") == [0.0, 1000.0, 2000.0]
    assert job.series.wait("cpu", 3) is job.series["cpu"]
    with pytest.raises(JobError, match=r"ended after 3 of 4 samples of 'cpu'"):
        job.series.wait("cpu", 4)


def test_waiting_for_samples_in_vain(host: Host) -> None:
    job = host.run(measuring.Goes(), bg=True)
    with pytest.raises(ConditionTimeout, match=r"of 99 samples of 'cpu' in 0\.1 s"):
        job.series.wait("cpu", 99, timeout=0.1)
    job.kill()


def test_a_module_that_fails_has_its_samples_too(host: Host) -> None:
    job = host.run(measuring.Counts(count=5, broken=True))
    assert job.error is not None
    assert job.error.message == "after all"
    assert job.series["count"].values("number") == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_cannot_be_a_series_fails_the_module(host: Host) -> None:
    job = host.run(measuring.Misdeclares())
    assert job.error is not None
    assert job.error.message.startswith("'' cannot be the unit of 'system'")


def test_a_fork_of_the_module_sends_nothing(host: Host) -> None:
    job = host.run(measuring.Forks())
    assert job.result == "the parent"
    assert len(job.series["x"]) == 1000


def test_a_module_that_scribbles_over_its_channel_harms_itself(connected: Connected) -> None:
    job = connected.host.run(measuring.Scribbles())
    assert not job.passed
    assert job.reason == "what it sent as its samples was refused: samples in a frame of an unknown kind 9"
    assert job.series["cpu"].values() == [1.0]
    assert connected.host.run("true").passed


def test_a_series_that_is_not_there(host: Host) -> None:
    job = host.run(measuring.Counts())
    with pytest.raises(UnknownName, match=f"no series of job {job.id} on m1 is called 'coumt'.*'count'"):
        job.series["coumt"]
    with pytest.raises(UsageError, match="only test modules have series"):
        host.run("true").series  # noqa: B018
    assert job.series.get("coumt") is None


@pytest.mark.parametrize("connected", ["netns"], indirect=True)
def test_a_full_disk_is_said_and_the_job_goes_on(
    connected: Connected, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    monkeypatch.setattr(recording, "samples", lambda name: ("", full.open("wb", buffering=0)))
    job = connected.host.run(measuring.Counts(count=100))
    assert (job.passed, job.result) == (True, 100)
    assert "count" not in job.series
    assert "measured is not kept whole" in connected.session.not_kept
    assert recording.of(JobFinished)[-1].passed


@pytest.mark.parametrize("connected", ["netns"], indirect=True)
def test_without_a_folder_samples_stay_in_memory(connected: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connected.session, "recorder", Recording())
    job = connected.host.run(measuring.Counts(count=3))
    assert job.series["count"].values("half") == [0.0, 0.5, 1.0]
    assert job.series["count"].file == ""
