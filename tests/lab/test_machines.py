"""Machines for tests: apart from this machine, reachable, cut off, and gone afterwards."""

from __future__ import annotations

import signal
import subprocess

import pytest

from shakeout.testing.machines import Machines
from shakeout.testing.sshd import SshLogin, add_user

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "ping", "sshd", "ssh", "sudo")


def answers(address: str) -> bool:
    return subprocess.run(["ping", "-c1", "-W1", address], capture_output=True, check=False).returncode == 0


def test_machines_are_reached_over_their_network_until_they_are_cut_off() -> None:
    with Machines("dut1", "dut2") as machines:
        one, two = machines["dut1"], machines["dut2"]
        one.path("/etc/made").write_text("here")
        assert one.run(["cat", "/etc/made"]).stdout == "here"
        assert not two.path("/etc/made").exists()
        with machines.inside():
            assert answers(one.address)
            one.cut()
            assert not answers(one.address)
            assert answers(two.address)
            one.heal()
            assert answers(one.address)
        agent = one.start_agent("--socket", "/run/agent.sock")
        agent.signal(signal.SIGKILL)
        assert agent.wait() == -signal.SIGKILL or agent.wait() == 128 + signal.SIGKILL
    assert not machines.folder.exists()


def test_somebody_may_log_in() -> None:
    with Machines("dut1") as machines:
        login = SshLogin(machines)
        add_user(machines["dut1"], "tester", sudo=True)
        with machines.inside():
            done = subprocess.run([*login.command, "dut1", "hostname"], capture_output=True, text=True, check=True)
            assert done.stdout == "dut1\n"
            command = [*login.command, "-l", "tester", "dut1", "id -un; sudo -n id -un"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert done.stdout == "tester\nroot\n"
            machines["dut1"].path("/etc/greeting").write_text("hello")
            # what scp of today speaks
            sftp = [login.command[0].replace("ssh", "sftp"), *login.command[1:], "-b", "-", "dut1"]
            orders = f"get /etc/greeting {machines.folder}/fetched\n"
            subprocess.run(sftp, input=orders, text=True, capture_output=True, check=True)
            assert (machines.folder / "fetched").read_text() == "hello"
