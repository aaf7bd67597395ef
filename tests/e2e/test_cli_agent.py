"""`shakeout agent`: a pool's host on this machine (in a network namespace of the test's), kept and put back."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User

pytestmark = pytest.mark.needs("root", "unshare", "ip")

RECIPE = """
class Change(BaseRecipe):
    m1 = HostReq()

    def test(self):
        m1 = self.matched.m1
        m1.br0 = BridgeDevice()
        m1.procfs_set("sys/net/ipv4/ip_forward", 1)
        m1.run("sleep 4321", bg=True)
"""


class Machine:
    """An agent in namespaces of its own, and the user whose pool has it."""

    def __init__(self, user: User, socket: Path, process: subprocess.Popen[str]) -> None:
        self.user = user
        self.socket = socket
        self.process = process

    def inside(self, command: str) -> str:
        """What a command says in the agent's network and process namespaces."""
        (agent,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        words = ["nsenter", f"--target={agent}", "--net", "--pid", "--mount", "sh", "-c", command]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def machine(user: User) -> Iterator[Machine]:
    """A running agent."""
    pool = user.folder / "pool"
    pool.mkdir()
    socket = pool / "agent.sock"
    (pool / "here.yaml").write_text(f"host: {{name: here, address: {socket}, via: unix}}\n")
    user.recipe(RECIPE)
    isolated = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    with subprocess.Popen(
        [*isolated, SHAKEOUT, "agent", "--socket", str(socket), "--state", str(user.folder / "agent")],
        env=user.environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening on {socket}\n"
        try:
            yield Machine(user, socket, process)
        finally:
            process.kill()


def test_a_recipe_runs_there_and_it_is_put_back(machine: Machine) -> None:
    ended = machine.user.shakeout("run", "my.py", "--pool", "pool")
    assert ended.status == 0, ended.out + ended.err
    assert "br0" not in machine.inside("ip link")
    assert machine.inside("cat /proc/sys/net/ipv4/ip_forward") == "0\n"
    assert "sleep 4321" not in machine.inside("ps ax")


def test_a_kept_host_stays_until_its_run_is_removed(machine: Machine) -> None:
    user = machine.user
    ended = user.shakeout("run", "my.py", "--pool", "pool", "--keep")
    assert ended.status == 0, ended.out + ended.err
    assert "br0" in user.shakeout("shell", "last", "m1", "--", "ip -br link").out
    assert "sleep 4321" in machine.inside("ps ax")

    other = user.shakeout("run", "my.py", "--pool", "pool", "--out", str(user.folder / "other"))
    assert other.status == 2
    assert f"run {user.runs()[0].name}" in other.err

    removed = user.shakeout("runs", "rm", "last")
    assert removed.status == 0, removed.err
    assert "put back the hosts that " in removed.out
    assert "removed the hosts" not in removed.out, "it is a machine that was there before, and stays"
    assert "br0" not in machine.inside("ip link")
    assert machine.inside("cat /proc/sys/net/ipv4/ip_forward") == "0\n"
    assert "sleep 4321" not in machine.inside("ps ax")
    assert user.shakeout("run", "my.py", "--pool", "pool").status == 0


def test_of_several_recipes_only_the_last_keeps_the_host(machine: Machine) -> None:
    user = machine.user
    user.recipe(
        RECIPE
        + "class Last(BaseRecipe):\n    m1 = HostReq()\n    def test(self):\n        self.matched.m1.run('ip link')\n"
    )
    ended = user.shakeout("run", "my.py", "--pool", "pool", "--keep")
    assert "2 passed" in ended.result, ended.out + ended.err
    assert "br0" not in machine.inside("ip link")
    assert user.shakeout("runs", "rm", "last").status == 0


def test_nobody_else_may_connect_or_read_its_state(machine: Machine, user: User) -> None:
    assert oct(machine.socket.stat().st_mode & 0o777) == "0o600"
    assert oct((user.folder / "agent").stat().st_mode & 0o777) == "0o700"


def test_it_ends_at_sigterm_and_takes_its_socket_along(user: User) -> None:
    socket = user.folder / "agent.sock"
    with subprocess.Popen(
        [SHAKEOUT, "agent", "--socket", str(socket), "--state", str(user.folder / "agent")],
        env=user.environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        second = user.shakeout("agent", "--socket", socket, "--state", user.folder / "agent2")
        assert second.status == 2
        assert "cannot listen at" in second.complaint
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not socket.exists()


def test_a_place_where_there_can_be_no_socket(user: User) -> None:
    ended = user.shakeout("agent", "--socket", user.folder / "no" / "a.sock", "--state", user.folder / "agent")
    assert ended.status == 2
    assert "No such file or directory; give another path with --socket" in ended.complaint
