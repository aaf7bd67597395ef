"""Who may have a host, and what is told of its clock."""

from __future__ import annotations

import os
import socket

import pytest

import shakeout
from shakeout.errors import AgentUnreachable, HostLost, LeaseHeld, UnknownName
from shakeout.hosts.host import Host
from shakeout.hosts.unix import connect_unix
from shakeout.journal.events import ClockMeasured
from shakeout.matching.reserved import RESERVED
from shakeout.testing import Recording, StandaloneAgent
from shakeout.wire.connection import Connection
from shakeout.wire.messages import PROTOCOLS, Hello, Refused, StartJob, controller_decoder
from shakeout.wire.reactor import Reactor


def refusal(agent: StandaloneAgent, first: object) -> Refused | None:
    """What an agent answers to a first message; None if it just ends the connection."""
    reactor = Reactor()
    got: list[object] = []
    ended: list[str] = []
    connection = Connection(connect_unix(agent.path), reactor, controller_decoder(), got.append, ended.append)
    connection.send(first)  # type: ignore[arg-type]
    while not ended:
        reactor.turn(10)
    reactor.close()
    assert not got or isinstance(got[0], Refused)
    return got[0] if got else None  # type: ignore[return-value]


def test_a_second_controller_is_refused_and_told_who_has_the_host(connect_to_agent) -> None:  # type: ignore[no-untyped-def]
    first = connect_to_agent(run="nightly-7")
    with pytest.raises(LeaseHeld) as refused:
        connect_to_agent(run="other")
    assert refused.value.host == "m1"
    for part in (socket.gethostname(), str(os.getpid()), "nightly-7"):
        assert part in refused.value.holder
        assert part in str(refused.value)
    assert first.host.run("true").passed
    first.end()
    assert connect_to_agent(run="other").host.run("true").passed


def test_an_agent_of_other_protocol_versions(agent: StandaloneAgent) -> None:
    answer = refusal(agent, Hello((PROTOCOLS[1] + 1, PROTOCOLS[1] + 5), "future:1", "r"))
    assert answer is not None
    assert answer.code == "version"
    assert "install the same release on both" in answer.text


def test_an_agent_of_another_release(agent: StandaloneAgent) -> None:
    answer = refusal(agent, Hello(PROTOCOLS, "past:1", "r", release="0.0.1"))
    assert answer is not None
    assert answer.code == "release"
    assert "0.0.1" in answer.text
    assert shakeout.__version__ in answer.text


@pytest.mark.parametrize("first", [
    StartJob(1, shell="true"), Hello((1, 1), "c", "no-such-run", role="attach"),
])  # fmt: skip
def test_who_has_no_business_here(agent: StandaloneAgent, first: object) -> None:
    answer = refusal(agent, first)
    assert answer is None or answer.code == "role"


def test_nobody_there(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AgentUnreachable, match=r"no.sock: No such file or directory"):
        connect_unix(str(tmp_path / "no.sock"))


def test_after_the_end_nothing_more_can_be_done(connect_to_agent) -> None:  # type: ignore[no-untyped-def]
    one = connect_to_agent()
    job = one.host.run("sleep 1000", bg=True)
    one.abandon()
    assert job.wait(10)
    assert not job.passed
    with pytest.raises(HostLost):
        one.host.run("true", timeout=5)
    with pytest.raises(HostLost):
        one.host.procfs_get("version")


def test_the_clock_is_measured_at_the_beginning(host: Host, recording: Recording) -> None:
    (measured,) = recording.of(ClockMeasured)
    assert measured.host == "m1"
    assert 0 < measured.error_ns < 1_000_000_000
    # Both ends have the same clock here.
    assert abs(measured.offset_ns - recording.began_ns) <= measured.error_ns


def test_properties(host: Host) -> None:
    names = dict(host.props)
    assert {"arch", "kernel", "distribution", "cpus", "memory", "hostname", "python", "user"} <= names.keys()
    assert host.props.arch == os.uname().machine
    assert host.props.kernel == os.uname().release
    assert host.props.memory > 0
    with pytest.raises(UnknownName, match=r"did you mean 'kernel'\?"):
        host.props.kernl  # noqa: B018
    assert not hasattr(host.props, "nosuch")


def test_the_names_of_a_host_are_reserved(host: Host) -> None:
    public = {name for name in [*vars(Host), *Host.__annotations__] if not name.startswith("_")}
    assert public - RESERVED == set()
