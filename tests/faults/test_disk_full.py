"""The disk that the journal is on is full, or the journal is cut: an error that says so, never a wrong verdict."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.command import SHAKEOUT, Command, recipe
from tests.faults.standing import StandingAgent
from tests.faults.test_agent_killed import CHANGES, ONE_HOST

from shakeout.agent.snapshot import differences
from shakeout.journal.events import JobFinished, RunFinished
from shakeout.journal.reader import JournalReader, State
from shakeout.journal.runs import RunStore
from shakeout.journal.verdict import Verdict
from shakeout.report.fold import load

pytestmark = pytest.mark.needs("root", "namespaces", "mount")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path) -> None:
    """Leave no room at all."""
    with (place / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


FLOOD = """
for number in range(1000):
    m1.run("echo " + "x" * 500)
tell("all of them")
"""


def test_no_room_before_the_run(small: Path, tmp_path: Path) -> None:
    """It cannot be done as asked, and nothing was changed."""
    fill(small)
    with Command(recipe(tmp_path, FLOOD), out=small) as command:
        status, out, err = command.end()
    assert status == 2, out + err
    assert "No space left on device" in err and "--out" in err
    assert "Traceback" not in err
    assert RunStore(small).ids() == []


def test_the_journal_runs_out_of_room(small: Path, tmp_path: Path) -> None:
    """The recipe ends there, hosts are restored; what is in the journal is readable, and does not say "passed"."""
    with StandingAgent(tmp_path) as agent:
        before = agent.snapshot()
        file = recipe(tmp_path, CHANGES + FLOOD, head=ONE_HOST)
        with Command(file, "--pool", str(agent.pool(tmp_path / "pool")), out=small) as command:
            status, out, err = command.end()
            assert status == 3, out + err
            assert "all of them" not in out
            assert "No space left on device" in err and "--out" in err
            assert "RESULT PASS" not in out
            assert "Traceback" not in err
            # The verdict may just find room, in the last page.
            assert (command.run.state, command.run.verdict) in (
                (State.ABORTED, Verdict.ABORTED),
                (State.FINISHED, Verdict.ERROR),
            )
            assert sum(isinstance(event, JobFinished) for event in command.events()) > 5
        assert differences(before, agent.snapshot()) == []


def test_a_recipe_that_swallows_it_does_not_pass(small: Path, tmp_path: Path) -> None:
    body = "for number in range(1000):\n    try: m1.run('echo ' + 'x' * 500)\n    except Exception: pass"
    with Command(recipe(tmp_path, body), out=small) as command:
        status, out, err = command.end()
    assert status == 3, out + err
    assert "No space left on device" in err
    assert "RESULT PASS" not in out


def test_it_fills_while_nothing_but_the_loop_writes(small: Path, tmp_path: Path) -> None:
    """Nobody is told in the recipe, which waits; the run is broken all the same."""
    body = MUCH + FILL.format(place=small) + "job.wait()\ntell('waited')"
    with Command(recipe(tmp_path, body), out=small) as command:
        status, out, err = command.end()
    assert "waited" in out, out + err
    assert status == 3, out + err
    assert "No space left on device" in err


MUCH = r"""
much = r"head -c 3900 /dev/zero | tr '\0' x"
job = m1.run(f"sleep 0.2; {much}; {much} >&2", bg=True)
"""
FILL = """
with open("{place}/filler", "wb", buffering=0) as file:
    try:
        while True: file.write(bytes(4096))
    except OSError: pass
    try:
        while True: file.write(b"x")
    except OSError: pass
"""


def test_an_artifact_finds_no_room(tmp_path: Path) -> None:
    """The journal can still be written: an output that is not whole is an error all the same."""
    body = """
import subprocess
(folder,) = Path("runs").glob("*/artifacts/..")
place = folder.resolve() / "artifacts"
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "small", place], check=True)
try:
    job = m1.run("head -c 100000 /dev/zero")
finally:
    subprocess.run(["umount", "-l", place], check=True)
"""
    first = "m1.run('head -c 5000 /dev/zero')\n"  # makes the folder
    with Command(recipe(tmp_path, first + body)) as command:
        status, out, err = command.end()
        assert status == 3, out + err
        assert "what job 2 on m1 printed is not kept whole: No space left on device" in out
        _, finished = [event for event in command.events() if isinstance(event, JobFinished)]
        assert finished.passed and finished.stdout_bytes == 100000 and finished.truncated_at


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_journal_that_is_cut_is_read_up_to_there(cut: int, tmp_path: Path) -> None:
    with Command(recipe(tmp_path, "m1.run('echo hello')\nm2.run('echo world')")) as command:
        assert command.end()[0] == 0
        journal = command.run.folder / "journal.jsonl"
        whole = list(JournalReader(journal.parent).events())
        assert isinstance(whole[-1], RunFinished)
        os.truncate(journal, journal.stat().st_size - cut)
        entry = command.run
        assert entry.state is State.ABORTED
        read = list(JournalReader(journal.parent).events())
        assert read == whole[: len(read)]
        shown = subprocess.run(
            [SHAKEOUT, "report", entry.run, "--out", command.out], capture_output=True, text=True, check=False
        )
        assert "RESULT PASS" not in shown.stdout
        assert "Traceback" not in shown.stderr


FLOODS = """\
from shakeout import *

class Floods(BaseTestModule):
    def run(self):
        flood = self.series("flood", number="1")
        for number in range(20_000):
            flood.add(number=number)

class R(BaseRecipe):
    m1 = HostReq()

    def test(self):
"""


def test_samples_find_no_room(small: Path, tmp_path: Path) -> None:
    """The module goes on, but the run is an error, and what was stored can be read."""
    body = """
job = self.matched.m1.run(Floods())
assert job.passed and len(job.series["flood"]) < 20_000
"""
    with Command(recipe(tmp_path, body, head=FLOODS), out=small) as command:
        status, out, err = command.end()
        assert status == 3, out + err
        assert "No space left on device" in out + err
        assert "RESULT PASS" not in out
        assert "Traceback" not in err
        [series] = load(command.run.folder).parts[0].jobs[0].series
        assert (series.name, series.problem) == ("flood", "")
        assert 0 < series.count < 20_000
