"""An agent that stands by itself, in a network of its own, and can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from tests.faults.processes import Watched, descendants, named, until

from shakeout.agent.snapshot import Snapshot, snapshot
from shakeout.devices.netlink import Netlink
from shakeout.processes.namespaces import NEWNET, setns

_SERVE = """\
import sys
from pathlib import Path
from shakeout.agent.standalone import serve
serve(Path(sys.argv[1]), Path(sys.argv[2]))
"""
_NETWORK = """\
ip link set lo up
ip link add eth0 type veth peer name eth0.far
ip link set eth0 address {mac}
ip link set eth0.far up
exec sleep infinity
"""


class StandingAgent:
    """A context manager; leaving it ends agent and network.

    Its network namespace outlives the agent, as a real machine does.

    Args:
        prelude: Python that its process executes first.

    Attributes:
        socket: where it listens.
        mac: the hardware address of its eth0.
    """

    def __init__(self, folder: Path, name: str = "dut", number: int = 1, prelude: str = "") -> None:
        self.name = name
        self._prelude = prelude
        self.socket = folder / f"{name}.sock"
        self.mac = f"02:00:00:00:0f:{number:02x}"
        self._state = folder / f"{name}.state"
        self._errors = folder / f"{name}.stderr"
        self._network = subprocess.Popen(["unshare", "--net", "--uts", "sh", "-ec", _NETWORK.format(mac=self.mac)])
        until(lambda: Path(f"/proc/{self._network.pid}/comm").read_text() == "sleep\n", what="its network")
        self.process = self._start()

    def snapshot(self) -> Snapshot:
        """Its network in the normal form in which before and after are compared."""
        found: list[Snapshot] = []

        def look() -> None:  # in a thread, which goes into the namespace alone and does not come back
            handle = os.open(f"/proc/{self._network.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            setns(handle, NEWNET)
            os.close(handle)
            with Netlink() as netlink:
                found.append(snapshot(netlink))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return found[0]

    def processes(self, name: str = "") -> list[int]:
        """Everything below the agent; those that are called *name*."""
        return named(self.process.pid, name) if name else descendants(self.process.pid)

    def pool(self, folder: Path) -> Path:
        """Add it to the pool *folder*."""
        folder.mkdir(exist_ok=True)
        (folder / f"{self.name}.yaml").write_text(
            f"host: {{name: {self.name}, address: {self.socket}, via: unix}}\n"
            f'interfaces:\n  - {{id: eth0, hwaddr: "{self.mac}", network: net1}}\n'
        )
        return folder

    def start_again(self) -> None:
        """After its end, start it as a service manager would."""
        self.process.wait(20)
        self.process = self._start()

    @contextlib.contextmanager
    def another_beside(self) -> Iterator[Path]:
        """A second agent on the same machine, with the same state; where it listens."""
        path = self.socket.with_suffix(".second")
        process = self._start(path)
        try:
            yield path
        finally:
            process.terminate()
            process.wait(20)

    @property
    def said(self) -> str:
        """Its standard error."""
        return self._errors.read_text()

    def _start(self, path: Path | None = None) -> subprocess.Popen[bytes]:
        path = path or self.socket
        with self._errors.open("ab") as errors:
            enter = ["nsenter", f"--net=/proc/{self._network.pid}/ns/net"]
            process = subprocess.Popen(
                [*enter, sys.executable, "-c", self._prelude + _SERVE, path, self._state],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

        def listens() -> bool:
            assert process.poll() is None, self.said
            return _serves(path)

        until(listens, what="the agent")
        return process

    def __enter__(self) -> StandingAgent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with Watched([self.process.pid, *self.processes()]) as rest:
            self.process.terminate()
            if rest.left_after(10):
                for pid in rest.pids:
                    rest.kill(pid)
            self.process.wait()
        self._network.kill()
        self._network.wait()


def _serves(path: Path) -> bool:
    """Whether the agent's loop runs: it closes the connection of somebody who says nonsense."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(30)
        try:
            probe.connect(str(path))
            probe.sendall(bytes(4))
            return probe.recv(1) == b""
        except OSError:
            return False
