"""The program itself: its help, its version, what it says to a command line that makes no sense."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User

import shakeout
from shakeout.cli.commands import COMMANDS, NARROWEST, OPTIONS, WIDEST, front_page
from shakeout.cli.program import shakeout_command


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_lists_every_command(user: User, word: str) -> None:
    ended = user.shakeout(word)
    assert (ended.status, ended.err) == (0, "")
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in ended.out
        assert text in ended.out


def test_help_is_the_same_however_it_is_asked_for(user: User) -> None:
    assert user.shakeout("--help").out == user.shakeout("-d", "--help").out


def test_help_names_exactly_the_options_that_there_are() -> None:
    taken = {"/".join(sorted(parameter.opts)) for parameter in shakeout_command.params} | {"--help/-h"}
    assert {"/".join(sorted(names.split(", "))) for names in OPTIONS} == taken


@pytest.mark.parametrize("width", [1, 52, 57, 80, 100, 1000])
def test_help_fits_the_terminal(width: int) -> None:
    lines = front_page(width).splitlines()
    assert max(map(len, lines)) <= max(NARROWEST, min(width, WIDEST))
    assert " ".join("\n".join(lines).split()) == " ".join(front_page(80).split())


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version(user: User, word: str) -> None:
    assert user.shakeout(word).out == f"shakeout {shakeout.__version__}\n"
    assert user.shakeout("-d", word).out == f"shakeout {shakeout.__version__}\n"


def test_help_loads_nothing_that_reads_command_lines(user: User) -> None:
    ended = user.command(SHAKEOUT, "--help", PYTHONVERBOSE="1")
    assert "import 'shakeout.cli.commands'" in ended.err
    for name in ("click", "msgspec", "rich", "shakeout.cli.program"):
        assert f"import '{name}'" not in ended.err


def test_without_a_command_it_shows_its_help_and_fails(user: User) -> None:
    ended = user.shakeout()
    assert ended.status == 2
    assert "Commands:" in ended.err


def test_a_misspelt_command(user: User) -> None:
    ended = user.shakeout("rnu", "my.py")
    assert ended.status == 2
    assert ended.complaint.startswith("shakeout: there is no command 'rnu' (did you mean 'run'?)")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runs", "list", "--lmit", "3"], "no such option '--lmit'"),
        (["runs", "list", "--limit", "many"], "'many' is not a valid integer"),
        (["runs", "list", "--format", "xml"], "'xml' is not one of 'table', 'json'"),
        (["runs", "rm"], "missing argument 'RUN...'"),
        (["report"], "missing argument 'RUN'"),
        (["compare", "one"], "missing argument 'RUN...'"),
        (["shell", "last"], "missing argument 'HOST"),
        (["runs", "list", "--", "more"], "unexpected extra argument (more)"),
        (["agent"], "where shall the agent listen"),
    ],
)
def test_wrong_usage_is_one_paragraph_with_what_would_be_right(user: User, words: list[str], says: str) -> None:
    ended = user.shakeout(*words)
    assert ended.status == 2
    assert says in ended.complaint
    assert "; usage: shakeout " in ended.complaint
    assert "--help says more" in ended.complaint


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(user: User, name: str) -> None:
    ended = user.shakeout(name, "--help")
    assert (ended.status, ended.err) == (0, "")
    if "\nCommands:\n" in ended.out:
        inner = re.findall(r"^  (\S+)  ", ended.out.partition("\nCommands:\n")[2].partition("\n\n")[0], re.MULTILINE)
        assert inner
        assert "...\n" not in ended.out.partition("\nCommands:\n")[2]  # nothing is cut off
        pages = [user.shakeout(name, word, "--help").out for word in inner]
    else:
        pages = [ended.out]
    for page in pages:
        assert "Examples:\n" in page, page
        assert f"  shakeout {name}" in page


@pytest.mark.parametrize("command", ["--help", "plugins list", "schema pool", "runs list --help"])
def test_a_reader_that_leaves_is_no_error(user: User, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [SHAKEOUT, *command.split()], env=user.environment, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.parametrize("command", ["--help", "plugins list"])
def test_a_full_disk_is_said(user: User, command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [SHAKEOUT, *command.split()], env=user.environment, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"shakeout: No space left on device\n"


def on_terminal(user: User, *words: str, **more: str) -> str:
    """What the command shows on a terminal of 80 columns."""
    keyboard, screen = pty.openpty()
    environment = {**user.environment, "TERM": "xterm", "COLUMNS": "80", **more}
    process = subprocess.Popen([SHAKEOUT, *words], env=environment, stdin=screen, stdout=screen, stderr=screen)
    os.close(screen)
    shown = b""
    while True:
        try:
            data = os.read(keyboard, 1 << 16)
        except OSError:
            break
        shown += data
        if not data:
            break
    process.wait()
    os.close(keyboard)
    return shown.decode().replace("\r\n", "\n")


def test_colours_on_a_terminal_only(user: User) -> None:
    assert "\x1b[1m" in on_terminal(user, "plugins", "list")
    assert "\x1b" not in on_terminal(user, "plugins", "list", TERM="dumb")
    assert "\x1b[3" not in on_terminal(user, "plugins", "list", NO_COLOR="1")
    assert "\x1b" not in user.shakeout("plugins", "list").out
    assert "\x1b[1m" in user.shakeout("plugins", "list", FORCE_COLOR="1").out


def test_a_table_fits_the_terminal_and_is_whole_elsewhere(user: User) -> None:
    shown = on_terminal(user, "plugins", "show", "Ping", NO_COLOR="1")
    table = re.sub(r"\x1b\[\d*m", "", shown[shown.index("PARAMETER") :]).splitlines()
    assert max(map(len, table)) <= 80
    piped = user.shakeout("plugins", "show", "Ping").out
    assert "below 0.002 only for root\n" in piped
