"""The file of a host that is new in a pool: written from what its agent says, with what was guessed marked as such."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from shakeout.config.documents import parse
from shakeout.config.schemas import schema_of
from shakeout.errors import BadInventory, UsageError
from shakeout.files.placing import place
from shakeout.hosts.dialing import Endpoint
from shakeout.matching.inventory import HostEntry
from shakeout.wire.harmless import one_line

#: What needs no quotes in YAML, wherever it stands.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "nan", "inf"))
_HWADDR = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Other(msgspec.Struct, frozen=True):
    """A host that is in the pool already, and what its agent says (empty if it did not answer)."""

    entry: HostEntry
    inspection: Mapping[str, Any] = {}


class Interface(msgspec.Struct, frozen=True):
    """One interface of the new file.

    Attributes:
        why: what its network was guessed from; "" if from nothing.
    """

    id: str
    hwaddr: str
    network: str
    params: Mapping[str, Any]
    why: str = ""


class Draft(msgspec.Struct, frozen=True):
    """A host file to be written.

    Attributes:
        left_out: interfaces that cannot be tested with: name, and why.
    """

    name: str
    endpoint: Endpoint
    params: Mapping[str, Any]
    interfaces: tuple[Interface, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def to_check(self) -> list[str]:
        """What a person should look at, in words."""
        guessed = [one.id for one in self.interfaces if not one.why]
        lines = [f"{one.id} is taken to be on {one.network}: {one.why}" for one in self.interfaces if one.why]
        if guessed:
            lines.append(
                f"nothing says what {', '.join(guessed)} {'is' if len(guessed) == 1 else 'are'} cabled to: give "
                "interfaces that are on one network, on all hosts of the pool, the same name of a network"
            )
        lines += [f"{name} is left out: {why}" for name, why in self.left_out]
        if not self.interfaces:
            lines.append("no interface can be tested with, as far as can be seen; add those that can by hand")
        return lines


def draft(name: str, endpoint: Endpoint, inspection: Mapping[str, Any], others: Sequence[Other]) -> Draft:
    """What is known of a host that calls itself *name*.

    Args:
        inspection: see `shakeout.agent.inspection`.
        others: the pool's hosts, to guess networks from whom they see.
    """
    links = [one for one in inspection.get("interfaces", ()) if isinstance(one, dict) and one.get("name")]
    chosen = [one for one in links if one.get("candidate")]
    left_out = tuple(
        (str(one["name"]), reason) for one in links if not one.get("candidate") and (reason := _unfit(one))
    )
    interfaces: list[Interface] = []
    for link in chosen:
        id_ = as_name(str(link["name"]))
        hwaddr = str(link.get("hwaddr", "")).lower()
        network, why = _network(link, inspection, others)
        params = {key: value for key in ("driver", "speed") if (value := link.get(key))}
        interfaces.append(
            Interface(id_, hwaddr if _HWADDR.fullmatch(hwaddr) else "", network or f"{name}-{id_}", params, why)
        )
    arch = inspection.get("arch")
    return Draft(name, endpoint, {"arch": arch} if arch else {}, tuple(interfaces), left_out)


def text_of(made: Draft, command: str) -> str:
    """The file's text.

    Raises:
        BadDocument: it would not be a host's description (a mistake of ours, or a very strange host).
    """
    text = "\n".join(_lines(made, command)) + "\n"
    parse(text, schema=schema_of("pool"), name=f"{made.name}.yaml")
    return text


def write_file(folder: Path, name: str, text: str, *, replace: bool = False) -> Path:
    """Write a host's file into a pool's folder, which is made if need be; whole or not at all.

    Raises:
        UsageError: there is one already, and it is not to be replaced; or there is no room.
    """
    path = folder / f"{name}.yaml"
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UsageError(f"{folder} is a file; a pool is a directory of host files") from None
        place(path, text.encode(), new=not replace)
    except FileExistsError:
        raise UsageError(f"{path} is there already; --force replaces it, --name NAME gives this host another") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return path


def check_new(made: Draft, others: Sequence[HostEntry], *, replace: bool = False) -> None:
    """See whether the host fits into its pool.

    Raises:
        BadInventory: its name, or one of its hardware addresses, is another host's.
    """
    hosts = [host for host in others if host.name != made.name]
    if not replace and (same := next((host for host in others if host.name == made.name), None)) is not None:
        raise BadInventory(
            f"{made.name} is in the pool already, in {same.place}; --force replaces its file, --name NAME gives this "
            "host another name"
        )
    owners = {port.hwaddr: (host, port) for host in hosts for port in host.ports if port.hwaddr}
    for one in made.interfaces:
        if one.hwaddr in owners:
            host, port = owners[one.hwaddr]
            raise BadInventory(
                f"this host seems to be in the pool already: its {one.id} ({one.hwaddr}) is {host.name}.{port.id} in "
                f"{host.place}"
            )


def _lines(made: Draft, command: str) -> Iterator[str]:
    endpoint = made.endpoint
    host = {"name": made.name, "address": endpoint.address, "via": endpoint.via}
    host |= {key: value for key in ("user", "python") if (value := getattr(endpoint, key))}
    if endpoint.sudo is not None:
        host |= {"sudo": endpoint.sudo}  # type: ignore[dict-item]
    yield f"# Written by `{one_line(command, 500)}`, {time.strftime('%Y-%m-%d')}: look it over before you rely on it."
    yield f"host: {_flow(host)}"
    yield f"params: {_flow(made.params)}  # what recipes may ask for: add rack, location, whatever tells hosts apart"
    if made.interfaces:
        yield "interfaces:"
    for one in made.interfaces:
        if one.why:
            yield f"  # {one.network}: {one.why}"
        else:
            yield f"  # A guess: nothing was seen that says what {one.id} is cabled to. Interfaces that are on one"
            yield "  # network have the same name of a network, on all hosts of the pool."
        fields: dict[str, Any] = {"id": one.id}
        fields |= {"hwaddr": one.hwaddr} if one.hwaddr else {}
        fields |= {"network": one.network}
        fields |= {"params": one.params} if one.params else {}
        yield f"  - {_flow(fields)}"
    for name, why in made.left_out:
        yield f"# Left out: {name}, because {why}."


def _flow(values: Mapping[str, Any]) -> str:
    """A mapping in YAML's flow style, which JSON is a part of."""
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in values.items()) + "}"


def _scalar(value: Any) -> str:
    if isinstance(value, Mapping):
        return _flow(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return f'"{"".join(map(_character, value))}"' if isinstance(value, str) else msgspec.json.encode(value).decode()


def _character(char: str) -> str:
    """A character within double quotes."""
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def as_name(text: str) -> str:
    """*text* as a name of the pool's format."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", text)
    return name if re.match(r"[A-Za-z0-9_]", name) else f"_{name}"


def _unfit(link: Mapping[str, Any]) -> str:
    """Why an interface is not one to test with; "" if that goes without saying."""
    if link.get("kind") == "loopback":
        return ""
    if link.get("connection"):
        return "it carries the connection to the host"
    if link.get("default_route"):
        return "the host's default route leads through it"
    if master := link.get("master"):
        return f"it is a part of {as_name(str(master))}"
    if kind := link.get("kind"):
        return f"it is virtual ({as_name(str(kind))})"
    return "it is no network card"


def _network(link: Mapping[str, Any], inspection: Mapping[str, Any], others: Sequence[Other]) -> tuple[str, str]:
    """The network that an interface is probably on, and why; empty if nothing says so."""
    name, hwaddr = str(link["name"]), str(link.get("hwaddr", "")).lower()
    seen = _seen_by(inspection, name)
    for other in others:
        for port in other.entry.ports:
            if port.network and port.hwaddr and port.hwaddr in seen:
                return port.network, f"it sees {other.entry.name}.{port.id} ({port.hwaddr})"
    switches = _switches(inspection)
    for other in others:
        theirs = _switches(other.inspection)
        for port in other.entry.ports:
            there = _link_of(port.hwaddr or port.id, other.inspection)
            if not port.network or not there:
                continue
            if hwaddr and hwaddr in _seen_by(other.inspection, there):
                return port.network, f"{other.entry.name}.{port.id} sees it"
            switch = switches.get(name)
            if switch and switch == theirs.get(there):
                return port.network, f"it is on the same switch ({as_name(switch)}) as {other.entry.name}.{port.id}"
    if switch := switches.get(name):
        return as_name(switch), f"LLDP says that it is on the switch {as_name(switch)} (which may have several VLANs)"
    return "", ""


def _seen_by(inspection: Mapping[str, Any], link: str) -> set[str]:
    """The hardware addresses that were seen at a link."""
    neighbours = inspection.get("neighbours")
    rows = neighbours.get(link, ()) if isinstance(neighbours, Mapping) else ()
    return {str(row.get("hwaddr", "")).lower() for row in rows if isinstance(row, Mapping)}


def _switches(inspection: Mapping[str, Any]) -> dict[str, str]:
    """By link: the switch that it is plugged into, as LLDP says."""
    rows = [row for row in inspection.get("lldp") or () if isinstance(row, Mapping)]
    return {str(row.get("interface", "")): str(row.get("system") or row.get("chassis") or "") for row in rows}


def _link_of(port: str, inspection: Mapping[str, Any]) -> str:
    """The link that has this hardware address or name; "" if none has."""
    for one in inspection.get("interfaces", ()):
        if isinstance(one, Mapping) and port in (str(one.get("hwaddr", "")).lower(), one.get("name")):
            return str(one["name"])
    return ""
