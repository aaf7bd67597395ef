"""``shakeout certs``: the laboratory's CA, for hosts that are reached over TLS."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shakeout.cli.table import Column, format_option, print_json, print_table

if TYPE_CHECKING:
    from shakeout.certs.laboratory import Laboratory
    from shakeout.certs.ledger import Issued, Record
    from shakeout.wire.certificates import Role

F = TypeVar("F", bound=Callable[..., Any])

#: Days before the end of a certificate in which `list` warns of it.
_WARN_DAYS = 30
#: Where agents and controllers look for their certificates.
_HOST_FOLDER, _CONTROLLER_FOLDER = "/etc/shakeout/certs", "~/.config/shakeout/certs"


def _dir_option(command: F) -> F:
    return click.option(
        "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="The folder of the CA (default: ~/.local/share/shakeout/ca).",
    )(command)  # fmt: skip


@click.group(
    epilog="""\b
Examples:
  shakeout certs init
  shakeout certs issue --controller anna@desk --out ~/.config/shakeout/certs
  shakeout certs issue --host dut1 --address dut1.lab
Each says what is to be done next.
"""
)
def certs() -> None:
    """Certificates for hosts that are reached over TLS.

    A laboratory has one CA, a folder on one machine. It signs certificates for hosts, which can only be commanded with
    them, not command, and for controllers, which command hosts.
    """


@certs.command(
    epilog="""\b
Examples:
  shakeout certs init
  shakeout certs init --dir /srv/lab/ca
"""
)
@_dir_option
def init(folder: Path | None) -> None:
    """Make the laboratory's CA. One that is there is never overwritten."""
    from shakeout.certs.laboratory import Laboratory

    laboratory = Laboratory.found(_located(folder))
    option = f" --dir {folder}" if folder else ""
    click.echo(
        f"The laboratory's CA is in {laboratory.folder}, valid until {_date(laboratory.ends)}. "
        "Whoever can read its key can command every host: keep it on one machine, and a copy in a safe place.\n"
        f"Next: shakeout certs issue{option} --controller NAME, for each user, and --host NAME, for each host."
    )


@certs.command(
    epilog="""\b
Examples:
  shakeout certs issue --host dut1 --address dut1.lab --address 192.0.2.7
  shakeout certs issue --controller anna@desk --days 90
  shakeout certs issue --controller anna@desk --out ~/.config/shakeout/certs
  shakeout certs issue --host dut1 --revoke        the key of the former one may be in wrong hands
To renew one, issue it again, and copy the files over those that are there: agents need no restart.
"""
)
@click.option("--host", metavar="NAME", help="For the host that is called NAME in its pool.")
@click.option("--controller", metavar="NAME", help="For a user who runs recipes; reservations show this NAME.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="ADDR",
    help="A further name or address of the host; if none is given, those of the certificate before.",
)
@click.option("--days", type=float, default=365, show_default=True, metavar="N", help="How long it is valid.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="The folder for its files (default: certs-NAME, here). Those of the same name are replaced.",
)  # fmt: skip
@click.option("--revoke", is_flag=True, help="Revoke those that were issued to that name before.")
@_dir_option
def issue(
    host: str | None, controller: str | None, addresses: tuple[str, ...], days: float, out: Path | None,
    folder: Path | None, *, revoke: bool,
) -> None:  # fmt: skip
    """Issue a certificate for a host or a user.

    It is a folder with cert.pem, key.pem, ca.pem and crl.pem, to be copied to its place.
    """
    from shakeout.certs.delivery import check_owner, deliver
    from shakeout.certs.laboratory import Laboratory
    from shakeout.certs.naming import check_name

    if (host is None) == (controller is None):
        raise click.UsageError("give either --host NAME or --controller NAME")
    role: Role = "host" if host is not None else "controller"
    name = host if host is not None else controller or ""
    if controller is not None and addresses:
        raise click.UsageError("--address goes with --host: controllers are not connected to")
    check_name(name, role)
    laboratory = Laboratory(_located(folder))
    target = out.expanduser() if out else Path(f"certs-{name}")
    check_owner(name, role, target)
    former = [r for r in laboratory.records() if (r.issued.name, r.issued.role) == (name, role)]
    kept = former[-1].issued.addresses if former and not addresses else ()
    signed = laboratory.issue(name, role, addresses or kept, days)
    revoked = laboratory.revoke(former) if former and revoke else []
    deliver(signed, target, laboratory.revocations())
    click.echo(
        f"The certificate of {role} {name} (serial number {signed.issued.serial}, valid until "
        f"{_date(signed.issued.ends)}) is in {target}. Its key.pem is secret."
    )
    if kept:
        click.echo(f"It is also for {', '.join(kept)}, as the one before was; --address says otherwise.")
    click.echo(_host_steps(signed.issued, target) if role == "host" else _controller_steps(target))
    if revoked:
        click.echo(_revoked_text(laboratory, revoked))


@certs.command(
    "list",
    epilog="""\b
Examples:
  shakeout certs list
  shakeout certs list --format json | jq -r '.[] | select(.state == "valid") | .name'
""",
)
@_dir_option
@format_option
def list_certs(folder: Path | None, form: str) -> None:
    """List certificates, and warn of those that expire.

    That is what the CA has signed; warned is of what expires within 30 days. One that is superseded counts until it
    expires or is revoked, but a newer one was issued to the same name.
    """
    from shakeout.certs.laboratory import Laboratory

    laboratory = Laboratory(_located(folder))
    records, now = laboratory.records(), time.time()
    if form == "json":
        print_json([_as_json(record, now, newer) for record, newer in with_successors(records, now)])
    elif records:
        columns = [
            Column("NAME"), Column("ROLE"), Column("STATE"), Column("EXPIRES"), Column("SERIAL NUMBER"),
            Column("ALSO FOR", wraps=True),
        ]  # fmt: skip
        print_table(columns, [_row(record, now, newer) for record, newer in with_successors(records, now)])
    else:
        click.echo(f"The CA in {laboratory.folder} has signed nothing yet.", err=True)
    for record in expiring(records, now):
        one = record.issued
        click.echo(
            f"The certificate of {one.role} {one.name} expires on {_date(one.ends)}: "
            f"shakeout certs issue --{one.role} {one.name}",
            err=True,
        )


@certs.command(
    epilog="""\b
Examples:
  shakeout certs revoke dut1                  all certificates of that name
  shakeout certs revoke 5d1c0f3aa7e91b42      the one with that serial number
"""
)
@click.argument("what", metavar="NAME|SERIAL")
@_dir_option
def revoke(what: str, folder: Path | None) -> None:
    """Revoke certificates.

    Says where the new revocation list must be copied to.
    """
    from shakeout.certs.laboratory import Laboratory

    laboratory = Laboratory(_located(folder))
    found = laboratory.find(what)
    revoked = laboratory.revoke(found)
    if not revoked:
        click.echo(f"{what} was revoked before; the list is {laboratory.folder / 'crl.pem'}.")
        return
    click.echo(_revoked_text(laboratory, revoked))


def with_successors(records: Sequence[Record], now: float) -> list[tuple[Record, str]]:
    """Each of *records*, which are in their order, with the serial number of the newest valid one that replaces it.

    That is "" for those that are not replaced, and those that count no more anyway.
    """
    newest = {
        (record.issued.name, record.issued.role): record.issued.serial
        for record in records
        if record.state(now) == "valid"
    }
    found = []
    for record in records:
        newer = newest.get((record.issued.name, record.issued.role), "")
        replaced = record.state(now) == "valid" and newer != record.issued.serial
        found.append((record, newer if replaced else ""))
    return found


def expiring(records: Sequence[Record], now: float) -> list[Record]:
    """Of each name the certificate that is valid longest, if that is not long."""
    longest: dict[tuple[str, str], Record] = {}
    for record in records:
        key = record.issued.name, record.issued.role
        if record.state(now) == "valid" and (key not in longest or record.issued.ends > longest[key].issued.ends):
            longest[key] = record
    return [record for record in longest.values() if record.issued.ends - now < _WARN_DAYS * 86_400]


def _located(folder: Path | None) -> Path:
    if folder is not None:
        return folder.expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local/share") / "shakeout/ca"


def _host_steps(issued: Issued, folder: Path) -> str:
    name, at = issued.name, _reached_at(issued)
    return (
        f"Copy it to the host, as root there, and start the agent (one that runs needs no restart):\n"
        f"  ssh root@{at} install -d -m 700 {_HOST_FOLDER}\n"
        f"  scp -p {quote(str(folder))}/*.pem root@{at}:{_HOST_FOLDER}/\n"
        f"  ssh root@{at} shakeout agent --listen :9999\n"
        f'Its pool file says: host: {{name: {name}, address: "{at}:9999", via: tls}}'
    )


def _reached_at(issued: Issued) -> str:
    """What to give ssh for a host; an IPv6 address as scp wants it."""
    first = issued.addresses[0] if issued.addresses else issued.name
    return f"[{first}]" if ":" in first else first


def _controller_steps(folder: Path) -> str:
    usual = Path(_CONTROLLER_FOLDER).expanduser()
    if folder.absolute() == usual:
        return "That is where shakeout looks for it."
    return (
        f"Copy it to where that user's shakeout looks for it:\n"
        f"  install -d -m 700 {_CONTROLLER_FOLDER} && cp -p {quote(str(folder))}/*.pem {_CONTROLLER_FOLDER}/\n"
        f"or name its folder: certs = {str(folder.absolute())!r} in shakeout.toml"
    )


def _revoked_text(laboratory: Laboratory, revoked: Sequence[Record]) -> str:
    """What is to be done so that it counts."""
    what = ", ".join(f"{r.issued.role} {r.issued.name} ({r.issued.serial})" for r in revoked)
    now, path = time.time(), laboratory.folder / "crl.pem"
    lines = [f"Revoked: {what}. This counts where the new list is; copied, it is in force for every new connection."]
    valid = {(r.issued.role, r.issued.name): r.issued for r in laboratory.records() if r.state(now) == "valid"}
    roles = {record.issued.role for record in revoked}
    if "controller" in roles:
        hosts = sorted(_reached_at(issued) for (role, _), issued in valid.items() if role == "host")
        lines.append("Hosts need it:" if hosts else "No host has a valid certificate: none needs it.")
        lines += [f"  scp {quote(str(path))} root@{at}:{_HOST_FOLDER}/" for at in hosts]
    if "host" in roles:
        controllers = sorted(name for role, name in valid if role == "controller")
        lines.append(
            f"Controllers need it ({', '.join(controllers)}), each where its certificate is, as in\n"
            f"  cp {quote(str(path))} {_CONTROLLER_FOLDER}/"
            if controllers
            else "No controller has a valid certificate: none needs it."
        )
    return "\n".join(lines)


def _row(record: Record, now: float, newer: str) -> list[str]:
    one = record.issued
    state = "superseded" if newer else record.state(now)
    return [one.name, one.role, state, _date(one.ends), one.serial, ", ".join(one.addresses)]


def _as_json(record: Record, now: float, newer: str) -> dict[str, Any]:
    one = record.issued
    return {
        "name": one.name,
        "role": one.role,
        "state": record.state(now),
        "serial": one.serial,
        "superseded_by": newer or None,
        "addresses": list(one.addresses),
        "begins": _moment(one.begins),
        "expires": _moment(one.ends),
        "revoked": _moment(record.revoked_at) if record.revoked_at else None,
    }


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
