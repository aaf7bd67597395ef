"""Controllers with good certificates that are not the one who has the host: they get what they may, and no more."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.lab.tls.conftest import TlsHost

import shakeout
from shakeout.errors import AgentUnreachable, HostLost, LeaseHeld, UsageError
from shakeout.hosts.look import Look
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.testing.connection import Connected
from shakeout.wire.framing import frame
from shakeout.wire.messages import (
    PROTOCOLS,
    DeviceCall,
    GetFiles,
    Hello,
    Inspect,
    PutFiles,
    SetService,
    SetSetting,
    StartJob,
    Sync,
)
from shakeout.wire.parts import Entry


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


def attach(host: TlsHost, loop: LoopThread, who: str, run: str) -> Session:
    session = Session("m1", host.dial(who), loop.reactor, run=run)
    session.begin("attach")
    session.welcome()
    return session


def test_nobody_attaches_to_a_run_of_somebody_else(host: TlsHost, loop: LoopThread) -> None:
    with Connected("m1", host.dial("desk"), loop.reactor, run="20260101-000000-abcd"):
        with pytest.raises(AgentUnreachable, match="is not desk2's, but desk"):
            attach(host, loop, "desk2", "20260101-000000-abcd")
        attach(host, loop, "desk", "20260101-000000-abcd").leave()


def test_nobody_takes_a_host_over_that_somebody_else_has_kept(host: TlsHost, loop: LoopThread) -> None:
    kept = Connected("m1", host.dial("desk"), loop.reactor, run="kept")
    kept.session.end(keep=True)
    with pytest.raises(LeaseHeld, match=r"the host is held by desk "):
        Connected("m1", host.dial("desk2"), loop.reactor, run="kept")
    Connected("m1", host.dial("desk"), loop.reactor, run="kept").end()


def test_a_name_that_would_rule_terminals(host: TlsHost, loop: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after the host was kept and taken over again."""
    monkeypatch.setattr("shakeout.hosts.session.socket.gethostname", lambda: "\x1b]0;boo\x07\nforged")
    first = Connected("m1", host.dial("desk"), loop.reactor, run="kept")
    first.session.end(keep=True)
    with Connected("m1", host.dial("desk"), loop.reactor, run="kept"), Look("m1", host.dial("desk2")) as look:
        assert look.holder.startswith("desk (?]0;boo? forged:")


ORDERS: tuple[Callable[[int], msgspec.Struct], ...] = (
    lambda number: StartJob(number, shell="touch /tmp/commanded"),
    lambda number: SetSetting(number, "/proc/sys/net/ipv4/ip_forward", b"1"),
    lambda number: PutFiles(number, "/tmp/commanded", (Entry("", "file", 0o644),)),
    lambda number: GetFiles(number, "/etc/shakeout/certs/key.pem"),
    lambda number: DeviceCall(number, 0, "list"),
    lambda number: SetService(number, "cron", enable=True),
)


@pytest.mark.parametrize("order", ORDERS)
def test_who_looks_cannot_command(order: Callable[[int], msgspec.Struct], host: TlsHost, loop: LoopThread) -> None:
    session = Session("m1", host.dial("desk2"), loop.reactor)
    session.begin("look")  # type: ignore[arg-type]
    session.welcome()
    with pytest.raises(HostLost):
        session.ask(order, 20)
    assert not host.machine.path("/tmp/commanded").exists()


def test_a_hundred_in_line_take_little_of_the_host(host: TlsHost, loop: LoopThread) -> None:
    def resident() -> int:
        return int(Path(f"/proc/{host.agent.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    looks = [Look("m1", host.dial("desk2"))]  # what the first one needs is needed once
    before = resident()
    looks += [Look("m1", host.dial("desk2")) for _ in range(100)]
    assert (resident() - before) / 100 < 100 << 10
    for look in looks:
        look.close()


def test_a_flood_of_inspections_starts_one_program(host: TlsHost) -> None:
    fifo, program = host.machine.path("/tmp/lldp"), host.machine.path("/usr/local/sbin/lldpcli")
    os.mkfifo(fifo)
    program.write_text("#!/bin/sh\nread go < /tmp/lldp\n")
    program.chmod(0o755)
    try:
        with Look("m1", host.dial("desk2")) as look:
            for number in range(100, 200):
                look._connection.send(Inspect(number))
            with pytest.raises(UsageError, match="the host is inspected already"):
                look.inspect()
            fifo.write_text("go\n")
        with Look("m1", host.dial("desk2")) as look:
            fifo_free = threading.Thread(target=fifo.write_text, args=("go\n",))
            fifo_free.start()
            assert look.inspect()["hostname"] == "dut1"
            fifo_free.join()
    finally:
        program.unlink()
        fifo.unlink()


def test_who_asks_on_and_on_without_listening(host: TlsHost) -> None:
    """The answers would be kept for him in the agent's memory."""
    transport = host.dial("desk2")
    hello = frame(msgspec.msgpack.encode(Hello(PROTOCOLS, "c", "", "look", shakeout.__version__)))
    assert transport.send(hello) == len(hello)
    data = 1000 * frame(msgspec.msgpack.encode(Sync(1, 2**60)))
    sent, most = 0, 100 << 20
    ready = select.poll()
    ready.register(transport.fileno(), select.POLLOUT)
    try:
        with pytest.raises(OSError, match=r"(?i)reset|pipe|eof|protocol"):
            while sent < most:
                assert ready.poll(20_000)
                sent += transport.send(data[sent % len(data) :])
    finally:
        transport.close()
