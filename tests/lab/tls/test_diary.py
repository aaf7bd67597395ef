"""What the agent tells of sessions on its standard error: who had the host, how it ended, what became of the undo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.lab.tls.conftest import TlsHost

from shakeout.errors import UndoFailed
from shakeout.hosts.loop import LoopThread
from shakeout.testing.connection import Connected


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    made = LoopThread()
    yield made
    made.close()


def test_a_session_that_is_ended(host: TlsHost, loop: LoopThread) -> None:
    with Connected("m1", host.dial("desk"), loop.reactor, run="one") as m1:
        begun = host.says("run one) has the host now")
        m1.run("true")
    over = host.says("run one) is done with the host; there was nothing to put back")
    assert "desk" in begun
    assert begun.partition(" has ")[0] == over.partition(" is ")[0]
    with Connected("m1", host.dial("desk"), loop.reactor, run="two") as m1:
        m1.procfs_set("sys/net/ipv4/ip_forward", 1)
    host.says("run two) is done with the host; it was put back (1 step)")


def test_a_controller_that_is_lost(host: TlsHost, loop: LoopThread) -> None:
    lost = Connected("m1", host.dial("desk"), loop.reactor, run="three")
    lost.host.procfs_set("sys/net/ipv4/ip_forward", 1)
    lost.abandon()
    line = host.says("run three) was lost (")
    assert line.endswith("); it was put back (1 step)")


def test_what_could_not_be_put_back(host: TlsHost, loop: LoopThread) -> None:
    connected = Connected("m1", host.dial("desk"), loop.reactor, run="four")
    connected.host.send_file(__file__, "/run/made")
    connected.host.run("mount --bind /run/made /run/made")
    with pytest.raises(UndoFailed):
        connected.end()
    line = host.says("run four) is done with the host; of 1 step to put it back, 1 failed: ")
    assert "/run/made" in line
    host.machine.run(["umount", "/run/made"])
    host.machine.run(["rm", "/run/made"])


def test_a_name_of_a_run_that_would_rule_terminals(host: TlsHost, loop: LoopThread) -> None:
    connected = Connected("m1", host.dial("desk"), loop.reactor, run="five\x1b]0;x\x07\nshakeout: all is well")
    connected.end()
    host.says("run five?]0;x? shakeout: all is well) is done with the host")
