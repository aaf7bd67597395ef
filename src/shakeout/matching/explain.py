"""Why nothing matches, in words: what is wanted, and what there is instead."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shakeout.errors import did_you_mean
from shakeout.matching.comparison import ABSENT, number
from shakeout.matching.core import Oracle, cores
from shakeout.matching.index import Index
from shakeout.matching.inventory import HOST_FACTS, PORT_FACTS, HostEntry, Inventory, Port
from shakeout.matching.pairing import members
from shakeout.matching.problem import Limits
from shakeout.matching.requirements import HostReq, Requirements, predicates
from shakeout.matching.togetherness import together
from shakeout.matching.values import Exact, Predicate, shown
from shakeout.matching.wording import count, joined, listed, port_wish, whole_wish, wish, with_labels

#: So many hosts that cannot be had even alone are told of.
_TOLD = 3


class Explanation(msgspec.Struct, frozen=True):
    """Why nothing matches."""

    #: One paragraph.
    text: str
    #: The part of the requirements that it is about: it alone cannot be met, and nothing of it can be left
    #: out (as far as could be found out with bounded effort). Empty if that is the pools' fault alone.
    core: Requirements


def explain(requirements: Requirements, inventory: Inventory, limits: Limits | None = None) -> Explanation:
    """Why *requirements* cannot be met by *inventory*; only asked when nothing matches.

    The effort is bounded: some seconds for the hardest requirements on thousands of hosts.
    """
    limits = limits or Limits()
    oracle = Oracle(inventory, limits)
    if not any(_usable(host, limits) for host in inventory):
        return Explanation(_no_hosts(inventory, limits), Requirements())
    found = cores(requirements, oracle)
    if not found:
        return Explanation("the requirements can be met", Requirements())
    if all(len(core) == 1 for core in found):
        told = [_alone(*next(iter(core)), oracle) for core in found[:_TOLD]]
        if len(found) > _TOLD:
            told.append(f"{len(found) - _TOLD} more required hosts cannot be had either")
        text = "; also, ".join(told)
    else:
        text = together(found[0], requirements, oracle)
    remedies = _remedies(requirements, oracle) if not text.endswith("(set aside)") else ""  # that says it
    return Explanation(text + remedies, found[0])


def _usable(host: HostEntry, limits: Limits) -> bool:
    return host.name not in limits.exclude and (limits.allow_virtual or not host.virtual)


def _no_hosts(inventory: Inventory, limits: Limits) -> str:
    if not len(inventory):
        return "there are no hosts at all: the pools are empty, or no pool was named"
    aside = [host.name for host in inventory if host.name in limits.exclude]
    if len(aside) == len(inventory):
        return f"no host is left: {listed(aside)} {'was' if len(aside) == 1 else 'were'} set aside"
    virtual = len(inventory) - len(aside)
    rest = f", and {listed(aside)} set aside" if aside else ""
    return f"the pools have only virtual hosts ({virtual}), which this run does not allow{rest}"


def _remedies(requirements: Requirements, oracle: Oracle) -> str:
    """What would make a match possible, if that is a matter of the run's options."""
    limits = oracle.limits
    labels = {dev.label for _, req in requirements for _, dev in req if dev.label}
    wider: tuple[tuple[str, object, str], ...] = (
        (
            "share_networks",
            True,
            "it would match if different labels could share a network (share_networks=True)",
        ),
        ("allow_virtual", True, "it would match if virtual hosts were allowed (allow_virtual=True)"),
        (
            "exclude",
            frozenset(),
            f"it would match if {listed(sorted(limits.exclude))} had not been set aside",
        ),
    )
    for option, value, text in wider:
        other = msgspec.structs.replace(limits, **{option: value})
        if other == limits or (option == "share_networks" and len(labels) < 2):
            continue
        if Oracle(oracle.inventory, other).possible(requirements):
            return f"; {text}"
    return ""


def _alone(name: str, req: HostReq, oracle: Oracle) -> str:
    """Why no host can be *name*, even if nothing else were required."""
    index = oracle.tables.index
    wanted = predicates(req, name)
    if len(wanted) == 1 and not req.devs:
        ((prop, predicate),) = wanted.items()
        text = _unmet(name, prop, predicate, index)
        if text:
            return text
    if not req.devs:
        meeting = [index.hosts[host] for host in members(oracle.tables.hosts_meeting(req, name))]
        return _unavailable(name, req, meeting, oracle.limits) if meeting else _several(name, wanted, oracle)
    if len(req.devs) == 1 and not wanted:
        ((dev_id, dev),) = req
        where = f"{name}.{dev_id}"
        ports = predicates(dev, where)
        if len(ports) == 1:
            ((prop, predicate),) = ports.items()
            text = _unmet(where, prop, predicate, index)
            if text:
                return text
        connected = " that is on a network" if dev.label else ""
        return f"{where} wants {port_wish(dev)}{connected}; no available host has one"
    return _ports(name, req, oracle)


def _ports(name: str, req: HostReq, oracle: Oracle) -> str:
    """No host with the right properties has the right ports."""
    problem = oracle.problem(Requirements({name: HostReq(**req.params)}))
    (able,) = problem.domains
    hosts = [problem.index.hosts[host] for host in members(able)]
    start = f"{name} wants {whole_wish(req)}"
    if any(dev.label for _, dev in req):
        rule = "one label is one network" + ("" if oracle.limits.share_networks else ", another label another one")
        start = f"{name} wants {with_labels(req)} ({rule})"
    which = f"{count(len(hosts), 'host')} {'has' if len(hosts) == 1 else 'have'} {wish(req)}, " if req.params else ""
    most = max((len(host.ports) for host in hosts), default=0)
    if most < len(req.devs):
        what = "none of them" if which else "no host"
        return f"{start}; {which}{what} has more than {count(most, 'port')}"
    return f"{start}; {which}{'but none of them has' if which else 'no host has'} such ports"


def _unavailable(name: str, req: HostReq, hosts: list[HostEntry], limits: Limits) -> str:
    """All hosts that would do may not be used."""
    reasons: dict[str, list[str]] = {}
    for host in hosts:
        if host.name in limits.exclude:
            reason = "set aside"
        elif host.virtual and not limits.allow_virtual:
            reason = "virtual, which this run does not allow"
        else:
            reason = "reserved for another requirement"
        reasons.setdefault(reason, []).append(host.name)
    texts = [f"{listed(some)} ({reason})" for reason, some in reasons.items()]
    which = "hosts that would do are" if len(hosts) > 1 else "host that would do is"
    return f"{name} wants {whole_wish(req)}; the only {which} {joined(texts)}"


def _several(name: str, wanted: dict[str, Predicate], oracle: Oracle) -> str:
    """No host has all of several properties."""
    index = oracle.tables.index
    each = []
    for prop, predicate in wanted.items():
        some = len(index.host_column(prop).accepted(predicate))
        each.append(f"{some} {'has' if some == 1 else 'have'} {predicate.text(prop)}")
    texts = [predicate.text(prop) for prop, predicate in wanted.items()]
    return (
        f"{name} wants {joined(texts)}; of {count(len(index.hosts), 'host')}, {joined(each)}, "
        f"but no available one has {'both' if len(each) == 2 else 'all of that'}"
    )


def _unmet(who: str, prop: str, predicate: Predicate, index: Index) -> str:
    """What there is in place of the one property that *who* wants; "" if that is not the reason."""
    of_port = "." in who
    column = index.port_column(prop) if of_port else index.host_column(prop)
    if column.accepted(predicate):
        return ""
    what, facts = ("port", PORT_FACTS) if of_port else ("host", HOST_FACTS)
    things: Sequence[HostEntry | Port] = index.ports if of_port else index.hosts
    start = f"{who} wants {predicate.text(prop)}"
    values = [(value, len(numbers)) for value, numbers in column.entries if value is not ABSENT]
    if not values:
        known = set(facts).union(*(thing.params for thing in things))
        if not known - set(facts):
            return f"{start}; no {what} has any property"
        return f"{start}; no {what} has a property {prop!r}{did_you_mean(prop, known)}"
    total = sum(many for _, many in values)
    have = f"the only {what} with {prop!r} has" if total == 1 else f"the {total} {what}s with {prop!r} have"
    if total == len(things):
        have = f"the only {what} has" if total == 1 else f"the {total} {what}s have"
    near = ""
    if isinstance(predicate, Exact):
        hint = did_you_mean(shown(predicate.args[0]), [shown(value) for value, _ in values])
        near = hint if hint.startswith(" (did") else ""
    return f"{start}; {have} {_values(values)}{near}"


def _values(values: list[tuple[object, int]]) -> str:
    """Values with how often they occur: "x86_64 (2), arm64 (1)", "2 to 16"."""
    numbers = [n for value, _ in values if (n := number(value)) is not None]
    if len(values) > 1 and len(numbers) == len(values):
        return f"{min(numbers)} to {max(numbers)}"
    if len(values) == 1:
        return shown(values[0][0])
    ordered = sorted(values, key=lambda entry: (-entry[1], shown(entry[0])))
    texts = [f"{shown(value)} ({many})" for value, many in ordered[:5]]
    if len(ordered) > 5:
        texts.append(f"{len(ordered) - 5} other values")
    return ", ".join(texts)
