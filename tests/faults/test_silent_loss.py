"""Links that are cut, and hosts that are starved: over TLS and over ssh, idle, printing, and while a file is sent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from shakeout import BridgeDevice
from shakeout.errors import HostLost, LeaseHeld
from shakeout.hosts.dialing import dial
from shakeout.hosts.host import Host
from shakeout.hosts.job import Job
from shakeout.hosts.loop import LoopThread
from shakeout.journal.events import HostLost as HostLostEvent
from shakeout.journal.events import JobFinished
from shakeout.testing import Connected, Recording
from shakeout.testing.fleet import Fleet
from shakeout.testing.machines import Machine

pytestmark = pytest.mark.needs("root", "namespaces", "nsenter", "sshd", "ssh", "ip")

#: Seconds in which a cut must be known, on both sides: the keep-alive is 5, this machine may be busy.
KNOWN_WITHIN = 15.0
#: Seconds that a host is stopped; far longer than a cut link takes to be known (5 at the most).
STARVED = 9.0

#: Has a host do something with a file, and gives a job that runs there.
Busy: TypeAlias = "Callable[[Site, Host, Path], AbstractContextManager[Job]]"


class Site:
    """Three machines of each kind, and this controller's way to them."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.loop = LoopThread()

    def connect(self, name: str, recording: Recording | None = None) -> Connected:
        with self.fleet.machines.inside():
            transport = dial(self.fleet.endpoint(name), self.fleet.access)
        return Connected(name, transport, self.loop.reactor, recording or Recording())

    def machine(self, name: str) -> Machine:
        return self.fleet.machines[name]

    def links(self, name: str) -> str:
        return self.machine(name).run(["ip", "-o", "link"]).stdout

    def processes(self, name: str) -> list[int]:
        """Everything on a machine but its process 1, as this process numbers it."""
        home = Path(f"/proc/{self.machine(name).pid}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "ns/pid").readlink() == home and int(entry.name) != self.machine(name).pid:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def agent(self, name: str) -> list[int]:
        """The agent of a machine alone."""
        if name in self.fleet.agents:
            return [self.fleet.agents[name].pid]
        return [pid for pid in self.processes(name) if Path(f"/proc/{pid}/comm").read_text() == "shakeout-agent\n"]

    def connect_again(self, name: str) -> Connected:
        """A session, as soon as the host has got rid of the one that was lost."""
        deadline = time.monotonic() + KNOWN_WITHIN
        while True:
            try:
                return self.connect(name)
            except LeaseHeld:
                assert time.monotonic() < deadline, "its agent does not notice"
                time.sleep(0.2)  # nobody tells a stranger of the end of another's session


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Fleet(tls=("t1", "t2", "t3"), ssh=("s1", "s2", "s3")) as fleet:
        made = Site(fleet)
        try:
            yield made
        finally:
            made.loop.close()


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """256 MiB that take no room."""
    path = tmp_path_factory.mktemp("big") / "file"
    with path.open("wb") as file:
        file.truncate(256 << 20)
    return path


@pytest.mark.parametrize("kind", ["t", "s"], ids=["tls", "ssh"])
def test_a_cut_link_is_known_on_both_sides(site: Site, kind: str, big_file: Path) -> None:
    """Three hosts are cut at once: one is idle, one prints, one is being sent a file. Another one goes on."""
    spared = "s1" if kind == "t" else "t1"
    cut_while = {f"{kind}1": idle, f"{kind}2": printing, f"{kind}3": sending}
    with site.connect(spared) as other, ThreadPoolExecutor(3) as threads:
        other.br1 = BridgeDevice()
        cuts = [threads.submit(one_cut, site, name, busy, big_file) for name, busy in cut_while.items()]
        for each in cuts:
            assert each.exception() is None, each.result()
        assert other.run("true").passed
    assert "br1" not in site.links(spared)


def one_cut(site: Site, name: str, busy: Busy, big_file: Path) -> None:
    """One host is cut while it is *busy*: both sides notice, and when the link is healed it can be used as before."""
    recording = Recording()
    session = site.connect(name, recording)
    try:
        host = session.host
        host.br0 = BridgeDevice()
        host.procfs_set("sys/net/ipv4/ip_forward", 1)
        with busy(site, host, big_file) as job:
            site.machine(name).cut()
            try:
                assert job.wait(KNOWN_WITHIN), "nobody notices"
                assert not job.passed
                assert f"host {name} was lost: " in job.reason
                wait_for(lambda: "br0" not in site.links(name), KNOWN_WITHIN)
                with pytest.raises(HostLost):
                    host.run("true")
            finally:
                site.machine(name).heal()
        (event,) = recording.of(HostLostEvent)
        assert "nothing came back from it" in event.reason
        assert job.reason in [finished.reason for finished in recording.of(JobFinished)]
    finally:
        session.session.leave()
    with site.connect_again(name) as host:
        assert host.procfs_get("sys/net/ipv4/ip_forward") == "0"
        assert host.run("ls -A /srv | grep -e big -e '^[.]shakeout'", fail=True).passed


@contextmanager
def idle(site: Site, host: Host, big_file: Path) -> Iterator[Job]:
    yield host.run("sleep 1000", bg=True)


@contextmanager
def printing(site: Site, host: Host, big_file: Path) -> Iterator[Job]:
    job = host.run("yes all work and no play", bg=True)
    job.wait_output("no play")
    yield job


@contextmanager
def sending(site: Site, host: Host, big_file: Path) -> Iterator[Job]:
    with idle(site, host, big_file) as job, being_sent(site, host, big_file) as sent:
        yield job
    assert isinstance(sent.exception(), HostLost), sent


@contextmanager
def being_sent(site: Site, host: Host, file: Path) -> Iterator[Future[str]]:
    """*file* is on its way to the host."""
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(host.send_file, str(file), "/srv/big")
        stage = site.machine(host.name).path("/srv")
        wait_for(lambda: any(part.is_file() and part.stat().st_size > 1 << 20 for part in stage.glob(".shake*/**/*")))
        yield sent


def test_a_starved_host_is_not_lost(site: Site, tmp_path: Path) -> None:
    """Its agent alone, or all that runs there, is stopped for a while, when it is idle, prints and is sent a file."""
    file = tmp_path / "file"
    with file.open("wb") as big:
        big.truncate(64 << 20)
    wholly = {"t1": False, "s1": False, "t2": True, "s2": True}
    recording = Recording()
    with ExitStack() as stack:
        hosts = {name: stack.enter_context(site.connect(name, recording)) for name in (*wholly, "t3", "s3")}
        sleeping = [host.run("sleep 1000", bg=True) for host in hosts.values()]
        talking = [hosts[name].run("yes all work and no play", bg=True) for name in wholly]
        for job in talking:
            job.wait_output("no play")
        with ExitStack() as transfers:
            arriving = [transfers.enter_context(being_sent(site, hosts[name], file)) for name in wholly]
            stopped = [
                pid for name in hosts for pid in (site.processes(name) if wholly.get(name, True) else site.agent(name))
            ]
            stop(stopped)
            try:
                threading.Event().wait(STARVED)  # the time itself is what is tried
            finally:
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
            for sent in arriving:
                assert sent.result(60) == "/srv/big"
        for host in hosts.values():
            assert host.run("echo here").stdout == "here\n"
        assert not any(job.finished for job in (*sleeping, *talking))
        assert not recording.of(HostLostEvent)


def stop(pids: list[int]) -> None:
    """As many as still live."""
    for pid in list(pids):
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            pids.remove(pid)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)  # what another machine does
