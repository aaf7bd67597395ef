"""From requirements and an inventory to matches: what a mapper is, and the one that runs use by default.

A mapper of one's own is any object with a method ``matches`` as below; ``Controller(mapper=...)`` takes its
class. It need not derive from anything here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from shakeout.errors import NoMatch, UsageError, did_you_mean
from shakeout.matching.inventory import HostEntry, Inventory, Port
from shakeout.matching.problem import Limits, Problem
from shakeout.matching.requirements import Requirements
from shakeout.matching.solver import Solution, Solver


class Match(msgspec.Struct, frozen=True):
    """Which host, ports and networks play which part of the requirements."""

    #: By id of the required host.
    hosts: Mapping[str, HostEntry]
    #: By id of the required host, then by id of its interface.
    ports: Mapping[str, Mapping[str, Port]] = {}
    #: By label: the network's name in the pool.
    networks: Mapping[str, str] = {}


class Mapper(Protocol):
    """Finds hosts for requirements."""

    def matches(
        self,
        requirements: Requirements,
        inventory: Inventory,
        *,
        all_matches: bool = False,
        allow_virtual: bool = False,
        exclude: Collection[str] = frozenset(),
        **options: Any,
    ) -> Iterator[Match]:
        """The matches, lazily, in an order that depends on nothing but the arguments.

        Args:
            requirements: with all references to parameters resolved.
            all_matches: every match; else only the first. If a host of that turns out not to answer, the
                controller asks again with the host in *exclude*.
            allow_virtual: whether virtual hosts may be used.
            exclude: names of hosts that may not be used.
            options: a mapper's own, as they were given to ``ctl.run``.

        Raises:
            UsageError: an option that this mapper does not know.
            BadRequirement: requirements that cannot be read; both at once, not at the first match.

        Yields nothing if nothing matches; :func:`no_match` says why.
        """
        ...


class ConstraintMapper:
    """The default mapper: complete, lazy, deterministic.

    With ``all_matches``, two matches differ in the host of some requirement or in the network of some label;
    of several ports of one host that would do, the first is taken. Requirements that are exactly alike
    (same properties, same labels with the same interfaces) are interchangeable: matches that differ only in
    which of them has which host count once. Hosts are never considered interchangeable, however alike they
    are, because one wants every machine tried.

    Options:
        share_networks: different labels may be matched to one network (default False).
    """

    OPTIONS = ("share_networks",)

    def matches(
        self,
        requirements: Requirements,
        inventory: Inventory,
        *,
        all_matches: bool = False,
        allow_virtual: bool = False,
        exclude: Collection[str] = frozenset(),
        **options: Any,
    ) -> Iterator[Match]:
        """As :meth:`Mapper.matches`."""
        limits = limits_of(allow_virtual, exclude, options)
        problem = Problem(requirements, inventory, limits)
        return self._found(problem, all_matches)

    def _found(self, problem: Problem, all_matches: bool) -> Iterator[Match]:
        for solution in Solver(problem).solutions():
            yield as_match(problem, solution)
            if not all_matches:
                return


def limits_of(allow_virtual: bool, exclude: Collection[str], options: Mapping[str, Any]) -> Limits:
    """The limits that mapper options express.

    Raises:
        UsageError: an unknown option, or one that is no bool.
    """
    known = ConstraintMapper.OPTIONS
    for name in options:
        if name not in known:
            hint = did_you_mean(name, ("all_matches", "allow_virtual", *known))
            raise UsageError(f"the mapper has no option {name!r}{hint}")
    share = options.get("share_networks", False)
    if not isinstance(share, bool):
        raise UsageError(f"the mapper's option share_networks is True or False, not {share!r}")
    return Limits(share_networks=share, allow_virtual=allow_virtual, exclude=frozenset(exclude))


def as_match(problem: Problem, solution: Solution) -> Match:
    """A solver's *solution* in the words of the requirements."""
    index = problem.index
    hosts: dict[str, HostEntry] = {}
    ports: dict[str, dict[str, Port]] = {}
    for number, need in enumerate(problem.needs):
        host = solution.hosts[number]
        hosts[need.id] = index.hosts[host]
        chosen = problem.ports_for(number, host, solution.networks)
        assert chosen is not None, "the solver vouches for the ports"
        ports[need.id] = {dev: index.ports[port] for (dev, _, _), port in zip(need.devs, chosen, strict=True)}
    networks = {
        label: index.networks[number][1] for label, number in zip(problem.labels, solution.networks, strict=True)
    }
    return Match(hosts, ports, networks)


def describe(match: Match) -> str:
    """A match for people, a line for each host: "m1 = dut3 (pool lab1): eth0 = enp1s0 on net1"."""
    lines = []
    for need, host in match.hosts.items():
        ports = [
            f"{dev} = {port.id}" + (f" on {port.network}" if port.network else "")
            for dev, port in match.ports.get(need, {}).items()
        ]
        line = f"{need} = {host.name} (pool {host.pool})"
        lines.append(f"{line}: {', '.join(ports)}" if ports else line)
    return "\n".join(lines)


def no_match(
    requirements: Requirements,
    inventory: Inventory,
    *,
    allow_virtual: bool = False,
    exclude: Collection[str] = frozenset(),
    share_networks: bool = False,
    **_options: Any,
) -> NoMatch:
    """The error to raise when a mapper found nothing, with the explanation; takes a mapper's options."""
    from shakeout.matching.explain import explain

    limits = Limits(share_networks=share_networks, allow_virtual=allow_virtual, exclude=frozenset(exclude))
    return NoMatch(explain(requirements, inventory, limits).text)
