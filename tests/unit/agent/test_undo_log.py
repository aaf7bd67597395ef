"""The undo log as a file: what survives, what is skipped, and files, settings and commands put back."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.agent.restorefiles import chosen
from shakeout.agent.undo import UndoLog, describe, failures, replay
from shakeout.errors import DeviceError
from shakeout.wire.network import Address
from shakeout.wire.undo import (
    AddressAdd,
    Argv,
    FileRestore,
    LinkDelete,
    LinkRestore,
    ServiceSet,
    SysctlSet,
    UndoEntry,
)

ENTRIES: list[UndoEntry] = [
    LinkRestore(index=3, name="eth0", mtu=1500, info=b"\0\xff"),
    AddressAdd(name="eth0", address=Address(3, 2, "10.0.0.1", 24)),
    SysctlSet(path="/proc/sys/net/ipv4/ip_forward", value=b"0\n"),
    FileRestore(path="/nowhere/at all\n", was="absent"),
    Argv(argv=("true",), persistent=True),
    ServiceSet(service="chrony", active=True),
]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[UndoLog]:
    made = UndoLog(tmp_path / "undo.log")
    yield made
    made.close()


def written(log: UndoLog) -> list[UndoEntry]:
    return [one.entry for one in log.entries()]


def test_entries_come_back_in_order(log: UndoLog) -> None:
    assert written(log) == []
    log.append(*ENTRIES[:2])
    for entry in ENTRIES[2:]:
        log.append(entry)
    log.sync()
    log.close()
    assert written(UndoLog(log.path)) == ENTRIES
    assert all(one.header == log.header for one in log.entries())


def test_nothing_is_written_before_the_first_entry(log: UndoLog) -> None:
    assert not Path(log.path).exists()
    assert replay(log) == []
    log.sync()
    log.clear()
    assert not Path(log.path).exists()


@given(cut=st.integers(1, 400), follow=st.booleans())
def test_a_cut_log_keeps_all_whole_entries(tmp_path_factory: pytest.TempPathFactory, cut: int, follow: bool) -> None:
    path = tmp_path_factory.mktemp("cut") / "undo.log"
    log = UndoLog(path)
    log.append(*ENTRIES)
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    kept = written(UndoLog(path))
    assert kept == ENTRIES[: len(kept)]
    if follow:  # whoever goes on after a half entry loses nothing of his own
        later = UndoLog(path)
        later.append(ENTRIES[0])
        later.close()
        assert written(UndoLog(path)) == [*kept, ENTRIES[0]]


def test_several_writers(log: UndoLog) -> None:
    log.append(ENTRIES[0])
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            other = UndoLog(log.path)
            for count in range(200):
                other.append(LinkDelete(name=f"{number}-{count}"))
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    names = [entry.name for entry in written(log) if isinstance(entry, LinkDelete)]
    assert len(names) == 800
    for number in range(4):
        assert [name for name in names if name.startswith(f"{number}-")] == [f"{number}-{n}" for n in range(200)]
    log.close()


def test_a_writer_that_is_killed(log: UndoLog) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        log.append(*ENTRIES)
        os.write(told, b"!")
        signal.pause()
    os.close(told)
    assert os.read(ready, 1) == b"!"
    os.close(ready)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert written(log) == ENTRIES


def test_appending_goes_on_after_a_replay_elsewhere(log: UndoLog, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    log.append(FileRestore(path=str(tmp_path / "a"), was="absent"))
    other = UndoLog(log.path)
    assert [step.ok for step in replay(other)] == [True]
    log.append(ENTRIES[0])
    assert written(other) == [ENTRIES[0]]
    log.close()


def test_another_boot(tmp_path: Path) -> None:
    """Only what outlives a boot is undone."""
    (tmp_path / "file").touch()
    (tmp_path / "setting").write_text("1")
    old = UndoLog(tmp_path / "undo.log", boot="another boot")
    old.append(
        SysctlSet(path=str(tmp_path / "setting"), value=b"0"),
        FileRestore(path=str(tmp_path / "file"), was="absent"),
        LinkDelete(name="lo"),
        Argv(argv=("false",)),
        Argv(argv=("touch", str(tmp_path / "ran")), persistent=True),
    )
    old.close()
    steps = replay(UndoLog(tmp_path / "undo.log"))
    assert [step.ok for step in steps] == [True] * 5
    assert [step.skipped for step in steps] == [False, True, True, False, True]
    assert "of another boot" in steps[1].text
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "ran").exists()
    assert (tmp_path / "setting").read_text() == "1"


def test_another_namespace(tmp_path: Path) -> None:
    old = UndoLog(tmp_path / "undo.log", netns_inode=1)
    old.append(LinkDelete(name="lo"))
    old.close()
    steps = replay(UndoLog(tmp_path / "undo.log"))
    assert steps[0].skipped
    assert "namespace that is gone" in steps[0].text


def test_failures_are_named_kept_and_do_not_stop(log: UndoLog, tmp_path: Path) -> None:
    (tmp_path / "made").touch()
    log.append(
        FileRestore(path=str(tmp_path / "made"), was="absent"),
        Argv(argv=("sh", "-c", "echo no luck >&2; exit 3")),
        Argv(argv=("/does/not/exist",)),
        Argv(argv=("sh", "-c", "sleep 60 & sleep 60"), timeout=0.05),
    )
    steps = replay(log)
    assert [step.ok for step in steps] == [False, False, False, True]
    text = "\n".join(failures(steps))
    assert "did not end within 0.05 s" in text
    assert "cannot be run" in text
    assert "ended with status 3: no luck" in text
    assert not (tmp_path / "made").exists()
    assert "no luck" in Path(log.failed_path).read_text()
    assert log.entries() == []


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    log = UndoLog(tmp_path / "missing" / "undo.log")
    with pytest.raises(DeviceError, match=r"nothing was changed: the undo log .* cannot be written"):
        log.append(ENTRIES[0])


def test_a_full_disk(log: UndoLog) -> None:
    """A change whose undo does not fit is refused, and what was written before is whole."""
    child = os.fork()
    if child == 0:
        refused = 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            for _ in range(50):
                log.append(ENTRIES[0])
        except DeviceError as error:
            refused = 0 if "nothing was changed" in str(error) else 2
        finally:
            os._exit(refused)
    assert os.waitpid(child, 0)[1] == 0
    assert set(map(str, written(log))) == {str(ENTRIES[0])}


# --- files


def state(folder: Path) -> dict[str, object]:
    """Everything below *folder* that a person could tell apart."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)
    return found


def test_files_come_back(log: UndoLog, tmp_path: Path) -> None:
    place = tmp_path / "files"
    (place / "folder").mkdir(parents=True)
    (place / "secret").write_bytes(b"\0secret")
    (place / "secret").chmod(0o4600)
    (place / "link").symlink_to("secret")
    (place / "removed").write_text("x")
    (place / "becomes a folder").write_text("y")
    for path in place.iterdir():
        os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)
    before = state(place)
    for name in ("secret", "link", "removed", "becomes a folder", "new", "new folder", "new folder/file", "folder"):
        log.append(log.file_entry(str(place / name)))
    log.sync()
    (place / "secret").write_text("changed")
    (place / "secret").chmod(0o644)
    (place / "link").unlink()
    (place / "link").write_text("no link")
    (place / "removed").unlink()
    (place / "becomes a folder").unlink()
    (place / "becomes a folder").mkdir()
    (place / "new").symlink_to("/")
    (place / "new folder").mkdir()
    (place / "new folder" / "file").write_text("z")
    (place / "folder").chmod(0o700)
    steps = replay(log)
    assert [step.error for step in steps if not step.ok] == []
    assert state(place) == before
    assert not Path(log.backups).exists()
    assert [path for path in place.iterdir() if "undo" in path.name] == []


def test_backups_are_for_nobody_else(log: UndoLog, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o600)
    log.file_entry(str(tmp_path / "secret"))
    assert Path(log.backups).stat().st_mode & 0o77 == 0
    assert Path(log.path).parent.exists()


def test_a_file_is_for_its_owner_alone_while_it_is_put_back(log: UndoLog, tmp_path: Path) -> None:
    secret, seen = tmp_path / "secret", set[int]()
    secret.write_bytes(b"s" * (64 << 20))
    secret.chmod(0o600)
    log.append(log.file_entry(str(secret)))
    secret.unlink()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            with contextlib.suppress(FileNotFoundError):
                seen.add((tmp_path / "secret.shakeout-undo").stat().st_mode & 0o777)

    watcher = threading.Thread(target=look)
    watcher.start()
    steps = replay(log)
    over.set()
    watcher.join()
    assert all(step.ok for step in steps)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert seen <= {0o600}


def test_nobodys_link_is_followed_while_a_file_is_put_back(
    log: UndoLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, file = tmp_path / "victim", tmp_path / "file"
    victim.write_text("root's")
    file.write_text("anybody's")
    log.append(log.file_entry(str(file)))
    (tmp_path / "file.shakeout-undo").symlink_to(victim)
    # Whoever may write to the folder puts the link there again, at the worst moment.
    monkeypatch.setattr("shakeout.agent.restorefiles._remove", lambda path: False)
    (step,) = replay(log)
    assert not step.ok
    assert victim.read_text() == "root's"


def test_pipes_are_not_read(log: UndoLog, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="neither a file, a folder nor a link"):
        log.file_entry(str(tmp_path / "pipe"))


# --- settings


def test_settings(log: UndoLog, tmp_path: Path) -> None:
    setting = tmp_path / "setting"
    setting.write_text("none [mq-deadline] kyber\n")
    entry = SysctlSet(path=str(setting), value=chosen(setting.read_bytes()))
    assert entry.value == b"mq-deadline\n"
    log.append(entry)
    setting.write_text("[none] mq-deadline kyber\n")
    assert [step.ok for step in replay(log)] == [True]
    assert setting.read_text().startswith("mq-deadline\n")
    setting.write_text("none [mq-deadline] kyber\n")
    log.append(entry, SysctlSet(path=str(tmp_path / "gone"), value=b"1"))
    assert ["already so" in step.text for step in replay(log)] == [True, True]


@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_describe_themselves(entry: UndoEntry) -> None:
    assert describe(entry).split()[0] in {
        "link_restore",
        "address_add",
        "sysctl_set",
        "file_restore",
        "argv",
        "service_set",
    }
