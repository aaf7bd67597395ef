"""Why several required hosts, each of which could be had alone, cannot be had together; in words."""

from __future__ import annotations

from shakeout.matching.core import Oracle
from shakeout.matching.pairing import fits, members
from shakeout.matching.problem import Problem
from shakeout.matching.requirements import HostReq, Requirements
from shakeout.matching.wording import count, joined, listed, whole_wish, wish, with_labels

#: In a list of what each host wants, so many stand for all.
_SHOWN = 4


def together(core: Requirements, requirements: Requirements, oracle: Oracle) -> str:
    """Why *core*, a part of *requirements* of which each host could be had alone, cannot be met."""
    problem = oracle.problem(core)
    alike = len(set(problem.twins)) == 1
    names = [name for name, _ in core]
    if not problem.labels:
        return _too_few(core, problem, names, alike)
    if len(problem.labels) > 1 or not all(req.devs and all(d.label for _, d in req) for _, req in core):
        return _several_labels(core, problem)
    if alike:
        return _no_room(core, problem, names)
    # What else the other hosts want is not needed for the contradiction, but it may make it plainer.
    whole = Requirements(core)
    for name in names[:-1]:
        whole[name] = HostReq(**requirements[name].params)
        for dev_id in core[name].devs:
            setattr(whole[name], dev_id, requirements[name].devs[dev_id])
    for others in (whole, core):
        text = _far_apart(others, oracle.problem(others), names)
        if text:
            return text
    return _several_labels(core, problem)


def _too_few(core: Requirements, problem: Problem, names: list[str], alike: bool) -> str:
    able = 0
    for domain in problem.domains:
        able |= domain
    hosts = [problem.index.hosts[host].name for host in members(able)]
    number = len(hosts)
    if alike:
        wanted = whole_wish(core[names[0]])
        if wanted == "a host":
            are = "is" if number == 1 else "are"
            return f"{len(names)} hosts are wanted ({listed(names)}); there {are} only {number}: {listed(hosts)}"
        verb = "has that" if number == 1 else "have that"
        return f"{listed(names)} each want {wanted}; only {count(number, 'host')} {verb}: {listed(hosts)}"
    if number < len(names):
        return f"{_wants(core)}; only {count(number, 'host')} would do for any of these {len(names)}: {listed(hosts)}"
    return f"{_wants(core)}; there are hosts for each, but not enough different ones"


def _no_room(core: Requirements, problem: Problem, names: list[str]) -> str:
    """No network has enough hosts for several that are alike."""
    ((need, table, _),) = problem.users[0]
    sizes = [((problem.domains[need] & hosts).bit_count(), -network) for network, hosts in table.items()]
    most, network = max(sizes)
    where = problem.index.networks[-network][1]
    return (
        f"{listed(names)} each want {whole_wish(core[names[0]])} on one network (label {problem.labels[0]}); "
        f"no network has more than {count(most, 'such host')} ({where} has {most})"
    )


def _far_apart(core: Requirements, problem: Problem, names: list[str]) -> str:
    """The last host cannot be on the network of the others; "" if they cannot even be on one themselves."""
    *others, last = names
    tables = [problem.tables.table(need.groups[0]) for need in problem.needs]
    networks = [
        network
        for network in range(len(problem.index.networks))
        if fits([(problem.domains[n] & tables[n].get(network, 0), 1) for n in range(len(others))])
    ]
    if not networks:
        return ""
    able, there = problem.domains[-1], 0
    for network in networks:
        there |= tables[-1].get(network, 0) & able
    ports = [f"{name}.{dev}" for name in others for dev in core[name].devs]
    start = f"{_subject(last, core[last])} on the network of {listed(ports)} (label {problem.labels[0]})"
    where = _networks(problem, networks)
    can = f"{count(able.bit_count(), 'host')} {'has' if able.bit_count() == 1 else 'have'} that"
    if not there:
        return f"{start}; {can}, none on {where}, where {listed(others)} could be"
    here = [problem.index.hosts[host].name for host in members(there)]
    return f"{start}; {can}, but on {where} only {listed(here)}, needed for {listed(others)} as well"


def _several_labels(core: Requirements, problem: Problem) -> str:
    parts, domains = [], problem.domains
    for number, label in enumerate(problem.labels):
        networks = [
            network
            for network in range(len(problem.index.networks))
            if fits([(domains[n] & table.get(network, 0), many) for n, table, many in problem.users[number]])
        ]
        parts.append(f"label {label} could be {_networks(problem, networks)}")
    if len(core) > _SHOWN:
        names = listed([name for name, _ in core])
        about = f"{names} ({len(core)} hosts on {len(parts)} networks)"
    else:
        about = f"{_wants(core)}"
    choices = f"; taken alone, {', '.join(parts)}" if len(parts) <= _SHOWN else ""
    return f"{about}: each can be had, but not all at once{choices}"


def _networks(problem: Problem, networks: list[int]) -> str:
    names = [problem.index.networks[network][1] for network in networks]
    if len(names) > 5:
        return f"any of {len(names)} networks"
    return joined(names, "or") or "no network"


def _subject(name: str, req: HostReq) -> str:
    devs = list(req)
    if len(devs) == 1 and not req.params:
        dev_id, dev = devs[0]
        return f"{name}.{dev_id} wants {wish(dev) or 'a port'}"
    return f"{name} wants {whole_wish(req)}"


def _wants(core: Requirements) -> str:
    """What each host wants: "m1 wants arch=x86_64; m2 wants a port"."""
    texts = [f"{name} wants {with_labels(req)}" for name, req in core]
    more = [f"and so on for {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "; ".join(texts[:_SHOWN] + more)
