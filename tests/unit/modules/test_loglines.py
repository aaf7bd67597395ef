"""Lines of logs: whole, cut, and of any bytes; what the kernel and the journal write."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.files.inotify import Event, parse_events
from shakeout.modules import LogWatch
from shakeout.modules.logs.lines import LONGEST, Lines, journal_message, kernel_message


@given(st.lists(st.binary()))
def test_lines_do_not_depend_on_how_they_come(parts: list[bytes]) -> None:
    whole, pieces = Lines(), Lines()
    expected = whole.feed(b"".join(parts)) + whole.end()
    found = [line for part in parts for line in pieces.feed(part)] + pieces.end()
    assert found == expected


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n\r", codec="utf-8"))))
def test_text_comes_as_it_is(lines: list[str]) -> None:
    assert Lines().feed("".join(f"{line}\n" for line in lines).encode()) == lines


def test_bytes_that_are_no_text_are_shown() -> None:
    assert Lines().feed(b"caf\xe9\r\n\xff\n") == ["caf\\xe9", "\\xff"]


def test_a_huge_line_is_cut_once_and_the_next_is_whole() -> None:
    for size in (1, 1000, 1 << 20):
        lines, found = Lines(), list[str]()
        data = b"x" * (3 * LONGEST) + b"END\nnext\n"
        for at in range(0, len(data), size if size > 1 else 4099):
            found += lines.feed(data[at : at + (size if size > 1 else 4099)])
        assert found == ["x" * LONGEST, "next"]
        assert lines.cut == 1


def test_what_the_kernel_writes() -> None:
    record = b"6,339,5140900,-;NET: Registered \xff family\n SUBSYSTEM=net\n"
    assert kernel_message(record) == "NET: Registered \\xff family"
    assert kernel_message(b"") == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"MESSAGE":"hello","SYSLOG_IDENTIFIER":"sshd","_PID":"12"}', "sshd[12]: hello"),
        ('{"MESSAGE":[104,105,255],"_COMM":"x"}', "x: hi\\xff"),
        ('{"MESSAGE":null}', "?: "),
        ("no json", "no json"),
        ("[1]", "[1]"),
    ],
)
def test_what_the_journal_writes(line: str, message: str) -> None:
    assert journal_message(line) == message


@given(st.binary())
def test_any_events_are_survived(data: bytes) -> None:
    list(parse_events(data))


def test_events_are_read() -> None:
    data = struct.pack("=iIII", 3, 2, 0, 16) + b"name".ljust(16, b"\0") + struct.pack("=iIII", 4, 8, 0, 0)
    assert list(parse_events(data)) == [Event(3, 2, b"name"), Event(4, 8, b"")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "nothing to watch.*nothing to look for"),
        ({"path": "/x"}, "nothing to look for"),
        ({"path": "x", "note": "y"}, "path"),
        ({"path": "/x/", "note": "y"}, "path"),
        ({"path": "/x", "forbid": "("}, "a regular expression"),
        ({"path": "/x", "forbid": ""}, "forbid"),
        ({"path": "/x", "require": "x", "count": 0}, "count"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        LogWatch(**options)


def test_one_pattern_is_no_list() -> None:
    assert LogWatch(path="/x", forbid="a{1,2}").forbid == ["a{1,2}"]
    assert LogWatch(path="/x", forbid="[ab], c").forbid == ["[ab], c"]
    assert LogWatch(path="/x", forbid='["a", "b"]').forbid == ["a", "b"]
