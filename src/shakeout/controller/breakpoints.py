"""Breakpoints: a prompt in the middle of a recipe, with the hosts at hand."""

from __future__ import annotations

import contextlib
import keyword
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from shakeout.controller.interrupts import Interrupted
from shakeout.errors import NotInteractive, ShakeoutError, UnknownName
from shakeout.hosts.matched import Matched
from shakeout.wire.undisturbed import undisturbed

if TYPE_CHECKING:
    import code

_PROMPT = "(shakeout) "
_HELP = """\
continue, c     go on with the recipe
abort, q        end the recipe here; the hosts are restored
hosts           what there is: hosts, their devices, their jobs
HOST: COMMAND   run a command on a host (m1: ip addr)
anything else   is Python; m1, m2 … are the hosts, matched has all of them
From another terminal: shakeout shell {run} HOST, for programs that need a terminal, too"""


class TerminalPrompt:
    """Asks the person at the terminal.

    Args:
        run: the run's id, for the hint.
    """

    def __init__(self, run: Callable[[], str]) -> None:
        self._run = run

    def ask(self, text: str, matched: Matched) -> bool:
        """Let them look around; True to go on, False to abort.

        Raises:
            NotInteractive: standard input or standard error is no terminal.
        """
        if not _is_terminal(sys.stdin) or not _is_terminal(sys.stderr):
            raise NotInteractive(
                "the recipe reached a breakpoint" + (f" ({text})" if text else "") + ", but there is no terminal to "
                "ask at; run it in a terminal, or with --no-breakpoints to pass over all of them"
            )
        names = ", ".join(host.name for host in matched)
        self._say(f"\nBreakpoint{': ' + text if text else ''}. Hosts: {names}. Type help, continue or abort.")
        console = _console(matched)
        with _own_signals():
            while True:
                try:
                    answer = self._command(_read(_PROMPT).strip(), matched, console)
                except EOFError:
                    self._say("abort")
                    return False
                except Interrupted:
                    raise
                except KeyboardInterrupt:
                    self._say("\n(interrupted; type abort to end the recipe, continue to go on)")
                    continue
                if answer is not None:
                    return answer

    def _command(self, line: str, matched: Matched, console: code.InteractiveConsole) -> bool | None:
        if line in ("continue", "c", "cont"):
            return True
        if line in ("abort", "q", "quit", "exit"):
            return False
        try:
            if line in ("help", "?", "h"):
                self._say(_HELP.format(run=self._run()))
            elif line == "hosts":
                self._show_hosts(matched)
            elif line:
                self._look(line, matched, console)
        except ShakeoutError as error:
            self._say(str(error))
        return None

    def _look(self, line: str, matched: Matched, console: code.InteractiveConsole) -> None:
        host, colon, command = line.partition(":")
        if colon and host.strip() in matched and command.strip():
            self._on_host(matched, host.strip(), command.strip())
        elif colon and command.strip() and host.strip().isidentifier() and not keyword.iskeyword(host.strip()):
            raise UnknownName("host", host.strip(), [known.name for known in matched])
        else:
            self._python(line, console)

    def _python(self, line: str, console: code.InteractiveConsole) -> None:
        try:
            while console.push(line):
                line = _read("........... ")
        except EOFError:
            console.resetbuffer()
            self._say("")
        except KeyboardInterrupt:
            console.resetbuffer()
            raise
        except SystemExit:
            self._say("(type abort to end the recipe, continue to go on)")

    def _on_host(self, matched: Matched, name: str, command: str) -> None:
        job = matched[name].run(command, timeout=0, desc=f"breakpoint: {command}")
        printed = str(job).rstrip("\n")
        if printed:
            self._say(printed)
        if not job.passed:
            self._say(f"({job.reason or f'exit status {job.exit_status}'})")

    def _show_hosts(self, matched: Matched) -> None:
        for host in matched:
            self._say(f"{host.name}:")
            for device in host:
                addresses = ", ".join(str(address) for address in device.ips)
                self._say(f"    {device.name:15} {device.state:5} {device.hwaddr:18} {addresses}".rstrip())
            for job in host.jobs:
                self._say(f"    job {job.id}: {'ended' if job.finished else 'running'}: {job.title}")

    def _say(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _console(matched: Matched) -> code.InteractiveConsole:
    """What runs the Python that is typed."""
    from code import InteractiveConsole

    class Console(InteractiveConsole):
        """Shows what shakeout says without a traceback, and lets through what ends the run."""

        def showtraceback(self) -> None:
            error = sys.exception()
            if isinstance(error, Interrupted):
                raise error
            if isinstance(error, ShakeoutError) or _raised_by_us(error):
                self.write(f"{type(error).__name__}: {error}\n")
            else:
                super().showtraceback()

        def showsyntaxerror(self, *arguments: Any, **options: Any) -> None:
            super().showsyntaxerror(*arguments, **options)
            self.write(f"(a command on a host: {example}: COMMAND)\n")

    example = next((host.name for host in matched), "HOST")
    return Console({"matched": matched, **{host.name: host for host in matched}})


def _raised_by_us(error: BaseException | None) -> bool:
    """Whether shakeout raised it, as it does for a misspelt attribute; the way there is of no interest then."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename.startswith(str(Path(__file__).parents[1]) + os.sep)


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether *stream* (None: it was closed when the program began) is one."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed since then
        return False


def _read(prompt: str) -> str:
    """A line from the terminal; with history and editing, unless standard output leads elsewhere."""
    if _is_terminal(sys.stdout):
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - input() uses it once it is loaded
        sys.stdout.flush()
        return input(prompt)
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """In this block Ctrl-C interrupts what is done at the prompt, not the run; and the recipe's time stands still."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    previous = signal.signal(signal.SIGINT, lambda *_: undisturbed.raise_now(KeyboardInterrupt()))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.setitimer(signal.ITIMER_REAL, left)
