"""Phrases of which explanations are made."""

from __future__ import annotations

from collections.abc import Sequence

from shakeout.matching.requirements import DeviceReq, HostReq
from shakeout.matching.values import as_predicate


def count(number: int, noun: str) -> str:
    """ "no host", "1 host", "3 hosts"."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def joined(texts: Sequence[str], word: str = "and") -> str:
    """ "a", "a and b", "a, b and c"; empty ones are left out."""
    some = [text for text in texts if text]
    if len(some) < 2:
        return "".join(some)
    return f"{', '.join(some[:-1])} {word} {some[-1]}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names, as many as one wants to read: "a, b, c, d and 12 more"."""
    if len(names) <= most + 1:
        return joined(list(names))
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def wish(req: HostReq | DeviceReq) -> str:
    """The properties that *req* wants: "arch=x86_64 and cpus >= 4"; "" if it does not care."""
    return joined([as_predicate(value, name).text(name) for name, value in req.params.items()])


def port_wish(dev: DeviceReq) -> str:
    """ "a port with driver=mlx5_core", "a port"."""
    return f"a port with {wish(dev)}" if wish(dev) else "a port"


def whole_wish(req: HostReq) -> str:
    """All that *req* wants, apart from networks: "arch=x86_64 and a port with driver=e1000"."""
    ports: dict[str, int] = {}
    for _, dev in req:
        ports[port_wish(dev)] = ports.get(port_wish(dev), 0) + 1
    several = [text if n == 1 else f"{n} ports{text.removeprefix('a port')}" for text, n in ports.items()]
    return joined([wish(req), *several]) or "a host"


def with_labels(req: HostReq) -> str:
    """All that *req* wants, interface by interface: "arch=x86_64 and eth0 on label a with driver=e1000"."""
    ports = []
    for dev_id, dev in req:
        on = f"on label {dev.label}" if dev.label else ""
        about = " ".join(filter(None, (dev_id, on, f"with {wish(dev)}" if wish(dev) else "")))
        ports.append(about)
    return joined([wish(req), *ports]) or "a host"
