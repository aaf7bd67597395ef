"""A host with `shakeout agent --listen`, on a network of its own, and controllers with certificates of every kind."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.tls.authorities import Authorities

from shakeout.hosts.dialing import Access, Endpoint, dial
from shakeout.hosts.loop import LoopThread
from shakeout.testing.connection import Connected
from shakeout.testing.machines import Machines
from shakeout.wire.transports import Transport

CERTS = "/etc/shakeout/certs"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here has an agent on a machine of its own."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs("root", "namespaces"))


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities(tmp_path_factory.mktemp("certs"))


class TlsHost:
    """The machine dut1 and its agent."""

    def __init__(self, machines: Machines, authorities: Authorities) -> None:
        self.machines = machines
        self.machine = machines["dut1"]
        self.authorities = authorities
        self.address = f"{self.machine.address}:9999"
        self.install("dut1")
        self.agent = self.machine.start_agent("--listen", ":9999")

    def install(self, name: str) -> Path:
        """Copy credentials to where its agent looks for them."""
        return self.authorities.copy(name, self.machine.path(CERTS))

    def dial(self, who: str, name: str = "dut1") -> Transport:
        """Connect as a controller does."""
        with self.machines.inside():
            return dial(Endpoint("tls", self.address, name=name), Access(self.authorities.folder(who)))

    def says(self, text: str) -> str:
        """Wait until the agent has printed *text* since this host was last asked; the line."""
        self.agent.wait_output(text, 10, since=self._read)
        line = next(line for line in self.agent.output[self._read :].splitlines() if text in line)
        self._read = len(self.agent.output)
        return line

    _read = 0

    def stranger(self, folder: Path | None) -> ssl.SSLSocket:
        """A connection of somebody who uses *folder* as it pleases him; whether he is accepted turns out later."""
        import socket

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if folder is not None:
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        with self.machines.inside():
            connected = socket.create_connection((self.machine.address, 9999), 20)
        return context.wrap_socket(connected)

    def serves(self, who: str = "desk") -> None:
        """It does for an honest controller what it should."""
        loop = LoopThread()
        try:
            with Connected("m1", self.dial(who), loop.reactor) as host:
                assert host.run("echo served").stdout == "served\n"
        finally:
            loop.close()


@pytest.fixture(scope="session")
def standing_host(authorities: Authorities) -> Iterator[TlsHost]:
    with Machines("dut1") as machines:
        yield TlsHost(machines, authorities)


@pytest.fixture
def host(standing_host: TlsHost) -> Iterator[TlsHost]:
    """It, with its own certificate again afterwards."""
    yield standing_host
    standing_host.install("dut1")
    standing_host.serves()
