"""Hosts via ssh that are lost: the controller or the agent is killed, a link is cut, an upload ends in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from tests.lab.ssh.conftest import PYTHON, Site, agent_of, await_end, processes_of

from shakeout import BridgeDevice
from shakeout.errors import AgentUnreachable
from shakeout.testing.machines import Machine

pytestmark = [
    pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh"),
    pytest.mark.usefixtures("at_rest"),
]

#: A controller that changes something and then waits.
CONTROLLER = """
import sys
from pathlib import Path
from shakeout import BridgeDevice
from shakeout.hosts.dialing import Access, Endpoint, dial
from shakeout.hosts.loop import LoopThread
from shakeout.testing import Connected

config, cache, python = sys.argv[1:]
access = Access(ssh=("ssh", "-F", config), cache=Path(cache))
host = Connected("dut1", dial(Endpoint("ssh", "dut1", python=python), access), LoopThread().reactor).host
host.br0 = BridgeDevice()
host.run("sleep 1000 & echo asleep; wait", bg=True).wait_output("asleep")
print("changed", flush=True)
sys.stdin.read()
"""


def links(machine: Machine) -> str:
    return machine.run(["ip", "-o", "link"]).stdout


def test_a_controller_that_is_killed(site: Site) -> None:
    with site.machines.inside():
        controller = subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, str(site.login.config), str(site.access.cache), PYTHON],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
    with controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == b"changed\n"
        assert "br0" in links(site["dut1"])
        sleeping = processes_of(site["dut1"], "sleep")
        assert sleeping
        controller.kill()
        await_end([*processes_of(site["dut1"], "shakeout-agent"), *sleeping], 5.0)
    assert "br0" not in links(site["dut1"])


def test_an_agent_that_is_killed_is_made_good_by_the_next(site: Site) -> None:
    connected = site.connect()
    connected.host.br0 = BridgeDevice()
    job = connected.host.run("sleep 1000", bg=True)
    os.kill(agent_of(site["dut1"]), signal.SIGKILL)
    job.wait()
    assert connected.session.lost is not None
    assert "br0" in links(site["dut1"])
    with site.connect() as host:
        assert "br0" not in host.run("ip -o link").stdout
        assert not processes_of(site["dut1"], "sleep")


def test_a_login_session_that_is_killed(site: Site) -> None:
    """The agent is no part of it, and puts the host back."""
    connected = site.connect()
    connected.host.br0 = BridgeDevice()
    agents = processes_of(site["dut1"], "shakeout-agent")
    for pid in processes_of(site["dut1"], "sshd"):
        if os.getpgid(pid) == pid and pid != site.login.servers["dut1"].pid:
            os.kill(pid, signal.SIGKILL)
    assert not connected.host.run("sleep 1000").passed
    assert connected.session.lost.startswith("the ssh connection broke: ")
    await_end(agents)
    assert "br0" not in links(site["dut1"])


def test_a_link_that_is_cut(site: Site) -> None:
    with site.connect("dut1") as other:
        connected = site.connect("dut2")
        site["dut2"].cut()
        try:
            began = time.monotonic()
            assert not connected.host.run("true").passed
            assert connected.session.lost
            assert time.monotonic() - began < 10
            assert other.run("true").passed
        finally:
            site["dut2"].heal()
            for pid in processes_of(site["dut2"], "shakeout-agent"):
                os.kill(pid, signal.SIGTERM)  # it would notice by itself, some 30 s later


def test_what_the_agent_says_at_its_end_is_told(site: Site) -> None:
    connected = site.connect()
    (zygote,) = processes_of(site["dut1"], "shakeout-zygote")
    os.kill(zygote, signal.SIGKILL)
    assert not connected.host.run("sleep 1000").passed
    assert "its zygote was killed" in str(connected.session.lost)


@pytest.mark.parametrize("module", ["doorway", "reception"])
def test_files_that_a_crash_has_cut_short_are_sent_again(site: Site, module: str) -> None:
    with site.connect():
        (bundle,) = site["dut1"].path("/var/cache/shakeout").iterdir()
    for file in (bundle / "shakeout/agent").rglob(f"{module}*.py*"):
        file.write_bytes(bytes(200))
    with pytest.raises(AgentUnreachable, match=r"is damaged.* has been removed"):
        site.connect()
    with site.connect() as host:
        assert host.run("true").passed


#: In place of ssh: ends in the middle of what is sent.
ENDS_EARLY = """#!{python}
import os, subprocess, sys
with subprocess.Popen(["ssh", *sys.argv[1:]], stdin=subprocess.PIPE) as ssh:
    left = 300_000
    while left and (data := os.read(0, left)):
        os.write(ssh.stdin.fileno(), data)
        left -= len(data)
"""


def test_an_upload_that_ends_in_the_middle_is_begun_anew(site: Site, tmp_path: Path) -> None:
    for bundle in site["dut1"].path("/var/cache/shakeout").glob("*"):
        site["dut1"].run(["rm", "-rf", f"/var/cache/shakeout/{bundle.name}"])
    ssh = tmp_path / "ssh"
    ssh.write_text(ENDS_EARLY.format(python=sys.executable))
    ssh.chmod(0o755)
    with pytest.raises(AgentUnreachable, match=r"dut1: the agent could not be started there"):
        site.connect(access=msgspec.structs.replace(site.access, ssh=(str(ssh), *site.access.ssh[1:])))
    assert list(site["dut1"].path("/var/cache/shakeout").iterdir()) == []
    with site.connect() as host:
        assert host.run("true").passed
    assert len(list(site["dut1"].path("/var/cache/shakeout").iterdir())) == 1
