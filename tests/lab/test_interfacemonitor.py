"""InterfaceMonitor beside real traffic, in a network namespace of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from signal import SIGINT
from typing import Any

import pytest
from tests.lab.module_process import ModuleProcess, reason, run

from shakeout.errors import BadParameters
from shakeout.modules import InterfaceMonitor, UdpListen, UdpSend
from shakeout.wire.samples import Declared, Rows, row_format

pytestmark = pytest.mark.needs("root", "ip")


class Room:
    """A network namespace, entered by what is run in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ip(self, *lines: str) -> None:
        """Commands of `ip`, one after the other."""
        subprocess.run(["ip", "-n", self.name, "-b", "-"], input="\n".join(lines), text=True, check=True)

    def module(self, module: Any) -> ModuleProcess:
        """*module*, running here."""
        return ModuleProcess(module, within=self.name)

    def run(self, module: Any) -> Any:
        """What becomes of *module*, run here."""
        return run(module, within=self.name)


@pytest.fixture
def room() -> Iterator[Room]:
    """A namespace with lo and a pair of interfaces, a0 and a1, which are up."""
    made = Room(f"shakeout-ifm-{os.getpid()}")
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    try:
        made.ip("link set lo up", "link add a0 type veth peer name a1", "link set a0 up", "link set a1 up")
        made.ip("addr add 10.8.0.1/24 dev a0")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], check=True)


def test_traffic_is_counted_exactly(room: Room) -> None:
    with (
        room.module(InterfaceMonitor(interfaces=["lo"], interval=0.01)) as monitor,
        room.module(UdpListen(address="127.0.0.1", datagrams=50)) as listener,
    ):
        assert monitor.line() == "watching lo"
        port = int(listener.line().rpartition(":")[2])
        assert room.run(UdpSend(dst="127.0.0.1", port=port, count=50, size=1000, interval=0.002)).passed
        assert listener.outcome().passed
        outcome = monitor.outcome(SIGINT)
    assert outcome.passed
    figures = outcome.result["interfaces"]["lo"]
    assert figures["rx_packets"] == figures["tx_packets"] == 50
    assert figures["rx_bytes"] == 50 * (1000 + 28)
    assert figures["rx_rate"]["max"] >= figures["rx_rate"]["avg"] > figures["rx_rate"]["min"] >= 0
    assert figures["present"]
    assert outcome.result["events"] == []
    [declared] = [each for each in monitor.samples if isinstance(each, Declared)]
    assert (declared.name, dict(declared.columns)["rx"]) == ("lo", "bit/s")
    layout = row_format(len(declared.columns))
    rows = [row for each in monitor.samples if isinstance(each, Rows) for row in layout.iter_unpack(each.data)]
    assert rows == sorted(rows)
    assert len(rows) > 1
    assert max(row[1] for row in rows) == pytest.approx(figures["rx_rate"]["max"], abs=0.01)


def test_all_that_happens_to_interfaces_is_told_in_order(room: Room) -> None:
    # No sample is taken in between: what is told comes from the kernel as it happens.
    with room.module(InterfaceMonitor(interfaces="a*", interval=60)) as monitor:
        assert set(monitor.line().removeprefix("watching ").split(", ")) == {"a0", "a1"}
        room.ip("link set a1 down", "link set a1 up", "link set a1 down", "link set a1 name b1", "link del a0")
        room.ip("link add a0 type bridge", "link set a0 up", "link add c0 type bridge")
        outcome = monitor.outcome(SIGINT)
    assert outcome.passed
    a0 = [each["what"] for each in outcome.result["events"] if each["interface"] == "a0"]
    assert a0[0].startswith("carrier ")  # the kernel tells several changes at once if they are quick
    assert a0[a0.index("disappeared") + 1] == "appeared"
    a1 = [each["what"] for each in outcome.result["events"] if each["interface"] == "a1"]
    assert "was renamed from a1 to b1" in a1
    assert a1[-1] == "disappeared"
    moments = [each["at"] for each in outcome.result["events"]]
    assert moments == sorted(moments)
    assert not outcome.result["interfaces"]["a1"]["present"]
    assert outcome.result["interfaces"]["a0"]["carrier_changes"] >= 1
    assert "c0" not in outcome.result["interfaces"]


def test_a_limit_that_is_passed_is_a_failure_with_the_moment(room: Room) -> None:
    limited = InterfaceMonitor(interfaces=["a0"], interval=60, max_carrier_changes=0, max_errors=0)
    with room.module(limited) as monitor:
        monitor.line()
        room.ip("link set a1 down")
        outcome = monitor.outcome(SIGINT)
    assert "a0 had 1 changes of the carrier (allowed are 0; more since 0." in reason(outcome)
    assert outcome.result["events"][0]["what"] == "carrier lost"


def test_packets_that_are_dropped_are_a_failure(room: Room) -> None:
    # What is sent into a pair whose other end is down is dropped by the driver.
    room.ip("link set a1 down", "neigh add 10.8.0.2 lladdr 02:00:00:00:00:01 dev a0")
    with room.module(InterfaceMonitor(interfaces=["a0"], max_drops=19)) as monitor:
        monitor.line()
        assert room.run(UdpSend(dst="10.8.0.2", port=9, count=20)).passed
        outcome = monitor.outcome(SIGINT)
    assert "packets dropped (allowed are 19; more since " in reason(outcome)
    assert outcome.result["interfaces"]["a0"]["tx_dropped"] >= 20  # the kernel's own are among them


def test_a_name_that_is_not_there_is_refused(room: Room) -> None:
    text = reason(room.run(InterfaceMonitor(interfaces=["a2"], duration=60)))
    assert "this host has no interface 'a2' (known: a0, a1, lo)" in text
    assert "later=True" in text


def test_one_that_comes_later_is_waited_for(room: Room) -> None:
    with room.module(InterfaceMonitor(interfaces=["late0"], later=True)) as monitor:
        assert monitor.line() == "watching for interfaces"
        room.ip("link add late0 type bridge")
        outcome = monitor.outcome(SIGINT)
    assert list(outcome.result["interfaces"]) == ["late0"]
    assert [each["what"] for each in outcome.result["events"]] == ["appeared"]


def test_a_duration_ends_it() -> None:
    outcome = run(InterfaceMonitor(interval=0.01, duration=0.095))
    assert outcome.passed
    sampling = outcome.result["sampling"]
    assert sampling["seconds"] >= 0.095
    assert sampling["samples"] + sampling["missed"] == 10


@pytest.mark.parametrize("value", [[""], ["a b"], [5], "x" * 65])
def test_odd_names_are_refused_at_once(value: object) -> None:
    with pytest.raises(BadParameters, match="the name of an interface"):
        InterfaceMonitor(interfaces=value)
