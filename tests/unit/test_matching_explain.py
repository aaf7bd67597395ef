"""What one is told when nothing matches; and that it is true."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.matching_by_trying import by_trying, instances, linked, need

from shakeout.errors import NoMatch
from shakeout.matching.explain import explain
from shakeout.matching.inventory import HostEntry, Inventory, Port
from shakeout.matching.mapper import ConstraintMapper, no_match
from shakeout.matching.problem import Limits
from shakeout.matching.requirements import DeviceReq, HostReq, Requirements
from shakeout.matching.values import AtLeast, Not


def host(name: str, *ports: tuple[str, str], **params: object) -> HostEntry:
    made = tuple(Port(f"p{i}", network, params={"driver": driver}) for i, (network, driver) in enumerate(ports))
    return HostEntry(name, "lab", params, made)


def dev(label: str | None, **params: object) -> DeviceReq:
    return DeviceReq(label, **params)


def wants(*devs: DeviceReq, **params: object) -> HostReq:
    req = HostReq(**params)
    for i, one in enumerate(devs):
        setattr(req, f"if{i + 1}", one)
    return req


LAB = [
    host("dut1", ("net1", "e1000"), ("net2", "e1000"), arch="x86_64", cpus=4),
    host("dut2", ("net1", "e1000"), ("net2", "e1000"), arch="x86_64", cpus=8),
    host("dut3", ("net2", "mlx5_core"), ("net3", "mlx5_core"), arch="arm64", cpus=16),
]


@pytest.mark.parametrize(
    ("requirements", "said"),
    [
        ({"m1": wants(arch="ppc64")}, "m1 wants arch=ppc64; the 3 hosts have x86_64 (2), arm64 (1)"),
        ({"m1": wants(arch="x86-64")}, "(did you mean 'x86_64'?)"),
        ({"m1": wants(arhc="x86_64")}, "no host has a property 'arhc' (did you mean 'arch'?)"),
        ({"m1": wants(cpus=AtLeast(32))}, "m1 wants cpus >= 32; the 3 hosts have 4 to 16"),
        (
            {"m1": wants(arch="x86_64", cpus=AtLeast(9))},
            "of 3 hosts, 2 have arch=x86_64 and 1 has cpus >= 9, but no available one has both",
        ),
        ({"m1": wants(name="dut4")}, "m1 wants name=dut4; the 3 hosts have"),
        (
            {"m1": wants(dev("a", driver="mlx5"))},
            "m1.if1 wants driver=mlx5; the 6 ports have e1000 (4), mlx5_core (2)",
        ),
        ({"m1": wants(dev("a", drivr="x"))}, "no port has a property 'drivr' (did you mean 'driver'?)"),
        (
            {"m1": wants(dev("a", driver="mlx5_core"), arch="x86_64")},
            "2 hosts have arch=x86_64, but none of them has such ports",
        ),
        ({"m1": wants(dev("a"), dev("b"), dev(None))}, "m1 wants 3 ports; no host has more than 2 ports"),
        ({"m1": wants(dev("a"), dev("a"))}, "m1 wants if1 on label a and if2 on label a"),
        (
            {"m1": wants(arch="x86_64"), "m2": wants(arch="x86_64"), "m3": wants(arch="x86_64")},
            "m1, m2 and m3 each want arch=x86_64; only 2 hosts have that: dut1 and dut2",
        ),
        ({f"m{i}": wants() for i in range(1, 5)}, "4 hosts are wanted (m1, m2, m3 and m4); there are only 3"),
        (
            {"m1": wants(arch="ppc64"), "m2": wants(cpus=1)},
            "m1 wants arch=ppc64; the 3 hosts have x86_64 (2), arm64 (1); also, m2 wants cpus=1;",
        ),
        (
            {
                "m1": wants(dev("a"), name="dut1"),
                "m2": wants(dev("a"), dev("b"), name="dut3"),
                "m3": wants(dev("b"), name="dut2"),
            },
            "each can be had, but not all at once",
        ),
        ({"m1": wants(arch="x86_64")}, "the requirements can be met"),
    ],
)
def test_what_is_said(requirements: dict[str, HostReq], said: str) -> None:
    assert said in explain(Requirements(requirements), Inventory(LAB)).text


def test_a_driver_that_is_not_on_the_network_of_the_others() -> None:
    hosts = [host("dut1", ("net1", "e1000")), host("dut2", ("net1", "e1000"))]
    hosts += [host(f"mlx{i}", (f"far{i}", "mlx5_core")) for i in range(3)]
    wanted = Requirements(
        {"m1": wants(dev("a", driver="e1000")), "m2": wants(dev("a", driver="mlx5_core")), "m3": wants()}
    )
    said = explain(wanted, Inventory(hosts))
    assert said.text == (
        "m2.if1 wants driver=mlx5_core on the network of m1.if1 (label a); "
        "3 hosts have that, none on net1, where m1 could be"
    )
    assert [name for name, _ in said.core] == ["m1", "m2"]


def test_too_few_on_one_network() -> None:
    hosts = [host(f"h{i}", (f"net{i // 2}", "e1000")) for i in range(6)]
    wanted = Requirements({f"m{i}": wants(dev("a")) for i in range(1, 4)})
    text = explain(wanted, Inventory(hosts)).text
    assert "m1, m2 and m3 each want a port on one network (label a)" in text
    assert "no network has more than 2 such hosts" in text


def test_empty_pools_and_unusable_hosts() -> None:
    one = Requirements({"m1": wants(cpus=4)})
    assert "there are no hosts at all" in explain(one, Inventory()).text
    aside = Limits(exclude=frozenset(["dut1", "dut2", "dut3"]))
    assert "dut1, dut2 and dut3 were set aside" in explain(one, Inventory(LAB), aside).text
    text = explain(one, Inventory(LAB), Limits(exclude=frozenset(["dut1"]))).text
    assert text.endswith("the only host that would do is dut1 (set aside)")
    virtual = HostEntry("v", "lab", {"cpus": 1}, virtual=True)
    text = explain(Requirements({"m1": wants(cpus=1)}), Inventory([*LAB, virtual])).text
    assert "v (virtual" in text
    assert "allow_virtual=True" in text
    assert "only virtual hosts (1)" in explain(one, Inventory([virtual])).text
    made = HostEntry("made", "lab", {"cpus": 1}, reserved_for="m9")
    text = explain(Requirements({"m1": wants(cpus=1)}), Inventory([*LAB, made])).text
    assert "made (reserved for another requirement)" in text


def test_that_labels_may_not_share_is_said_where_it_is_the_reason() -> None:
    lab = Inventory([host("a", ("net1", "e"), ("net1", "e")), host("b", ("net1", "e"), ("net1", "e"))])
    wanted = Requirements({"m1": wants(dev("x"), dev("y")), "m2": wants(dev("x"), dev("y"))})
    assert "share_networks=True" in explain(wanted, lab).text
    assert next(ConstraintMapper().matches(wanted, lab, share_networks=True), None)


def test_no_match_carries_the_explanation() -> None:
    error = no_match(Requirements({"m1": wants(arch="ppc64")}), Inventory(LAB), allow_virtual=True, other=1)
    assert isinstance(error, NoMatch)
    assert "m1 wants arch=ppc64" in str(error)


def weaker(core: Requirements) -> list[Requirements]:
    """*core* with one thing less, in every way."""
    result = [Requirements({n: r for n, r in core if n != name}) for name, _ in core]
    for name, req in core:
        changes = [wants_less(req, gone) for gone in req.params]
        changes += [without(req, gone) for gone in req.devs]
        result += [Requirements({n: changed if n == name else r for n, r in core}) for changed in changes]
    return result


def wants_less(req: HostReq, gone: str) -> HostReq:
    less = HostReq(**{n: v for n, v in req.params.items() if n != gone})
    for name, one in req:
        setattr(less, name, one)
    return less


def without(req: HostReq, gone: str) -> HostReq:
    less = HostReq(**req.params)
    for name, one in req:
        if name != gone:
            setattr(less, name, one)
    return less


@settings(max_examples=300, deadline=None)
@given(st.one_of(instances(), linked()))
def test_the_core_is_impossible_and_nothing_of_it_can_be_left_out(
    instance: tuple[Requirements, Inventory],
) -> None:
    requirements, inventory = instance
    assume(len(inventory) and not by_trying(requirements, inventory))
    said = explain(requirements, inventory)
    assert not by_trying(said.core, inventory)
    for name, req in said.core:
        assert req.params.items() <= requirements[name].params.items()
        assert set(req.devs) <= set(requirements[name].devs)
    alike = {repr((req, list(req))) for _, req in said.core}
    if len(alike) == len(said.core):  # those that are alike are reduced together
        assert all(by_trying(less, inventory) for less in weaker(said.core))
    assert said.text
    assert said.text == explain(requirements, inventory).text


def test_it_does_not_take_for_ever() -> None:
    chain = Requirements({f"m{i}": need(f"l{i}", f"l{i + 1}", x=Not(i)) for i in range(16)})
    lab = Inventory(
        [host(f"c{c}_{i}", (f"n{c}_{i}", "e"), (f"n{c}_{i + 1}", "e")) for c in range(10) for i in range(15)]
    )
    start = time.process_time()
    assert "16 hosts" in explain(chain, lab).text
    assert time.process_time() - start < 15
