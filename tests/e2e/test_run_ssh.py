"""Hosts via ssh, from the command line: recipes unchanged, kept hosts, another terminal, interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User
from tests.lab.ssh.conftest import PYTHON, agent_of, await_end, processes_of

from shakeout.testing.machines import Machines
from shakeout.testing.sshd import SshLogin

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh", "ping")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

KEPT = """
    class Kept(BaseRecipe):
        m1 = HostReq(device="yes")
        def test(self):
            self.matched.m1.br0 = BridgeDevice()
            self.matched.m1.run("sleep 1000", bg=True)
"""
WAITING = """
    class Waiting(BaseRecipe):
        m1 = HostReq(device="yes")
        def test(self):
            self.matched.m1.br0 = BridgeDevice()
            self.matched.m1.run("echo here > here.txt")
            import sys
            sys.stderr.write("waiting\\n")
            self.matched.m1.run("sleep 1000")
"""


class SshUser(User):
    """Somebody whose hosts dut1 and dut2 are reached via ssh."""

    def __init__(self, folder: Path, machines: Machines, login: SshLogin) -> None:
        super().__init__(folder)
        self.machines = machines
        self.environment["SHAKEOUT_SSH"] = " ".join(login.command)
        self.environment["SHAKEOUT_CACHE"] = str(login.folder / "cache")
        self.environment["SHAKEOUT_POOLS"] = "lab=lab"
        for machine in machines:
            self.write(
                f"lab/{machine.name}.yaml",
                f"host: {{name: {machine.name}, address: {machine.name}, via: ssh, python: {PYTHON}}}\n"
                f"params: {{device: {'yes' if machine.name == 'dut1' else 'no'}}}\n"
                "interfaces:\n"
                + "".join(
                    f'  - {{id: {link}, hwaddr: "{machine.hwaddr(link)}", network: {network}}}\n'
                    for link, network in machine.links.items()
                ),
            )


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machines, SshLogin]]:
    """Machines on two networks."""
    with Machines("dut1", "dut2", dut3={"eth0": "net1", "eth1": "net2"}, dut4={"eth0": "net2"}) as made:
        yield made, SshLogin(made)


@pytest.fixture
def user(tmp_path: Path, machines: tuple[Machines, SshLogin]) -> Iterator[SshUser]:
    """In the network of the machines; nothing runs on them afterwards."""
    with machines[0].inside():
        yield SshUser(tmp_path, *machines)
        for machine in machines[0]:
            await_end(processes_of(machine, "shakeout-agent"))
            assert "br0" not in machine.run(["ip", "-o", "link"]).stdout
            assert not machine.path("/var/lib/shakeout").exists()


@pytest.mark.parametrize("example", ["hello", "own_module", "own_device", "files_and_settings", "bridge"])
def test_examples_run_as_they_are(user: SshUser, example: str) -> None:
    done = user.shakeout("run", EXAMPLES / f"{example}.py", "--pool", "lab")
    assert done.status == 0, done.err + done.out
    assert "(pool lab)" in done.err


def test_a_kept_host_is_looked_at_and_given_back(user: SshUser) -> None:
    user.recipe(KEPT)
    done = user.shakeout("run", "my.py", "--keep")
    assert done.status == 0, done.err
    (kept,) = user.runs()
    agent = agent_of(user.machines["dut1"])
    done = user.shakeout("shell", "last", "m1", "--", "hostname; ip -o link show br0; pgrep -c sleep")
    assert done.status == 0, done.err
    assert done.out.startswith("dut1\n")
    assert done.out.endswith("\n1\n")
    refused = user.shakeout("run", "my.py")
    assert refused.status != 0
    assert "held by" in refused.err
    assert agent_of(user.machines["dut1"]) == agent
    done = user.shakeout("runs", "rm", kept.name)
    assert done.status == 0, done.err
    await_end([agent])


def test_an_interrupt_is_for_the_recipe_not_for_ssh(user: SshUser) -> None:
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


def test_a_host_that_cannot_be_reached_is_set_aside(user: SshUser) -> None:
    user.write("lab/dut0.yaml", "host: {name: dut0, address: 'dut1:1', via: ssh}\nparams: {device: 'yes'}\n")
    user.recipe(KEPT)
    done = user.shakeout("run", "my.py")
    assert done.status == 0, done.err
    assert "host dut0 is set aside" in done.err
    assert "Connection refused" in done.err
