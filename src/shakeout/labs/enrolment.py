"""Taking a host into a pool: it is looked at, its file is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from shakeout.errors import UnknownName, UsageError, did_you_mean
from shakeout.hosts.dialing import Access, Endpoint, dial
from shakeout.hosts.look import Look
from shakeout.labs.hostfile import Draft, Other, as_name, check_new, draft, text_of, write_file
from shakeout.labs.pools import read_pool
from shakeout.labs.survey import PATIENCE, survey, without_root
from shakeout.matching.inventory import HostEntry
from shakeout.wire.address import parse_address

#: Seconds that the pool's other hosts have to say whom they see; without them less can be guessed.
_OTHERS_PATIENCE = 5.0


class Added(msgspec.Struct, frozen=True):
    """A host's file that was written.

    Attributes:
        remarks: what else a person should know, in words.
    """

    path: Path
    draft: Draft
    remarks: tuple[str, ...] = ()


def enrol(
    target: str,
    pool: str,
    configured: Mapping[str, Path],
    access: Access,
    *,
    via: str = "",
    name: str = "",
    replace: bool = False,
    command: str = "shakeout pool add",
) -> Added:
    """Look at the host *target* and write its file into *pool*.

    Args:
        target: USER@HOST[:PORT] (ssh), HOST[:PORT] (TLS), or the path of an agent's socket.
        pool: a configured pool's name, or a directory, which is made if need be.
        via: "ssh", "tls" or "unix", where *target* does not say.
        name: the host's name in the pool; "" for its own.
        command: for the file's first line.

    Raises:
        UsageError: a target or name that is none, a file that is there.
        HostError: the host does not answer, or not to us.
    """
    endpoint = endpoint_of(target, via, name)
    folder = _folder(pool, configured)
    entries = read_pool(pool, folder) if folder.is_dir() else []
    with Look(target, dial(endpoint, access), timeout=PATIENCE) as look:
        inspection, limits = look.inspect(), without_root(look.props)
    others, silent = _others(entries, access)
    made = draft(
        name or _own_name(endpoint, inspection), msgspec.structs.replace(endpoint, name=""), inspection, others
    )
    check_new(made, entries, replace=replace)
    path = write_file(folder, made.name, text_of(made, command), replace=replace)
    remarks = [limits] if limits else []
    if silent:
        remarks.append(f"{', '.join(silent)} did not answer, and may have known more of who is cabled to whom")
    return Added(path, made, tuple(remarks))


def endpoint_of(target: str, via: str, name: str) -> Endpoint:
    """How *target* is reached.

    Raises:
        UsageError: it cannot be reached so.
    """
    user, at, address = target.rpartition("@")
    via = via or ("unix" if "/" in target else "ssh" if at else "tls")
    if via == "unix":
        return Endpoint("unix", str(Path(target).absolute()))
    if not address or "/" in address or (at and not user) or address.startswith("-") or user.startswith("-"):
        raise UsageError(
            f"{target!r} is no host; say USER@HOST (ssh), HOST:PORT (TLS), or the path of an agent's socket"
        )
    if via == "tls":
        if user:
            raise UsageError(f"{target}: over TLS nobody logs in as {user!r}; leave that out, or say --via ssh")
        host, _ = parse_address(address)
        return Endpoint("tls", address, name=name or ("" if _is_number(host) else host.partition(".")[0]))
    return Endpoint("ssh", address, user)


def _own_name(endpoint: Endpoint, inspection: Mapping[str, Any]) -> str:
    if endpoint.name:
        return as_name(endpoint.name)
    host = endpoint.address if endpoint.via == "ssh" else ""
    host = host.rpartition(":")[0] if host.count(":") == 1 else host
    known = host if host and not _is_number(host) else str(inspection.get("hostname") or "host")
    return as_name(known.partition(".")[0])


def _is_number(host: str) -> bool:
    """Whether it is an address rather than a name."""
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _folder(pool: str, configured: Mapping[str, Path]) -> Path:
    if pool in configured:
        return configured[pool]
    path = Path(pool)
    if path.is_dir():
        return path
    if path.exists():
        raise UsageError(f"{pool} is a file; a pool is a directory of host files: --pool {path.parent}")
    if "mean" in did_you_mean(pool, configured):
        raise UnknownName("pool", pool, configured, f"for a new directory of this name say --pool ./{pool}")
    return path


def _others(entries: Sequence[HostEntry], access: Access) -> tuple[list[Other], list[str]]:
    """The pool's hosts with what they say, and the names of those that do not answer."""
    sights = {sight.name: sight for sight in survey(entries, access, timeout=_OTHERS_PATIENCE)}
    silent = [name for name, sight in sights.items() if sight.state == "unreachable"]
    return [Other(entry, sights[entry.name].inspection) for entry in entries], sorted(silent)
