"""Controllers and agents are killed at many different moments of a recipe that changes things all the time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.command import Command, recipe
from tests.faults.processes import Watched, until
from tests.faults.standing import StandingAgent
from tests.faults.test_agent_killed import ONE_HOST

from shakeout.agent.snapshot import differences

pytestmark = pytest.mark.needs("root", "namespaces", "ip")

BUSY = """
import itertools
def changes():
    m1.br0 = BridgeDevice()
    yield
    m1.eth0.ip_add("192.0.2.1/24")
    yield
    m1.eth0.mtu = 1400
    yield
    m1.br0.slave_add(m1.eth0)
    yield
    m1.run(TcpListen(), bg=True)
    yield
    m1.run("exec sleep 1000", bg=True)
    yield
    m1.run("setsid -f sleep 1000", path="/")
    yield
    m1.procfs_set("sys/net/ipv4/ip_forward", 1)
    yield
    m1.veth0, m1.veth1 = VethPair()
    yield
    m1.br0.slave_add(m1.veth0)
    yield
    m1.br0.destroy()
    yield
    m1.veth0.destroy()
    m1.eth0.clear_ips()
    yield
for number, _ in enumerate(itertools.chain.from_iterable(changes() for _ in range(50))):
    tell(f"tick {number}")
"""
MOMENTS = (0, 1, 2, 4, 5, 6, 9, 10, 11, 12, 17)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[StandingAgent]:
    with StandingAgent(tmp_path) as standing:
        yield standing


@pytest.mark.parametrize("victim", ["controller", "agent"])
def test_the_host_is_as_it_was(victim: str, agent: StandingAgent, tmp_path: Path) -> None:
    before = agent.snapshot()
    pool = str(agent.pool(tmp_path / "pool"))
    for moment in MOMENTS:
        own = set(agent.processes())
        file = recipe(tmp_path, BUSY, head=ONE_HOST)
        with Command(file, "--pool", pool, out=tmp_path / str(moment)) as command:
            command.await_word(f"tick {moment}")
            with Watched(set(agent.processes()) - own) as theirs:
                if victim == "controller":
                    command.signal(signal.SIGKILL)
                    command.end()
                else:
                    agent.process.kill()
                    assert command.end()[0] == 3
                    agent.start_again()
                assert theirs.left_after(5) == []
        until(lambda: differences(before, agent.snapshot()) == [], 5, f"the host as it was after {moment}")
        assert not set(agent.processes("sleep"))
