"""The program behind `Machines`: a ground with bridges, and machines in namespaces of their own plugged into them.

It ends, and takes all machines with it, when its standard input ends: with whoever started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn, TypeAlias

import msgspec

from shakeout.devices.netlink import Change, Netlink, Peer
from shakeout.labs import rootfs
from shakeout.processes.namespaces import NEWIPC, NEWNET, NEWNS, NEWPID, NEWUTS, end_with_parent, sethostname, unshare
from shakeout.wire.network import Address

#: Target and file system type of what is mounted here.
Mounts: TypeAlias = list[tuple[str, str]]
#: The link of a machine that its agent is reached by; on the ground a bridge of this name.
MANAGEMENT = "mgmt"
#: Of the management network (set aside for tests between networks by RFC 2544).
GROUND_ADDRESS = "198.18.0.1"


class Machine(msgspec.Struct, frozen=True):
    """A machine to be made: its links by name, and the network that each is on."""

    name: str
    address: str
    links: dict[str, str]


class Order(msgspec.Struct, frozen=True):
    """All that is to be made; *folder* is for the machines' file systems."""

    folder: str
    machines: tuple[Machine, ...]


def main() -> NoReturn:
    """Make what the first argument says, say the machines' process numbers on a line, wait for the end of input."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    mounts = rootfs.mount_points()
    unshare(NEWNET)
    # Or a machine that is cut off would get an answer on its loose end, and reach us all the same.
    Path("/proc/sys/net/ipv4/conf/all/arp_ignore").write_text("1")
    with Netlink() as netlink:
        bridges = _bridges(netlink, order)
        pids = [
            _launch(netlink, bridges, order.folder, machine, number, mounts)
            for number, machine in enumerate(order.machines)
        ]
    print(msgspec.json.encode(pids).decode(), flush=True)  # noqa: T201 - it is what it is started for
    while os.read(0, 1):
        pass
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for _ in pids:
        os.wait()
    shutil.rmtree(Path(order.folder).parent, ignore_errors=True)  # who made it may have been killed
    os._exit(0)


def _bridges(netlink: Netlink, order: Order) -> dict[str, int]:
    """Index of the bridge of each network."""
    networks = dict.fromkeys([MANAGEMENT, *(net for machine in order.machines for net in machine.links.values())])
    bridges = {}
    for number, network in enumerate(networks):
        # Not the address of a port, which is what it would get: what is sent there by a machine that is cut off would
        # still be for us.
        netlink.link_add("bridge", network, hwaddr=f"52:54:00:ff:00:{number:02x}", up=True)
        bridges[network] = netlink.link(network).index
    netlink.link_set(netlink.link("lo").index, Change(up=True))
    netlink.address_add(Address(bridges[MANAGEMENT], socket.AF_INET, GROUND_ADDRESS, 16))
    return bridges


def _launch(
    netlink: Netlink, bridges: dict[str, int], folder: str, machine: Machine, number: int, mounts: Mounts
) -> int:
    """Make *machine*; the number of its process 1, as it is known here."""
    ours, theirs = socket.socketpair()
    maker = os.getpid()
    if os.fork() == 0:
        end_with_parent(maker)
        ours.close()
        unshare(NEWPID)  # for the next child
        pid = os.fork()
        if pid == 0:
            try:
                end_with_parent()
                _be_machine(folder, machine, mounts, theirs)
            finally:
                os._exit(1)
        theirs.sendall(pid.to_bytes(4, "little"))
        theirs.close()
        os.waitpid(pid, 0)
        os._exit(0)
    theirs.close()
    with ours:
        pid = int.from_bytes(_received(ours, 4), "little")
        ours.sendall(b".")
        _received(ours, 1)  # it is in namespaces of its own
        for place, (link, network) in enumerate([(MANAGEMENT, MANAGEMENT), *machine.links.items()]):
            peer = Peer(link, hwaddr=f"52:54:00:00:{number + 1:02x}:{place:02x}", netns_pid=pid)
            netlink.link_add("veth", f"{machine.name}.{place}", master=bridges[network], up=True, peer=peer)
        ours.sendall(b".")
        _received(ours, 1)  # it is ready
    return pid


def _received(sock: socket.socket, size: int) -> bytes:
    data = sock.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise RuntimeError("a machine ended while it was made; its error stands above")
    return data


def _be_machine(folder: str, machine: Machine, mounts: Mounts, ground: socket.socket) -> NoReturn:
    """Process 1 of a machine."""
    _received(ground, 1)  # its number has been told
    unshare(NEWNS | NEWUTS | NEWIPC | NEWNET)
    ground.sendall(b".")
    _received(ground, 1)  # its links are there
    scratch = f"{folder}/{machine.name}"
    Path(scratch).mkdir()
    rootfs.build(scratch, mounts, userxattr=False)
    sethostname(machine.name)
    with open("/etc/hosts", "a", encoding="utf-8") as hosts:  # noqa: PTH123
        hosts.write(f"127.0.1.1 {machine.name}\n")
    # Addresses are usable at once: nobody else can have them in here.
    for scope in ("all", "default"):
        setting = Path(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad")
        if setting.exists():
            setting.write_text("0")
    with Netlink() as netlink:
        for link in ("lo", MANAGEMENT):  # the others are down, as interfaces are that nobody has configured
            netlink.link_set(netlink.link(link).index, Change(up=True))
        netlink.address_add(Address(netlink.link(MANAGEMENT).index, socket.AF_INET, machine.address, 16))
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # waited for
    os.closerange(0, 3)
    ground.sendall(b".")
    ground.close()
    while True:
        signal.sigwait([signal.SIGCHLD])
        while _reap():
            pass


def _reap() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    main()
