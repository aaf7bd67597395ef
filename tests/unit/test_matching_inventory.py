"""Inventories: order, and contradictions that are all named at once."""

from __future__ import annotations

import pytest

from shakeout.errors import BadInventory, UnknownName
from shakeout.matching.comparison import ABSENT
from shakeout.matching.inventory import HostEntry, Inventory, Port


def test_order_is_by_pool_then_natural_name() -> None:
    names = ["dut10", "dut2", "b1"]
    hosts = [HostEntry(n, "lab2") for n in names] + [HostEntry("a", "lab1")]
    assert [h.name for h in Inventory(hosts)] == ["b1", "dut2", "dut10", "a"]
    assert [h.name for h in Inventory([*hosts[2::-1], hosts[3]])] == ["b1", "dut2", "dut10", "a"]
    assert Inventory(hosts).pools == ("lab2", "lab1")


def test_every_contradiction_is_named_with_both_places() -> None:
    with pytest.raises(BadInventory) as caught:
        Inventory(
            [
                HostEntry("dut1", "lab1", ports=(Port("e0", "n", "52:54:00:00:00:AA"), Port("e0", "n"))),
                HostEntry("dut1", "lab2", source="lab2/dut1.yaml"),
                HostEntry("dut2", "lab1", ports=(Port("e1", "n", "52-54-00-00-00-aa"),)),
            ]
        )
    text = str(caught.value)
    assert "'dut1' is in pool lab1 and in lab2/dut1.yaml" in text
    assert "two interfaces called 'e0'" in text
    assert "dut1.e0 in pool lab1 and to dut2.e1 in pool lab1" in text


def test_unknown_host_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'dut1'"):
        Inventory([HostEntry("dut1", "p")])["dut"]


def test_structural_facts_are_properties() -> None:
    host = HostEntry("dut1", "lab", {"arch": "x", "gone": None}, (Port("e0", "", "", {"driver": "d"}),))
    assert (host.value("name"), host.value("pool"), host.value("arch")) == ("dut1", "lab", "x")
    assert host.value("gone") is ABSENT is host.value("nothing")
    port = host.ports[0]
    assert (port.value("id"), port.value("driver")) == ("e0", "d")
    assert port.value("network") is ABSENT is port.value("hwaddr")


def test_networks_belong_to_their_pool_unless_shared() -> None:
    ports = (Port("e", "net1"), Port("f", "wan"))
    a, b = HostEntry("a", "p1", ports=ports), HostEntry("b", "p2", ports=ports)
    inventory = Inventory([a, b], shared_networks=["wan"])
    assert inventory.network(a, a.ports[0]) != inventory.network(b, b.ports[0])
    assert inventory.network(a, a.ports[1]) == inventory.network(b, b.ports[1]) == ("", "wan")
    assert inventory.network(a, Port("x")) is None
