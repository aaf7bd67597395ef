"""The unit in packaging/, under a real systemd: it serves, it is told apart from its jobs, it starts again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.lab.hosts.systemd_machine import SystemdMachine

from shakeout import BridgeDevice
from shakeout.certs.delivery import deliver
from shakeout.certs.laboratory import Laboratory as Authority
from shakeout.errors import AgentUnreachable
from shakeout.hosts.dialing import Access, Endpoint, dial
from shakeout.hosts.loop import LoopThread
from shakeout.processes.namespaces import NEWNET, setns
from shakeout.testing import Connected
from shakeout.wire.transports import Transport

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "systemctl", "ip")
UNIT = Path(__file__).resolve().parents[3] / "packaging" / "shakeout-agent.service"
PROGRAM = f'#!/bin/sh\nexec {sys.executable} -P -m shakeout.cli "$@"\n'


@contextmanager
def inside(machine: SystemdMachine) -> Iterator[None]:
    """This thread is on the machine's network."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Path(f"/proc/{machine.pid}/ns/net").open() as theirs:
            setns(theirs.fileno(), NEWNET)
        yield
    finally:
        setns(own, NEWNET)
        os.close(own)


def test_it_serves_and_starts_again_when_it_was_killed_and_puts_the_host_back(tmp_path: Path) -> None:
    authority = Authority.found(tmp_path / "ca")
    deliver(authority.issue("tester", "controller"), tmp_path / "controller", authority.revocations())
    access = Access(certs=tmp_path / "controller")
    endpoint = Endpoint("tls", "127.0.0.1", name="booted")

    def connect() -> Transport:
        with inside(machine):
            return dial(endpoint, access)

    loop = LoopThread()
    try:
        with SystemdMachine() as machine:
            machine.run("ip", "link", "set", "lo", "up")
            machine.path("/etc/systemd/system/shakeout-agent.service").write_text(
                UNIT.read_text().replace("[Unit]\n", "[Unit]\nDefaultDependencies=no\n")  # there is no basic.target
            )
            program = machine.path("/usr/local/bin/shakeout")
            program.write_text(PROGRAM)
            program.chmod(0o755)
            deliver(
                authority.issue("booted", "host", ["127.0.0.1"]),
                machine.path("/etc/shakeout/certs"),
                authority.revocations(),
            )
            machine.run("systemctl", "daemon-reload")
            assert machine.run("systemctl", "start", "shakeout-agent") == ""
            # Started means that it serves: no waiting here.
            first = Connected("m1", connect(), loop.reactor, run="first")
            pid = int(machine.run("systemctl", "show", "--value", "--property", "MainPID", "shakeout-agent"))
            first.host.br0 = BridgeDevice()
            left = first.host.run("sleep 1000", bg=True)
            assert first.host.run("echo $NOTIFY_SOCKET").stdout == "\n"

            machine.run("kill", "-KILL", str(pid))
            left.wait(20)
            assert "its agent ended the connection" in (first.session.lost or "")

            second = Connected("m1", await_agent(connect), loop.reactor, run="second")
            assert second.host.run("ip link show br0", fail=True).passed
            assert second.host.run("pgrep -x sleep", fail=True).passed
            second.host.br0 = BridgeDevice()
            assert machine.run("systemctl", "stop", "shakeout-agent") == ""
            assert machine.run("ip", "link", "show", "br0").endswith("does not exist.")
            second.abandon()
            assert machine.run("systemctl", "is-active", "shakeout-agent") == "inactive"
    finally:
        loop.close()


def await_agent(connect: Callable[[], Transport]) -> Transport:
    """A connection to the agent, which systemd starts again a second after its end."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return connect()
        except AgentUnreachable:
            assert time.monotonic() < deadline, "the agent did not come back"
            time.sleep(0.02)  # systemd tells nobody that it has started something
