"""How long matching takes: the target rows, and instances made to be hard.

Each figure is the median of several runs with a fresh inventory, so that nothing is cached from the run
before; reading and checking the pool is not part of it, turning it into an index is. There is no reference:
the limits are absolute. `python -m benchmarks.matching` prints this table alone.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.row import Figures, Row
from shakeout.matching.explain import explain
from shakeout.matching.inventory import HostEntry, Inventory, Port
from shakeout.matching.mapper import ConstraintMapper
from shakeout.matching.requirements import DeviceReq, HostReq, Requirements
from shakeout.matching.values import AtLeast

Instance = tuple[Requirements, list[HostEntry]]


def host(name: str, networks: list[str], **params: object) -> HostEntry:
    ports = tuple(Port(f"eth{i}", n, params={"driver": "mlx5"}) for i, n in enumerate(networks))
    return HostEntry(name, "lab", params, ports)


def need(*labels: str, driver: str | None = None, **params: object) -> HostReq:
    req = HostReq(**params)
    for i, label in enumerate(labels):
        setattr(req, f"eth{i}", DeviceReq(label, driver=driver))
    return req


def four_of_fifty() -> Instance:
    draw = random.Random(1)
    hosts = [
        host(f"h{i}", [f"n{draw.randrange(8)}" for _ in range(3)], arch=draw.choice(["x86_64", "arm64"]))
        for i in range(50)
    ]
    wanted = {"m1": need("a", arch="x86_64"), "m2": need("a", "b"), "m3": need("b", "c"), "m4": need("c")}
    return Requirements(wanted), hosts


def four_of_fifty_late() -> Instance:
    """The only match is on the last hosts, all others lack one link."""
    hosts = [host(f"h{i}", [f"n{i}", f"n{i + 1}"], cpus=4) for i in range(46)]
    hosts += [host(f"z{i}", [f"z{i}", f"z{(i + 1) % 4}"], cpus=4) for i in range(4)]
    ring = {f"m{i}": need(f"l{i}", f"l{(i + 1) % 4}") for i in range(4)}
    return Requirements(ring), hosts


def pigeons() -> Instance:
    return (
        Requirements({f"m{i}": need("a", "b") for i in range(101)}),
        [host(f"h{i}", ["n1", "n2"]) for i in range(100)],
    )


def pigeons_apart() -> Instance:
    """The same, but each pigeon differs a little."""
    return (
        Requirements({f"m{i}": need("a", "b", cpus=AtLeast(i % 5)) for i in range(101)}),
        [host(f"h{i}", ["n1", "n2"], cpus=8) for i in range(100)],
    )


def ten_thousand(per_network: int = 50) -> Instance:
    draw = random.Random(2)
    networks = 10_000 // per_network
    hosts = [
        host(
            f"h{i}",
            [f"n{draw.randrange(networks)}" for _ in range(4)],
            arch=draw.choice(["x86_64", "arm64", "s390x"]),
            cpus=draw.choice([2, 4, 8, 16]),
        )
        for i in range(10_000)
    ]
    wanted = {
        **{f"m{i}": need("a", arch="x86_64") for i in range(3)},
        "r1": need("a", "b", cpus=AtLeast(8)),
        **{f"s{i}": need("b", arch="arm64") for i in range(2)},
        "r2": need("b", "c", cpus=AtLeast(4)),
        "t": need("c", arch="s390x"),
    }
    return Requirements(wanted), hosts


def ten_thousand_small_networks() -> Instance:
    return ten_thousand(per_network=4)


def ten_thousand_never() -> Instance:
    """Eight hosts as above, but no network has room for so many."""
    wanted, hosts = ten_thousand(per_network=1)
    for i in range(9):
        setattr(wanted, f"more{i}", need("a", arch="x86_64"))
    return wanted, hosts


def one_short() -> Instance:
    return (
        Requirements({f"m{i}": need("a", "b") for i in range(10)}),
        [host(f"h{n}_{i}", [f"x{n}", f"y{n}"]) for n in range(60) for i in range(9)],
    )


def two_sided() -> Instance:
    """Nine separate pairs on the links of a graph in which every link ends at one of eight hosts."""
    left = [host(f"a{i}", [f"n{i}_{j}" for j in range(16)]) for i in range(8)]
    right = [host(f"b{j}", [f"n{i}_{j}" for i in range(8)]) for j in range(16)]
    return Requirements({f"m{i}_{j}": need(f"l{i}") for i in range(9) for j in (0, 1)}), left + right


def two_sided_uneven() -> Instance:
    """The same with a fifth of the links missing, so that little is symmetric."""
    draw = random.Random(3)
    links = [(i, j) for i in range(5) for j in range(14) if draw.random() < 0.8]
    left = [host(f"a{i}", [f"n{i}_{j}" for a, j in links if a == i]) for i in range(5)]
    right = [host(f"b{j}", [f"n{i}_{j}" for i, b in links if b == j]) for j in range(14)]
    return Requirements({f"m{i}_{j}": need(f"l{i}") for i in range(6) for j in (0, 1)}), left + right


def chain_too_long() -> Instance:
    return (
        Requirements({f"m{i}": need(f"l{i}", f"l{i + 1}") for i in range(25)}),
        [host(f"c{c}_{i}", [f"n{c}_{i}", f"n{c}_{i + 1}"]) for c in range(40) for i in range(24)],
    )


def chain_in_a_mesh() -> Instance:
    """A chain of 24 hosts through a 6 x 6 grid of links (feasible, but a path must be found)."""
    names = {(x, y): list[str]() for x in range(6) for y in range(6)}
    for x, y in list(names):
        for a, b in ((x + 1, y), (x, y + 1)):
            if (a, b) in names:
                names[x, y].append(f"n{x}{y}_{a}{b}")
                names[a, b].append(f"n{x}{y}_{a}{b}")
    wanted = {f"m{i}": need(f"l{i}", f"l{i + 1}") for i in range(1, 23)}
    return (
        Requirements({"m0": need("l1"), **wanted, "m23": need("l23")}),
        [host(f"g{x}{y}", n) for (x, y), n in names.items()],
    )


def exclusive() -> Instance:
    """Twelve routers wanted between neighbouring labels; each network allows one of two neighbours only."""
    hosts = [host(f"h{i}", [f"n{i}", f"n{(i + s) % 26}"]) for i in range(26) for s in (1, 3)][:40]
    hosts = [HostEntry(f"{h.name}_{k}", "lab", {}, h.ports) for k, h in enumerate(hosts)]
    ring = {f"m{i}": need(f"l{i}", f"l{(i + 1) % 13}") for i in range(13)}
    return Requirements(ring), hosts


def timed(make: Callable[[], Instance], times: int, match: bool) -> Figures:
    """Median until the first match, or until the answer that there is none; which must be *match*."""
    took = []
    for _ in range(times):
        requirements, hosts = make()
        inventory = Inventory(hosts)
        start = time.perf_counter()
        found = next(ConstraintMapper().matches(requirements, inventory), None)
        took.append((time.perf_counter() - start) * 1000)
        assert (found is not None) == match, f"{make.__name__}: {'no ' if match else 'a '}match"
    return Figures(statistics.median(took), None, f"median of {times}, worst {max(took):.3g}")


def explained(make: Callable[[], Instance]) -> Figures:
    """Once: the explanation why nothing matches."""
    requirements, hosts = make()
    inventory = Inventory(hosts)
    start = time.perf_counter()
    explain(requirements, inventory)
    return Figures((time.perf_counter() - start) * 1000, None, "once")


#: What, instance, whether it matches, how often to measure, limit in ms.
INSTANCES: tuple[tuple[str, Callable[[], Instance], bool, int, float], ...] = (
    ("match: 4 hosts from 50", four_of_fifty, True, 51, 1),
    ("match: 4 hosts from 50, only the last ones do", four_of_fifty_late, True, 21, 10),
    ("match: pigeonhole, 101 from 100 identical hosts, 2 interfaces", pigeons, False, 11, 50),
    ("match: pigeonhole, the same with requirements of five kinds", pigeons_apart, False, 11, 50),
    ("match: 8 hosts in 3 networks from 10,000", ten_thousand, True, 5, 200),
    ("match: the same, small networks", ten_thousand_small_networks, True, 5, 200),
    ("match: the same, networks too small (none)", ten_thousand_never, False, 3, 200),
    ("match: 120 networks, each one host short (none)", one_short, False, 5, 50),
    ("match: pairs on a two-sided graph (none)", two_sided, False, 5, 100),
    ("match: pairs on an uneven two-sided graph (none)", two_sided_uneven, False, 1, 2000),
    ("match: a chain longer than any (none)", chain_too_long, False, 3, 200),
    ("match: a chain of 24 hosts in a 6 x 6 mesh", chain_in_a_mesh, True, 3, 200),
    ("match: a ring of mutual exclusions (none)", exclusive, False, 3, 1000),
)


def rows() -> Iterator[Row]:
    """The rows of the benchmark table; milliseconds."""
    for what, make, match, times, limit in INSTANCES:
        yield Row(what, partial(timed, make, times, match), target=limit)
    yield Row("explain: 101 from 100 identical hosts", lambda: explained(pigeons), target=1000)
    yield Row("explain: 8 hosts from 10,000", lambda: explained(ten_thousand_never), target=3000)


def main() -> None:
    """Print the rows of this module."""
    for row in rows():
        figures = row.measure()
        verdict = "PASS" if row.reaches(figures) else "FALLS SHORT"
        print(f"{row.what:<64} {figures.ours:10.2f} ms  <= {row.target:6.0f} ms  {verdict}", flush=True)


if __name__ == "__main__":
    main()
