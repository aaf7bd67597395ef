"""The controller is killed in the middle of everything: hosts go, or are as they were; the journal tells all."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.faults.command import Command, recipe
from tests.faults.processes import Watched, parents, until

from shakeout.journal.events import JobStarted, PartStarted
from shakeout.journal.reader import State, state
from shakeout.journal.runs import RunStore
from shakeout.journal.verdict import Verdict
from shakeout.labs.folders import living

pytestmark = pytest.mark.needs("root", "namespaces")

BUSY = """
m1.eth0.ip_add("192.0.2.1/24")
m1.br0 = BridgeDevice()
m1.procfs_set("sys/net/ipv4/ip_forward", 1)
Path("big").write_bytes(bytes(1 << 20))
m1.send_file("big", "/etc/big")
jobs = [host.run("while :; do echo x; sleep 0.01; done", bg=True) for host in (m1, m2) for _ in range(3)]
m2.run("setsid -f sleep 1000")
tell("ready")
m1.run("sleep 1000", timeout=0)
"""


def test_everything_of_the_laboratory_is_gone_and_the_journal_is_whole(tmp_path: Path) -> None:
    with Command(recipe(tmp_path, BUSY)) as command:
        command.await_word("ready")
        folders = living()
        with Watched(command.lab()) as lab:
            assert len(lab.pids) > 10
            command.signal(signal.SIGKILL)
            assert lab.left_after(5) == []
        assert command.end()[0] == -signal.SIGKILL
        assert set(folders) - set(living()), "the laboratory's folder is still there"
        entry = command.run
        assert (entry.state, entry.verdict) == (State.ABORTED, Verdict.ABORTED)
        assert state(entry.folder) is State.ABORTED
        events = command.events()
        assert any(isinstance(event, PartStarted) for event in events)
        assert sum(isinstance(event, JobStarted) for event in events) == 8
        assert RunStore(command.out).remove("last") == entry.run


FORKS = """
if os.fork() == 0:
    time.sleep(1000)
tell("ready")
time.sleep(1000)
"""


def test_a_child_of_the_recipe_keeps_nothing_alive(tmp_path: Path) -> None:
    """It has the controller's descriptors: the connections, the laboratory's control, the journal's lock."""
    with Command(recipe(tmp_path, FORKS)) as command:
        command.await_word("ready")
        with Watched(command.lab()) as lab, Watched(_children(command)) as children:
            command.signal(signal.SIGKILL)
            assert lab.left_after(5) == []
            assert command.process.wait(5) == -signal.SIGKILL
            assert command.run.state is State.ABORTED
            for pid in children.pids:
                children.kill(pid)


def _children(command: Command) -> list[int]:
    tree = parents()
    lab = set(command.lab())
    return [pid for pid, parent in tree.items() if parent == command.pid and pid not in lab]


@pytest.mark.parametrize("moment", ["loading", "making"])
def test_killed_before_the_recipe_begins(tmp_path: Path, moment: str) -> None:
    """While the file is imported, the spawner warms up; while hosts are made, they are half there."""
    hosts = "\n".join(f"    h{n} = HostReq()\n    h{n}.eth0 = DeviceReq(label='n')" for n in range(30))
    wait = "import os, time\nos.write(1, b'ready\\n')\n"
    stop = "time.sleep(1000)\n" if moment == "loading" else ""
    file = tmp_path / "r.py"
    file.write_text(f"{wait}{stop}from shakeout import *\nclass R(BaseRecipe):\n{hosts}\n    def test(self): pass\n")
    with Command(file) as command:
        command.await_word("ready")
        with Watched(command.lab() or _children(command)) as lab:
            if moment == "making":
                until(lambda: len(command.lab()) > 10, what="hosts that are being made")
            command.signal(signal.SIGKILL)
            command.end()
            assert lab.left_after(5) == []
