"""The agent that controllers reach via ssh: started by the first connection, gone after the last."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable

from shakeout.agent.server import Agent, Peer
from shakeout.agent.standalone import make_agent
from shakeout.agent.statefolder import StateFolder
from shakeout.agent.telling import tell
from shakeout.processes.namespaces import set_process_name
from shakeout.wire.messages import SyncReply
from shakeout.wire.reactor import READ, Reactor
from shakeout.wire.tcpbooks import BooksWatch, TcpBooks, TcpEnds, ends_of
from shakeout.wire.transports import PipesTransport, descriptors

#: Seconds between two looks at whether something came.
LOOK_EVERY = 5.0
#: Looks in vain after which the controller is given up; it says something at least every five seconds.
MOST_SILENT = 6
#: Seconds between two messages for the controller's kernel, which answers whatever its program does.
NUDGE_EVERY = 2.0
#: Of what comes with the descriptors: two addresses with ports.
_LONGEST = 200


def receive(listener: socket.socket, folder: StateFolder) -> None:
    """Serve the connections that come in at *listener*, until none is left and no host is kept."""
    set_process_name("shakeout-agent")
    agent = make_agent(folder.path)
    reception = Reception(agent, listener, folder)
    signal.signal(signal.SIGHUP, lambda *_: None)  # not SIG_IGN, which jobs would inherit
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    try:
        agent.reactor.run()
        if agent.trouble:
            tell(agent.trouble)
    finally:
        agent.close()
        with folder.alone():
            folder.remove()
        reception.close()


class Reception:
    """Takes over connections from the processes that sshd has started, and ends the agent when it is not needed."""

    def __init__(self, agent: Agent, listener: socket.socket, folder: StateFolder) -> None:
        self._agent = agent
        self._listener = listener
        self._folder = folder
        self._arriving: set[socket.socket] = set()
        #: Of connections that are over; closing them lets the processes at their other ends go.
        self._leaving: list[socket.socket] = []
        listener.setblocking(False)
        agent.reactor.watch(listener.fileno(), READ, self._ready)

    def close(self) -> None:
        """Let all go that are waiting."""
        self._listener.close()
        for control in [*self._leaving, *self._arriving]:
            control.close()

    def _ready(self, events: int) -> None:
        self._accept()

    def _accept(self) -> bool:
        """Whether somebody has come."""
        try:
            control, _ = self._listener.accept()
        except OSError:  # the process has gone again
            return False
        control.setblocking(False)
        self._arriving.add(control)
        self._agent.reactor.watch(control.fileno(), READ, lambda events: self._take_over(control))
        return True

    def _take_over(self, control: socket.socket) -> None:
        """Serve the connection whose descriptors *control* brings."""
        self._agent.reactor.forget(control.fileno())
        self._arriving.discard(control)
        try:
            said, ancillary, _, _ = control.recvmsg(_LONGEST, socket.CMSG_SPACE(2 * 4), socket.MSG_CMSG_CLOEXEC)
        except OSError:
            said, ancillary = b"", []
        fds = descriptors(ancillary)
        if len(fds) != 2:
            for fd in fds:
                os.close(fd)
            self._left(control)
            return
        ends = ends_of(said.decode("ascii", "replace"))
        transport = HandedOver(fds[0], fds[1], ends.local_address if ends else "", on_close=lambda: self._left(control))
        Vigil(self._agent.serve(transport, _process_of(control)), transport, self._agent.reactor, ends)

    def _left(self, control: socket.socket) -> None:
        """A connection is over."""
        self._leaving.append(control)
        self._agent.reactor.call_soon(self._look)

    def _look(self) -> None:
        """End the agent if nobody needs it; otherwise let those go whose connection is over."""
        if self._agent.idle and not self._arriving:
            with self._folder.alone():
                if not self._accept():  # nobody has come at this moment
                    self._listener.close()
                    self._folder.socket.unlink(missing_ok=True)
                    self._agent.stop()
                    return  # they go when there is nothing left of the agent
        for control in self._leaving:
            control.close()
        self._leaving.clear()


class HandedOver(PipesTransport):
    """Standard input and output of a process that sshd has started."""

    def __init__(self, read: int, write: int, local_address: str, *, on_close: Callable[[], None]) -> None:
        super().__init__(read, write)
        self.local_address = local_address
        self._on_close = on_close
        #: Whether something has come since this was last set to False.
        self.heard = True

    def receive(self) -> tuple[bytes, list[int]] | None:
        self.heard = True
        return super().receive()

    def close(self) -> None:
        if self.fileno() >= 0:
            super().close()
            self._on_close()


class Vigil:
    """Ends a session whose controller cannot be reached any more: no network tells the agent of its end.

    That the link is cut is seen in the kernel's books of sshd's connection, which a small message keeps up to date
    while nothing else is sent. Where these cannot be seen, a controller that says nothing is given up after a while;
    looks are counted, not timed, so that an agent that was stopped itself gives up nobody.

    Args:
        ends: sshd's connection, if it is known.
    """

    def __init__(self, peer: Peer, transport: HandedOver, reactor: Reactor, ends: TcpEnds | None) -> None:
        self._peer = peer
        self._transport = transport
        self._reactor = reactor
        self._silent = 0
        reactor.call_later(LOOK_EVERY, self._look)
        self._watch = BooksWatch(reactor, TcpBooks(), (ends,) if ends else (), peer.connection.close)
        reactor.call_later(NUDGE_EVERY, self._nudge)

    def _look(self) -> None:
        if self._peer.connection.closed:
            return
        # Who stands in line has nothing to say.
        self._silent = 0 if self._transport.heard or not self._peer.served else self._silent + 1
        self._transport.heard = False
        if self._silent >= MOST_SILENT:
            self._peer.connection.close(f"nothing came from the controller for {MOST_SILENT * LOOK_EVERY:g} s")
            return
        self._reactor.call_later(LOOK_EVERY, self._look)

    def _nudge(self) -> None:
        connection = self._peer.connection
        if connection.closed:
            self._watch.close()
            return
        if self._peer.served and not connection.backlog:
            connection.send(SyncReply(0, 0, time.monotonic_ns()))
        self._reactor.call_later(NUDGE_EVERY, self._nudge)


def _process_of(control: socket.socket) -> int:
    """The process at the other end."""
    import struct

    raw = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[0])
