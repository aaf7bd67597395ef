"""Matches: compared with trying everything, on small random instances; order, laziness, hard cases."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.matching_by_trying import by_trying, host, instances, linked, need, port_choices, reqs

from shakeout.errors import BadRequirement, UsageError
from shakeout.matching.inventory import HostEntry, Inventory
from shakeout.matching.mapper import ConstraintMapper, Match, describe
from shakeout.matching.requirements import HostReq, Requirements
from shakeout.matching.values import Not, RecipeParam


def found(requirements: Requirements, inventory: Inventory, **options: object) -> list[Match]:
    return list(ConstraintMapper().matches(requirements, inventory, all_matches=True, **options))  # type: ignore[arg-type]


def names(match: Match) -> dict[str, str]:
    return {need: entry.name for need, entry in match.hosts.items()}


def shape(req: HostReq) -> object:
    return (req.params, sorted(f"{d.label} {d.params}" for _, d in req))


def check(requirements: Requirements, inventory: Inventory, share: bool = False) -> None:
    needs = list(requirements)
    labels = sorted({str(dev.label) for _, req in needs for _, dev in req if dev.label is not None})
    expected = by_trying(requirements, inventory, share)
    classes: dict[str, list[int]] = {}
    for i, (_, req) in enumerate(needs):
        usable = sorted({hosts[i] for hosts, _ in expected})  # type: ignore[index]
        classes.setdefault(f"{shape(req)} {usable}", []).append(i)

    def normal(hosts: tuple[str, ...], nets: tuple[object, ...]) -> tuple[object, ...]:
        result = list(hosts)
        for members in classes.values():
            for i, name in zip(members, sorted(hosts[i] for i in members), strict=True):
                result[i] = name
        return (tuple(result), nets)

    got = []
    for match in found(requirements, inventory, share_networks=share):
        for name, req in needs:
            entry = match.hosts[name]
            nets = {label: (entry.pool, match.networks[label]) for label in labels}
            chosen = tuple(match.ports[name][dev] for dev, _ in req)
            assert chosen in list(port_choices(req, entry, nets))  # type: ignore[arg-type]
        pools = {label: match.hosts[n].pool for n, req in needs for _, d in req if (label := str(d.label))}
        got.append(
            (
                tuple(match.hosts[name].name for name, _ in needs),
                tuple((pools[label], match.networks[label]) for label in labels),
            )
        )
    assert len(got) == len(set(got))
    assert set(got) <= expected
    assert {normal(*g) for g in got} == {normal(*e) for e in expected}  # type: ignore[arg-type]
    if not any(entry.reserved_for for entry in inventory):
        assert len({normal(*g) for g in got}) == len(got), "interchangeable requirements were interchanged"


@settings(max_examples=400, deadline=None)
@given(instances(), st.booleans())
def test_same_as_trying_everything(instance: tuple[Requirements, Inventory], share: bool) -> None:
    check(*instance, share)


@settings(max_examples=200, deadline=None)
@given(linked())
def test_links_same_as_trying_everything(instance: tuple[Requirements, Inventory]) -> None:
    check(*instance)


@settings(max_examples=200, deadline=None)
@given(linked())
def test_mirror_images_lose_no_match(instance: tuple[Requirements, Inventory]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shakeout.matching.solver._PATIENCE", 0)
        patch.setattr("shakeout.matching.solver._CUTOFF", 2)
        check(*instance)


def test_simple_cases() -> None:
    lab = Inventory([host("dut1", "net1"), host("dut2", "net1", "net2"), host("dut3", "net2"), host("dut4")])
    assert [names(m) for m in found(reqs(), lab)] == [{}]
    assert next(names(m) for m in found(reqs(m1=need()), lab)) == {"m1": "dut1"}
    assert len(found(reqs(m1=need()), lab)) == 4
    assert len(found(reqs(m1=need(), m2=need()), lab)) == 6
    pairs = found(reqs(m1=need("a"), m2=need("a")), lab)
    assert [list(names(m).values()) for m in pairs] == [["dut1", "dut2"], ["dut2", "dut3"]]
    router = found(reqs(m1=need("a"), r=need("a", "b"), m2=need("b")), lab)
    assert [list(names(m).values()) for m in router] == [["dut1", "dut2", "dut3"], ["dut3", "dut2", "dut1"]]
    assert found(reqs(m1=need("a", "a")), lab) == []
    assert found(reqs(m1=need(None)), Inventory([host("x", "")])) != []
    assert found(reqs(m1=need("a")), Inventory([host("x", "")])) == []
    assert found(reqs(m1=need()), Inventory()) == []


def test_first_match_only_unless_asked() -> None:
    lab = Inventory([host("dut1"), host("dut2")])
    assert len(list(ConstraintMapper().matches(reqs(m1=need()), lab))) == 1


def test_excluded_virtual_and_reserved_hosts() -> None:
    virtual = HostEntry("v", "lab", virtual=True)
    made = HostEntry("made", "lab", reserved_for="m2")
    lab = Inventory([host("dut1"), virtual, made])
    assert [names(m)["m1"] for m in found(reqs(m1=need()), lab)] == ["dut1"]
    assert [names(m)["m1"] for m in found(reqs(m1=need()), lab, allow_virtual=True)] == ["dut1", "v"]
    assert found(reqs(m1=need()), lab, exclude={"dut1"}) == []
    assert [names(m)["m2"] for m in found(reqs(m2=need()), lab, exclude={"dut1"})] == ["made"]


def test_labels_share_a_network_only_if_said_so() -> None:
    lab = Inventory([host("a", "net1", "net1"), host("b", "net1", "net1")])
    wanted = reqs(m1=need("x", "y"), m2=need("x", "y"))
    assert found(wanted, lab) == []
    (match,) = found(wanted, lab, share_networks=True)
    assert match.ports["m1"]["eth0"] != match.ports["m1"]["eth1"]


def test_pools_do_not_share_networks_unless_said_so() -> None:
    hosts = [host("a", "net1", pool="p"), host("b", "net1", pool="q")]
    wanted = reqs(m1=need("x"), m2=need("x"))
    assert found(wanted, Inventory(hosts)) == []
    assert len(found(wanted, Inventory(hosts, shared_networks=["net1"]))) == 1


def test_description() -> None:
    lab = Inventory([host("dut1", "net1"), host("dut2")])
    (match,) = found(reqs(m1=need("a"), m2=need()), lab)
    assert describe(match) == "m1 = dut1 (pool lab): eth0 = p0 on net1\nm2 = dut2 (pool lab)"


def test_bad_calls_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"'share_network' .*did you mean 'share_networks'"):
        ConstraintMapper().matches(reqs(), Inventory(), share_network=True)
    with pytest.raises(UsageError, match="True or False"):
        ConstraintMapper().matches(reqs(), Inventory(), share_networks="yes")
    with pytest.raises(BadRequirement, match=r"m1: arch refers to .* 'arch'"):
        ConstraintMapper().matches(reqs(m1=HostReq(arch=RecipeParam("arch"))), Inventory())


def test_the_order_is_always_the_same() -> None:
    def run() -> list[dict[str, str]]:
        lab = Inventory([host(f"h{i}", f"n{i % 3}", f"n{i % 4}", kind=i % 2) for i in range(12)])
        wanted = reqs(m1=need("a", kind={0, 1}), m2=need("a", "b"), m3=need("b"))
        return [names(m) for m in found(wanted, lab)]

    assert run() == run()
    assert len(run()) > 20


def test_one_of_very_many_matches_comes_at_once() -> None:
    lab = Inventory([host(f"h{i}", "n1", "n2") for i in range(300)])
    wanted = Requirements({f"m{i}": need("a", "b", cpus=Not(i)) for i in range(10)})
    matches = ConstraintMapper().matches(wanted, lab, all_matches=True)
    start = time.process_time()
    assert len({tuple(names(m).values()) for m in itertools.islice(matches, 100)}) == 100
    assert time.process_time() - start < 2


def many(count: int, *labels: str) -> dict[str, HostReq]:
    return {f"m{i}": need(*labels) for i in range(count)}


def pairs_wanted(count: int) -> Requirements:
    return Requirements({f"m{i}_{j}": need(f"l{i}") for i in range(count) for j in (0, 1)})


@pytest.mark.parametrize(
    ("requirements", "inventory"),
    [
        pytest.param(
            Requirements(many(101, "a", "b")),
            Inventory([host(f"h{i}", "n1", "n2") for i in range(100)]),
            id="pigeons on two networks",
        ),
        pytest.param(
            Requirements(many(10, "a", "b")),
            Inventory([host(f"h{n}_{i}", f"x{n}", f"y{n}") for n in range(60) for i in range(9)]),
            id="every network one host short",
        ),
        pytest.param(
            pairs_wanted(9),
            Inventory(
                [host(f"a{i}", *(f"n{i}_{j}" for j in range(16))) for i in range(8)]
                + [host(f"b{j}", *(f"n{i}_{j}" for i in range(8))) for j in range(16)]
            ),
            id="pairs on the links of a two-sided graph",
        ),
        pytest.param(
            Requirements({f"m{i}": need(f"l{i}", f"l{i + 1}") for i in range(12)}),
            Inventory([host(f"c{c}_{i}", f"n{c}_{i}", f"n{c}_{i + 1}") for c in range(20) for i in range(11)]),
            id="a chain longer than any there is",
        ),
        pytest.param(
            pairs_wanted(5),
            Inventory([host("hub", *(f"n{i}" for i in range(30)))] + [host(f"h{i}", f"n{i}") for i in range(30)]),
            id="pairs around one hub",
        ),
    ],
)
def test_that_there_is_no_match_is_seen_soon(requirements: Requirements, inventory: Inventory) -> None:
    start = time.process_time()
    assert list(ConstraintMapper().matches(requirements, inventory)) == []
    assert time.process_time() - start < 2
