"""The resident agent: accepts controllers, checks who they are, gives the lease to one."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shakeout
from shakeout.agent.children import Children
from shakeout.agent.forker import Forker
from shakeout.agent.lease import Lease
from shakeout.agent.properties import Value
from shakeout.agent.session import Session, home_directory
from shakeout.agent.undo import UndoLog, boot_id, failures, replay
from shakeout.errors import LeaseHeld
from shakeout.processes.strays import kill_marked
from shakeout.wire.connection import Connection
from shakeout.wire.messages import PROTOCOLS, Hello, Refused, Welcome, agent_decoder
from shakeout.wire.reactor import READ, Reactor
from shakeout.wire.transports import Transport, UnixTransport

#: Seconds a peer has to say Hello.
HELLO_TIMEOUT = 10.0
#: Connections that may be open without having said Hello.
_MOST_STRANGERS = 64
#: Characters of the mark of a lease.
_MARK_SIZE = 12


class Agent:
    """One host's agent.

    Args:
        reactor: its loop; made after the zygote was forked.
        zygote: the socket of the zygote.
        state: a directory of its own for the lease and the undo log.
        properties: what Welcome says of the host.
        environment: the variables that jobs start with.
    """

    def __init__(
        self,
        reactor: Reactor,
        zygote: socket.socket,
        state: Path,
        properties: dict[str, Value],
        environment: dict[str, str],
    ) -> None:
        self.reactor = reactor
        self.children = Children(reactor)
        self.forker = Forker(zygote, reactor, on_lost=self._lose_zygote)
        self.environment = environment
        self.undo_path = state / "undo.log"
        self.home = home_directory()
        self.properties = properties
        self._boot_id = boot_id()
        self._lease = Lease(str(state / "lease"))
        self._mark_path = state / "mark"
        self._holder: Session | None = None
        #: What the holder's controller is called.
        self._controller = ""
        self._kept = False
        self._peers: set[Peer] = set()
        self._attached = 0
        #: Why it ended before it was told to; "" if it did not.
        self.trouble = ""

    def recover(self) -> None:
        """End and undo what an agent that was killed left behind; what another agent holds now is left alone.

        What could not be undone is said on standard error.
        """
        try:
            self._lease.take("an agent that puts the host back")
        except LeaseHeld:
            return
        try:
            self._clear_up()
        finally:
            self._lease.release()

    def _clear_up(self) -> None:
        """`recover`, for whoever has the lease."""
        try:
            mark = self._mark_path.read_text()
        except OSError:
            mark = ""
        if len(mark) == _MARK_SIZE and mark.isalnum():
            kill_marked(mark)
        for text in failures(replay(UndoLog(self.undo_path))):
            sys.stderr.write(f"shakeout: could not be put back after the last agent was killed: {text}\n")
        self._mark_path.unlink(missing_ok=True)

    def listen(self, listener: socket.socket) -> None:
        """Accept controllers on a unix socket; only root and the agent's own user may connect."""
        listener.setblocking(False)

        def accept(events: int) -> None:
            try:
                connected, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # no descriptors left: those that come wait until there are some
                self.reactor.forget(listener.fileno())
                self.reactor.call_later(1.0, lambda: self.reactor.watch(listener.fileno(), READ, accept))
                return
            transport = UnixTransport(connected)
            pid, uid = transport.peer()
            strangers = sum(1 for peer in self._peers if peer.silent)
            if uid not in (0, os.geteuid()) or strangers >= _MOST_STRANGERS:
                transport.close()
                return
            self.serve(transport, pid)

        self.reactor.watch(listener.fileno(), READ, accept)

    def serve(self, transport: Transport, pid: int = 0) -> None:
        """Serve one connection whose other side has been authenticated.

        Args:
            pid: the process there, if it is on this machine: the connection ends with it, although a child of its may
                still have it open.
        """
        self._peers.add(Peer(self, transport, pid))

    def stop(self) -> None:
        """Leave the loop; sessions are closed by whoever runs it."""
        self.reactor.stop()

    def close(self) -> None:
        """End all sessions (their hosts are put back) and connections."""
        for peer in list(self._peers):
            peer.connection.close("the agent is ending")

    # -- for peers and sessions -----------------------------------------------------------------------

    def welcome(self, peer: Peer, hello: Hello) -> Session | Refused:
        """Open a session for *hello*, or say why not."""
        low, high = max(hello.versions[0], PROTOCOLS[0]), min(hello.versions[1], PROTOCOLS[1])
        if low > high:
            return Refused(
                "version",
                f"this agent (shakeout {shakeout.__version__}) speaks protocol {PROTOCOLS[0]} to {PROTOCOLS[1]}, the "
                f"controller {hello.versions[0]} to {hello.versions[1]}; install the same release on both",
            )
        if hello.release and hello.release != shakeout.__version__:
            return Refused(
                "release",
                f"this agent is shakeout {shakeout.__version__}, the controller {hello.release}; install the same "
                "release on both",
            )
        if hello.role == "attach":
            return self._attach(peer, hello)
        if self._holder is not None:
            if not self._kept or hello.run != self._holder.run:
                return Refused("lease", f"the host is held by {self._controller}", holder=self._controller)
            return self._take_over(peer, hello)
        try:
            self._lease.take(hello.controller)
        except LeaseHeld as error:
            return Refused("lease", str(error), holder=error.holder)
        try:
            if self._mark_path.exists():  # of an agent beside this one, which was killed
                self._clear_up()
            mark = os.urandom(_MARK_SIZE // 2).hex()
            self._mark_path.write_text(mark)
            self._holder = Session(self, peer.connection, hello.run, mark, attached=False)
        except BaseException:
            self._lease.release()
            raise
        self._controller = hello.controller
        return self._holder

    def _take_over(self, peer: Peer, hello: Hello) -> Session:
        """The run that has kept the host is back: what it left is its own again, to be ended and undone."""
        kept = self._holder
        assert kept is not None
        self._kept = False
        self._controller = hello.controller
        self._holder = Session(self, peer.connection, hello.run, kept.mark, attached=False, kept=kept)
        return self._holder

    def _attach(self, peer: Peer, hello: Hello) -> Session | Refused:
        holder = self._holder
        if holder is None or holder.run != hello.run:
            return Refused("role", f"run {hello.run} does not hold this host; nothing to attach to")
        self._attached += 1
        return Session(self, peer.connection, hello.run, f"{holder.mark}-{self._attached}", attached=True)

    def greeting(self, hello: Hello, session: Session) -> Welcome:
        """The welcome of an open session."""
        version = min(hello.versions[1], PROTOCOLS[1])
        return Welcome(version, time.monotonic_ns(), self._boot_id, self.properties, session.mark, shakeout.__version__)

    def keep(self, session: Session) -> None:
        """The host stays as it is, and its run's, until it is removed."""
        self._kept = True

    def release(self, session: Session) -> None:
        """*session* is over: the host is free again."""
        if session is self._holder and not self._kept:
            self._holder = None
            self._mark_path.unlink(missing_ok=True)
            self._lease.release()
            self.forker.rest()

    def _lose_zygote(self) -> None:
        """Nothing can be forked any more: everything is put back, and whoever started this may start it again."""
        self.trouble = "the agent has ended, because its zygote was killed"
        self.stop()

    def forget(self, peer: Peer) -> None:
        """A connection has ended."""
        self._peers.discard(peer)


class Peer:
    """One connection, from its Hello to its end."""

    def __init__(self, agent: Agent, transport: Transport, pid: int) -> None:
        self._agent = agent
        self._session: Session | None = None
        #: Whether it has said nothing yet.
        self.silent = True
        self._process = _watch_process(pid, agent.reactor, lambda: self.connection.close("its process has ended"))
        self.connection = Connection(transport, agent.reactor, agent_decoder(), self._message, self._closed)
        self._patience = agent.reactor.call_later(HELLO_TIMEOUT, lambda: self.connection.close("no Hello came in time"))

    def _message(self, message: Any) -> None:
        if self._session is not None:
            self._session.handle(message)
            return
        if not isinstance(message, Hello):
            self.connection.close("the first message was no Hello")
            return
        self._patience.cancel()
        self.silent = False
        answer = self._agent.welcome(self, message)
        if isinstance(answer, Refused):
            self.connection.send(answer)
            self.connection.when_drained(lambda: self.connection.close("refused"))
            return
        self._session = answer
        self.connection.send(self._agent.greeting(message, answer))

    def _closed(self, reason: str) -> None:
        self._patience.cancel()
        if self._process >= 0:
            self._agent.reactor.forget(self._process)
            os.close(self._process)
        self._agent.forget(self)
        if self._session is not None:
            self._session.close()
            self._agent.release(self._session)


def _watch_process(pid: int, reactor: Reactor, on_end: Callable[[], None]) -> int:
    """Call *on_end* when *pid* has ended; the descriptor that is watched, -1 if it cannot be seen from here."""
    if pid <= 0:
        return -1
    try:
        end = os.pidfd_open(pid)
    except OSError:
        return -1
    reactor.watch(end, READ, lambda events: on_end())
    return end
