"""Whoever connects to an agent without being a controller: refused, and the agent goes on."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.faults.mutations import mutated
from tests.faults.processes import is_alive, until
from tests.faults.standing import StandingAgent

import shakeout
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.unix import connect_unix
from shakeout.testing.connection import Connected
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.messages import (
    EndSession,
    Hello,
    PutFiles,
    ReadSetting,
    Refused,
    Signal,
    SourceText,
    StartJob,
    Welcome,
    controller_decoder,
)

pytestmark = pytest.mark.needs("root", "namespaces", "ip")

HELLO = Hello((1, 1), "hostile", "run-1", "control", shakeout.__version__)
#: Seconds until an agent that hangs has failed the test.
PATIENCE = 30


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[StandingAgent]:
    with StandingAgent(tmp_path) as standing:
        yield standing
        assert standing.process.poll() is None, standing.said
        assert "Traceback" not in standing.said
        with_honest_controller(standing)


def with_honest_controller(agent: StandingAgent) -> None:
    """The agent does for an honest controller what it should."""
    loop = LoopThread()
    try:
        connected = Connected("m1", connect_unix(str(agent.socket)), loop.reactor)
        job = connected.host.run("echo served")
        assert (job.passed, job.stdout) == (True, "served\n")
        connected.end()
    finally:
        loop.close()


class Peer:
    """A connection on which anything can be said; a context manager."""

    def __init__(self, agent: StandingAgent) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(agent.socket))
        self._socket.settimeout(PATIENCE)
        self._reader = FrameReader()
        self._arrived: list[bytes] = []

    def raw(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def say(self, *messages: Any) -> None:
        for message in messages:
            self.raw(frame(msgspec.msgpack.encode(message)))

    def next(self) -> Any:
        """The next message; None when the agent has closed the connection."""
        while not self._arrived:
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._arrived = self._reader.feed(data)
        return controller_decoder().decode(self._arrived.pop(0))

    def is_closed(self) -> bool:
        """Read until the agent closes the connection."""
        while self.next() is not None:
            pass
        return True

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


BEFORE_HELLO: dict[str, bytes] = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an oversized frame": b"\x7f\xff\xff\xff",
    "an empty frame": bytes(4),
    "no message": frame(b"\xc1"),
    "a number": frame(msgspec.msgpack.encode(5)),
    "another message": frame(msgspec.msgpack.encode(StartJob(1, shell="touch /tmp/never"))),
    "a message for controllers": frame(msgspec.msgpack.encode(["Welcome", 1, 1, "b", {}, "l"])),
    "a role that is none": frame(msgspec.msgpack.encode(["Hello", [1, 1], "x", "r", "root"])),
    "one version": frame(msgspec.msgpack.encode(["Hello", 1, "x", "r"])),
    "a pickle": frame(b"\x80\x04\x95" + b"cos\nsystem\n(S'touch /tmp/never'\ntR."),
}


@pytest.mark.parametrize("said", BEFORE_HELLO)
def test_anything_but_hello_ends_the_connection(said: str, agent: StandingAgent) -> None:
    with Peer(agent) as peer:
        peer.raw(BEFORE_HELLO[said])
        assert peer.next() is None


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (Hello((7, 9), "x", "r", "control", shakeout.__version__), "version"),
        (Hello((1, 0), "x", "r", "control", shakeout.__version__), "version"),
        (Hello((1, 1), "x", "r", "control", "0.0.0.other"), "release"),
        (Hello((1, 1), "x", "no such run", "attach", shakeout.__version__), "role"),
    ],
)
def test_a_hello_that_cannot_be_accepted_is_refused_with_the_reason(
    hello: Hello, code: str, agent: StandingAgent
) -> None:
    with Peer(agent) as peer:
        peer.say(hello)
        answer = peer.next()
        assert isinstance(answer, Refused)
        assert answer.code == code
        assert peer.next() is None


IN_SESSION: dict[str, bytes] = {
    "a second Hello": frame(msgspec.msgpack.encode(HELLO)),
    "garbage": b"\xde\xad\xbe\xef" * 100,
    "a source with another hash": frame(msgspec.msgpack.encode(SourceText("0" * 64, "x.py", b"import os"))),
    "a signal that no integer holds": frame(msgspec.msgpack.encode(["Signal", 1, "x"])),
    "an unknown kind of device call": frame(msgspec.msgpack.encode(["DeviceCall", 1, 1, "eval", "x", b""])),
    "a descriptor that does not come": frame(msgspec.msgpack.encode(PutFiles(1, "/tmp/x", (), by_fd=True))),
}


@pytest.mark.parametrize("said", IN_SESSION)
def test_nonsense_in_a_session_ends_that_session(said: str, agent: StandingAgent) -> None:
    """Its jobs, too; the lease is free again."""
    with Peer(agent) as peer:
        peer.say(HELLO)
        assert isinstance(peer.next(), Welcome)
        peer.say(StartJob(1, shell="exec sleep 1000", announce=True))
        pid = peer.next().pid
        peer.raw(IN_SESSION[said])
        assert peer.is_closed()
    until(lambda: not is_alive(pid), what="the end of its job")


def test_odd_but_well_formed_orders_are_answered(agent: StandingAgent) -> None:
    """Numbers, names and paths that make no sense: an answer each, and nothing happens."""
    with Peer(agent) as peer:
        peer.say(HELLO)
        assert isinstance(peer.next(), Welcome)
        peer.say(
            Signal(5, 9),
            Signal(-(2**62), 2**62),
            StartJob(1, shell="true", env={"A=B": "x", "": "y"}),
            StartJob(2, argv=()),
            StartJob(3, argv=("no\0thing",)),
            StartJob(4, shell="true", cwd="/no/such/folder"),
            StartJob(5, shell="true", user="nobody-of-this-name"),
            StartJob(6, shell="true", netns="../../../proc/1/ns/net"),
            StartJob(-7, shell="exit 7"),
            StartJob(8, module=b"junk"),
            ReadSetting(9, "/etc/shadow"),
            ReadSetting(10, "/proc/1/root/etc/shadow"),
            EndSession(),
        )
        answers = []
        while (answer := peer.next()) is not None and type(answer).__name__ != "Ended":
            answers.append(answer)
    refused = {answer.id: answer for answer in answers if type(answer).__name__ == "Refusal"}
    assert set(refused) == {9, 10}
    ends = {answer.id: answer for answer in answers if type(answer).__name__ == "JobDone"}
    # Those that were still under way when the session was ended are not told any more.
    for number in {1, 2, 3} & set(ends):
        assert ends[number].error, number


def test_nobody_says_hello(tmp_path: Path) -> None:
    prelude = "from shakeout.agent import server; server.HELLO_TIMEOUT = 0.2\n"
    with StandingAgent(tmp_path, prelude=prelude) as agent:
        with Peer(agent) as peer:
            assert peer.next() is None
        with Peer(agent) as peer:
            peer.raw(b"\0\0\0\x40half a hello")
            assert peer.next() is None
        with_honest_controller(agent)


def test_a_flood_of_strangers_keeps_no_controller_out(tmp_path: Path) -> None:
    """Connections that say nothing: those over the limit are closed at once, the rest when their time is up."""
    prelude = "from shakeout.agent import server; server.HELLO_TIMEOUT = 1.0\n"
    with StandingAgent(tmp_path, prelude=prelude) as agent:
        peers = [Peer(agent) for _ in range(400)]
        try:
            assert all(peer.is_closed() for peer in peers)
            with_honest_controller(agent)
        finally:
            for peer in peers:
                peer.__exit__()


def test_somebody_else_of_this_machine_is_refused(agent: StandingAgent) -> None:
    """The socket's mode keeps other users out; if it did not, the agent would."""
    agent.socket.chmod(0o777)
    for folder in agent.socket.parents:
        if folder.name.startswith(("pytest", "test_")):
            folder.chmod(folder.stat().st_mode | 0o011)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stranger.settimeout(PATIENCE)
            stranger.connect(str(agent.socket))
            try:
                stranger.sendall(frame(msgspec.msgpack.encode(HELLO)))
                os.write(write, stranger.recv(1000) or b"closed")
            except (BrokenPipeError, ConnectionResetError):
                os.write(write, b"closed")
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(read, 1000) == b"closed"
    os.close(read)


def test_a_second_controller_is_told_who_has_the_host(agent: StandingAgent) -> None:
    with Peer(agent) as first, Peer(agent) as second:
        first.say(HELLO)
        assert isinstance(first.next(), Welcome)
        second.say(Hello((1, 1), "the other", "run-2", "control", shakeout.__version__))
        refused = second.next()
        assert (refused.code, refused.holder) == ("lease", "hostile")
        assert second.next() is None


def test_hundreds_of_mutated_conversations(agent: StandingAgent) -> None:
    """A valid conversation with bytes changed, left out and doubled: the connection ends, the agent does not."""
    generator = random.Random(20261120)
    valid = b"".join(
        frame(msgspec.msgpack.encode(message))
        for message in (
            HELLO,
            StartJob(1, argv=("true",), env={"A": "B"}, announce=True),
            ReadSetting(2, "/proc/sys/net/ipv4/ip_forward"),
            Signal(1, 0),
            EndSession(),
        )
    )
    for _ in range(300):
        with Peer(agent) as peer:
            peer.raw(mutated(valid, generator))
            peer._socket.shutdown(socket.SHUT_WR)
            assert peer.is_closed()
