"""``shakeout agent``: be the agent of this machine."""

from __future__ import annotations

import os
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

    path = path.expanduser().absolute()
    serve(path, state or default_state(), lambda: click.echo(f"listening on {path}"))


def default_state() -> Path:
    """The folder of the agent's lease and undo log: one for each user, however many agents are started.

    Not below /run, because changed files have to be put back after a crash of the machine, too.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/shakeout/agent")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "shakeout/agent"
