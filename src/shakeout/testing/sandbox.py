"""The program behind `StandaloneAgent`: an agent in namespaces of its own, on file systems of its own.

Three processes: one outside, which ends everything when its standard input ends; process 1 of the namespaces, which
reaps; and the agent, which is an ordinary process there, as on a real machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from shakeout.agent.standalone import serve
from shakeout.devices.netlink import Change, Netlink, Peer
from shakeout.labs import rootfs
from shakeout.processes.namespaces import NEWIPC, NEWNET, NEWNS, NEWPID, NEWUTS, end_with_parent, sethostname, unshare


def main() -> NoReturn:
    """Serve at ``agent.sock`` in the folder whose descriptor is the first argument; the second is a host name."""
    folder, name = int(sys.argv[1]), sys.argv[2]
    place = os.path.realpath(f"/proc/self/fd/{folder}")
    scratch = f"{place}/root"
    Path(scratch).mkdir()
    mounts = rootfs.mount_points()
    unshare(NEWNS | NEWUTS | NEWIPC | NEWNET | NEWPID)
    first = os.fork()
    if first == 0:
        end_with_parent()
        try:
            _inside(folder, name, scratch, mounts)
        finally:
            os._exit(1)
    while os.read(0, 1):
        pass
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    shutil.rmtree(place, ignore_errors=True)  # who made it may have been killed
    os._exit(0)


def _inside(folder: int, name: str, scratch: str, mounts: list[tuple[str, str]]) -> NoReturn:
    rootfs.build(scratch, mounts, userxattr=False)
    sethostname(name)
    with Netlink() as netlink:
        netlink.link_add("veth", "eth0", hwaddr="52:54:00:00:00:01", peer=Peer("eth1", hwaddr="52:54:00:00:00:02"))
        for link in ("lo", "eth0", "eth1"):
            netlink.link_set(netlink.link(link).index, Change(up=True))
    agent = os.fork()
    if agent == 0:
        os.setsid()
        # The folder is outside of these file systems; its descriptor still leads there.
        serve(Path(f"/proc/self/fd/{folder}/agent.sock"), Path("/run/shakeout-agent"))
        os._exit(0)
    while os.wait()[0] != agent:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
