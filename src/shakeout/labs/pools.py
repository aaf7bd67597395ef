"""Pools: directories of host files, and connections to the hosts that they describe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakeout.errors import BadDocument, BadInventory, HostError, UnknownName, UsageError
from shakeout.hosts.dialing import Access, Endpoint, dial, make_room
from shakeout.labs.poolcache import PoolCache
from shakeout.labs.provider import Opened, PoolManager
from shakeout.matching.inventory import HostEntry, Inventory, Port
from shakeout.matching.mapper import Match
from shakeout.matching.requirements import Requirements
from shakeout.wire.transports import Transport

if TYPE_CHECKING:
    from os import DirEntry


class DirectoryPools:
    """Hosts from pool directories.

    Args:
        folders: pool name -> directory.
        access: what this controller reaches hosts with.

    Raises:
        BadDocument: host files that cannot be read; every error with its place.
        BadInventory: hosts or addresses that are there twice.
    """

    def __init__(self, folders: Mapping[str, Path], access: Access | None = None) -> None:
        self._access = access or Access()
        self.name = ", ".join(folders)
        cache = None if self._access.cache == Access().cache else self._access.cache
        entries = [entry for pool, folder in folders.items() for entry in read_pool(pool, folder, cache)]
        if not entries:
            places = ", ".join(str(folder) for folder in folders.values())
            raise BadInventory(f"there are no hosts in {places}: a host is described by a file of its own, *.yaml")
        self._inventory = Inventory(entries)

    @property
    def hosts(self) -> Inventory:
        """All hosts of the pools."""
        return self._inventory

    def inventory(self, requirements: Requirements) -> Inventory:
        """All hosts of the pools."""
        return self._inventory

    def open(self, match: Match, without: Collection[str] = ()) -> Opened:
        """Connect to all hosts of *match*, at the same time, but for those that are required as *without*."""
        transports, failures = self._dial({need: host for need, host in match.hosts.items() if need not in without})
        if failures:
            for transport in transports.values():
                transport.close()
        links = {
            host_id: {dev: port.hwaddr or port.id for dev, port in ports.items()}
            for host_id, ports in match.ports.items()
        }
        addresses = {host_id: entry.endpoint.text() for host_id, entry in match.hosts.items()}
        return Opened(transports, links, failures, addresses)

    def _dial(self, hosts: Mapping[str, HostEntry]) -> tuple[dict[str, Transport], dict[str, str]]:
        """Connections by id of the required host, and why there is none by the host's name."""
        transports: dict[str, Transport] = {}
        failures: dict[str, str] = {}

        def attempt(host_id: str) -> None:
            entry = hosts[host_id]
            try:
                transports[host_id] = dial(entry.endpoint, self._access)
            except HostError as error:
                failures[entry.name] = str(error)

        if all(entry.endpoint.via == "unix" for entry in hosts.values()):
            for host_id in hosts:  # takes no time worth a thread
                attempt(host_id)
            return transports, failures
        from concurrent.futures import ThreadPoolExecutor

        make_room(len(hosts))
        with ThreadPoolExecutor(min(64, len(hosts)), "dial") as threads:
            list(threads.map(attempt, hosts))
        return transports, failures

    def release(self) -> None:
        """Hosts of pools were there before, and stay."""

    def keep(self) -> str:
        """Their agents keep them, until they are told otherwise."""
        return self.name

    def close(self) -> None:
        """Nothing is open between parts."""


def pool_folders(configured: Mapping[str, Path], named: Sequence[str]) -> dict[str, Path]:
    """The directories of the pools that a run uses, by name: those *named*, else all *configured*.

    Raises:
        UnknownName: a name that is neither a configured pool nor a directory.
    """
    if not named:
        return dict(configured)
    folders: dict[str, Path] = {}
    for name in named:
        if name in configured:
            folders[name] = configured[name]
        elif Path(name).is_dir():
            if Path(name).resolve() not in {folder.resolve() for folder in folders.values()}:
                folders[_called(Path(name), configured, folders)] = Path(name)
        elif Path(name).exists():
            raise UsageError(f"{name} is a file; a pool is a directory of host files: say {Path(name).parent}")
        else:
            raise UnknownName("pool", name, configured, "name a configured pool, or a directory of host files (*.yaml)")
    return folders


def _called(folder: Path, configured: Mapping[str, Path], taken: Collection[str]) -> str:
    """What the pool in a directory that was named is called: as configured, else as short as it is clear."""
    whole = folder.resolve()
    for name, other in configured.items():
        if other.resolve() == whole:
            return name
    short = (whole.name, str(folder), str(whole))
    return next((name for name in short if name and name not in taken and name not in configured), str(whole))


def pool_manager_for(
    configured: Mapping[str, Path],
    named: Sequence[str],
    *,
    default: Callable[[], PoolManager],
    access: Access | None = None,
) -> PoolManager:
    """The hosts of `pool_folders`; without any pool, the *default* laboratory.

    Raises:
        UnknownName, BadDocument, BadInventory: a pool that is none.
    """
    folders = pool_folders(configured, named)
    return DirectoryPools(folders, access) if folders else default()


def read_pool(pool: str, folder: Path, cache: Path | None = None) -> list[HostEntry]:
    """The hosts of one pool.

    Args:
        cache: a folder for what can be made again: the second time it is much quicker.

    Raises:
        BadDocument: files that are no host descriptions; all of them, each error with its place.
        BadInventory: there is no such folder, or it cannot be read.
    """
    import os

    try:
        files = sorted((one for one in os.scandir(folder) if _describes(one.name)), key=lambda one: one.name)
    except FileNotFoundError:
        raise BadInventory(f"pool {pool}: there is no directory {folder}") from None
    except OSError as error:
        raise BadInventory(f"pool {pool}: {folder} cannot be read: {error.strerror}") from error
    known = PoolCache(cache, folder) if cache is not None else None
    problems: list[str] = []
    entries: list[HostEntry] = []
    for file in files:
        path = folder / file.name
        try:
            entries.append(_entry(pool, (known and known.find(file)) or _read(path, file, known), path))
        except BadDocument as error:
            problems += error.problems
    if problems:
        raise BadDocument(problems)
    if known is not None:
        known.save()
    return entries


def _describes(name: str) -> bool:
    """Whether a file of this name describes a host."""
    return name.endswith((".yaml", ".yml", ".json")) and not name.startswith(".")


def _read(path: Path, file: DirEntry[str], known: PoolCache | None) -> dict[str, Any]:
    from shakeout.config.documents import load
    from shakeout.config.schemas import schema_of

    data: dict[str, Any] = load(path, schema=schema_of("pool")).data
    if known is not None:
        known.put(file, data)
    return data


def _entry(pool: str, data: dict[str, Any], file: Path) -> HostEntry:
    host = data["host"]
    ports = tuple(
        Port(
            interface["id"],
            interface.get("network", ""),
            interface.get("hwaddr", "").lower(),
            interface.get("params", {}),
        )
        for interface in data.get("interfaces", ())
    )
    endpoint = Endpoint(
        host.get("via", "tls"), host["address"], host.get("user", ""), host.get("python", ""), host.get("sudo"),
        host["name"],
    )  # fmt: skip
    return HostEntry(
        host["name"], pool, data.get("params", {}), ports, endpoint, virtual=host.get("virtual", False),
        source=str(file),
    )  # fmt: skip
