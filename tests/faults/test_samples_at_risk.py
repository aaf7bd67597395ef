"""Samples when something goes wrong: an agent that lies about them, a controller that is killed."""

from __future__ import annotations

import math
import signal
import struct
from pathlib import Path

import pytest
from tests.faults.command import Command, recipe
from tests.faults.liar import PATIENCE, Liar, done, on

from shakeout.errors import HostLost
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.unix import connect_unix
from shakeout.journal.events import Log, SeriesStarted
from shakeout.journal.verdict import Verdict
from shakeout.modules import Ping
from shakeout.modules.outcome import encode_outcome
from shakeout.report.fold import load
from shakeout.testing.connection import Connected
from shakeout.testing.recording import Recording
from shakeout.wire.messages import OUTCOME, Output, StartJob
from shakeout.wire.samples import Declared, declaration, rows

GOOD = declaration(Declared(0, "cpu", (("user", "%"),)))
ROW = struct.pack("<qd", 1, 2.0)
PASSED = encode_outcome(True, 5)


LIES = {
    "samples of nothing": rows(0, ROW),
    "samples of another series": GOOD + rows(1, ROW),
    "half a sample": GOOD + rows(0, ROW[:-1]),
    "no sample": GOOD + rows(0, b""),
    "no number": GOOD + rows(0, struct.pack("<qd", 1, math.nan)),
    "infinity": GOOD + rows(0, ROW + struct.pack("<qd", 1, -math.inf)),
    "a series twice": GOOD + declaration(Declared(1, "cpu", (("user", "%"),))),
    "a number out of turn": declaration(Declared(7, "cpu", (("user", "%"),))),
    "a name that is a path": declaration(Declared(0, "a\n/../x", (("user", "%"),))),
    "a thousand columns": b"\xc1\x01\xff\xff",
    "no columns": declaration(Declared(0, "cpu", ())),
    "words for columns": b"\xc1\x01\x04\x00\x93\x00\xa1x",
    "an unknown kind": b"\xc1\x09\x00\x00",
    "very many series": b"".join(declaration(Declared(n, f"s{n}", (("v", "1"),))) for n in range(100)),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_samples_is_that_jobs_alone(name: str, tmp_path: Path, loop: LoopThread) -> None:
    lie = on(StartJob, lambda line: line.say(Output(1, OUTCOME, LIES[name] + PASSED), done()))
    with Liar(tmp_path / "s", lie) as liar:
        recording = Recording(tmp_path)
        connected = Connected("m1", connect_unix(liar.path), loop.reactor, recording)
        job = connected.host.run(Ping(dst="192.0.2.1"), timeout=PATIENCE)
        assert not job.passed
        assert job.reason.startswith("what it sent as its samples was refused: "), job.reason
        assert len(job.reason) < 400
        assert len(recording.of(SeriesStarted)) <= 64
        connected.end()
    assert all(path.parent == tmp_path for path in tmp_path.rglob("samples-*"))


def test_names_of_files_are_safe_whatever_a_series_is_called(tmp_path: Path, loop: LoopThread) -> None:
    sent = declaration(Declared(0, "../../x;rm -rf", (("user", "%"),))) + rows(0, ROW) + PASSED
    with Liar(tmp_path / "s", on(StartJob, lambda line: line.say(Output(1, OUTCOME, sent), done()))) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor, Recording(tmp_path))
        job = connected.host.run(Ping(dst="192.0.2.1"), timeout=PATIENCE)
        assert (job.passed, job.result) == (True, 5)
        assert job.series["../../x;rm -rf"].values() == [2.0]
        connected.end()
    assert [path.name for path in tmp_path.glob("*.bin")] == ["samples-m1-job1-..-..-x-rm-rf.bin"]


def test_samples_without_end_are_cut(tmp_path: Path, loop: LoopThread) -> None:
    sent = [GOOD, *[rows(0, ROW * 200)] * 10, PASSED]
    lie = on(StartJob, lambda line: line.say(*[Output(1, OUTCOME, data) for data in sent], done()))
    with Liar(tmp_path / "s", lie) as liar:
        recording = Recording(tmp_path)
        connected = Connected("m1", connect_unix(liar.path), loop.reactor, recording, artifact_limit=10_000)
        job = connected.host.run(Ping(dst="192.0.2.1"), timeout=PATIENCE)
        assert job.passed
        assert len(job.series["cpu"]) == 625
        assert [event.text for event in recording.of(Log)] == ["the samples of cpu (job 1) are cut after 10000 bytes"]
        connected.end()


def test_a_host_that_is_lost_leaves_what_it_sent(tmp_path: Path, loop: LoopThread) -> None:
    def lie(line):  # type: ignore[no-untyped-def]
        line.say(Output(1, OUTCOME, GOOD + rows(0, ROW) + b"\xc1\x02\x12"))
        line.hang_up()

    with Liar(tmp_path / "s", on(StartJob, lie)) as liar:
        connected = Connected("m1", connect_unix(liar.path), loop.reactor, Recording(tmp_path))
        job = connected.host.run(Ping(dst="192.0.2.1"), timeout=PATIENCE)
        assert not job.passed
        assert job.series["cpu"].values() == [2.0]
        with pytest.raises(HostLost):
            connected.host.run("true")


MEASURES = """\
import os, signal, sys, threading
from shakeout import *

def tell(word):
    os.write(1, (word + "\\n").encode())

class Counts(BaseTestModule):
    def run(self):
        fast, slow = self.series("fast", number="1"), self.series("slow", number="1")
        for number in range(20_000):
            fast.add(number=number)
        fast.flush()
        slow.add(number=7)
        threading.Event().wait()

class R(BaseRecipe):
    m1 = HostReq()

    def test(self):
        self.series("own", n="1").add(n=3)
"""


@pytest.mark.needs("root", "namespaces")
def test_a_killed_controller_loses_no_sample_that_had_come(tmp_path: Path) -> None:
    body = """
job = self.matched.m1.run(Counts(), bg=True)
job.series.wait("slow")
job.series.wait("fast", 20_000)
tell("ready")
threading.Event().wait()
"""
    with Command(recipe(tmp_path, body, head=MEASURES)) as command:
        command.await_word("ready")
        while_it_runs = load(command.run.folder).parts[0].jobs[0].series
        command.signal(signal.SIGKILL)
        command.end()
        outcome = load(command.run.folder)
    [part] = outcome.parts
    assert part.verdict is Verdict.ABORTED
    assert [(series.name, series.count) for series in part.jobs[0].series] == [("fast", 20_000), ("slow", 1)]
    assert [series.count for series in while_it_runs] == [20_000, 1]
    assert [series.name for series in part.series] == ["own"]
    fast = part.jobs[0].series[0].view()
    assert fast is not None
    assert fast.values() == [float(number) for number in range(20_000)]
