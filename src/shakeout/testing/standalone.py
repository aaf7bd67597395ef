"""An agent as a process of its own, as on a real machine, that cannot hurt this one."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from shakeout.errors import AgentUnreachable
from shakeout.hosts.unix import connect_unix
from shakeout.wire.transports import UnixTransport

#: Seconds until it must be there.
_PATIENCE = 20.0


class StandaloneAgent:
    """``shakeout agent`` in private namespaces (network, mounts, processes), on a private copy of the file systems.

    It has the interfaces lo, eth0 and eth1 (a cable between these two). What is done on it goes when it goes. Needs
    root. A context manager.

    Attributes:
        path: the unix socket that it listens on.

    Raises:
        AgentUnreachable: it did not start; what it printed is in the message.
    """

    def __init__(self, name: str = "standalone") -> None:
        self._folder = tempfile.mkdtemp(prefix="shakeout-agent-")
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        argv = [sys.executable, "-P", "-m", "shakeout.testing.sandbox", str(folder), name]
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(folder,),
                start_new_session=True,
            )
        finally:
            os.close(folder)
        self.path = f"{self._folder}/agent.sock"
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def connect(self) -> UnixTransport:
        """A connection to it.

        Raises:
            AgentUnreachable: it is gone.
        """
        return connect_unix(self.path)

    def stop(self) -> None:
        """End it, and everything on its host; harmless the second time."""
        process = self._process
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        if process.stderr is not None:
            process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        assert self._process.stderr is not None
        while time.monotonic() < deadline:
            if Path(self.path).is_socket() and self._answers():
                return
            ended, _, _ = select.select([self._process.stderr], (), (), 0.01)
            if ended:
                said = self._process.stderr.read1(4096).decode(errors="replace").strip()  # type: ignore[attr-defined]
                raise AgentUnreachable(f"the agent could not start: {said or 'it said nothing'}")
        raise AgentUnreachable(f"the agent did not listen within {_PATIENCE:g} s")

    def _answers(self) -> bool:
        """Whether it serves already: it ends a connection that does not speak its language, and only its loop does."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PATIENCE)
            try:
                probe.connect(self.path)
                probe.sendall(bytes(8))
                return probe.recv(1) == b""
            except ConnectionResetError:
                return True
            except OSError:
                return False

    def __enter__(self) -> StandaloneAgent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
