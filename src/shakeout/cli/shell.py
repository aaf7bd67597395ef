"""``shakeout shell``: a terminal on a host of a kept, paused or running run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from shakeout.cli.program import leave
from shakeout.cli.store import RUN_HELP, find_run
from shakeout.errors import AgentUnreachable, HostLost, UnknownName, UsageError

if TYPE_CHECKING:
    from shakeout.controller.hostbook import HostBook
    from shakeout.hosts.attachment import Attachment
    from shakeout.wire.messages import StartJob

#: What a shell takes from the terminal that it is shown on.
_OF_THE_TERMINAL = ("TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE")
_SHELL = "exec ${SHELL:-/bin/bash} -i"


@click.command(
    epilog=f"""\b
{RUN_HELP}
A COMMAND of one word is read by bash; several words are a program and its arguments, as they are.
Its exit status is that of shakeout.
Examples:
  shakeout shell last m1                    after: shakeout run my.py --keep
  shakeout shell last m1 -- ip -br addr
  shakeout shell last m2 -- 'tcpdump -w - -i eth0' > packets.pcap
""",
    options_metavar="[OPTIONS]",
)
@click.argument("run")
@click.argument("host", metavar="HOST [-- COMMAND...]")
@click.pass_context
def shell(ctx: click.Context, run: str, host: str) -> None:
    """Open a shell on HOST, a host that RUN has kept (--keep), stands still with at a breakpoint, or uses now."""
    from shakeout.cli.settings import access_of, settings_for
    from shakeout.controller.kept import connect
    from shakeout.hosts.attachment import Attachment

    folder = find_run(run)
    book = _book(folder)
    if host not in book.hosts:
        raise UnknownName("host of this run", host, book.hosts)
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    command = ctx.obj.get("parameters")
    if not command and not on_terminal:
        raise UsageError(
            "a shell needs a terminal, and standard input or output is none; run one command instead: "
            f"shakeout shell {run} {host} -- COMMAND"
        )
    try:
        attachment = Attachment(
            host, connect(book.hosts[host], access_of(settings_for())), _order(command, on_terminal), run=book.run
        )
        with _terminal_of(attachment) if on_terminal else contextlib.nullcontext():
            status = attachment.run()
    except AgentUnreachable as error:
        if not book.hosts[host].startswith("unix:"):
            raise
        raise UsageError(_gone(folder.name, host)) from error
    except HostLost as error:
        raise HostLost(f"the shell has ended, because the host is gone ({error})") from error
    leave(status)


def _book(folder: Path) -> HostBook:
    from shakeout.controller.hostbook import read_book

    book = read_book(folder)
    if book is None:
        raise UsageError(
            f"run {folder.name} has no hosts now: they are there while it runs (a breakpoint makes it wait), and "
            "afterwards if it was run with --keep"
        )
    return book


def _gone(run: str, host: str) -> str:
    return (
        f"host {host} of run {run} is gone: its laboratory was removed, or this machine was started anew; "
        f"run it again with --keep (shakeout runs rm {run} removes what is left of it)"
    )


def _order(command: Sequence[str] | None, on_terminal: bool) -> StartJob:
    from shakeout.wire.messages import StartJob

    size = _size() if on_terminal else None
    env = {name: os.environ[name] for name in _OF_THE_TERMINAL if name in os.environ} if on_terminal else {}
    if not command:
        return StartJob(0, shell=_SHELL, env=env, terminal=size)
    if len(command) == 1:
        return StartJob(0, shell=command[0], env=env, terminal=size)
    return StartJob(0, argv=tuple(command), env=env, terminal=size)


def _size() -> tuple[int, int]:
    """Rows and columns of the terminal."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return 24, 80
    return size.lines or 24, size.columns or 80


@contextlib.contextmanager
def _terminal_of(attachment: Attachment) -> Iterator[None]:
    """Hand every key to the other side as it is, and tell it the terminal's size; put back as it was in any case."""
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    with contextlib.ExitStack() as stack:
        stack.callback(termios.tcsetattr, keyboard, termios.TCSADRAIN, before)
        for number in (signal.SIGTERM, signal.SIGHUP):
            _handle(stack, number, _end)
        _handle(stack, signal.SIGWINCH, lambda *_: attachment.resize(*_size()))
        tty.setraw(keyboard, termios.TCSADRAIN)
        yield


def _handle(stack: contextlib.ExitStack, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
    previous = signal.signal(number, handler)
    stack.callback(signal.signal, number, previous)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
