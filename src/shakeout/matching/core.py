"""The smallest part of requirements that cannot be met: found by leaving things out while nothing matches.

"Smallest" means that nothing more can be left out; where there are several such parts, one within a single
host is preferred, then one among the hosts on one label. Requirements that are exactly alike are changed
together, so that a hundred of them cost no more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from shakeout.matching.index import Index
from shakeout.matching.inventory import Inventory
from shakeout.matching.problem import Limits, Problem
from shakeout.matching.requirements import DeviceReq, HostReq, Requirements
from shakeout.matching.solver import Solver
from shakeout.matching.tables import Tables

#: Effort in choices of the solver: for one question, and in all. What remains unknown is kept.
_STEPS, _EFFORT = 400, 2000
#: Compiling a question for so many pairs of a requirement and a host takes as long as a choice.
_PAIRS = 5000
#: Small parts are only looked at one by one if there are no more hosts of different kinds than that.
_KINDS = 40


class Oracle:
    """Answers whether reduced requirements can be met, until the effort is spent."""

    def __init__(self, inventory: Inventory, limits: Limits) -> None:
        self.inventory = inventory
        self.limits = limits
        self.tables = Tables(Index.of(inventory))
        self._left = _EFFORT

    def problem(self, requirements: Requirements) -> Problem:
        """*requirements*, compiled for this inventory."""
        return Problem(requirements, self.inventory, self.limits, self.tables)

    def possible(self, requirements: Requirements) -> bool:
        """Whether it is certain that *requirements* can be met."""
        return self._feasible(requirements) is True

    def impossible(self, requirements: Requirements) -> bool:
        """Whether it is certain that *requirements* cannot be met."""
        return self._feasible(requirements) is False

    def _feasible(self, requirements: Requirements) -> bool | None:
        if self._left <= 0:
            return None
        solver = Solver(self.problem(requirements), limit=min(_STEPS, self._left))
        answer = solver.feasible()
        self._left -= 1 + solver.steps + len(requirements) * len(self.inventory) // _PAIRS
        return answer


def cores(requirements: Requirements, oracle: Oracle) -> list[Requirements]:
    """Parts of *requirements* that cannot be met, each as small as possible.

    Returns:
        One for each kind of host that cannot be had even alone; if there is none, a single one, which is
        all of the requirements if even that they cannot be met would take too long to find out again. None
        if they can be met.
    """
    kinds = list(_kinds(requirements).values())
    alone = [Requirements({members[0]: requirements[members[0]]}) for members in kinds]
    impossible = [part for part in alone if oracle.impossible(part)]
    if impossible:
        return [_shrunk(part, oracle) for part in impossible]
    if len(kinds) <= _KINDS:
        for part in _on_labels(requirements):
            if oracle.impossible(part):
                return [_shrunk(part, oracle)]
    if oracle.impossible(requirements):
        return [_shrunk(requirements, oracle)]
    return [] if oracle.possible(requirements) else [requirements]


def _kinds(requirements: Requirements) -> dict[str, list[str]]:
    """The ids of the required hosts, grouped by what they want."""
    found: dict[str, list[str]] = {}
    for name, req in requirements:
        found.setdefault(repr((req, [dev for _, dev in req])), []).append(name)
    return found


def _on_labels(requirements: Requirements) -> Iterator[Requirements]:
    """For each label, the hosts on it with their interfaces there."""
    labels = dict.fromkeys(str(dev.label) for _, req in requirements for _, dev in req if dev.label)
    for label in labels:
        part = Requirements()
        for name, req in requirements:
            here = [(dev_id, dev) for dev_id, dev in req if dev.label == label]
            if here:
                part[name] = HostReq(**req.params)
                for dev_id, dev in here:
                    setattr(part[name], dev_id, dev)
        yield part


def _shrunk(requirements: Requirements, oracle: Oracle) -> Requirements:
    """*requirements*, which cannot be met, without all that can be left out."""
    current = _fewest_hosts(requirements, oracle)
    for names in _kinds(current).values():
        for less in _reductions(current[names[0]]):
            # An earlier reduction may have taken away what this one is about: then it changes nothing.
            reduced = Requirements({n: less.of(req) if n in names else req for n, req in current})
            if reduced != current and oracle.impossible(reduced):
                current = reduced
    return current


def _fewest_hosts(requirements: Requirements, oracle: Oracle) -> Requirements:
    """*requirements* with as few hosts of each kind as still cannot be met; the first ones are kept."""
    kept = dict(requirements)
    for names in reversed(_kinds(requirements).values()):
        low, high = 0, len(names)  # impossible with `high` of them; bisect, as more are never easier
        while low < high:
            middle = (low + high) // 2
            gone = set(names[middle:])
            if oracle.impossible(Requirements({n: req for n, req in kept.items() if n not in gone})):
                high = middle
            else:
                low = middle + 1
        for name in names[high:]:
            del kept[name]
    return Requirements(kept)


class _Less(msgspec.Struct, frozen=True):
    """Something to be left out of a required host."""

    #: The interface that it is about; "": the host itself.
    dev: str = ""
    #: The property to leave out; "": the whole interface, or its label.
    prop: str = ""
    label: bool = False

    def of(self, req: HostReq) -> HostReq:
        """*req* without it."""
        copy = HostReq(**_without(req.params, "" if self.dev else self.prop))
        for dev_id, dev in req:
            if dev_id != self.dev:
                setattr(copy, dev_id, dev)
            elif self.label:
                setattr(copy, dev_id, DeviceReq(None, **dev.params))
            elif self.prop:
                setattr(copy, dev_id, DeviceReq(dev.label, **_without(dev.params, self.prop)))
        return copy


def _reductions(req: HostReq) -> Iterator[_Less]:
    """What can be left out of *req*: an interface, a label, a property; coarse ones first."""
    yield from [_Less(dev_id) for dev_id in reversed(tuple(req.devs))]
    for dev_id, dev in req:
        yield _Less(dev_id, label=True)
        yield from [_Less(dev_id, prop) for prop in reversed(tuple(dev.params))]
    yield from [_Less("", prop) for prop in reversed(tuple(req.params))]


def _without(params: Mapping[str, object], gone: str) -> dict[str, object]:
    return {name: value for name, value in params.items() if name != gone}
