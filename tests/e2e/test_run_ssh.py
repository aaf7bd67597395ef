"""Hosts via ssh, from the command line: recipes unchanged, kept hosts, another terminal, interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User, on_fleet
from tests.lab.ssh.conftest import agent_of, await_end, processes_of

from shakeout.testing.fleet import Fleet

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh")

KEPT = """
    class Kept(BaseRecipe):
        m1 = HostReq(name="dut1")
        def test(self):
            self.matched.m1.br0 = BridgeDevice()
            self.matched.m1.run("sleep 1000", bg=True)
"""
WAITING = """
    class Waiting(BaseRecipe):
        m1 = HostReq(name="dut1")
        def test(self):
            self.matched.m1.br0 = BridgeDevice()
            self.matched.m1.run("echo here > here.txt")
            import sys
            sys.stderr.write("waiting\\n")
            self.matched.m1.run("sleep 1000")
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(ssh=("dut1", "dut2")) as made:
        yield made


@pytest.fixture
def user(tmp_path: Path, fleet: Fleet) -> Iterator[User]:
    """In the network of the machines; nothing runs on them afterwards."""
    with on_fleet(tmp_path, fleet) as someone:
        someone.environment["SHAKEOUT_POOLS"] = f"lab={fleet.pools['ssh']}"
        yield someone
        for machine in fleet.machines:
            await_end(processes_of(machine, "shakeout-agent"))
            assert "br0" not in machine.run(["ip", "-o", "link"]).stdout
            assert not machine.path("/var/lib/shakeout").exists()


def test_a_kept_host_is_looked_at_and_given_back(user: User, fleet: Fleet) -> None:
    user.recipe(KEPT)
    done = user.shakeout("run", "my.py", "--keep")
    assert done.status == 0, done.err
    (kept,) = user.runs()
    agent = agent_of(fleet.machines["dut1"])
    done = user.shakeout("shell", "last", "m1", "--", "hostname; ip -o link show br0; pgrep -c sleep")
    assert done.status == 0, done.err
    assert done.out.startswith("dut1\n")
    assert done.out.endswith("\n1\n")
    refused = user.shakeout("run", "my.py")
    assert refused.status != 0
    assert "held by" in refused.err
    assert agent_of(fleet.machines["dut1"]) == agent
    done = user.shakeout("runs", "rm", kept.name)
    assert done.status == 0, done.err
    await_end([agent])


def test_an_interrupt_is_for_the_recipe_not_for_ssh(user: User) -> None:
    user.recipe(WAITING)
    running = subprocess.Popen(
        [SHAKEOUT, "run", "my.py"], cwd=user.folder, env=user.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
    )  # fmt: skip
    with running:
        assert running.stdout is not None
        assert running.stderr is not None
        while b"waiting" not in (line := running.stderr.readline()):
            assert line, "it ended"
        os.killpg(running.pid, signal.SIGINT)  # as the terminal does
        running.wait(30)
        said = running.stderr.read().decode() + running.stdout.read().decode()
    assert running.returncode == 130, said
    assert "could not be put back" not in said


def test_a_host_that_cannot_be_reached_is_set_aside(user: User, fleet: Fleet) -> None:
    user.write("first/dut0.yaml", "host: {name: dut0, address: 'dut1:1', via: ssh}")
    user.recipe("""
        class Any(BaseRecipe):
            m1 = HostReq()
            def test(self):
                self.matched.m1.run("true")
    """)
    done = user.shakeout("run", "my.py", "--pool", "first", "--pool", fleet.pools["ssh"])
    assert done.status == 0, done.err
    assert "host dut0 is set aside" in done.err
    assert "Connection refused" in done.err
