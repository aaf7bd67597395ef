"""An agent and its controller in one interpreter, over a transport in memory; run by a test, in a sandbox of its own.

The agent has the main thread (it handles signals), the recipe another; both have the loop in common.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from shakeout.agent.properties import collect
from shakeout.agent.server import Agent
from shakeout.agent.zygote import start_zygote
from shakeout.errors import UsageError
from shakeout.testing import Connected, Recording
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import MemoryTransport


def main() -> int:
    """Do what a recipe does; the exit status says whether it went well."""
    environment = {"PATH": os.defpath + ":/usr/sbin:/sbin", "HOME": "/"}
    _, zygote = start_zygote(environment)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        reactor = Reactor()
        agent = Agent(reactor, zygote, state, collect(), environment)
        ours, theirs = MemoryTransport.pair()
        agent.serve(theirs)
        failures: list[str] = []
        recipe = threading.Thread(target=attempt, args=(ours, reactor, state, failures))
        recipe.start()
        reactor.run()
        recipe.join()
        agent.close()
    print("\n".join(failures))
    return 1 if failures else 0


def attempt(transport: MemoryTransport, reactor: Reactor, folder: Path, failures: list[str]) -> None:
    try:
        with Connected("m1", transport, reactor, Recording(folder)) as host:
            use(host, folder)
    except BaseException:  # noqa: BLE001 - told by the exit status
        failures.append(traceback.format_exc())
    finally:
        reactor.stop()


def use(host, folder: Path) -> None:  # type: ignore[no-untyped-def]
    """A bit of everything."""
    assert host.run("echo $((6*7))").stdout == "42\n"
    assert host.run("pwd", path="/usr").stdout == "/usr\n"
    assert host.run("sleep 100", timeout=0.1).reason == "timed out after 0.1 s, killed"
    assert host.run("sha256sum", stdin=b"x" * 1_000_000).passed
    jobs = [host.run(f"echo {number}", bg=True) for number in range(50)]
    assert all(job.wait(20) for job in jobs)
    much = host.run("seq 1000000")
    assert much.passed
    assert much.captured(1).size == 6888896
    for path in ("/etc/passwd", "1/root/etc/passwd", "sys/no/such"):
        try:
            host.procfs_set(path, 1)
        except UsageError:
            continue
        raise AssertionError(path)
    assert host.procfs_set("sys/net/ipv4/ip_forward", 1) == "0"
    (folder / "f").write_text("content")
    host.send_file(str(folder / "f"), str(folder / "g"))
    assert (folder / "g").read_text() == "content"
    assert host.recv_file(str(folder / "g"), str(folder / "h")).read_text() == "content"
    assert host.lo.mtu == 65536


if __name__ == "__main__":
    sys.exit(main())
