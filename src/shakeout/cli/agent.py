"""``shakeout agent``: be the agent of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  shakeout agent --listen :9999
  shakeout agent --listen 192.0.2.7 --listen [2001:db8::7]:7777 --certs ~/certs
  shakeout agent --socket ~/agent.sock --state ~/agent-state
A pool's host file then says, for example: host: {name: dut1, address: dut1.lab:9999, via: tls}
or: host: {name: here, address: /run/shakeout-agent.sock, via: unix}
"""
)
@click.option(
    "--listen",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Listen at this address, over TLS; several times for several. :PORT is every address of the machine, the "
    "usual port is 9999.",
)
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Listen at this unix socket.",
)
@click.option(
    "--certs",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder that shakeout certs issue --host has made for this machine (default: /etc/shakeout/certs, or "
    "below a user's configuration directory). Its files are read again when they change.",
)
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="For the lease and the undo log, which survives a kill of the agent "
    "and a crash of the machine (default: /var/lib/shakeout/agent, or below a user's state directory).",
)  # fmt: skip
def agent(listen: tuple[str, ...], path: Path | None, certs: Path | None, state: Path | None) -> None:
    """Serve controllers until SIGTERM or Ctrl-C: then it puts back what it lent.

    Over the network it serves who has a certificate for controllers of the same laboratory (shakeout certs), at a unix
    socket only root and the user that it runs as. What an agent before it left half-done (it was killed) is undone
    first.
    """
    import shakeout.report.text  # noqa: F401 - for the last words; by then the files may be others
    from shakeout.agent.diary import Diary
    from shakeout.agent.standalone import serve
    from shakeout.agent.statefolder import default_state
    from shakeout.agent.telling import tell

    if not listen and path is None:
        raise click.UsageError("where shall the agent listen? Give --listen, --socket, or both")
    serve(
        path.expanduser().absolute() if path else None,
        state or default_state(),
        lambda places: click.echo("".join(f"listening on {place}\n" for place in places), nl=False),
        listen=listen,
        certs=certs.expanduser() if certs else default_certs(),
        diary=Diary(tell),
    )


def default_certs() -> Path:
    """The folder of this host's credentials."""
    if os.geteuid() == 0:
        return Path("/etc/shakeout/certs")
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "shakeout/certs"
