"""Hosts made from namespaces of this machine, connected without a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType

from shakeout.hosts.loop import LoopThread
from shakeout.hosts.matched import Matched
from shakeout.hosts.recorder import Recorder
from shakeout.hosts.unix import connect_unix
from shakeout.labs.mac_pool import MacPool
from shakeout.labs.netns import NetnsLab
from shakeout.labs.orders import HostReady, PortOrder
from shakeout.testing.connection import Connected
from shakeout.wire.transports import UnixTransport

#: What a host gets that is only named.
_USUAL: Mapping[str, str] = {"eth0": "net1"}


class Laboratory:
    """A laboratory that makes hosts again and again; a context manager.

    Attributes:
        loop: the thread that has the connections.
    """

    def __init__(self) -> None:
        self._lab = NetnsLab()
        self.loop = LoopThread()
        self._macs = MacPool()

    @contextmanager
    def hosts(self, *names: str, recorder: Recorder | None = None, **ports: Mapping[str, str]) -> Iterator[Matched]:
        """Make hosts and connect to them; at the end they are put back, and removed. One such block at a time.

        Args:
            names: hosts that have the interface eth0 on the network net1.
            ports: host name -> its interfaces (name -> network).

        Raises:
            LabLacks: there can be no laboratory here.
        """
        wanted = {**dict.fromkeys(names, _USUAL), **ports}
        made = self.make(wanted)
        try:
            with ExitStack() as stack:
                connected = {}
                for name, its_ports in wanted.items():
                    one = self.connect(made[name], ports=its_ports, recorder=recorder)
                    connected[name] = stack.enter_context(one)
                yield Matched(connected)
        finally:
            self.remove_hosts()

    def make(self, wanted: Mapping[str, Mapping[str, str]]) -> dict[str, HostReady]:
        """Make hosts (name -> interface -> network) without connecting to them."""
        return self._lab.make(
            {
                name: [PortOrder(port, network, self._macs.take()) for port, network in ports.items()]
                for name, ports in wanted.items()
            }
        )

    def connect(
        self,
        ready: HostReady,
        *,
        ports: Mapping[str, str] = _USUAL,
        recorder: Recorder | None = None,
        transport: UnixTransport | None = None,
    ) -> Connected:
        """Connect to a host that `make` made."""
        return Connected(
            ready.name,
            transport or connect_unix(ready.path),
            self.loop.reactor,
            recorder,
            links={port: port for port in ports},
            take_mac=self._macs.take,
        )

    def remove_hosts(self) -> None:
        """Remove all hosts."""
        self._lab.remove_hosts()

    def close(self) -> None:
        """Remove the laboratory; harmless the second time."""
        self._lab.remove()
        self.loop.close()

    def __enter__(self) -> Laboratory:
        try:
            self._lab.ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def hosts(*names: str, recorder: Recorder | None = None, **ports: Mapping[str, str]) -> Iterator[Matched]:
    """Hosts of a laboratory of their own, as ``self.matched`` is in a recipe.

    >>> with hosts("m1", m2={"eth0": "net1", "eth1": "net2"}) as matched: ...

    Arguments as those of `Laboratory.hosts`.
    """
    with Laboratory() as laboratory, laboratory.hosts(*names, recorder=recorder, **ports) as matched:
        yield matched
