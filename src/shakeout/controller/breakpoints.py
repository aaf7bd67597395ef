"""Breakpoints: a prompt in the middle of a recipe, with the hosts at hand."""

from __future__ import annotations

import code
import sys
from collections.abc import Callable
from typing import Any

from shakeout.errors import NotInteractive
from shakeout.hosts.matched import Matched

_HELP = """\
continue, c     go on with the recipe
abort, q        end the recipe here; the hosts are restored
hosts           what there is: hosts, their devices, their jobs
HOST: COMMAND   run a command on a host (m1: ip addr)
anything else   is Python; m1, m2 … are the hosts, matched has all of them
From another terminal: shakeout shell {run} HOST"""


class TerminalPrompt:
    """Asks the person at the terminal.

    Args:
        run: the run's id, for the hint.
    """

    def __init__(self, run: Callable[[], str]) -> None:
        self._run = run

    def ask(self, text: str, matched: Matched) -> bool:
        """Let them look around; True to go on, False to abort."""
        if not sys.stdin.isatty() or not sys.stderr.isatty():
            raise NotInteractive(
                f"the recipe reached a breakpoint{f' ({text})' if text else ''}, but there is no terminal to ask at; "
                "run it in a terminal, or with --no-breakpoints to pass over all of them"
            )
        names = ", ".join(host.name for host in matched)
        self._say(f"\nBreakpoint{': ' + text if text else ''}. Hosts: {names}. Type help, continue or abort.")
        console = code.InteractiveConsole({"matched": matched, **{host.name: host for host in matched}})
        while True:
            try:
                line = input("(shakeout) ").strip()
            except EOFError:
                self._say("")
                return False
            except KeyboardInterrupt:
                self._say("\n(type abort to end the recipe, continue to go on)")
                continue
            answer = self._command(line, matched, console)
            if answer is not None:
                return answer

    def _command(self, line: str, matched: Matched, console: code.InteractiveConsole) -> bool | None:
        if line in ("continue", "c", "cont"):
            return True
        if line in ("abort", "q", "quit", "exit"):
            return False
        if line in ("help", "?", "h"):
            self._say(_HELP.format(run=self._run()))
        elif line == "hosts":
            self._show_hosts(matched)
        elif line:
            host, colon, command = line.partition(":")
            if colon and host.strip() in matched and command.strip():
                self._on_host(matched, host.strip(), command.strip())
            else:
                self._python(line, console)
        return None

    def _python(self, line: str, console: code.InteractiveConsole) -> None:
        try:
            while console.push(line):
                line = input("........... ")
        except (EOFError, KeyboardInterrupt):
            console.resetbuffer()
            self._say("")
        except SystemExit:
            self._say("(type abort to end the recipe, continue to go on)")

    def _on_host(self, matched: Matched, name: str, command: str) -> None:
        try:
            job = matched[name].run(command, timeout=0, fail=False, desc=f"breakpoint: {command}")
        except KeyboardInterrupt:
            self._say("\n(interrupted)")
            return
        self._say(str(job).rstrip("\n"))
        if job.exit_status:
            self._say(f"(exit status {job.exit_status})")

    def _show_hosts(self, matched: Matched) -> None:
        for host in matched:
            self._say(f"{host.name}:")
            for device in host:
                addresses = ", ".join(str(address) for address in device.ips)
                self._say(f"    {device.name:15} {device.state:5} {device.hwaddr:18} {addresses}")
            for job in host.jobs:
                self._say(f"    job {job.id}: {'running' if not job.finished else 'ended'}: {job.title}")

    def _say(self, text: str) -> None:
        stream: Any = sys.stderr
        stream.write(text + "\n")
        stream.flush()
