"""Networks with more ports than one bridge can have."""

from __future__ import annotations

import os
import socket

import pytest

from shakeout.devices.netlink import Change, Netlink, Peer
from shakeout.labs import switches
from shakeout.processes.namespaces import NEWNET, unshare

FRAME = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + b"from one end to the other".ljust(46)


def plug(netlink: Netlink, number: int, bridge: int) -> socket.socket:
    """A link on *bridge*, and a socket at its other end."""
    near, far = f"p{number}", f"q{number}"
    netlink.link_set(netlink.link_add("veth", near, master=bridge, peer=Peer(name=far)), Change(up=True))
    netlink.link_set(0, Change(name=far, up=True))
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    end.bind((far, 0x88B5))
    end.settimeout(5)
    return end


def long_network() -> None:
    """In a network namespace of its own: five ports, two a bridge."""
    switches.ROOM = 2
    room = switches.Switches()
    with Netlink() as netlink:
        bridges = [room.port("long") for _ in range(5)]
        assert len(set(bridges)) == 3
        ends = [plug(netlink, number, bridge) for number, bridge in enumerate(bridges)]
        elsewhere = plug(netlink, 5, room.port("another"))
        ends[0].send(FRAME)
        assert ends[4].recv(100) == FRAME
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.recv(100)
        room.clear()
        assert not [link.name for link in netlink.links() if link.kind == "bridge" or link.name.startswith("c")]
        assert room.port("long") > 0


@pytest.mark.needs("root")
def test_a_network_goes_over_several_bridges() -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            unshare(NEWNET)
            long_network()
            status = 0
        except BaseException:  # noqa: BLE001 - the edge of a process
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
