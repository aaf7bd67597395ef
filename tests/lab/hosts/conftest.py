"""Hosts of several kinds, so that one set of assertions holds for all of them.

`netns`: a host of the default laboratory, new for each test. `standalone`: an agent of its own, a new session for each
test. `frames`: the same, over a connection that cannot pass descriptors, as a network connection is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shakeout.hosts.host import Host
from shakeout.hosts.session import connect_unix
from shakeout.testing import Connected, Laboratory, Recording, StandaloneAgent
from shakeout.wire.transports import UnixTransport

BOTH = ("netns", "standalone")
ALL = (*BOTH, "frames")

Connect = Callable[..., Connected]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here makes hosts."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.needs("root", "namespaces"))


class FramesOnly(UnixTransport):
    """A transport that cannot pass descriptors."""

    passes_fds = False


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


@pytest.fixture
def connect_to_agent(agent: StandaloneAgent, laboratory: Laboratory, recording: Recording) -> Iterator[Connect]:
    """Opens sessions with the standalone agent; those that are still open are ended."""
    opened = ExitStack()

    def connect(transport: UnixTransport | None = None, *, run: str = "testing", **options: int) -> Connected:
        transport = transport or connect_unix(agent.path)
        one = Connected("m1", transport, laboratory.loop.reactor, recording, run=run, **options)
        opened.push(one)
        return one

    with opened:
        yield connect


@pytest.fixture(params=BOTH)
def connected(
    request: pytest.FixtureRequest, laboratory: Laboratory, agent: StandaloneAgent, recording: Recording
) -> Iterator[Connected]:
    """An open session; `indirect` parametrization chooses other kinds."""
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
    plain = connect_unix(agent.path)
    transport = plain if request.param == "standalone" else FramesOnly(plain._socket)
    one = Connected("m1", transport, laboratory.loop.reactor, recording)
    with one:
        yield one


@pytest.fixture
def host(connected: Connected) -> Host:
    """A connected host, as a recipe has it."""
    return connected.host
