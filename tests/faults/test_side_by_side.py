"""Runs beside each other and after each other: they do not disturb one another, and leave nothing."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.faults.command import Command, recipe
from tests.faults.processes import Watched, descendants, until

from shakeout.labs.folders import leftovers, living

pytestmark = pytest.mark.needs("root", "namespaces", "ip")

MEETS = """
m1.eth0.ip_add("192.0.2.1/24")
m2.eth0.ip_add("192.0.2.2/24")
m1.procfs_set("sys/net/ipv4/ip_forward", 1)
m1.run("hostname > /tmp/who; echo {word} > /etc/shakeout-{word}")
tell("ready")
while not Path("go").exists():
    time.sleep(0.005)
m1.run(Ping(dst="192.0.2.2", count=2, interval=0.01))
assert m1.run("cat /etc/shakeout-*").stdout == "{word}\\n"
assert m1.run("ls /run/netns").stdout == ""
m1.eth0.mtu = 1400
"""


def test_two_at_once(tmp_path: Path) -> None:
    """The same names and addresses in both; one is killed, the other goes on."""
    with ExitStack() as stack:
        commands = []
        for word in ("one", "two", "three"):
            folder = tmp_path / word
            folder.mkdir()
            commands.append(stack.enter_context(Command(recipe(folder, MEETS.format(word=word)))))
        for command in commands:
            command.await_word("ready")
        killed, *rest = commands
        with Watched(killed.lab()) as lab:
            killed.process.kill()
            assert lab.left_after(5) == []
        for word in ("two", "three"):
            (tmp_path / word / "go").touch()
        for command in rest:
            status, out, err = command.end()
            assert status == 0, out + err
    assert not list(Path("/etc").glob("shakeout-*"))


def test_two_that_want_one_folder_of_runs(tmp_path: Path) -> None:
    """Started at the same moment, many times: each gets a run of its own."""
    file = recipe(tmp_path, "m1.run('true')")
    with ExitStack() as stack:
        commands = [stack.enter_context(Command(file)) for _ in range(4)]
        for command in commands:
            status, out, err = command.end()
            assert status == 0, out + err
        assert len({path.name for path in (tmp_path / "runs").iterdir()}) == 4


def _traces() -> dict[str, set[str]]:
    """What runs could leave: processes, mounts, network namespaces and links, folders of laboratories."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return {
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "namespaces": set(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else set(),  # noqa: PTH208
        "links": {line.split(":")[1] for line in links.splitlines()},
    }


def test_twenty_in_a_row(tmp_path: Path) -> None:
    """Whatever becomes of them: passed, failed, killed, interrupted."""
    before = _traces()
    bodies = [
        "m1.run('true')",
        "m1.run('false')",
        "m1.run('setsid -f sleep 1000')",
        "m1.br0 = BridgeDevice()\nm1.send_file('r.py', '/tmp/')\nraise ValueError('odd')",
        "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(1000)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os._exit(0)",
    ]
    expected = [0, 1, 0, 3, 130, -9, 0]
    seen: set[int] = set()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    wait = "tell('ready')\nwhile not Path('go').exists(): time.sleep(0.005)\n"
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        file = recipe(folder, wait + bodies[number % len(bodies)])
        with Command(file, env={"TMPDIR": str(temporary)}) as command:
            command.await_word("ready")
            with Watched(descendants(command.pid)) as lab:
                assert len(lab.pids) >= 4  # two agents, who made them, and who watches
                seen |= set(lab.pids)
                (folder / "go").touch()
                status, out, err = command.end()
                assert status == expected[number % len(bodies)], out + err
                assert lab.left_after(5) == []
    assert list(temporary.iterdir()) == []
    after = _traces()
    assert {kind: after[kind] - before[kind] for kind in before} == {kind: set() for kind in before}
    ours = set(map(str, seen))
    until(lambda: not [folder for folder in (*leftovers(), *living()) if _maker(folder) in ours], what="their folders")


def _maker(folder: Path) -> str:
    """The process that holds a laboratory's lock, as /proc/locks has it; "" if nobody does."""
    try:
        inode = (folder / "lock").stat().st_ino
    except OSError:
        return ""
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[-3].endswith(f":{inode}"):
            return fields[-4]
    return ""
