"""Matches: compared with trying everything, on small random instances; order, laziness, hard cases."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shakeout.errors import BadRequirement, UsageError
from shakeout.matching.inventory import HostEntry, Inventory, Port
from shakeout.matching.mapper import ConstraintMapper, Match, describe
from shakeout.matching.requirements import DeviceReq, HostReq, Requirements
from shakeout.matching.values import AtLeast, Not, RecipeParam, as_predicate


def host(name: str, *networks: str, pool: str = "lab", **params: object) -> HostEntry:
    ports = tuple(Port(f"p{i}", network) for i, network in enumerate(networks))
    return HostEntry(name, pool, params, ports)


def need(*labels: str | None, **params: object) -> HostReq:
    req = HostReq(**params)
    for i, label in enumerate(labels):
        setattr(req, f"eth{i}", DeviceReq(label))
    return req


def reqs(**hosts: HostReq) -> Requirements:
    return Requirements(hosts)


def found(requirements: Requirements, inventory: Inventory, **options: object) -> list[Match]:
    return list(ConstraintMapper().matches(requirements, inventory, all_matches=True, **options))  # type: ignore[arg-type]


def names(match: Match) -> dict[str, str]:
    return {need: entry.name for need, entry in match.hosts.items()}


def port_choices(req: HostReq, entry: HostEntry, nets: dict[str, str | None]) -> Iterator[tuple[Port, ...]]:
    devs = [dev for _, dev in req]
    for ports in itertools.permutations(entry.ports, len(devs)):
        if all(
            all(as_predicate(v, "").accepts(port.value(n)) for n, v in dev.params.items())
            and (dev.label is None or (port.network and (entry.pool, port.network) == nets[str(dev.label)]))
            for dev, port in zip(devs, ports, strict=True)
        ):
            yield ports


def by_trying(
    requirements: Requirements, inventory: Inventory, share: bool = False
) -> set[tuple[object, ...]]:
    """Every (hosts, networks) there is, with interchangeable requirements in every order."""
    needs = list(requirements)
    labels = sorted({str(dev.label) for _, req in needs for _, dev in req if dev.label is not None})
    networks = sorted({(h.pool, p.network) for h in inventory for p in h.ports if p.network})
    choices = (
        itertools.product(networks, repeat=len(labels))
        if share
        else itertools.permutations(networks, len(labels))
    )
    result = set()
    for chosen in choices:
        nets = dict(zip(labels, chosen, strict=True))
        able = [
            [
                entry
                for entry in inventory
                if all(as_predicate(v, "").accepts(entry.value(n)) for n, v in req.params.items())
                and entry.reserved_for in (None, name)
                and next(port_choices(req, entry, nets), None) is not None  # type: ignore[arg-type]
            ]
            for name, req in needs
        ]
        for hosts in itertools.product(*able):
            if len({entry.name for entry in hosts}) == len(hosts):
                result.add((tuple(entry.name for entry in hosts), chosen))
    return result


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


drivers = st.sampled_from(["a", "b"])
port_data = st.tuples(st.sampled_from(["n1", "n2", "n3", ""]), drivers)
host_data = st.tuples(st.sampled_from(["p", "q"]), st.integers(1, 2), st.lists(port_data, max_size=3))
wanted_driver = st.one_of(st.none(), drivers, drivers.map(Not))
dev_data = st.tuples(st.sampled_from(["l1", "l2", "l3", None]), wanted_driver)
need_data = st.tuples(st.sampled_from([None, 1, AtLeast(2)]), st.lists(dev_data, max_size=3))


@st.composite
def instances(draw: st.DrawFn) -> tuple[Requirements, Inventory]:
    requirements = Requirements()
    for i, (kind, devs) in enumerate(draw(st.lists(need_data, max_size=4))):
        req = HostReq(kind=kind)
        for j, (label, driver) in enumerate(devs):
            setattr(req, f"eth{j}", DeviceReq(label, driver=driver))
        setattr(requirements, f"m{i}", req)
    hosts = []
    for i, (pool, kind, ports) in enumerate(draw(st.lists(host_data, max_size=5))):
        reserved = draw(st.sampled_from([None, None, None, "m0", "m1"]))
        made = tuple(Port(f"p{j}", net, params={"driver": d}) for j, (net, d) in enumerate(ports))
        hosts.append(HostEntry(f"h{i}", pool, {"kind": kind}, made, reserved_for=reserved))
    return requirements, Inventory(hosts)


@settings(max_examples=400, deadline=None)
@given(instances(), st.booleans())
def test_same_as_trying_everything(instance: tuple[Requirements, Inventory], share: bool) -> None:
    check(*instance, share)


@st.composite
def linked(draw: st.DrawFn) -> tuple[Requirements, Inventory]:
    """Point-to-point networks between few hosts, chains and pairs wanted: much symmetry, often no match."""
    count = draw(st.integers(2, 5))
    pairs = list(itertools.combinations(range(count), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=6))
    ends = [[f"n{i}" for i, pair in enumerate(chosen) if h in pair] for h in range(count)]
    wanted = [[] for _ in range(draw(st.integers(1, 4)))]
    for i in range(draw(st.integers(0, 3))):
        for m in draw(st.lists(st.integers(0, len(wanted) - 1), min_size=1, max_size=2, unique=True)):
            wanted[m].append(f"l{i}")
    return (
        Requirements({f"m{i}": need(*labels) for i, labels in enumerate(wanted)}),
        Inventory([host(f"h{i}", *nets) for i, nets in enumerate(ends)]),
    )


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
    assert [names(m) for m in found(reqs(m1=need()), lab)][0] == {"m1": "dut1"}
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
            Inventory(
                [host(f"c{c}_{i}", f"n{c}_{i}", f"n{c}_{i + 1}") for c in range(20) for i in range(11)]
            ),
            id="a chain longer than any there is",
        ),
        pytest.param(
            pairs_wanted(5),
            Inventory(
                [host("hub", *(f"n{i}" for i in range(30)))] + [host(f"h{i}", f"n{i}") for i in range(30)]
            ),
            id="pairs around one hub",
        ),
    ],
)
def test_that_there_is_no_match_is_seen_soon(requirements: Requirements, inventory: Inventory) -> None:
    start = time.process_time()
    assert list(ConstraintMapper().matches(requirements, inventory)) == []
    assert time.process_time() - start < 2
