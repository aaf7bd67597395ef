"""Recipes that make it impossible to put a host back: the run is broken, and says which step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.command import Command, recipe
from tests.faults.standing import StandingAgent
from tests.faults.test_agent_killed import ONE_HOST

from shakeout.agent.snapshot import differences
from shakeout.journal.events import UndoFinished
from shakeout.journal.verdict import Verdict

pytestmark = pytest.mark.needs("root", "namespaces", "ip")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[StandingAgent]:
    with StandingAgent(tmp_path) as standing:
        yield standing


IMPOSSIBLE = {
    "a device that is gone": (
        "m1.eth0.mtu = 1400\nm1.run('ip link del eth0')",
        "eth0",
    ),
    "a setting that cannot be written any more": (
        "m1.procfs_set('sys/net/ipv4/ip_forward', 1)\nm1.run('mount -o bind,ro /proc/sys/net /proc/sys/net || "
        "{ mount --bind /proc/sys/net /proc/sys/net; mount -o remount,bind,ro /proc/sys/net; }')",
        "ip_forward",
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_in_a_laboratory(name: str, tmp_path: Path) -> None:
    """The test itself passed; the host was not put back: that is more serious."""
    body, step = IMPOSSIBLE[name]
    with Command(recipe(tmp_path, body + "\nm2.eth0.mtu = 1300\nself.add_result(True, 'fine')")) as command:
        status, out, err = command.end()
        assert status == 3, out + err
        undone = {event.host: event.failed for event in command.events() if isinstance(event, UndoFinished)}
        assert len(undone["m1"]) == 1 and step in undone["m1"][0]
        assert undone["m2"] == ()
        assert undone["m1"][0] in out
        assert "RESULT ERROR" in out
        assert command.run.verdict is Verdict.ERROR


def test_on_a_standing_agent(agent: StandingAgent, tmp_path: Path) -> None:
    """What can be undone is; what failed is kept beside the log; the next run finds the host usable."""
    before = agent.snapshot()
    body = "m1.eth0.mtu = 1400\nm1.br0 = BridgeDevice()\nm1.procfs_set('sys/net/ipv4/ip_forward', 1)\n"
    body += "m1.run('ip link del eth0')"
    pool = str(agent.pool(tmp_path / "pool"))
    with Command(recipe(tmp_path, body, head=ONE_HOST), "--pool", pool) as command:
        status, out, err = command.end()
        assert status == 3, out + err
        assert "eth0" in out
    left = differences(before, agent.snapshot())
    assert left and not any("br0" in text for text in left)
    assert (tmp_path / "dut.state" / "undo.failed").read_text()
    again = recipe(tmp_path, "assert m1.procfs_get('sys/net/ipv4/ip_forward') == '0'", "next.py", ONE_HOST)
    again.write_text(again.read_text().replace('    m1.eth0 = DeviceReq(label="net1")\n', ""))
    with Command(again, "--pool", pool, out=tmp_path / "2") as command:
        status, out, err = command.end()
        assert status == 0, out + err


def test_what_failed_at_the_next_start_is_said(agent: StandingAgent, tmp_path: Path) -> None:
    body = "m1.eth0.mtu = 1400\nm1.run('ip link del eth0')\ntell('ready')\ntime.sleep(1000)"
    with Command(recipe(tmp_path, body, head=ONE_HOST), "--pool", str(agent.pool(tmp_path / "pool"))) as command:
        command.await_word("ready")
        agent.process.kill()
        agent.process.wait()
        agent.start_again()
        assert "could not be put back after the last agent was killed" in agent.said
        assert "eth0" in agent.said
