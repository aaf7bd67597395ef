"""An agent as a program of its own: ``shakeout agent``."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from shakeout.agent.diary import Diary
from shakeout.agent.gate import Gate
from shakeout.agent.listening import tcp_listeners
from shakeout.agent.properties import collect
from shakeout.agent.resident import load_all
from shakeout.agent.server import Agent
from shakeout.agent.servicemanager import notify, told_at
from shakeout.agent.session import home_directory
from shakeout.agent.statefolder import make_folder
from shakeout.agent.telling import tell
from shakeout.agent.zygote import set_environment, start_zygote
from shakeout.errors import HostError, UsageError
from shakeout.modules import runner
from shakeout.processes.namespaces import become_subreaper
from shakeout.wire.address import shown_address
from shakeout.wire.credentials import Credentials, check_files
from shakeout.wire.reactor import Reactor

#: How variables begin that are the agent's business alone.
_OWN = ("SHAKEOUT_", "PYTHON", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")


#: Of the login that has started the agent, which serves others, too: they shall not have its keys, say. Besides, bash
#: reads .bashrc before each job if it sees some of these.
_OF_THE_LOGIN = ("SSH_", "SSH2_", "KRB5CCNAME")


def serve(
    path: Path | None,
    state: Path,
    ready: Callable[[list[str]], None] = lambda places: None,
    *,
    listen: Sequence[str] = (),
    certs: Path | None = None,
    diary: Diary | None = None,
) -> None:
    """Serve controllers that connect to the unix socket *path*, or over TLS, until SIGTERM or SIGINT.

    What an agent before this one left half-done (it was killed) is undone first.

    Args:
        state: a directory for the lease and the undo log; made if need be.
        ready: called with the places that are listened at, once controllers are served.
        listen: HOST:PORT, or anything else that `parse_address` reads, for TLS.
        certs: folder of this host's credentials; needed with *listen*.
        diary: told of sessions.

    Raises:
        UsageError: a socket or the directory cannot be made, or the credentials not be used.
        HostError: it had to end by itself.
    """
    path = path and path.absolute()
    certs = certs and certs.absolute()
    if listen:
        check_files(certs or Path(), "host")
    over_tls = [listener for each in listen for listener in tcp_listeners(each)]
    listener = _listener(path) if path else None
    service_manager = told_at()  # before the environment becomes that of jobs
    agent = make_agent(state)
    agent.diary = diary or agent.diary
    gate = _gate(agent, certs, over_tls) if certs and over_tls else None
    if listener is not None:
        agent.listen(listener)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    places = [str(path)] if path else []
    places += [shown_address(each.getsockname()) for each in over_tls]
    agent.reactor.call_soon(lambda: ready(places))
    agent.reactor.call_soon(lambda: notify(service_manager, "READY=1"))
    try:
        agent.reactor.run()
    finally:
        notify(service_manager, "STOPPING=1")
        if gate is not None:
            gate.close()
        agent.close()
        if path:
            path.unlink(missing_ok=True)
    if agent.trouble:
        raise HostError(agent.trouble)


def _gate(agent: Agent, certs: Path, listeners: list[socket.socket]) -> Gate:
    """Made after the zygote, which shall have neither OpenSSL nor the key in its memory."""
    gate = Gate(agent.reactor, Credentials(certs, "host", tell), agent.serve, tell)
    for listener in listeners:
        gate.listen(listener)
    return gate


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
        make_folder(state)
    except OSError as error:
        raise UsageError(f"{state} cannot be the agent's state directory: {error.strerror}") from error
    runner.warm_up()
    load_all()
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
    return {name: value for name, value in os.environ.items() if not name.startswith((*_OWN, *_OF_THE_LOGIN))}
