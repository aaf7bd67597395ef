"""After a session a host is as it was before: network, settings, files, processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lab.hosts import cases

from shakeout import BaseTestModule, BridgeDevice, MacvlanDevice, VethPair
from shakeout.agent.snapshot import differences
from shakeout.hosts.host import Host
from shakeout.testing import Recording


class Snapshot(BaseTestModule):
    """The normal form of a host's network, as the agent compares it."""

    def run(self):  # type: ignore[no-untyped-def]
        from shakeout.agent.snapshot import snapshot
        from shakeout.devices.netlink import Netlink

        with Netlink() as netlink:
            return snapshot(netlink)


FILES = (
    "cd ~ && mkdir -p keep/stuff/deep && echo old > keep/stuff/script && chmod 604 keep/stuff/script &&"
    "chown 7:8 keep/stuff/script && ln -sf elsewhere keep/stuff/private && chmod 711 keep/stuff/deep &&"
    "touch -d '2001-02-03' keep/stuff/script"
)
LOOK = "cd keep && find . -printf '%P %y %m %U %G %l %s\\n' | sort; cat stuff/script; stat -c %Y stuff/script"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "stuff"
    (top / "deep").mkdir(parents=True)
    (top / "deep" / "new").write_text("n")
    (top / "script").write_text("new content")
    (top / "private").write_text("s3cret")
    return top


def change(host: Host, folder: Path) -> None:
    """Alter all that can be altered."""
    host.eth0.ip_add("192.0.2.1/24")
    host.eth0.mtu = 1400
    host.eth0.hwaddr = "52:54:00:00:00:77"
    host.eth1.down()
    host.br0 = BridgeDevice()
    host.eth1.master = host.br0
    host.v0, host.v1 = VethPair()
    host.v0.ip_add("2001:db8::1/64")
    host.mv0 = MacvlanDevice(host.eth0)
    host.v1.name = "renamed"
    host.procfs_set("sys/net/ipv4/ip_forward", 1)
    host.sysfs_set("class/net/eth0/tx_queue_len", 33)
    host.send_file(str(folder), "keep", recursive=True)
    host.send_file(str(folder / "private"), "keep/stuff/script")
    host.send_file(str(folder / "script"), "keep/fresh")
    host.run("sleep 1000 & setsid sleep 1000 &")
    host.run(cases.Detaches())


def test_a_host_is_as_it_was(connect_to_agent, folder: Path, recording: Recording) -> None:  # type: ignore[no-untyped-def]
    first = connect_to_agent()
    first.host.run(FILES)
    network = first.host.run(Snapshot()).result
    looks = first.host.run(LOOK).stdout
    processes = first.host.run("pgrep -c .").stdout
    first.end()
    second = connect_to_agent()
    change(second.host, folder)
    assert differences(network, second.host.run(Snapshot()).result) != []
    assert second.host.run(LOOK).stdout != looks
    ended = second.end()
    assert all(not step.error for step in ended.steps)
    third = connect_to_agent()
    assert differences(network, third.host.run(Snapshot()).result) == []
    assert third.host.run(LOOK).stdout == looks
    assert third.host.run("pgrep -c .").stdout == processes
    assert third.host.procfs_get("sys/net/ipv4/ip_forward") == "0"
    assert third.host.sysfs_get("class/net/eth0/tx_queue_len") == "1000"
    third.host.run("rm -r ~/keep")
    assert third.host.run("ls -A ~ /run/shakeout-agent | grep -e backup -e files -e undo-", fail=True).passed


def test_a_controller_that_vanishes_leaves_a_host_as_it_was(connect_to_agent, folder: Path) -> None:  # type: ignore[no-untyped-def]
    first = connect_to_agent()
    first.host.run(FILES)
    network = first.host.run(Snapshot()).result
    looks = first.host.run(LOOK).stdout
    change(first.host, folder)
    first.abandon()
    second = connect_to_agent(run="the next")
    assert differences(network, second.host.run(Snapshot()).result) == []
    assert second.host.run(LOOK).stdout == looks
    second.host.run("rm -r ~/keep")


def test_an_undo_that_fails_is_named(connect_to_agent) -> None:  # type: ignore[no-untyped-def]
    from shakeout.errors import UndoFailed

    one = connect_to_agent()
    one.host.run("mkdir -p mine/sub && echo x > mine/sub/f")
    one.host.send_file("/etc/hostname", "mine/sub/f")
    one.host.run("mount -t tmpfs -o ro none mine/sub")
    with pytest.raises(UndoFailed, match="mine/sub/f"):
        one.end()
    again = connect_to_agent()
    again.host.run("umount mine/sub; rm -r mine; rm -f /run/shakeout-agent/*.failed")
