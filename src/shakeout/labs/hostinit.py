"""Process 1 of a namespace host: from a fork of the spawner to a running agent."""

from __future__ import annotations

# The module beneath signal, which makes an enum of every number: that costs every fork 0.1 ms.
import _signal  # type: ignore[import-not-found]
import gc
import os
import pwd
import socket
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from shakeout.agent.properties import Value
from shakeout.agent.server import Agent
from shakeout.agent.zygote import start_zygote
from shakeout.devices.netlink import Change, Netlink, Peer
from shakeout.labs import rootfs
from shakeout.labs.orders import MakeHost
from shakeout.processes.namespaces import NEWIPC, NEWNET, NEWNS, NEWUTS, set_process_name, sethostname, unshare
from shakeout.wire.reactor import Reactor

#: The namespaces that a host makes for itself; of its PID namespace it is process 1 already.
KINDS = NEWNS | NEWUTS | NEWIPC | NEWNET

#: The index of the loopback device in every network namespace.
LOOPBACK = 1
#: The variable that tells jobs on which host they are.
HOST = "SHAKEOUT_HOST"
#: The agent's own files.
STATE = "/run/shakeout"


class HostPlan:
    """What process 1 needs to know.

    Attributes:
        bridges: for each port the index, in the laboratory's own network namespace, of its bridge.
        number: of the host in its laboratory; names its ends on the bridges.
        mounts: what is mounted where, as `rootfs.mount_points` says it.
    """

    def __init__(
        self,
        order: MakeHost,
        number: int,
        bridges: list[int],
        scratch: str,
        mounts: list[tuple[str, str]],
        properties: dict[str, Value],
        environment: dict[str, str],
        *,
        privileged: bool,
    ) -> None:
        self.order = order
        self.number = number
        self.bridges = bridges
        self.scratch = scratch
        self.mounts = mounts
        self.properties = properties
        self.environment = environment
        self.privileged = privileged


def launch(plan: HostPlan, listener: socket.socket, report: int) -> NoReturn:
    """Become a host, in a fresh fork of the spawner that is process 1 of a PID namespace: never returns.

    Writes to *report* "ready", or what went wrong.
    """
    status = 1
    try:
        switch = Netlink()  # stays in the laboratory's namespace: that is where the other ends of the links are
        unshare(KINDS)
        _run(plan, listener, report, switch)
    except BaseException as error:  # noqa: BLE001 - the edge of a process: whatever it is, say it
        os.write(report, f"{error}".encode(errors="replace"))
    finally:
        os._exit(status)


def _run(plan: HostPlan, listener: socket.socket, report: int, switch: Netlink) -> NoReturn:
    set_process_name("shakeout-agent")
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
    for number in (_signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _signal.SIG_DFL)  # ignored by the spawner; a host's jobs shall hear them
    rootfs.build(plan.scratch, plan.mounts, userxattr=not plan.privileged)
    sethostname(plan.order.name)
    _network(plan, switch)
    switch.close()
    state = Path(STATE)
    os.mkdir(STATE, 0o700)  # noqa: PTH102
    os.environ[HOST] = plan.order.name
    environment = {**plan.environment, HOST: plan.order.name}
    os.chdir(environment["HOME"] if os.path.isdir(environment["HOME"]) else "/")  # noqa: PTH112
    reactor = Reactor()
    properties = {**plan.properties, "hostname": plan.order.name}
    agent = Agent(reactor, lambda: start_zygote(environment)[1], state, properties, environment)
    agent.listen(listener)
    os.write(report, b"ready")
    os.close(report)
    gc.freeze()
    reactor.run()
    os._exit(0)


def _network(plan: HostPlan, switch: Netlink) -> None:
    # Addresses are usable at once: nobody else can have them in here.
    for scope in ("all", "default"):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            fd = os.open(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"0")
            os.close(fd)
    with Netlink() as own:
        own.link_set(LOOPBACK, Change(up=True))
        for number, (port, bridge) in enumerate(zip(plan.order.ports, plan.bridges, strict=True)):
            switch.link_add(
                "veth",
                f"h{plan.number}p{number}",
                master=bridge,
                up=True,
                peer=Peer(name=port.name, hwaddr=port.hwaddr, netns_pid=1),
            )
            own.link_set(0, Change(name=port.name, up=True))  # 0: the one of that name


def host_environment() -> dict[str, str]:
    """The variables that jobs start with: those of a fresh login, and none of the user's own."""
    try:
        entry = pwd.getpwuid(os.geteuid())
        user, home, shell = entry.pw_name, entry.pw_dir, entry.pw_shell
    except KeyError:
        user, home, shell = str(os.geteuid()), "/", "/bin/sh"
    standard = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    path = os.environ.get("PATH", "")
    directories = [*(part for part in path.split(":") if part), *standard.split(":")]
    environment = {
        "PATH": ":".join(dict.fromkeys(directories)),
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "SHELL": shell or "/bin/sh",
    }
    for variable in ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM"):
        if variable in os.environ:
            environment[variable] = os.environ[variable]
    return environment


def warm_up() -> None:
    """Load everything that a host's processes will need, so that forks share it."""
    import shakeout.agent.device_process  # noqa: F401
    from shakeout.processes.strays import mark_area
    from shakeout.wire.messages import agent_decoder

    agent_decoder()
    mark_area()
    from shakeout.modules import runner

    runner.warm_up()
