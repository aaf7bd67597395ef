"""`send_file` and `recv_file`: what arrives, where, with what mode; and what is put back."""

from __future__ import annotations

import filecmp
import os
import subprocess
import threading
from pathlib import Path

import pytest
from tests.lab.hosts.observing import home, tree

from shakeout.errors import TransferError, UsageError
from shakeout.hosts.host import Host
from shakeout.journal.events import FileTransfer
from shakeout.testing import Recording

pytestmark = pytest.mark.parametrize("connected", ["netns", "tls", "ssh"], indirect=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a bit of everything."""
    top = tmp_path / "stuff"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "empty-dir").mkdir(mode=0o700)
    (top / "empty").touch()
    (top / "deep" / "er" / "ü 'quoted' name").write_text("unicode")
    (top / "script").write_text("#!/bin/sh\necho ran\n")
    (top / "script").chmod(0o755)
    (top / "private").write_text("s3cret")
    (top / "private").chmod(0o600)
    (top / "link").symlink_to("script")
    (top / "deep" / "up").symlink_to("../script")
    (top / "dangling").symlink_to("nothing")
    (top / "deep").chmod(0o750)
    return top


def shape(top: Path) -> list[str]:
    """As `tree`, here."""
    found = []
    for path in [top, *sorted(top.rglob("*"))]:
        name = str(path.relative_to(top)).removeprefix(".")
        mode = path.lstat().st_mode
        if path.is_symlink():
            found.append(f"{name} l {path.readlink()}")
        elif path.is_dir():
            found.append(f"{name} d {mode & 0o7777:o}")
        else:
            found.append(f"{name} f {mode & 0o7777:o} {path.stat().st_size}")
    return sorted(found)


@pytest.mark.parametrize("content", [b"", b"x", b"\x00\xff" * 100, b"l" * 200_000])
def test_a_file_there_and_back(host: Host, tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "a file"
    source.write_bytes(content)
    source.chmod(0o640)
    assert host.send_file(str(source), "copied") == f"{home(host)}/copied"
    assert host.run("stat -c '%a %s' copied").stdout == f"640 {len(content)}\n"
    back = host.recv_file("copied", str(tmp_path / "back"))
    assert back == tmp_path / "back"
    assert back.read_bytes() == content
    assert back.stat().st_mode & 0o777 == 0o640


def test_a_directory_there_and_back(host: Host, folder: Path, tmp_path: Path) -> None:
    place = host.send_file(str(folder), "copied", recursive=True)
    assert tree(host, place) == shape(folder)
    assert host.run("./copied/link && ./copied/deep/up").stdout == "ran\nran\n"
    back = host.recv_file("copied", str(tmp_path / "back"), recursive=True)
    assert shape(back) == shape(folder)
    assert (back / "deep/er/ü 'quoted' name").read_text() == "unicode"


def test_an_empty_directory(host: Host, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    host.send_file(str(tmp_path / "nothing"), recursive=True)
    assert host.run("rmdir nothing").passed
    host.run("mkdir nothing2")
    assert host.recv_file("nothing2", str(tmp_path), recursive=True) == tmp_path / "nothing2"


def test_where_it_goes(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "name"
    source.write_text("content")
    (tmp_path / "alias").symlink_to("name")
    host.run("mkdir there 'with space'")
    assert host.send_file(str(source)) == f"{home(host)}/name"
    assert host.send_file(str(source), "there") == f"{home(host)}/there/name"
    assert host.send_file(str(source), "with space/") == f"{home(host)}/with space/name"
    assert host.send_file(str(source), "/var/tmp/other") == "/var/tmp/other"
    assert host.send_file(str(tmp_path / "alias"), "there/") == f"{home(host)}/there/alias"
    assert host.send_file(source, Path("there") / "p") == f"{home(host)}/there/p"  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    source.unlink()
    assert host.recv_file("there/name") == tmp_path / "name"
    assert host.recv_file("/var/tmp/other", "sub") == tmp_path / "sub"
    (tmp_path / "into").mkdir()
    assert host.recv_file("there/name", "into") == tmp_path / "into/name"
    assert host.recv_file("there/name", "into/") == tmp_path / "into/name"
    assert host.recv_file("there/.", "into", recursive=True) == tmp_path / "into/there"


def test_a_directory_is_merged(host: Host, folder: Path) -> None:
    host.run("mkdir -p target/stuff/deep && echo kept > target/stuff/deep/own && echo old > target/stuff/script")
    host.send_file(str(folder), "target", recursive=True)
    assert host.run("cat target/stuff/deep/own; ./target/stuff/script").stdout == "kept\nran\n"


@pytest.mark.parametrize(("command", "message"), [
    ("mkdir -p stuff/script", "stuff/script is a directory"),
    ("mkdir stuff; echo > stuff/deep", "stuff/deep is a file"),
    ("mkdir stuff; ln -s /etc stuff/deep", "stuff/deep is a file"),
])  # fmt: skip
def test_what_stands_in_the_way(host: Host, folder: Path, command: str, message: str) -> None:
    host.run(command)
    before = tree(host, "stuff")
    with pytest.raises(TransferError, match=message):
        host.send_file(str(folder), recursive=True)
    assert tree(host, "stuff") == before
    assert host.run("ls -A | grep shakeout", fail=True).passed


def test_two_hundred_megabytes(host: Host, tmp_path: Path) -> None:
    source = tmp_path / "big"
    with source.open("wb") as file:
        for number in range(200):
            file.write(bytes([number]) * (1 << 20))
    host.send_file(str(source))
    there = (host.run("cksum < big").stdout or "").split()
    with source.open() as file:
        here = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True).stdout.split()
    assert there == here
    back = host.recv_file("big", str(tmp_path / "back"))
    assert filecmp.cmp(source, back, shallow=False)
    back.unlink()
    source.unlink()


def test_two_thousand_files(host: Host, tmp_path: Path) -> None:
    top = tmp_path / "many"
    for number in range(2000):
        path = top / f"{number % 40}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}" * (number % 300))
    host.send_file(str(top), recursive=True)
    assert host.run("find many -type f | wc -l").stdout == "2000\n"
    back = host.recv_file("many", str(tmp_path / "back"), recursive=True)
    assert shape(back) == shape(top)
    assert all((back / f"{n % 40}/{n}").read_text() == f"{n}" * (n % 300) for n in range(0, 2000, 7))


def test_files_of_the_kernel(host: Host, tmp_path: Path) -> None:
    text = host.recv_file("/proc/net/dev", str(tmp_path)).read_text()
    assert "lo:" in text
    assert host.recv_file("/sys/class/net/lo/address", str(tmp_path)).read_text() == "00:00:00:00:00:00\n"
    host.send_file("/proc/version", "version")
    assert host.run("cat version").stdout == Path("/proc/version").read_text()


def test_nobody_sees_half_a_file(host: Host, tmp_path: Path) -> None:
    source = tmp_path / "f"
    source.write_bytes(b"a" * 3_000_000)
    host.send_file(str(source))
    watcher = host.run("while test ! -e stop; do s=$(stat -c %s f) && [ $s = 3000000 ] || echo saw $s; done", bg=True)
    for letter in b"bcdefg":
        source.write_bytes(bytes([letter]) * 3_000_000)
        host.send_file(str(source))
    host.run("touch stop")
    assert watcher.wait(20)
    assert watcher.stdout == ""
    host.run("rm stop")


def test_the_journal_has_the_transfer(host: Host, tmp_path: Path, recording: Recording) -> None:
    (tmp_path / "f").write_text("12345")
    host.send_file(str(tmp_path / "f"), "/var/tmp/f")
    event = recording.of(FileTransfer)[0]
    assert (event.direction, event.target, event.bytes, event.error) == ("send", "/var/tmp/f", 5, "")
    with pytest.raises(TransferError):
        host.recv_file("/no/such", str(tmp_path))
    assert "/no/such" in recording.of(FileTransfer)[1].error


@pytest.mark.parametrize(("source", "target", "message"), [
    ("/no/such/file", "", "No such file"), ("/dev/null", "", "neither a file nor a directory"),
    ("/etc/hostname", "/no/such/dir/x", "there is no directory /no/such/dir"),
    ("/etc/hostname", "/etc/hostname/x", "there is no directory"), ("/etc", "", "recursive=True"),
    ("/etc/hostname", "a\0b", "NUL"), ("/etc/host\0name", "", "null|NUL"), ("/etc/hostname", "/proc/x", "/proc"),
])  # fmt: skip
def test_what_cannot_be_sent(host: Host, source: str, target: str, message: str) -> None:
    with pytest.raises(TransferError, match=message):
        host.send_file(source, target)
    assert host.run("echo on").stdout == "on\n"


@pytest.mark.parametrize(("source", "target", "message"), [
    ("/no/such/file", "", "No such file"), ("/dev/null", "", "neither a file nor a directory"),
    ("/etc", "", "recursive=True"), ("/etc/hostname", "/no/such/dir/x", "there is no directory"),
    ("a\0b", "", "null|NUL"),
])  # fmt: skip
def test_what_cannot_be_fetched(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TransferError, match=message):
        host.recv_file(source, target)
    assert sorted(tmp_path.rglob("*")) == before
    assert host.run("echo on").stdout == "on\n"


def test_a_transfer_of_nothing_is_refused(host: Host) -> None:
    with pytest.raises(UsageError, match="ctl_path"):
        host.send_file()
    with pytest.raises(UsageError, match="recv_path"):
        host.recv_file()


def test_names_that_are_no_text(host: Host, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / os.fsdecode(b"\xff")).touch()
    with pytest.raises(TransferError, match="not UTF-8"):
        host.send_file(str(tmp_path / "d"), recursive=True)
    host.run("mkdir d && touch d/$'\\xff'")
    with pytest.raises(TransferError, match="not UTF-8"):
        host.recv_file("d", str(tmp_path / "e"), recursive=True)
    assert host.run("rm -r d").passed


def test_no_space_on_the_host(host: Host, tmp_path: Path) -> None:
    host.run("mkdir small && mount -t tmpfs -o size=1m none small && echo old > small/big")
    (tmp_path / "big").write_bytes(b"x" * 5_000_000)
    with pytest.raises(TransferError, match="No space left on device"):
        host.send_file(str(tmp_path / "big"), "small/big")
    assert host.run("cat small/big; ls -A small").stdout == "old\nbig\n"
    host.run("umount small; rmdir small")


def test_a_file_that_shrinks_while_it_is_sent_leaves_the_old_one(host: Host, tmp_path: Path) -> None:
    top = tmp_path / "t"
    top.mkdir()
    for number in range(20):
        (top / f"{number:02}").write_bytes(b"n" * 1_000_000)
    host.run("mkdir t && echo old > t/00")
    from shakeout.hosts import files

    original = files.TreeReader.next_piece

    def shrinking(reader: files.TreeReader) -> bytes:
        (top / "19").write_bytes(b"")
        return original(reader)

    files.TreeReader.next_piece = shrinking  # type: ignore[method-assign]
    try:
        with pytest.raises(TransferError, match="became shorter"):
            host.send_file(str(top), recursive=True)
    finally:
        files.TreeReader.next_piece = original  # type: ignore[method-assign]
    assert host.run("cat t/00; ls t; ls -A | grep shakeout").stdout == "old\n00\n"


def test_an_interrupted_fetch_leaves_nothing(host: Host, tmp_path: Path) -> None:
    host.run("mkdir huge && head -c 300000000 /dev/zero > huge/a")
    caught: list[BaseException] = []

    def fetch() -> None:
        try:
            host.recv_file("huge", str(tmp_path / "huge"), recursive=True)
        except BaseException as error:  # noqa: BLE001 - looked at below
            caught.append(error)

    thread = threading.Thread(target=fetch)
    host.run("rm huge/a; ln -s /etc/passwd huge/out")
    thread.start()
    thread.join(20)
    assert isinstance(caught[0], TransferError)
    assert "leads out of the directory" in str(caught[0])
    assert list(tmp_path.glob("*huge*")) == []
    assert list(tmp_path.glob(".shakeout*")) == []


def test_a_link_that_leads_out_is_refused(host: Host, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "out").symlink_to("/etc/passwd")
    with pytest.raises(TransferError, match="leads out of the directory"):
        host.send_file(str(tmp_path / "d"), recursive=True)
    (tmp_path / "d" / "out").unlink()
    (tmp_path / "d" / "out").symlink_to("../../x")
    with pytest.raises(TransferError, match="leads out of the directory"):
        host.send_file(str(tmp_path / "d"), recursive=True)
    assert host.run("ls -A | grep -e '^d$' -e shakeout", fail=True).passed
