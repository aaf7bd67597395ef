"""LogWatch and files that real programs write, rotate, empty and flood."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from tests.lab.module_process import ModuleProcess, reason, run

from shakeout.modules import LogWatch


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with a line in it."""
    path = tmp_path / "x.log"
    path.write_text("old ERROR\n")
    return path


def write(path: Path, text: str | bytes) -> None:
    """Add to *path*, as a program does that has it open for this only."""
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def test_what_is_forbidden_ends_it_at_once(log: Path) -> None:
    with ModuleProcess(LogWatch(path=str(log), forbid=["ERROR", "OOM"])) as watch:
        assert watch.line() == f"watching {log}"
        write(log, "fine\nan ERROR here\nmore\n")
        outcome = watch.outcome()
    assert reason(outcome).startswith(f"{log} says an ERROR here 0.")
    assert reason(outcome).endswith("ERROR is forbidden")
    [match] = outcome.result["matches"]
    assert (match["source"], match["pattern"], match["line"]) == (str(log), "ERROR", "an ERROR here")


def test_what_is_required_ends_it_as_soon_as_it_is_there(log: Path) -> None:
    with ModuleProcess(LogWatch(path=str(log), require=["one", "two"], count=2, duration=60)) as watch:
        watch.line()
        write(log, "one\ntwo\none and two\n")
        assert watch.outcome().passed


def test_what_does_not_appear_is_named(log: Path) -> None:
    outcome = run(LogWatch(path=str(log), require=["old", "new"], from_start=True, duration=0.05))
    assert reason(outcome).startswith(f"new did not appear in {log} within 0.")
    assert outcome.result["counts"] == {"old": 1, "new": 0}


def test_what_was_there_counts_only_if_wanted(log: Path) -> None:
    assert run(LogWatch(path=str(log), forbid="ERROR", duration=0.05)).passed
    assert "old ERROR" in reason(run(LogWatch(path=str(log), forbid="ERROR", from_start=True)))


def test_a_log_that_is_rotated_is_followed(log: Path) -> None:
    with ModuleProcess(LogWatch(path=str(log), note=".")) as watch:
        watch.line()
        with log.open("a") as still_open:
            still_open.write("before\n")
            still_open.flush()
            log.rename(log.with_suffix(".1"))
            still_open.write("after, into the old one\n")
        write(log, "into the new one\nwithout an end")
        outcome = watch.outcome(signal.SIGINT)
    assert outcome.passed
    lines = sorted(each["line"] for each in outcome.result["matches"])
    assert lines == sorted(["before", "after, into the old one", "into the new one", "without an end"])
    assert outcome.result["rotated"] == 1


def test_a_log_that_is_emptied_is_read_anew(log: Path) -> None:
    with ModuleProcess(LogWatch(path=str(log), note="first", require="second")) as watch:
        watch.line()
        write(log, "first\n" * 100)
        os.truncate(log, 0)
        write(log, "second\n")
        outcome = watch.outcome()
    assert outcome.passed
    assert outcome.result["counts"]["second"] == 1


def test_files_and_folders_that_come_later(tmp_path: Path) -> None:
    with ModuleProcess(LogWatch(path=f"{tmp_path}/app*/logs/*.log", require="ready", count=3)) as watch:
        watch.line()
        for name in ("app1", "app2", "app3"):
            (tmp_path / name / "logs").mkdir(parents=True)
            write(tmp_path / name / "logs" / "other.txt", "ready\n")
            write(tmp_path / name / "logs" / "x.log", "ready\n")
        outcome = watch.outcome()
    assert outcome.passed
    assert outcome.result["counts"] == {"ready": 3}


def test_a_flood_is_counted_to_the_last_line(log: Path) -> None:
    with ModuleProcess(LogWatch(path=str(log), note="needle$")) as watch:
        watch.line()
        program = 'i=0; while [ $i -lt 100 ]; do cat "$1"; i=$((i+1)); done >>"$2"'
        block = log.with_name("block")
        block.write_text("".join(f"hay {number}\n" for number in range(999)) + "needle\n")
        subprocess.run(["sh", "-c", program, "sh", str(block), str(log)], check=True)
        outcome = watch.outcome(signal.SIGINT)
    assert outcome.passed
    assert (outcome.result["lines"], outcome.result["counts"]) == (100_000, {"needle$": 100})


def test_a_huge_line_and_bytes_that_are_no_text(log: Path) -> None:
    with ModuleProcess(LogWatch(path=str(log), note="x|caf")) as watch:
        watch.line()
        write(log, b"x" * 10_000_000 + b"\ncaf\xe9\n")
        outcome = watch.outcome(signal.SIGINT)
    assert outcome.passed
    assert (outcome.result["lines"], outcome.result["cut"]) == (2, 1)
    assert outcome.result["matches"][1]["line"] == "caf\\xe9"
    assert len(outcome.result["matches"][0]["line"]) == 500


def test_lines_that_are_ignored_do_no_harm(log: Path) -> None:
    with ModuleProcess(LogWatch(path=str(log), forbid="ERROR", ignore="harmless")) as watch:
        watch.line()
        write(log, "a harmless ERROR\n")
        outcome = watch.outcome(signal.SIGINT)
    assert outcome.passed
    assert outcome.result["lines"] == 1


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    assert "not a plain file" in reason(run(LogWatch(path=str(tmp_path), note="x", duration=0.05)))


def test_a_host_without_a_journal_says_what_is_missing(tmp_path: Path) -> None:
    outcome = run(LogWatch(journal=True, note="x"), env={**os.environ, "PATH": str(tmp_path)})
    assert outcome.error is not None
    assert "it comes with the package systemd" in outcome.error.message


#: A journal of the test's own, with one entry; it ends with the module, which is process 1 there.
JOURNAL = """
mount -t tmpfs tmpfs /run; mkdir -p /run/systemd /run/log/journal; echo 0123456789abcdef0123456789abcdef > /run/id
mount --bind /run/id /etc/machine-id; /lib/systemd/systemd-journald 2>/dev/null &
until [ -S /run/systemd/journal/stdout ]; do :; done
echo "old needle" | systemd-cat -t app; journalctl --sync; exec "$@"
"""


@pytest.mark.needs("root", "unshare", "journalctl", "systemd-cat", "nsenter")
def test_what_comes_into_the_journal() -> None:
    if not Path("/lib/systemd/systemd-journald").exists():
        pytest.skip("there is no journald to start")
    wrapped = f'set -- unshare -m -p -f --mount-proc --kill-child sh -c {shlex.quote(JOURNAL)} sh "$@"'
    with ModuleProcess(LogWatch(journal=True, require=r"app\[\d+\]: .*needle"), wrapped) as watch:
        assert watch.line() == "watching journal"
        pid = watch.process.pid
        child = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        entry = "echo new needle | systemd-cat -t app"
        subprocess.run(["nsenter", "-t", child, "-m", "-p", "sh", "-c", entry], check=False)  # ends, too
        outcome = watch.outcome()
    assert outcome.passed
    assert [each["line"].split(": ")[1] for each in outcome.result["matches"]] == ["new needle"]


@pytest.mark.needs("root")
def test_what_the_kernel_says() -> None:
    if not os.access("/dev/kmsg", os.W_OK):
        pytest.skip("this machine's kernel messages cannot be written")
    mark = f"shakeout-test-{os.getpid()}"
    with ModuleProcess(LogWatch(kernel=True, require=mark, duration=60)) as watch:
        assert watch.line() == "watching kernel"
        Path("/dev/kmsg").write_text(f"<6>{mark} hello\n")
        outcome = watch.outcome()
    assert outcome.passed
    assert outcome.result["matches"][0]["line"] == f"{mark} hello"
