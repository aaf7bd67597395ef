"""The command that logs in, and the one that is run there: what each shell makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import UsageError
from shakeout.hosts.sshcommand import command_line, destination, remote_command
from shakeout.hosts.sshfailure import why_none


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("dut1", "dut1", ""),
        ("dut1.lab:2222", "dut1.lab", "2222"),
        ("root@dut1:22", "root@dut1", "22"),
        ("2001:db8::1", "2001:db8::1", ""),
        ("[2001:db8::1]:22", "2001:db8::1", "22"),
        ("[fe80::1%eth0]", "fe80::1%eth0", ""),
    ],
)
def test_addresses(address: str, host: str, port: str) -> None:
    assert destination(address) == (host, port)


@pytest.mark.parametrize(
    "address", ["", ":22", "-oProxyCommand=x", "-v:22", "a b", "dut1:", "dut1:x", "dut1:0", "dut1:65536", "[::1", "d\n"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="is no address of a host via ssh"):
        destination(address)


@given(st.text(max_size=30))
def test_no_address_becomes_an_option(address: str) -> None:
    try:
        host, port = destination(address)
    except UsageError:
        return
    assert not host.startswith("-")
    assert port == "" or 0 < int(port) < 65536
    line = command_line(["ssh"], address, "", "true")
    assert line[line.index("--") + 1 :] == [host, "true"]


def test_the_users_own_options_come_first() -> None:
    line = command_line(["ssh", "-o", "ServerAliveInterval=60"], "dut1:2222", "tester", "true")
    assert line.index("ServerAliveInterval=60") < line.index("ServerAliveInterval=2")
    assert line[-7:] == ["-p", "2222", "-l", "tester", "--", "dut1", "true"]
    with pytest.raises(UsageError, match="is no user"):
        command_line(["ssh"], "dut1", "-oProxyCommand=x", "true")


@pytest.mark.parametrize("python", ["x;reboot", "$(reboot)", "a b", "'", "-c", "py thon", "~root/x", "`x`", "x\n"])
def test_what_is_no_python(python: str) -> None:
    with pytest.raises(UsageError, match="python:"):
        remote_command(1, python=python)


def run_in(shell: str, program: str, *, path: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    """What a login shell, as sshd starts it, makes of the command."""
    command = remote_command(len(program.encode()), sudo=False, **options)  # type: ignore[arg-type]
    environment = {"PATH": path or f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}", "HOME": "/"}
    environment["SSH_CONNECTION"] = "192.0.2.1 50000 192.0.2.2 22"
    return subprocess.run(
        [shell, "-c", command], input=program, capture_output=True, text=True, env=environment, timeout=20, check=False
    )


@pytest.mark.parametrize(
    "shell", [*("sh", "bash"), *(pytest.param(name, marks=pytest.mark.needs(name)) for name in ("tcsh", "fish"))]
)
def test_every_login_shell_runs_it(shell: str) -> None:
    text = 'it\'s "quoted" $HOME \\ `x` !! \n'
    done = run_in(shell, f"import sys; print({text!r}, sys.argv[5], end='')")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{text} 192.0.2.1 50000 192.0.2.2 22"


def fake_python(folder: Path, name: str, version: str) -> None:
    """A Python that says it is *version*, but for that it works."""
    numbers = tuple(map(int, version.split(".")))
    pretend = f'import sys;sys.version_info={numbers};sys.version="{version} (fake)";exec(sys.argv.pop(1))'
    file = folder / name
    file.write_text(f'#!/bin/sh\nshift 2\ncode=$1\nshift\nexec {sys.executable} -I -c \'{pretend}\' "$code" "$@"\n')
    file.chmod(0o755)


def only(folder: Path) -> str:
    """A PATH with nothing but *folder*, and what the shell itself needs there."""
    for name in ("id", "sudo"):
        place = folder / name
        place.write_text("#!/bin/sh\necho 1000\n")
        place.chmod(0o755)
    return str(folder)


def test_an_old_python_gives_way_to_a_newer_one(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.9.2")
    fake_python(tmp_path, "python3.12", "3.10.1")
    (tmp_path / "python3.11").symlink_to(sys.executable)
    done = run_in("/bin/sh", "import sys; print(sys.version_info[:2] >= (3, 11))", path=only(tmp_path))
    assert done.stdout == "True\n", done.stderr


def test_there_are_old_pythons_only(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.9.2")
    done = run_in("/bin/sh", "print('run')", path=only(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs Python 3.11 or later there, and only 3.9.2 was found" in why_none(
        "dut1", done.returncode, done.stderr.splitlines(), ""
    )


def test_there_is_no_python(tmp_path: Path) -> None:
    done = run_in("/bin/sh", "print('run')", path=only(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    told = why_none("dut1", done.returncode, done.stderr.splitlines(), "")
    assert "needs Python 3.11 or later there, and none was found" in told


def test_the_one_that_is_named_is_taken(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.9.2")
    done = run_in("/bin/sh", "print('run')", path=only(tmp_path), python=sys.executable)
    assert done.stdout == "run\n", done.stderr
