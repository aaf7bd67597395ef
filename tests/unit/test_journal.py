"""A journal: what is written can be read back, whatever happened to the file since."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shakeout.errors import JournalBroken, JournalError, UnknownName, UsageError
from shakeout.journal.artifacts import is_artifact, safe_name
from shakeout.journal.events import (
    BaseEvent,
    Breakpoint,
    ClockMeasured,
    DeviceChanged,
    Event,
    FileTransfer,
    HostConnected,
    HostLost,
    HostSetAside,
    JobFinished,
    JobStarted,
    Log,
    Match,
    PartFinished,
    PartStarted,
    ResultAdded,
    RunFinished,
    Setting,
    UndoFinished,
    UndoStarted,
)
from shakeout.journal.follow import follow
from shakeout.journal.jsonable import MAX_TEXT, jsonable
from shakeout.journal.reader import JournalReader, State, is_locked, state
from shakeout.journal.runs import RunStore
from shakeout.journal.verdict import Verdict, combine
from shakeout.journal.writer import JOURNAL, JournalWriter, create_run


class TestClock:
    """A clock that a test sets."""

    __test__ = False

    def __init__(self, wall_ns: int = 1_795_182_301_250_000_000) -> None:
        self.wall = wall_ns
        self.now = 5_000

    def now_ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return self.wall


def begin(runs: Path, clock: TestClock | None = None) -> JournalWriter:
    return create_run(runs, command=("shakeout", "run", "x.py"), version="9", clock=clock or TestClock())


text = st.text(max_size=30)
small = st.integers(0, 2**53)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
host = st.sampled_from(["m1", "m2", "häst"])
verdicts = st.sampled_from(list(Verdict))
events = st.one_of(
    st.builds(PartStarted, t_ns=small, part=small, recipe=text, params=st.dictionaries(text, plain)),
    st.builds(Match, t_ns=small, hosts=st.dictionaries(text, text), description=st.tuples(text)),
    st.builds(HostConnected, t_ns=small, host=host, props=st.dictionaries(text, plain)),
    st.builds(HostSetAside, t_ns=small, host=host, reason=text),
    st.builds(HostLost, t_ns=small, host=host, reason=text),
    st.builds(ClockMeasured, t_ns=small, host=host, offset_ns=st.integers(-(2**62), 2**62)),
    st.builds(JobStarted, t_ns=small, host=host, job=small, what=text, bg=st.booleans()),
    st.builds(
        JobFinished,
        t_ns=small,
        host=host,
        job=small,
        passed=st.booleans(),
        exit_status=st.none() | st.integers(0, 255),
        result=plain,
        stdout_head=text,
    ),
    st.builds(DeviceChanged, t_ns=small, host=host, device=text, action=text, value=plain),
    st.builds(FileTransfer, t_ns=small, host=host, direction=text),
    st.builds(Setting, t_ns=small, host=host, path=text, value=text),
    st.builds(ResultAdded, t_ns=small, passed=st.none() | st.booleans(), data=plain),
    st.builds(Log, t_ns=small, text=text),
    st.builds(Breakpoint, t_ns=small, text=text),
    st.builds(UndoStarted, t_ns=small, host=host, steps=small),
    st.builds(UndoFinished, t_ns=small, host=host, failed=st.tuples(text, text)),
    st.builds(PartFinished, t_ns=small, verdict=verdicts, error=text),
    st.builds(RunFinished, t_ns=small, verdict=verdicts, counts=st.dictionaries(text, small)),
)


def as_read(event: BaseEvent) -> BaseEvent:
    """*event* as a reader sees it: what came from users' code is plain JSON."""
    changes = {name: jsonable(getattr(event, name)) for name in event.OPEN}
    return type(event)(**{f: changes.get(f, getattr(event, f)) for f in event.__struct_fields__})


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=12))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, written: list[Event]) -> None:
    with begin(tmp_path_factory.mktemp("runs")) as journal:
        for event in written:
            journal.write(event)
    reader = JournalReader(journal.folder)
    assert list(reader.events()) == [as_read(event) for event in written]
    assert (reader.unknown, reader.garbage, reader.torn) == (0, 0, 0)
    assert reader.header == journal.header


def test_a_journal_cut_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        for number in range(5):
            journal.write(JobStarted(host="m1", job=number, what="écho"))
    path = journal.folder / JOURNAL
    whole = path.read_bytes()
    header_end = whole.index(b"\n") + 1
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        if length < header_end:
            with pytest.raises(JournalError, match="not a header"):
                JournalReader(journal.folder)
            continue
        reader = JournalReader(journal.folder)
        found = [event.job for event in reader.events() if isinstance(event, JobStarted)]
        assert found == list(range(whole[header_end:length].count(b"\n")))
        assert reader.torn == length - 1 - whole[:length].rindex(b"\n")
        assert state(journal.folder) is State.ABORTED


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 3))
def test_garbage_costs_only_itself(tmp_path_factory: pytest.TempPathFactory, junk: bytes, where: int) -> None:
    with begin(tmp_path_factory.mktemp("runs")) as journal:
        for number in range(3):
            journal.write(JobStarted(host="m1", job=number))
    path = journal.folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(1 + where, junk + b"\n")
    path.write_bytes(b"".join(lines))
    reader = JournalReader(journal.folder)
    assert [e.job for e in reader.events() if isinstance(e, JobStarted)] == [0, 1, 2]
    assert reader.garbage == sum(1 for line in junk.split(b"\n") if line.strip())


def test_a_later_version_s_events_and_fields_are_skipped(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        pass
    with (journal.folder / JOURNAL).open("a") as file:
        file.write('{"event":"teleported","t_ns":1,"to":"mars"}\n{"event":"log","t_ns":2,"text":"hi","hue":3}\n')
    reader = JournalReader(journal.folder)
    assert list(reader.events()) == [Log(t_ns=2, text="hi")]
    assert (reader.unknown, reader.garbage) == (1, 0)


def test_another_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"schema": 2, "run": {"new": "shape"}}\n')
    with pytest.raises(JournalError, match=r"schema 2.*reads schema 1.*upgrade"):
        JournalReader(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"hello\n", b"\xff\n", b'{"schema":1}\n', b"[" * 99999])
def test_what_is_no_journal_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / JOURNAL).write_bytes(content)
    with pytest.raises(JournalError, match="no journal"):
        JournalReader(tmp_path)


def test_a_pipe_or_a_link_is_no_journal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / JOURNAL)
    with pytest.raises(JournalError, match="regular file"):
        JournalReader(tmp_path)
    (tmp_path / JOURNAL).unlink()
    (tmp_path / JOURNAL).symlink_to("/etc/hostname")
    with pytest.raises(JournalError):
        JournalReader(tmp_path)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        journal.write(Log(text="before"))
    with (journal.folder / JOURNAL).open("ab") as file:
        file.write(b"x" * (40 << 20) + b'\n{"event":"log","t_ns":1,"text":"after"}\n')
    reader = JournalReader(journal.folder)
    assert [e.text for e in reader.events() if isinstance(e, Log)] == ["before", "after"]
    assert reader.garbage == 1


def test_events_have_the_time_since_the_run_began(tmp_path: Path) -> None:
    clock = TestClock()
    with begin(tmp_path, clock) as journal:
        clock.now += 700
        assert journal.write(Log(text="now")).t_ns == 700
        assert journal.write(Log(text="then", t_ns=3)).t_ns == 3
    assert journal.header.started == "2026-11-20T13:45:01.250000Z"
    assert journal.run == "20261120-134501-4000"


def test_runs_of_one_moment_have_ids_of_their_own(tmp_path: Path) -> None:
    journals = [begin(tmp_path) for _ in range(3)]
    for journal in journals:
        journal.close()
    ids = [journal.run for journal in journals]
    assert sorted(set(ids)) == ids
    assert sorted(p.name for p in tmp_path.iterdir()) == ids


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:

        def write(host: str) -> None:
            for number in range(200):
                journal.write(JobStarted(host=host, job=number, what="x" * 500))

        threads = [threading.Thread(target=write, args=(name,)) for name in ("m1", "m2", "m3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [e for e in JournalReader(journal.folder).events() if isinstance(e, JobStarted)]
    for name in ("m1", "m2", "m3"):
        assert [e.job for e in found if e.host == name] == list(range(200))


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_text_that_is_no_unicode_is_kept_readable(tmp_path_factory: pytest.TempPathFactory, one: str, two: str) -> None:
    with begin(tmp_path_factory.mktemp("runs")) as journal:
        journal.write(Log(text=one + "\udc80", host=two))
    (event,) = JournalReader(journal.folder).events()
    assert isinstance(event, Log)
    assert event.text.endswith("\\udc80")


def test_a_gigantic_event_is_cut_and_stays_an_event(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        journal.write(JobFinished(host="m1", job=7, passed=False, stdout_head="x" * 3_000_000, error="why"))
        journal.write(ResultAdded(data={"deep": [["y" * 100_000] * 1000]}))
    assert (journal.folder / JOURNAL).stat().st_size < 2_000_000
    job, result = JournalReader(journal.folder).events()
    assert isinstance(job, JobFinished)
    assert (job.job, job.passed, job.error) == (7, False, "why")
    assert "characters more" in job.stdout_head
    assert isinstance(result, ResultAdded)


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from shakeout.errors import JournalBroken
from shakeout.journal.events import Log
from shakeout.journal.writer import create_run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = create_run(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
try:
    for number in range(1000):
        journal.write(Log(text="x" * 100))
except JournalBroken as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.write(Log(text="room again"))
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in done.stdout
    assert "--out" in done.stdout
    reader = JournalReader(RunStore(tmp_path).find("last"))
    *_, last = reader.events()
    assert isinstance(last, Log)
    assert last.text == "room again"
    assert reader.garbage == 1


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"no run can be kept in .*--out"):
        create_run(tmp_path / "file" / "runs")


def test_the_lock_tells_running_from_aborted_and_finished(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        assert state(journal.folder) is State.RUNNING
    assert state(journal.folder) is State.ABORTED
    with begin(tmp_path) as journal:
        journal.write(RunFinished(verdict=Verdict.PASSED, error="x" * 60_000))
    assert state(journal.folder) is State.FINISHED


def test_a_killed_controller_loses_nothing_and_counts_as_aborted(tmp_path: Path) -> None:
    script = """
import sys, signal
from pathlib import Path
from shakeout.journal.events import Log
from shakeout.journal.writer import create_run
journal = create_run(Path(sys.argv[1]))
journal.write(Log(text="last words"))
print(journal.run, flush=True)
signal.pause()
"""
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        folder = tmp_path / child.stdout.readline().strip()
        assert state(folder) is State.RUNNING
        with pytest.raises(UsageError, match="is running"):
            RunStore(tmp_path).remove("last")
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert state(folder) is State.ABORTED
    assert list(JournalReader(folder).events())[-1:][0].text == "last words"  # type: ignore[union-attr]


def test_a_forked_child_that_detaches_does_not_keep_the_run_alive(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        journal.detach()
        os.write(ready[1], b".")
        os.read(go[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        assert is_locked(journal.folder / JOURNAL)
        journal.close()
        assert not is_locked(journal.folder / JOURNAL)
    finally:
        os.write(go[1], b".")
        os.waitpid(child, 0)
        for descriptor in (*ready, *go):
            os.close(descriptor)


def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        reader = JournalReader(journal.folder)
        assert list(reader.events()) == []
        journal.write(Log(text="one"))
        journal.write(Log(text="two"))
        first = next(reader.events())
        assert isinstance(first, Log) and first.text == "one"
        assert [e.text for e in reader.events() if isinstance(e, Log)] == ["two"]
        journal.write(Log(text="three"))
        assert [e.text for e in reader.events() if isinstance(e, Log)] == ["three"]


def test_following_sees_every_event_and_ends_with_the_run(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    seen: list[str] = []
    heard = threading.Semaphore(0)

    def listen() -> None:
        for event in follow(JournalReader(journal.folder)):
            seen.append(type(event).__name__)
            heard.release()

    listener = threading.Thread(target=listen)
    listener.start()
    for _ in range(3):
        journal.write(Log(text="tick"))
        assert heard.acquire(timeout=10)
    journal.close()  # without a verdict, as if it were killed
    listener.join(10)
    assert not listener.is_alive()
    assert seen == ["Log"] * 3


def test_runs_are_listed_newest_first_and_found_by_a_piece_of_their_id(tmp_path: Path) -> None:
    times = [1_795_182_301, 1_795_182_302, 1_795_268_703]
    for number, second in enumerate(times):
        with begin(tmp_path, TestClock(second * 10**9)) as journal:
            journal.write(RunFinished(verdict=list(Verdict)[number], counts={"passed": number}, duration_s=2.5))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "20991231-000000-0000").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / JOURNAL).write_text("broken\n")
    (tmp_path / "not-a-run").mkdir()
    store = RunStore(tmp_path)
    entries = list(store.list())
    assert [e.run for e in entries] == [
        "elsewhere",
        "20261121-134503-0000",
        "20261120-134502-0000",
        "20261120-134501-0000",
    ]
    assert "no journal" in entries[0].problem
    assert entries[1].verdict is Verdict.ERROR
    assert (entries[2].state, entries[2].duration_s, entries[2].counts) == (
        State.FINISHED,
        2.5,
        {"passed": 1},
    )
    assert store.find("20261121").name == "20261121-134503-0000"
    assert store.find("34502-0000").name == "20261120-134502-0000"
    with pytest.raises(UsageError, match=r"means 2 runs .*20261120-134502-0000, 20261120-134501-0000"):
        store.find("20261120")
    with pytest.raises(UnknownName, match="did you mean '20261120-134501-0000'"):
        store.find("20261120-134501-0007")
    for wrong in ("", "..", "../x", "/", "20991231-000000-0000"):
        with pytest.raises(UnknownName):
            store.find(wrong)


def test_no_runs_yet(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "nothing")
    assert list(store.list()) == []
    with pytest.raises(UnknownName, match="no runs in"):
        store.find("last")


def test_removing_a_run_removes_its_files_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("here")
    store = RunStore(tmp_path / "runs")
    with begin(store.folder) as journal:
        journal.save("out.txt", b"x")
        (journal.folder / "link").symlink_to(outside)
    assert store.remove("last") == journal.run
    assert list(store.folder.iterdir()) == []
    assert (outside / "precious").exists()


@given(st.text(st.characters(), max_size=300))
def test_no_name_leaves_the_artifacts_folder(name: str) -> None:
    safe = safe_name(name)
    assert is_artifact(f"artifacts/{safe}")
    assert not {"/", "\0", "\n"} & set(safe)
    assert safe not in ("", ".", "..")
    assert len(safe) <= 120


@pytest.mark.parametrize(
    "path",
    ["", "artifacts", "artifacts/", "artifacts/..", "artifacts/a/b", "/etc/passwd", "x/a", "artifacts/.a"],
)
def test_what_is_no_artifact(path: str) -> None:
    assert not is_artifact(path)


def test_artifacts_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        paths = [journal.save("../m1/job 1.out", str(n).encode()) for n in range(3)]
        assert paths == ["artifacts/m1-job-1.out", "artifacts/m1-job-1-2.out", "artifacts/m1-job-1-3.out"]
        assert [(journal.folder / path).read_text() for path in paths] == ["0", "1", "2"]


def test_verdicts_combine_to_the_most_serious() -> None:
    assert combine([]) is Verdict.PASSED
    assert combine([Verdict.PASSED, Verdict.FAILED, Verdict.PASSED]) is Verdict.FAILED
    order = [Verdict.PASSED, Verdict.FAILED, Verdict.ERROR, Verdict.CANCELLED]
    for index, verdict in enumerate(order):
        assert combine(reversed(order[: index + 1])) is verdict
    assert [verdict.exit_status for verdict in order] == [0, 1, 3, 130]
    assert Verdict.ABORTED.exit_status == 1


@dataclasses.dataclass
class Point:
    x: int
    y: object


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_values_that_json_has_not() -> None:
    loop: list[object] = []
    loop.append(loop)
    given = {
        "bytes": b"ok \xff",
        "address": ipaddress.ip_address("fe80::1"),
        "set": {3, 1, 2},
        "nan": [float("nan"), float("inf"), float("-inf")],
        "path": Path("/x"),
        "point": Point(1, (2,)),
        "huge": 10**30,
        "astronomic": 10**9000,
        "error": ValueError("bad"),
        "verdict": Verdict.ERROR,
        1: "int",
        "1": "str",
        (1, 2): "tuple",
        "rude": Rude(),
        "surrogate": "\udcff",
    }
    made = jsonable(given)
    json.dumps(made, allow_nan=False)
    assert made["bytes"] == "ok \\xff"
    assert made["address"] == "fe80::1"
    assert made["set"] == [1, 2, 3]
    assert made["nan"] == ["NaN", "Infinity", "-Infinity"]
    assert made["path"] == "/x"
    assert made["point"] == {"x": 1, "y": [2]}
    assert made["huge"] == str(10**30)
    assert "bits" in made["astronomic"]
    assert made["error"] == "ValueError: bad"
    assert made["verdict"] == "error"
    assert (made["1"], made["1 (str)"], made["(1, 2)"]) == ("int", "str", "tuple")
    assert "Rude" in made["rude"]
    assert made["surrogate"] == "\\udcff"
    assert "nested too deeply" in json.dumps(jsonable(loop), ensure_ascii=False)


def test_values_are_bounded_and_say_what_is_missing() -> None:
    assert "5 characters more" in jsonable("x" * (MAX_TEXT + 5))
    assert "bytes more" in jsonable(b"x" * 10_000_000)
    assert len(json.dumps(jsonable([["y" * 1000] * 1000] * 1000))) < 1_000_000
    many = jsonable(list(range(50_000)))
    assert len(many) < 25_000
    assert "more" in many[-1]


def test_a_broken_journal_is_an_error_of_the_run_not_of_the_request() -> None:
    assert JournalBroken("x").exit_status == 3
    assert JournalError("x").exit_status == 2


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.close()
    with pytest.raises(JournalBroken, match="closed"):
        journal.write(Log(text="late"))


def test_reading_a_long_journal_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        for number in range(100_000):
            journal.write(JobStarted(host="m1", job=number, what="x" * 100))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in JournalReader(journal.folder).events()) == 100_000
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size_kib = (journal.folder / JOURNAL).stat().st_size // 1024
    assert after - before < size_kib / 2
