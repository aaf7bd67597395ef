"""The resident agent: accepts controllers, checks who they are, gives the lease to one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shakeout
from shakeout.agent.children import Children
from shakeout.agent.diary import Diary
from shakeout.agent.forker import Forker
from shakeout.agent.lease import Lease, since_when
from shakeout.agent.line import Line, Waiting
from shakeout.agent.listening import watch_listener
from shakeout.agent.look import Look
from shakeout.agent.properties import Value
from shakeout.agent.reservation import LONGEST_OWNER, ReservationFile, described
from shakeout.agent.session import Session, home_directory
from shakeout.agent.telling import tell
from shakeout.agent.undo import UndoLog, boot_id, failures, replay
from shakeout.errors import LeaseHeld
from shakeout.processes.strays import kill_marked
from shakeout.wire.connection import Connection
from shakeout.wire.harmless import one_line
from shakeout.wire.messages import PROTOCOLS, Hello, Refused, Sync, SyncReply, Welcome, agent_decoder
from shakeout.wire.parts import Step
from shakeout.wire.reactor import READ, Reactor
from shakeout.wire.transports import Transport, UnixTransport

#: Seconds a peer has to say Hello.
HELLO_TIMEOUT = 10.0
#: Connections that may be open without having said Hello.
_MOST_STRANGERS = 64
#: Questions of somebody without the host that are answered though he does not take the answers.
_MOST_UNHEARD = 100
#: Characters of the mark of a lease.
_MARK_SIZE = 12


class Agent:
    """One host's agent.

    Args:
        reactor: its loop; made after the zygote was forked.
        zygote: the socket of the zygote, or what starts it when it is first needed.
        state: a directory of its own for the lease and the undo log.
        properties: what Welcome says of the host.
        environment: the variables that jobs start with; those of this process, too.
    """

    def __init__(
        self,
        reactor: Reactor,
        zygote: socket.socket | Callable[[], socket.socket],
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
        self.lease_identity = f"{self._boot_id}:{self._lease.identity}"
        self._mark_path = state / "mark"
        self._holder: Session | None = None
        #: What the holder's controller is called, and since when it has the host.
        self._controller, self._since = "", 0.0
        #: Who the holder's connection said is there.
        self._identity = ""
        self._kept = False
        self.reservation = ReservationFile(state / "reservation")
        self._line = Line(
            state / "line", reactor, self.children, self.reservation, admit=self._admit, holder=self.holder,
            lease=self._lease.path, leased=lambda: self._holder is not None,
        )  # fmt: skip
        self._peers: set[Peer] = set()
        self._attached = 0
        #: Why it ended before it was told to; "" if it did not.
        self.trouble = ""
        self.diary = Diary()

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
            tell(f"could not be put back after the last agent was killed: {text}")
        self._mark_path.unlink(missing_ok=True)

    def listen(self, listener: socket.socket) -> None:
        """Accept controllers on a unix socket; only root and the agent's own user may connect."""

        def arrived(connected: socket.socket, address: object) -> None:
            transport = UnixTransport(connected)
            pid, uid = transport.peer()
            strangers = sum(1 for peer in self._peers if peer.silent)
            if uid not in (0, os.geteuid()) or strangers >= _MOST_STRANGERS:
                transport.close()
                return
            self.serve(transport, pid)

        watch_listener(self.reactor, listener, arrived)

    def serve(self, transport: Transport, pid: int = 0) -> Peer:
        """Serve one connection whose other side has been authenticated.

        Args:
            pid: the process there, if it is on this machine: the connection ends with it, although a child of its may
                still have it open.
        """
        peer = Peer(self, transport, pid)
        self._peers.add(peer)
        return peer

    @property
    def idle(self) -> bool:
        """Whether nobody is connected, and no host is kept for somebody who will come back."""
        return not self._peers and self._holder is None

    def stop(self) -> None:
        """Leave the loop; sessions are closed by whoever runs it."""
        self.reactor.stop()

    def close(self) -> None:
        """End all sessions (their hosts are put back) and connections."""
        self._line.close()
        for peer in list(self._peers):
            peer.connection.close("the agent is ending")

    # -- for peers and sessions -----------------------------------------------------------------------

    def welcome(self, peer: Peer, hello: Hello) -> Session | Look | Refused | None:
        """Open a session for *hello*, or say why not; None: it stands in line, and `Peer.admit` is called later."""
        low, high = max(hello.versions[0], PROTOCOLS[0]), min(hello.versions[1], PROTOCOLS[1])
        if low > high:
            return Refused(
                "version",
                f"this agent (shakeout {shakeout.__version__}) speaks protocol {PROTOCOLS[0]} to {PROTOCOLS[1]}, the "
                f"controller {hello.versions[0]} to {hello.versions[1]}; install the same release on both, and "
                "restart the agent",
            )
        if hello.release and hello.release != shakeout.__version__:
            return Refused(
                "release",
                f"this agent is shakeout {shakeout.__version__}, the controller {hello.release}; install the same "
                "release on both, and restart the agent",
            )
        if hello.role == "attach":
            return self._attach(peer, hello)
        owner = peer.identity or one_line(hello.owner, LONGEST_OWNER)
        if hello.role == "look":
            return Look(self, peer.connection, owner)
        if self._holder is not None and self._kept and hello.run == self._holder.run and self._is_holders(peer):
            return self._take_over(peer, hello, owner)
        before = self._line.before(owner)
        answer: Session | Refused = self._later(before) if before else self._begin(peer, hello, owner)
        if isinstance(answer, Session) or not hello.wait:
            return answer
        return self._line.join(peer, hello, owner)

    def _later(self, before: int) -> Refused:
        """*before* others stand in line already."""
        holder = self.holder()
        text = f"the host is held by {holder}" if holder else "the host is about to be given to the next in line"
        return Refused("lease", f"{text}, and {before} stand in line for it", holder=self._controller)

    def _begin(self, peer: Peer, hello: Hello, owner: str) -> Session | Refused:
        """Give the host to *peer*, or say who is in the way."""
        kept_for = self.reservation.current()
        if kept_for is not None and kept_for.owner != owner:
            return Refused("reserved", f"the host is {described(kept_for)}", holder=kept_for.owner)
        if self._holder is not None:
            return Refused("lease", f"the host is held by {self.holder()}", holder=self._controller)
        controller = _called(hello, owner)
        try:
            self._lease.take(controller)
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
        self._controller, self._since, self._identity = controller, time.time(), peer.identity
        self.diary.taken(controller, hello.run)
        return self._holder

    def _admit(self, turn: Waiting) -> Refused | None:
        """It is the turn of somebody in line; what is still in the way."""
        try:
            answer = self._begin(turn.peer, turn.hello, turn.owner)
        except Exception as error:  # noqa: BLE001 - a full disk, say: the others shall have their turns
            turn.peer.connection.close(f"the session could not be opened: {type(error).__name__}: {error}")
            return None
        if isinstance(answer, Refused):
            return answer
        turn.peer.admit(turn.hello, answer)
        return None

    def holder(self) -> str:
        """Who has the host, and since when; "" if nobody has."""
        if self._holder is not None:
            return since_when(self._controller, self._since) + (", and kept as it was left" if self._kept else "")
        holder, since = self._lease.noted()
        if not holder:
            return ""
        try:
            self._lease.take("an agent that puts the host back")
        except LeaseHeld:
            return since_when(holder, since)
        self._clear_up()  # that was an agent beside this one, which was killed
        self._lease.release()
        return ""

    def reservation_changed(self) -> None:
        """Somebody has made or ended a reservation: others may be next."""
        self.reactor.call_soon(self._line.advance)

    def _take_over(self, peer: Peer, hello: Hello, owner: str) -> Session:
        """The run that has kept the host is back: what it left is its own again, to be ended and undone."""
        kept = self._holder
        assert kept is not None
        self._kept = False
        self._controller, self._identity = _called(hello, owner), peer.identity
        self._holder = Session(self, peer.connection, hello.run, kept.mark, attached=False, kept=kept)
        self.diary.taken(self._controller, hello.run, again=True)
        return self._holder

    def _attach(self, peer: Peer, hello: Hello) -> Session | Refused:
        holder = self._holder
        if holder is None or holder.run != hello.run:
            return Refused("role", f"run {one_line(hello.run, 100)} does not hold this host; nothing to attach to")
        if not self._is_holders(peer):
            return Refused("role", f"run {holder.run} is not {peer.identity}'s, but {self._controller}'s")
        self._attached += 1
        return Session(self, peer.connection, hello.run, f"{holder.mark}-{self._attached}", attached=True)

    def _is_holders(self, peer: Peer) -> bool:
        """Whether *peer* may have what is the holder's: who knows the name of a run need not be the one who runs it."""
        return peer.identity in ("", self._identity)

    def greeting(self, hello: Hello, session: Session | Look) -> Welcome:
        """The welcome of an open session."""
        looks = isinstance(session, Look)
        return Welcome(
            min(hello.versions[1], PROTOCOLS[1]), time.monotonic_ns(), self._boot_id, self.properties, session.mark,
            shakeout.__version__, self.holder() if looks else "", self.reservation.current() if looks else None,
        )  # fmt: skip

    def keep(self) -> None:
        """The host stays as it is, and its run's, until it is removed."""
        self._kept = True
        if self._holder is not None:
            self.diary.kept(self._controller, self._holder.run)

    def was_put_back(self, session: Session, why: str, steps: tuple[Step, ...]) -> None:
        """*session*, which had the host, is over; *why* it was lost, "" if it was ended."""
        self.diary.over(self._controller, session.run, why, steps)

    def release(self, session: Session | Look) -> None:
        """*session* is over: the host is free again."""
        if session is self._holder and not self._kept:
            self._holder = None
            self._mark_path.unlink(missing_ok=True)
            self._lease.release()
            self.forker.rest()
            self.reactor.call_soon(self._line.advance)

    def _lose_zygote(self) -> None:
        """Nothing can be forked any more: everything is put back, and whoever started this may start it again."""
        self.trouble = "the agent has ended, because its zygote was killed"
        self.stop()

    def forget(self, peer: Peer) -> None:
        """A connection has ended."""
        self._peers.discard(peer)
        self._line.leave(peer)


class Peer:
    """One connection, from its Hello to its end."""

    def __init__(self, agent: Agent, transport: Transport, pid: int) -> None:
        self._agent = agent
        self._session: Session | Look | None = None
        #: Who the connection itself says is there (its certificate); "" if it says nothing.
        self.identity: str = getattr(transport, "identity", "")
        #: Whether it has said nothing yet.
        self.silent = True
        #: Questions that came while answers to it were not taken.
        self._unheard = 0
        self._process = _watch_process(pid, agent.reactor, lambda: self.connection.close("its process has ended"))
        self.connection = Connection(transport, agent.reactor, agent_decoder(), self._message, self._closed)
        self._patience = agent.reactor.call_later(HELLO_TIMEOUT, lambda: self.connection.close("no Hello came in time"))

    @property
    def served(self) -> bool:
        """Whether it has a session: before, it is a stranger or stands in line."""
        return self._session is not None

    def _message(self, message: Any) -> None:
        # Who holds the host may have much under way; who only looks, or waits, asks and hears the answer.
        self._unheard = self._unheard + 1 if self.connection.backlog and not isinstance(self._session, Session) else 0
        if self._unheard > _MOST_UNHEARD:
            self.connection.close("it asks on and on, and does not take the answers")
            return
        if self._session is not None:
            self._session.handle(message)
            return
        if not self.silent and isinstance(message, Sync):  # it stands in line, and looks whether anybody is here
            self.connection.send(SyncReply(message.sequence, message.t_ns, time.monotonic_ns()))
            return
        if not isinstance(message, Hello) or not self.silent:
            self.connection.close("the first message was no Hello" if self.silent else "it was not its turn yet")
            return
        self._patience.cancel()
        self.silent = False
        answer = self._agent.welcome(self, message)
        if isinstance(answer, Refused):
            self.connection.send(answer)
            self.connection.when_drained(lambda: self.connection.close("refused"))
            return
        if answer is not None:
            self.admit(message, answer)

    def admit(self, hello: Hello, session: Session | Look) -> None:
        """The session that was asked for is open."""
        self._session = session
        self.connection.send(self._agent.greeting(hello, session))

    def _closed(self, reason: str) -> None:
        self._patience.cancel()
        if self._process >= 0:
            self._agent.reactor.forget(self._process)
            os.close(self._process)
        self._agent.forget(self)
        if self._session is not None:
            self._session.close(reason)
            self._agent.release(self._session)


def _called(hello: Hello, owner: str) -> str:
    """How others are told who has the host."""
    controller = one_line(hello.controller, 400)
    return f"{owner} ({controller})" if owner else controller


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
