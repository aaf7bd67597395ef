"""File trees arrive as they were sent, or not at all; nothing leaves the destination."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import TransferError
from shakeout.wire.filetree import TreeWriter, check_entries, listing, resolve_destination
from shakeout.wire.parts import Entry


def tree(top: Path) -> Path:
    (top / "sub" / "empty").mkdir(parents=True)
    (top / "a.txt").write_text("hello")
    (top / "none").touch()
    (top / "sub" / "tool").write_bytes(os.urandom(5000))
    (top / "sub" / "tool").chmod(0o750)
    (top / "sub" / "link").symlink_to("../a.txt")
    (top / "ünï").write_text("x")
    return top


def contents(top: Path) -> bytes:
    return b"".join((top / e.path).read_bytes() for e in listing(str(top), recursive=True) if e.kind == "file")


def test_a_tree_arrives_as_it_was(tmp_path: Path) -> None:
    source, target = tree(tmp_path / "source"), tmp_path / "target"
    entries = listing(str(source), recursive=True)
    writer = TreeWriter(str(target))
    writer.announce(entries)
    data = contents(source)
    for start in range(0, len(data), 777):
        assert writer.wanted
        writer.write(data[start : start + 777])
    assert writer.wanted == 0
    assert not target.exists()  # nobody sees half of it
    assert writer.finish() == str(target)
    assert listing(str(target), recursive=True) == entries
    assert (target / "sub" / "link").readlink() == Path("../a.txt")
    assert contents(target) == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_a_transfer_that_is_given_up_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    writer = TreeWriter(str(target))
    writer.announce([Entry("", "file", 0o644, 10)])
    writer.write(b"12345")
    with pytest.raises(TransferError, match="before all content"):
        writer.finish()
    writer.abandon()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_more_than_was_announced_is_refused(tmp_path: Path) -> None:
    writer = TreeWriter(str(tmp_path / "file"))
    writer.announce([Entry("", "file", 0o644, 3)])
    with pytest.raises(TransferError, match="more content"):
        writer.write(b"12345")
    writer.abandon()


TOP = Entry("", "dir", 0o755)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("../out", "file", 0o644),
        Entry("/etc/passwd", "file", 0o644),
        Entry("a/../../out", "file", 0o644),
        Entry("./a", "file", 0o644),
        Entry("a//b", "file", 0o644),
        Entry("a\0b", "file", 0o644),
        Entry("never/announced", "file", 0o644),
        Entry("link", "link", 0o777, target="/etc"),
        Entry("link", "link", 0o777, target="../.."),
        Entry("link", "link", 0o777, target=""),
        Entry("", "link", 0o777, target="x"),
        Entry("size", "file", 0o644, -1),
        Entry("mode", "file", 0o1234567),
    ],
    ids=lambda entry: repr(entry.path or entry.target),
)
def test_entries_that_would_leave_the_destination_are_refused(entry: Entry) -> None:
    with pytest.raises(TransferError, match="refused"):
        check_entries([TOP, entry], seen=set())


@given(
    st.lists(
        st.builds(Entry, st.text(max_size=8), st.sampled_from(["file", "dir", "link"]), st.just(0o644)), max_size=5
    )
)
def test_whatever_is_announced_nothing_is_written_outside(entries: list[Entry]) -> None:
    try:
        check_entries([TOP, *entries], seen=set())
    except TransferError:
        return
    for entry in entries:
        inside = os.path.normpath(f"/top/{entry.path}")
        assert inside == "/top" or inside.startswith("/top/")


def test_a_link_cannot_be_written_through(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    writer = TreeWriter(str(tmp_path / "target"))
    with pytest.raises(TransferError):
        writer.announce(
            [TOP, Entry("d", "link", 0o777, target="."), Entry("d", "dir", 0o755), Entry("d/x", "file", 0o644)]
        )
    writer.abandon()
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_directory_is_not_put_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("keep me")
    writer = TreeWriter(str(tmp_path / "taken"))
    writer.announce([TOP])
    with pytest.raises(TransferError, match="is a file"):
        writer.finish()
    assert (tmp_path / "taken").read_text() == "keep me"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", "{}/name"), ("other", "{}/other"), ("new/", "{}/new/name"), ("there", "{}/there/name"), ("/abs/x", "/abs/x")],
)
def test_destinations_are_those_of_cp(tmp_path: Path, path: str, expected: str) -> None:
    (tmp_path / "there").mkdir()
    assert resolve_destination(path, "name", str(tmp_path)) == expected.format(tmp_path)


def test_what_cannot_be_sent_says_why(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="No such file"):
        listing(str(tmp_path / "none"), recursive=False)
    with pytest.raises(TransferError, match="recursive=True"):
        listing(str(tmp_path), recursive=False)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(TransferError, match="neither a file nor a directory"):
        listing(str(tmp_path / "fifo"), recursive=False)
