"""Machines that are hosts of pools: agents over TLS and, over ssh, none until somebody logs in."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from shakeout.certs.delivery import deliver
from shakeout.certs.laboratory import Laboratory as Authority
from shakeout.hosts.dialing import Access, Endpoint
from shakeout.testing.machines import Machine, Machines, Process
from shakeout.testing.sshd import SshLogin

#: Where an agent's credentials are on its machine.
CERTS = "/etc/shakeout/certs"
_LINKS: Mapping[str, str] = {"eth0": "net1", "eth1": "net2"}


class Fleet:
    """Machines with eth0 on net1 and eth1 on net2 (or other *links*), in two pools. A context manager; needs root.

    Args:
        tls: names of machines with an agent that listens.
        ssh: names of machines with sshd.
        links: of every machine: name -> network.

    Attributes:
        machines: all of them.
        authority: the CA that all certificates are from.
        access: what a controller reaches them with.
        pools: pool name -> folder of host files: "tls", "ssh", and "all".
        agents: those that listen, by the machine's name.
    """

    def __init__(self, *, tls: Sequence[str] = (), ssh: Sequence[str] = (), links: Mapping[str, str] = _LINKS) -> None:
        self.machines = Machines(**dict.fromkeys((*tls, *ssh), links))
        try:
            folder = self.machines.folder
            self.authority = Authority.found(folder / "ca")
            deliver(self.authority.issue("tester", "controller"), folder / "controller", self.authority.revocations())
            self.access = Access(folder / "controller", ("ssh",), folder / "cache")
            self.agents = {name: self._serve(self.machines[name]) for name in tls}
            if ssh:
                login = SshLogin(self.machines)
                self.access = Access(folder / "controller", login.command, folder / "cache")
            self.pools = {name: folder / "pools" / name for name in ("tls", "ssh", "all")}
            for name in self.machines:
                self._describe(name, "tls" if name.name in tls else "ssh")
        except BaseException:
            self.machines.close()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which `shakeout` reaches the machines, too."""
        return {
            "SHAKEOUT_CERTS": str(self.access.certs),
            "SHAKEOUT_SSH": " ".join(self.access.ssh),
            "SHAKEOUT_CACHE": str(self.access.cache),
        }

    def endpoint(self, name: str) -> Endpoint:
        """How the machine called *name* is reached."""
        if name in self.agents:
            return Endpoint("tls", self.machines[name].address, name=name)
        return Endpoint("ssh", name, name=name)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """As of `Machines`; what starts a command meanwhile finds how to reach them in the environment."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            with self.machines.inside():
                yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def restart(self, name: str) -> Process:
        """Start the agent of a machine again, as its service manager would."""
        self.agents[name] = self._listen(self.machines[name])
        return self.agents[name]

    def close(self) -> None:
        """End all machines; harmless the second time."""
        self.machines.close()

    def _serve(self, machine: Machine) -> Process:
        signed = self.authority.issue(machine.name, "host", [machine.address])
        deliver(signed, machine.path(CERTS), self.authority.revocations())
        return self._listen(machine)

    def _listen(self, machine: Machine) -> Process:
        return machine.start_agent("--listen", machine.address, "--socket", "/run/shakeout-agent.sock")

    def _describe(self, machine: Machine, via: str) -> None:
        """Write its host file, for the pool of its kind and the one of all."""
        address = machine.address if via == "tls" else machine.name
        facts = {"driver": "veth", "speed": 10000}
        interfaces = [
            {"id": link, "hwaddr": machine.hwaddr(link), "network": network, "params": facts}
            for link, network in machine.links.items()
        ]  # fmt: skip
        host = {
            "host": {"name": machine.name, "address": address, "via": via},
            "params": {"arch": platform.machine(), "kernel": platform.release(), "cpus": os.cpu_count()},
            "interfaces": interfaces,
        }
        for pool in (via, "all"):
            place = self.pools[pool]
            place.mkdir(parents=True, exist_ok=True)
            Path(place, f"{machine.name}.yaml").write_text(json.dumps(host))

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
