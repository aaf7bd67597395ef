"""``shakeout agent``: be the agent of this machine."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  shakeout agent --socket /run/shakeout-agent.sock
  shakeout agent --socket ~/agent.sock --state ~/agent-state
A pool's host file then says: host: {name: here, address: /run/shakeout-agent.sock, via: unix}
"""
)
@click.option(
    "--socket",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Listen at this unix socket.",
)
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="For the lease and the undo log, which survives a kill of the agent "
    "and a crash of the machine (default: /var/lib/shakeout/agent, or below a user's state directory).",
)  # fmt: skip
def agent(path: Path, state: Path | None) -> None:
    """Serve controllers that connect to a unix socket, until SIGTERM or Ctrl-C: then it puts back what it lent.

    Only root and the user that it runs as may connect. What an agent before it left half-done (it was killed) is
    undone first.
    """
    from shakeout.agent.standalone import serve
    from shakeout.agent.statefolder import default_state

    path = path.expanduser().absolute()
    serve(path, state or default_state(), lambda: click.echo(f"listening on {path}"))
