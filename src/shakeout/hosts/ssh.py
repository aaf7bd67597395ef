"""Hosts that are reached via ssh: log in, have the agent's files there, be connected to the agent.

The user's own ssh does it, with the user's configuration, keys and jump hosts. It runs as a process beside this one
until the connection ends; what it said is told with the reason why a host was lost.
"""

from __future__ import annotations

import re
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shakeout.errors import AgentUnreachable
from shakeout.hosts import bootstrap
from shakeout.hosts.bundle import Bundles
from shakeout.hosts.login import Login
from shakeout.hosts.sshcommand import command_line, remote_command
from shakeout.hosts.sshfailure import why_ended, why_none
from shakeout.wire.harmless import harmless, one_line
from shakeout.wire.tcpbooks import BooksWatch, TcpBooks
from shakeout.wire.transports import PipesTransport

if TYPE_CHECKING:
    from shakeout.hosts.dialing import Access, Endpoint
    from shakeout.wire.reactor import Reactor

#: Seconds that the host may take for each step: logging in, saying what it has, taking the next piece of a bundle.
PATIENCE = 20.0
#: Seconds that the end of ssh may come after the end of its connection.
_AFTER = 0.5
#: A part of a platform tag: it becomes a part of a file's name, too.
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,40}")
#: What a login may print before the host's end answers.
_MOST_NOISE = 256 << 10
_PIECE = 64 << 10


def dial_ssh(endpoint: Endpoint, access: Access) -> SshTransport:
    """Log in to a host, and be connected to its agent, which is started if need be; blocks.

    Raises:
        AgentUnreachable: that cannot be; the message says at which step, with what ssh said.
        UsageError: the host's file is wrong, or something is missing on this side.
    """
    bundles = Bundles(access.cache)
    mark = f"<shakeout {secrets.token_hex(8)}>"
    known = [(*bundle.tag, bundle.sha256) for bundle in bundles.known()]
    source = Path(bootstrap.__file__).read_text(encoding="utf-8")
    program = f"{source}\nbegin({mark!r}, {known!r})\n".encode()
    remote = remote_command(len(program), python=endpoint.python, sudo=endpoint.sudo)
    shown = f"{endpoint.user}@{endpoint.address}" if endpoint.user else endpoint.address
    login = Login(command_line(access.ssh, endpoint.address, endpoint.user, remote))
    try:
        _prepare(Talk(login, mark, shown), bundles, program)
    except AgentUnreachable as error:
        login.close()
        raise AgentUnreachable(f"{shown}: {error}") from error
    except BaseException:
        login.close()
        raise
    return SshTransport(login)


def _prepare(talk: Talk, bundles: Bundles, program: bytes) -> None:
    """Until the host's end says that the agent is there."""
    talk.say(program)
    verb, words = talk.hear()
    if verb == "need":
        if len(words) < 3 or not all(map(_TAG.fullmatch, words[:3])):
            raise AgentUnreachable(f"what it says of its Python makes no sense: {' '.join(words)[:100]!r}")
        bundle, data = bundles.ready_for((words[0], words[1], words[2]))
        talk.say(f"{bundle.sha256} {len(data):012d}\n".encode() + data)
        verb, words = talk.hear()
    if verb == "error":
        raise AgentUnreachable(f"the agent's files cannot be put there: {' '.join(words)[:500]}")
    if verb != "ready":
        raise AgentUnreachable(f"it said {verb[:100]!r}, which means nothing here")


class Talk:
    """What is said before the agent is there: programs and bundles go, lines that begin with *mark* come."""

    def __init__(self, login: Login, mark: str, shown: str) -> None:
        self._login = login
        self._mark = mark.encode() + b" "
        self._shown = shown
        self._heard = b""
        #: What came that was not said by the host's end: a greeting of the login shell.
        self._noise: list[bytes] = []

    def say(self, data: bytes) -> None:
        """Send *data*."""
        self._login.socket.settimeout(PATIENCE)
        view = memoryview(data)
        while view:
            try:
                view = view[self._login.socket.send(view[:_PIECE]) :]
            except TimeoutError:
                raise AgentUnreachable(f"it took nothing for {PATIENCE:g} s{self._greeting()}") from None
            except OSError:
                return  # `hear` says why it ended

    def hear(self) -> tuple[str, list[str]]:
        """The next answer: its first word, and the others.

        Raises:
            AgentUnreachable: there is none.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            line, feed, rest = self._heard.partition(b"\n")
            if feed:
                self._heard = rest
                if line.startswith(self._mark):
                    verb, *words = harmless(line[len(self._mark) :].decode(errors="replace")).split() or [""]
                    return verb, words
                self._noise.append(line)
                continue
            if len(self._heard) + sum(map(len, self._noise)) > _MOST_NOISE:
                raise AgentUnreachable(f"its login prints without end{self._greeting()}")
            data = self._receive(deadline)
            if not data:
                status, said = self._login.outcome(PATIENCE)
                raise AgentUnreachable(why_none(self._shown, status, said, self._greeting()))
            self._heard += data

    def _receive(self, deadline: float) -> bytes:
        try:
            self._login.socket.settimeout(max(0.001, deadline - time.monotonic()))
            return self._login.socket.recv(_PIECE)
        except TimeoutError:
            _, said = self._login.outcome(0)
            more = f"; ssh says: {said[-1]}" if said else ""
            raise AgentUnreachable(f"it did not answer within {PATIENCE:g} s{more}{self._greeting()}") from None
        except OSError:
            return b""

    def _greeting(self) -> str:
        lines = [text for line in [*self._noise, self._heard] if (text := line.decode(errors="replace").strip())]
        if not lines:
            return ""
        return f"; its login printed {one_line(' / '.join(lines[-3:]), 300)!r}"


class SshTransport(PipesTransport):
    """The connection to an agent, through an ssh process."""

    def __init__(self, login: Login) -> None:
        super().__init__(login.socket.fileno(), login.socket.fileno())
        self._login = login
        self._books = TcpBooks()
        self._watch: BooksWatch | None = None
        self._dead = ""

    def attend(self, reactor: Reactor) -> None:
        """Watch the link, by timers of *reactor*, until `close`: `receive` tells of its end.

        Nothing is seen of a connection that the user's ssh shares with others (ControlMaster); there, and behind a
        jump host, ssh itself finds out, later.
        """
        self._watch = BooksWatch(reactor, self._books, self._books.connections_of(self._login.pid), self._cut)

    def _cut(self, why: str) -> None:
        self._dead = why
        with suppress(OSError):
            self._login.socket.shutdown(socket.SHUT_RDWR)

    def receive(self) -> tuple[bytes, list[int]] | None:
        """As `Transport.receive`.

        Raises:
            ConnectionError: ssh has ended, and said why; or its connection leads nowhere.
        """
        received = super().receive()
        if received is not None and not received[0]:
            if self._dead:
                raise ConnectionError(f"the ssh connection broke: {self._dead}")
            reason = why_ended(*self._login.outcome(_AFTER))
            if reason:
                raise ConnectionError(reason)
        return received

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._books.close()
        self._read = self._write = -1
        self._login.close()
