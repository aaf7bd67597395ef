"""A host via ssh that lies before its agent is there; what stands for ssh here is a program that says what it would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shakeout.errors import AgentUnreachable
from shakeout.hosts import ssh
from shakeout.hosts.dialing import Access, Endpoint, dial
from shakeout.hosts.login import Login

#: Reads the program that is sent, finds the mark in it, and says what the test wants to be said.
HOST = """
import os, re, sys
read = b""
while b"begin('<" not in read or not read.endswith(b"\\n"):
    read += os.read(0, 1 << 16)
mark = re.search(rb"begin\\('(<.*?>)'", read)[1]
{says}
os.read(0, 1)
"""
EVIL = "\\x1b]0;boo\\x07\\u202e"


def host(tmp_path: Path, says: str) -> Access:
    program = tmp_path / "host.py"
    program.write_text(HOST.format(says=says))
    return Access(ssh=(sys.executable, str(program)), cache=tmp_path / "cache")


def refused(access: Access) -> str:
    with pytest.raises(AgentUnreachable) as told:
        dial(Endpoint("ssh", "dut1", sudo=False), access)
    text = str(told.value)
    assert text.isprintable()
    assert len(text) < 1000
    return text


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (f"need {EVIL} {EVIL} {EVIL} x", "makes no sense"),
        ("need ../../../../tmp/x x86_64 glibc-2.36 x", "makes no sense"),
        ("need cpython-311 x86_64 glibc-2.36/../../../x x", "makes no sense"),
        (f"need cpython-311 x86_64 glibc-{'9' * 5000} x", "makes no sense"),
        ("need", "makes no sense"),
        (f"error {EVIL}", "cannot be put there: ?]0;boo"),
        (f"error {'x' * 100_000}", "cannot be put there: xxx"),
        (f"{EVIL}{'y' * 1000}", "which means nothing here"),
        ("", "which means nothing here"),
    ],
)
def test_answers_that_are_none(said: str, reason: str, tmp_path: Path) -> None:
    assert reason in refused(host(tmp_path, f'os.write(1, mark + " {said}\\n".encode())'))
    assert not list(tmp_path.rglob("*.tar.gz"))


def test_a_banner_without_end(tmp_path: Path) -> None:
    says = 'sys.excepthook = lambda *_: None\nwhile True: os.write(1, b"\\\\x1bboo" * 9999)'
    assert "its login prints without end; its login printed" in refused(host(tmp_path, says))


def test_a_banner_that_comes_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte of it is in time."""
    monkeypatch.setattr(ssh, "PATIENCE", 1.0)
    says = 'import time\nfor _ in range(100): os.write(1, b"x"); time.sleep(0.05)'
    assert "it did not answer within 1 s" in refused(host(tmp_path, says))


def test_complaints_without_end_take_no_memory() -> None:
    login = Login([sys.executable, "-c", "import os\nfor _ in range(2000): os.write(2, b'x' * 65536)"])
    try:
        _, said = login.outcome(30)
        assert said == ["x" * 500]
    finally:
        login.close()


@pytest.mark.parametrize("limit", ["ulimit -Sn 256", "ulimit -n 400"])
def test_hundreds_that_say_nothing_need_more_descriptors_than_are_usual(limit: str, tmp_path: Path) -> None:
    """As many as there is room for are asked at a time, and none is said to be at fault for ours."""
    (tmp_path / "ssh").write_text("#!/bin/sh\nexec sleep 0.2\n")
    (tmp_path / "ssh").chmod(0o755)
    (tmp_path / "pool").mkdir()
    for number in range(100):
        text = f'{{"host": {{"name": "h{number}", "address": "h{number}", "via": "ssh"}}}}'
        (tmp_path / "pool" / f"h{number}.json").write_text(text)
    command = f'{limit}; exec "$0" -m shakeout.cli pool check --pool pool --format json'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"SHAKEOUT_SSH": str(tmp_path / "ssh"), "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip
    troubles = {each["name"]: each["trouble"] for each in json.loads(done.stdout)}
    assert len(troubles) == 100
    assert [text for text in troubles.values() if "could not be started there" not in text] == []
