"""Agents over TLS and ssh that are killed, that are of another release, or that lie."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.liar import Liar, Line
from tests.faults.test_hostile_agent import REFUSED, on
from tests.lab.hosts.sleeper import SCRIPT

import shakeout
from shakeout import BridgeDevice
from shakeout.errors import HostLost, VersionMismatch
from shakeout.hosts import session as sessions
from shakeout.hosts.dialing import dial
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.tls import dial_tls
from shakeout.testing import Connected
from shakeout.testing.fleet import CERTS, Fleet
from shakeout.wire.credentials import Credentials
from shakeout.wire.greeting import Greeting
from shakeout.wire.messages import StartJob

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh", "ip", "update-rc.d", "start-stop-daemon")

BOTH = pytest.mark.parametrize("name", ["t1", "s1"], ids=["tls", "ssh"])
#: All that a session may have changed, as a shell sees it.
STATE = """\
ip -o -4 addr show; ip -o link show type bridge; cat /proc/sys/net/ipv4/ip_forward; ls -l --time-style=+ /etc/rc?.d
cat /etc/motd; ls -A /srv; service sleeper status; echo $?; pgrep -x sleep
"""
#: Of what a lying agent may say, one of each sort.
LIES = ("too few fields", "an unknown message", "garbage", "an oversized frame", "a second welcome", "half a frame")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(tls=("t1",), ssh=("s1",)) as made:
        for machine in made.machines:
            script = machine.path("/etc/init.d/sleeper")
            script.write_text(SCRIPT)
            script.chmod(0o755)
        yield made


Connect = Callable[[str], Connected]


@pytest.fixture
def connect(fleet: Fleet, loop: LoopThread) -> Connect:
    def to(name: str) -> Connected:
        with fleet.machines.inside():
            transport = dial(fleet.endpoint(name), fleet.access)
        return Connected(name, transport, loop.reactor)

    return to


@BOTH
@pytest.mark.leaks("threads", "processes", "descriptors")  # the agent that is started again is the module's
def test_a_killed_agent_leaves_nothing_once_it_runs_again(
    fleet: Fleet, connect: Connect, name: str, tmp_path: Path
) -> None:
    """Device, address, setting, file, service and job: put back by the next start, or the next login."""
    machine = fleet.machines[name]

    def state() -> str:
        return machine.run(["sh", "-c", STATE], check=False).stdout

    before = state()
    one = connect(name)
    host = one.host
    host.br0 = BridgeDevice()
    host.eth0.ip_add("203.0.113.1/24")
    host.procfs_set("sys/net/ipv4/ip_forward", 1)
    (tmp_path / "motd").write_text("changed\n")
    host.send_file(str(tmp_path / "motd"), "/etc/motd")
    host.send_file(str(tmp_path / "motd"), "/srv/new")
    assert host.enable_service("sleeper").active
    job = host.run("sleep 1000", bg=True)
    assert state() != before
    pid = fleet.agents[name].pid if name in fleet.agents else _agent_of(fleet, name)
    os.kill(pid, signal.SIGKILL)
    assert job.wait(10)
    assert job.reason.startswith(f"host {name} was lost: ")
    if name in fleet.agents:
        fleet.agents[name].wait()
        fleet.restart(name)
        assert state() == before
    with connect(name) as host:
        assert host.run("true").passed
    assert state() == before


def _agent_of(fleet: Fleet, name: str) -> int:
    home = Path(f"/proc/{fleet.machines[name].pid}/ns/pid").readlink()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text() == "shakeout-agent\n" and (entry / "ns/pid").readlink() == home:
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError(f"no agent runs on {name}")


@BOTH
def test_another_release_is_refused_by_both_names(connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    ours = shakeout.__version__
    with monkeypatch.context() as patched, pytest.raises(VersionMismatch, match=r"9\.9\.9") as refused:
        patched.setattr(shakeout, "__version__", "9.9.9")
        connect(name)
    assert ours in str(refused.value)
    with connect(name) as host:
        assert host.run("true").passed


@BOTH
def test_another_protocol_is_refused_by_both_numbers(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sessions, "PROTOCOLS", (99, 99))
    with pytest.raises(VersionMismatch, match=r"speaks protocol 1 to 1, the controller 99 to 99"):
        connect(name)


class TlsLiar(Liar):
    """As `Liar`, with the certificate of a host, over TLS."""

    def __init__(self, certs: Path, lie: Callable[[Any, Line], None]) -> None:
        self._certs = certs
        super().__init__(certs, lie)

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def _listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    def _greet(self, connected: socket.socket) -> socket.socket:
        context = Credentials(self._certs, "host").context()
        tls = context.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        Greeting(tls, "host").advance()
        return tls


@pytest.mark.parametrize("name", LIES)
def test_a_lie_over_tls_ends_that_session_alone(fleet: Fleet, connect: Connect, loop: LoopThread, name: str) -> None:
    certs = fleet.machines["t1"].path(CERTS)
    with connect("t1") as honest, TlsLiar(certs, on(StartJob, REFUSED[name])) as liar:
        transport = dial_tls(liar.address, "t1", fleet.access.certs)
        host = Connected("m1", transport, loop.reactor).host
        job = host.run("true", timeout=20)
        assert not job.passed
        assert job.reason.startswith("host m1 was lost: "), job.reason
        with pytest.raises(HostLost):
            host.run("true")
        assert honest.run("true").passed
