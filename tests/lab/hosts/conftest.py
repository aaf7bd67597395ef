"""Hosts of all providers, so that one set of assertions holds for all of them.

`netns`: a host of the default laboratory, new for each test. `tls`: an agent on a machine of its own, over TLS; a new
session for each test. `ssh`: a machine with nothing but sshd and Python; its agent comes with each session, and goes
with it. `standalone`: an agent of its own at a unix socket, for tests that speak with an agent themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shakeout.hosts.dialing import dial
from shakeout.hosts.host import Host
from shakeout.hosts.unix import connect_unix
from shakeout.testing import Connected, Laboratory, Recording, StandaloneAgent
from shakeout.testing.fleet import Fleet
from shakeout.wire.transports import Transport

#: Hosts that were there before a session, and stay.
STAYING = ("tls", "ssh")
ALL = ("netns", *STAYING)

Connect = Callable[..., Connected]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here makes hosts."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs("root", "namespaces"))


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Laboratory]:
    with Laboratory() as made:
        yield made


@pytest.fixture(scope="session")
def agent(laboratory: Laboratory) -> Iterator[StandaloneAgent]:
    """The standalone agent; its sessions come one after the other."""
    with StandaloneAgent() as started:
        yield started


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """What the test's sessions wrote into their journal."""
    return Recording(tmp_path / "run")


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """A machine that is reached over TLS and one over ssh; on each, eth0 and eth1 are the ends of a cable."""
    with Fleet(tls=("rack",), ssh=("desk",), links={"eth0": "cable", "eth1": "cable"}) as made:
        for machine in made.machines:
            for link in machine.links:
                machine.run(["ip", "link", "set", link, "up"])
        yield made


@pytest.fixture
def way_to(agent: StandaloneAgent, fleet: Fleet) -> Callable[[str], Transport]:
    """Connects to the host of a provider."""

    def connect(provider: str) -> Transport:
        if provider == "standalone":
            return connect_unix(agent.path)
        with fleet.inside():
            return dial(fleet.endpoint("rack" if provider == "tls" else "desk"), fleet.access)

    return connect


@pytest.fixture(params=STAYING)
def connect_to_agent(
    request: pytest.FixtureRequest, way_to: Callable[[str], Transport], laboratory: Laboratory, recording: Recording
) -> Iterator[Connect]:
    """Opens sessions with one host, one after the other; those that are still open are ended."""
    opened = ExitStack()

    def connect(*, run: str = "testing", **options: int) -> Connected:
        one = Connected("m1", way_to(request.param), laboratory.loop.reactor, recording, run=run, **options)
        opened.push(one)
        return one

    with opened:
        yield connect


@pytest.fixture(params=ALL)
def connected(
    request: pytest.FixtureRequest, way_to: Callable[[str], Transport], laboratory: Laboratory, recording: Recording
) -> Iterator[Connected]:
    """An open session; `indirect` parametrization chooses providers."""
    (recording._folder or Path()).mkdir()
    if request.param == "netns":
        ready = laboratory.make({"m1": {"eth0": "net1"}})["m1"]
        try:
            one = laboratory.connect(ready, recorder=recording)
            with one:
                yield one
        finally:
            laboratory.remove_hosts()
        return
    one = Connected("m1", way_to(request.param), laboratory.loop.reactor, recording)
    with one:
        yield one


@pytest.fixture
def host(connected: Connected) -> Host:
    """A connected host, as a recipe has it."""
    return connected.host
