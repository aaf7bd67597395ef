"""Small matching instances, drawn at random, and all their matches, found by trying everything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from hypothesis import strategies as st

from shakeout.matching.inventory import HostEntry, Inventory, Port
from shakeout.matching.requirements import DeviceReq, HostReq, Requirements
from shakeout.matching.values import AtLeast, Not, as_predicate


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


def port_choices(req: HostReq, entry: HostEntry, nets: dict[str, str | None]) -> Iterator[tuple[Port, ...]]:
    devs = [dev for _, dev in req]
    for ports in itertools.permutations(entry.ports, len(devs)):
        if all(
            all(as_predicate(v, "").accepts(port.value(n)) for n, v in dev.params.items())
            and (dev.label is None or (port.network and (entry.pool, port.network) == nets[str(dev.label)]))
            for dev, port in zip(devs, ports, strict=True)
        ):
            yield ports


def by_trying(requirements: Requirements, inventory: Inventory, share: bool = False) -> set[tuple[object, ...]]:
    """Every (hosts, networks) there is, with interchangeable requirements in every order."""
    needs = list(requirements)
    labels = sorted({str(dev.label) for _, req in needs for _, dev in req if dev.label is not None})
    networks = sorted({(h.pool, p.network) for h in inventory for p in h.ports if p.network})
    choices = (
        itertools.product(networks, repeat=len(labels)) if share else itertools.permutations(networks, len(labels))
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
