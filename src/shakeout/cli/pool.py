"""``shakeout pool``: the hosts of pools, how they are, and whose."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shakeout.cli.duration import Duration
from shakeout.cli.program import leave
from shakeout.cli.table import Column, cells, format_option, print_fields, print_json, print_table
from shakeout.errors import UsageError

if TYPE_CHECKING:
    from shakeout.hosts.dialing import Access
    from shakeout.labs.survey import Sight
    from shakeout.matching.inventory import HostEntry, Inventory

F = TypeVar("F", bound=Callable[..., Any])

_SHORT_TIME = "90s, 30m, 2h, 1d"


def _pool_option(command: F) -> F:
    return click.option(
        "--pool", "pools", multiple=True, metavar="NAME|DIR",
        help="Of this pool; may be repeated (default: all configured pools).",
    )(command)  # fmt: skip


@click.group()
def pool() -> None:
    """List, check, add and reserve the hosts of pools."""


@pool.command(
    "list",
    short_help="List the hosts of pools, as their files say.",
    epilog="""\b
Examples:
  shakeout pool list
  shakeout pool list --pool lab --format json
""",
)
@_pool_option
@format_option
def list_hosts(pools: tuple[str, ...], form: str) -> None:
    """List the hosts of pools, as their files describe them; no host is asked."""
    from shakeout.labs.survey import way

    inventory, _ = _opened(pools)
    if form == "json":
        print_json([_as_json(entry) for entry in inventory])
        return
    columns = [Column("HOST"), Column("POOL"), Column("REACHED VIA"), Column("INTERFACES", wraps=True),
               Column("PARAMS", wraps=True)]  # fmt: skip
    print_table(columns, [[e.name, e.pool, way(e.endpoint), _ports(e), _params(e.params)] for e in inventory])


@pool.command(
    short_help="Ask hosts how they are.",
    epilog="""\b
Examples:
  shakeout pool check
  shakeout pool check dut1 dut2 --pool lab
""",
)
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@_pool_option
@click.option(
    "--timeout", type=Duration(), default=15.0, metavar="DURATION", help="What each host has to answer (15s)."
)
@format_option
def check(hosts: tuple[str, ...], pools: tuple[str, ...], timeout: float, form: str) -> None:
    """Ask all hosts, or HOST…, at the same time: who answers, who has it, whether it is as its file says.

    Nothing is changed, and no host is taken. The exit status is 1 if one did not answer.
    """
    from shakeout.labs.survey import survey

    inventory, access = _opened(pools)
    entries = _chosen(inventory, hosts)
    columns = [Column("HOST"), Column("STATE"), Column("RELEASE"), Column("KERNEL"), Column("TOOK", right=True),
               Column("REMARKS", wraps=True)]  # fmt: skip
    live = form == "table" and sys.stdout.isatty()
    sights: list[Sight] = []
    width = max((cells(entry.name) for entry in entries), default=0)
    for sight in survey(entries, access, timeout=timeout):
        sights.append(sight)
        if live:
            name, state, *more = _row(sight)
            click.echo("  ".join(text for text in (name.ljust(width), state.ljust(11), *more) if text).rstrip())
    order = {entry.name: number for number, entry in enumerate(entries)}
    sights.sort(key=lambda sight: order[sight.name])
    if form == "json":
        print_json([_sight_json(sight) for sight in sights])
    elif not live:
        print_table(columns, [_row(sight) for sight in sights])
    silent = sum(1 for sight in sights if sight.state == "unreachable")
    if silent and form == "table":
        click.echo(f"{silent} of {len(sights)} {'hosts do' if silent != 1 else 'does'} not answer", err=True)
    leave(1 if silent else 0)


@pool.command(
    short_help="Show one host: its file, what it says, who has it.",
    epilog="""\b
Examples:
  shakeout pool show dut1
""",
)
@click.argument("host")
@_pool_option
@format_option
def show(host: str, pools: tuple[str, ...], form: str) -> None:
    """Show HOST: what its file says, what its agent says, who has it and whom it is reserved for."""
    from shakeout.labs.survey import survey, way

    inventory, access = _opened(pools)
    entry = inventory[host]
    (sight,) = survey([entry], access)
    if form == "json":
        print_json({"file": _as_json(entry), **_sight_json(sight), "inspection": dict(sight.inspection)})
    else:
        fields = [("host", f"{entry.name} (pool {entry.pool}, {entry.source})"), ("reached via", way(entry.endpoint)),
                  ("params", _params(entry.params)), ("interfaces", "\n".join(_port_lines(entry, sight))),
                  ("state", _state(sight)), ("differs", "\n".join(sight.differs)),
                  ("shakeout", sight.release)]  # fmt: skip
        print_fields(
            [*fields, *((name, _property(name, value)) for name, value in sight.props.items() if value not in ("", []))]
        )
    leave(1 if sight.state == "unreachable" else 0)


@pool.command(
    short_help="Write the file of a host that is new in a pool.",
    epilog="""\b
Examples:
  shakeout pool add root@dut1 --pool lab          over ssh
  shakeout pool add dut1.lab:9999 --pool lab      the agent there listens, over TLS
  shakeout pool add /run/shakeout.sock --pool lab --name here
""",
)
@click.argument("target", metavar="[USER@]HOST[:PORT]|SOCKET")
@click.option(
    "--pool", "pool_name", required=True, metavar="NAME|DIR", help="The pool; a directory is made if need be."
)
@click.option("--via", type=click.Choice(["ssh", "tls", "unix"]), help="How it is reached (default: as TARGET looks).")
@click.option("--name", help="What it is called in the pool (default: its own name).")
@click.option("--force", is_flag=True, help="Replace its file.")
def add(target: str, pool_name: str, via: str | None, name: str | None, force: bool) -> None:
    """Look at a host and write its file: interfaces, addresses, drivers, and who seems to be cabled to whom.

    What was guessed is marked in the file, and said. The interface that carries the connection is left out.
    """
    from shakeout.cli.settings import access_of, settings_for
    from shakeout.labs.enrolment import enrol

    settings = settings_for()
    words = ["shakeout", "pool", "add", target, "--pool", pool_name]
    added = enrol(
        target, pool_name, settings.pools, access_of(settings), via=via or "", name=name or "", replace=force,
        command=" ".join(words),
    )  # fmt: skip
    click.echo(f"wrote {added.path}: {added.draft.name} with {_count(len(added.draft.interfaces), 'interface')}")
    for line in added.draft.to_check:
        click.echo(f"check: {line}")
    for line in added.remarks:
        click.echo(f"note: {line}")


@pool.command(
    short_help="Keep hosts for yourself, for some time.",
    epilog="""\b
Examples:
  shakeout pool reserve dut1 --for 2h --reason "debugging the NIC"
  shakeout pool reserve dut1 dut2 --for 1d
""",
)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option("--for", "seconds", type=Duration(), required=True, metavar="DURATION", help=f"How long: {_SHORT_TIME}.")
@click.option("--reason", default="", help="What for; others are told.")
@_pool_option
def reserve(hosts: tuple[str, ...], seconds: float, reason: str, pools: tuple[str, ...]) -> None:
    """Keep HOST… for yourself: runs of others do not get them until then. Another reservation of yours is replaced."""
    from shakeout.labs.survey import look_at

    inventory, access = _opened(pools)
    for entry in _chosen(inventory, hosts):
        with look_at(entry, access) as look:
            told = look.reserve(seconds, reason)
        text = f"{entry.name} is reserved for {told.get('owner')} for {_span(seconds)}"
        click.echo(text + (f"; until it ends, it is in use by {told['holder']}" if told.get("holder") else ""))


@pool.command(
    short_help="End reservations.",
    epilog="""\b
Examples:
  shakeout pool release dut1
  shakeout pool release dut1 --force      also somebody else's
""",
)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option("--force", is_flag=True, help="Also if it is somebody else's; the host's agent notes who did it.")
@_pool_option
def release(hosts: tuple[str, ...], force: bool, pools: tuple[str, ...]) -> None:
    """End the reservations of HOST…; runs that use them go on."""
    from shakeout.labs.survey import look_at

    inventory, access = _opened(pools)
    for entry in _chosen(inventory, hosts):
        with look_at(entry, access) as look:
            owner = look.unreserve(force=force).get("owner")
        click.echo(f"{entry.name} is not reserved for {owner} any more" if owner else f"{entry.name} was not reserved")


def _opened(pools: Sequence[str]) -> tuple[Inventory, Access]:
    """The hosts of the pools that are meant, and what they are reached with."""
    from shakeout.cli.settings import access_of, settings_for
    from shakeout.labs.pools import DirectoryPools, pool_folders

    settings = settings_for()
    folders = pool_folders(settings.pools, pools)
    if not folders:
        raise UsageError(
            "no pool is configured; name one with --pool DIR (a directory of host files, *.yaml), or in shakeout.toml: "
            '[pools] with lab = "DIR"'
        )
    access = access_of(settings)
    return DirectoryPools(folders, access).hosts, access


def _chosen(inventory: Inventory, names: Sequence[str]) -> list[HostEntry]:
    """The hosts of these names, each once; all if there are none."""
    return [inventory[name] for name in dict.fromkeys(names)] if names else list(inventory)


def _row(sight: Sight) -> list[str]:
    from shakeout.labs.survey import without_root

    kernel = str(sight.props.get("kernel", ""))
    remarks = "; ".join(filter(None, [_remark(sight), without_root(sight.props), *sight.differs]))
    return [sight.name, sight.state, sight.release, kernel, f"{sight.seconds:.2f} s", remarks]


def _remark(sight: Sight) -> str:
    parts = [sight.trouble]
    if sight.holder:
        parts.append(f"held by {sight.holder}")
    if (kept := sight.reservation) is not None:
        parts.append(
            f"reserved for {kept.owner}, {_span(kept.seconds)} more" + (f": {kept.reason}" if kept.reason else "")
        )
    return "; ".join(filter(None, parts))


def _state(sight: Sight) -> str:
    remark = _remark(sight)
    return f"{sight.state}: {remark}" if remark else sight.state


def _span(seconds: float) -> str:
    from shakeout.agent.reservation import span

    return span(seconds)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _params(params: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())


def _property(name: str, value: Any) -> str:
    if name == "memory" and isinstance(value, int):
        from shakeout.units import readable

        return readable(value, "B")
    return str(value)


def _ports(entry: HostEntry) -> str:
    return ", ".join(f"{port.id}:{port.network}" for port in entry.ports)


def _port_lines(entry: HostEntry, sight: Sight) -> Iterator[str]:
    links = {str(one.get("hwaddr", "")): one for one in sight.inspection.get("interfaces", ())}
    for port in entry.ports:
        more = [port.hwaddr, _params(port.params)]
        if (link := links.get(port.hwaddr)) is not None:
            more.append(f"there {link['name']}, {'up' if link.get('up') else 'down'}"
                        + (", no carrier" if link.get("up") and not link.get("carrier") else ""))  # fmt: skip
        yield f"{port.id} on {port.network} ({', '.join(filter(None, more))})"


def _as_json(entry: HostEntry) -> dict[str, Any]:
    endpoint = entry.endpoint
    ports = [{"id": p.id, "hwaddr": p.hwaddr, "network": p.network, "params": dict(p.params)} for p in entry.ports]
    return {"name": entry.name, "pool": entry.pool, "file": entry.source, "via": endpoint.via,
            "address": endpoint.address, "user": endpoint.user, "virtual": entry.virtual,
            "params": dict(entry.params), "interfaces": ports}  # fmt: skip


def _sight_json(sight: Sight) -> dict[str, Any]:
    kept = sight.reservation
    return {"name": sight.name, "pool": sight.pool, "state": sight.state, "trouble": sight.trouble,
            "holder": sight.holder, "release": sight.release, "differs": list(sight.differs),
            "seconds": sight.seconds, "props": dict(sight.props),
            "reservation": None if kept is None else
            {"owner": kept.owner, "reason": kept.reason, "seconds": kept.seconds}}  # fmt: skip
