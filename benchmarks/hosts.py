"""Many namespace hosts at once: how long they take, what their agents weigh, and a job on each of them."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.row import Figures, Row
from benchmarks.stage import need_root
from shakeout.hosts.devices import HostDevices
from shakeout.hosts.host import Host
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.matched import Matched
from shakeout.hosts.session import Session
from shakeout.hosts.unix import connect_unix
from shakeout.labs.netns import NetnsLab
from shakeout.labs.orders import HostReady, PortOrder

FEW, MANY = 200, 1000


@dataclass(frozen=True)
class Made:
    """What came of making hosts once: seconds until all had a session, for addresses, and for `true` on all."""

    hosts: float
    addresses: float = 0.0
    jobs: float = 0.0
    #: KiB of agent and zygote a host, as the kernel shares them out (PSS).
    weight: float = 0.0


def made(count: int, *, addresses: bool = False, jobs: bool = False, weigh: bool = False) -> Made:
    """Make *count* hosts, each with a port on one network, and open a session with each; all goes away again."""
    raise_limit()
    settle()
    lab, loop = NetnsLab(), LoopThread()
    sessions: dict[str, Session] = {}
    try:
        lab.ready()
        begin = perf_counter()
        ready = lab.make({f"m{n}": [PortOrder("eth0", "net1", hwaddr(n))] for n in range(count)})
        for name, host in ready.items():
            sessions[name] = Session(name, connect_unix(host.path), loop.reactor, run="benchmark")
            sessions[name].begin()
        for session in sessions.values():
            session.welcome()
        connected = perf_counter()
        weight = weight_of(ready.values()) if weigh else 0.0
        matched = Matched({name: Host(session, HostDevices(session, {})) for name, session in sessions.items()})
        before = perf_counter()
        if addresses:
            for number, each in enumerate(matched):
                each.eth0.ip_add(f"10.0.{number >> 8}.{number & 255}/16")
        addressed = perf_counter()
        if jobs and not all(job.passed for job in matched.run("true").values()):
            raise RuntimeError("`true` did not pass on every host")
        return Made(connected - begin, addressed - before, perf_counter() - addressed, weight)
    finally:
        for session in sessions.values():
            session.abandon()
        lab.remove()
        loop.close()


def settle() -> None:
    """Wait until the kernel has put away the namespaces of what was measured before (it does so later)."""
    seen: list[str] = []
    while len(seen) < 120 and (len(seen) < 4 or len(set(seen[-4:])) > 1):
        lines = Path("/proc/slabinfo").read_text().splitlines()
        seen.append(next((line.split()[1] for line in lines if line.startswith("net_namespace")), ""))
        time.sleep(0.25)


def hwaddr(number: int) -> str:
    """A hardware address of its own for every host."""
    return f"02:00:00:01:{number >> 8:02x}:{number & 255:02x}"


def raise_limit() -> None:
    """A host's connection is a descriptor here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def weight_of(hosts: Iterable[HostReady]) -> float:
    """KiB a host: PSS of all processes called as agents and zygotes are."""
    total, count = 0, len(list(hosts))
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() in ("shakeout-agent", "shakeout-zygote"):
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return total / count


def raw(count: int, *words: str) -> float:
    """Seconds that as many hosts take by bare system calls."""
    settle()
    command = [sys.executable, "-m", "benchmarks.raw_hosts", str(count), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
    if not line:
        raise RuntimeError("the reference could not make its hosts")
    return float(line)


def few(*, addresses: bool) -> Figures:
    """FEW hosts, three times in turns with the reference."""
    need_root("the reference makes its hosts without a user namespace")
    words = ["addresses"] if addresses else []
    ours, reference = [], []
    raw(10)
    for _ in range(3):
        result = made(FEW, addresses=addresses)
        ours.append(result.hosts + result.addresses)
        reference.append(raw(FEW, *words))
    return Figures(statistics.median(ours), statistics.median(reference), "median of 3")


def weight() -> Figures:
    """MiB of agent and zygote for each of FEW hosts."""
    need_root("other users' memory is not shown")
    return Figures(made(FEW, weigh=True).weight / 1024, None, f"{FEW} hosts, the kernel's PSS")


def many() -> Figures:
    """MANY hosts and `true` on all of them, once, against as many raw hosts and local processes at once."""
    need_root("the reference makes its hosts without a user namespace")
    result = made(MANY, jobs=True)
    hosts, processes = raw(MANY), local(MANY)
    note = f"once: hosts {result.hosts:.3g} s, true on all {result.jobs:.2g} s; raw {hosts:.3g} s and {processes:.2g} s"
    return Figures(result.hosts + result.jobs, hosts + processes, note)


def local(count: int) -> float:
    """Seconds for *count* local processes at once."""
    begin = perf_counter()
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    started = [subprocess.Popen(["bash", "-c", "true"], stdin=null, stdout=pipe, stderr=pipe) for _ in range(count)]
    for process in started:
        process.communicate()
    return perf_counter() - begin


def rows() -> Iterable[Row]:
    """Hosts of the default laboratory."""
    what = f"{FEW} hosts: link, agent, session"
    yield Row(f"{what} / raw system calls", lambda: few(addresses=False), "s", target_ratio=2)
    yield Row(f"{what}, address / raw system calls", lambda: few(addresses=True), "s", target_ratio=2)
    yield Row("memory of an agent with its zygote", weight, "MiB", target=3)
    yield Row(f"{MANY:,} hosts, then true on all / raw, then {MANY:,} Popen", many, "s", target_ratio=2)
