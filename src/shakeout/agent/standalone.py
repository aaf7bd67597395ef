"""An agent as a program of its own: ``shakeout agent --socket PATH``."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from shakeout.agent.properties import collect
from shakeout.agent.server import Agent
from shakeout.agent.session import home_directory
from shakeout.agent.zygote import set_environment, start_zygote
from shakeout.errors import HostError, UsageError
from shakeout.modules import runner
from shakeout.processes.namespaces import become_subreaper
from shakeout.wire.reactor import Reactor


#: Of whoever started the agent, as is SSH_AUTH_SOCK; besides, bash reads .bashrc before each job if it sees these.
_OF_THE_LOGIN = frozenset(("SSH_CLIENT", "SSH2_CLIENT", "SSH_CONNECTION", "SSH_ORIGINAL_COMMAND", "SSH_TTY"))


def serve(path: Path, state: Path, ready: Callable[[], None] = lambda: None) -> None:
    """Serve controllers that connect to the unix socket *path*, until SIGTERM or SIGINT.

    What an agent before this one left half-done (it was killed) is undone first.

    Args:
        state: a directory for the lease and the undo log; made if need be.
        ready: called once controllers are served.

    Raises:
        UsageError: the socket or the directory cannot be made.
        HostError: it had to end by itself.
    """
    path = path.absolute()
    listener = _listener(path)
    agent = make_agent(state)
    agent.listen(listener)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    agent.reactor.call_soon(ready)
    try:
        agent.reactor.run()
    finally:
        agent.close()
        path.unlink(missing_ok=True)
    if agent.trouble:
        raise HostError(agent.trouble)


def make_agent(state: Path) -> Agent:
    """An agent of this process, with a zygote; what one before it left half-done has been undone.

    Descriptors above 2 that are open now stay with the agent alone.

    Raises:
        UsageError: the directory *state* cannot be made.
    """
    state = state.absolute()
    os.chdir(home_directory())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each running job has three or more
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{state} cannot be the agent's state directory: {error.strerror}") from error
    runner.warm_up()
    environment = _environment()
    set_environment(environment)  # device classes find it, too
    _, zygote = start_zygote(environment)
    become_subreaper()
    agent = Agent(Reactor(), zygote, state, collect(), environment)
    agent.recover()
    return agent


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _alive(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(64)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"the agent cannot listen at {path}: {reason}; give another path with --socket") from error
    return listener


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _environment() -> dict[str, str]:
    """The variables that jobs start with: the agent's own, which its service manager decides."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SHAKEOUT_", "PYTHON")) and name not in _OF_THE_LOGIN
    }
