"""The agent's end of one ssh connection: finds the agent of this host, or starts it, and hands the connection over.

One agent for a host and user, whoever comes: the second terminal of a run, or another controller, finds the one that
the first has started. This process then only waits: for the end of its connection, or of itself.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from shakeout.agent.statefolder import StateFolder, default_state

#: What is kept of what the agent prints, for its controller, at most.
_READ_SIZE = 4096
#: Characters of the name of a bundle's folder: its SHA-256.
_BUNDLE_NAME = 64


def enter(ready: Callable[[], None], connection: str = "", state: Path | None = None) -> NoReturn:
    """Hand standard input and output to the agent; returns to nobody.

    Args:
        ready: called when there is an agent.
        connection: what sshd says of it, "CLIENT PORT SERVER PORT", is told the agent.
        state: the folder of the agent, if not the usual one.
    """
    folder = StateFolder(state or default_state())
    said, saying = os.pipe()
    try:
        with folder.alone(), folder.short_socket() as path:
            control = _knock(path)
            listener = None if control is not None else _listen(path)
            if control is None:
                control = _knock(path)
                assert control is not None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"shakeout: the agent cannot be started: {where}{error.strerror or error}\n")
        sys.exit(1)
    ready()
    socket.send_fds(control, [f"{connection}\n".encode()], [0, 1])
    if listener is not None and os.fork() == 0:
        control.close()
        os.close(said)
        _be_agent(folder, listener, saying)
    os.close(saying)
    _let_go_of_streams(0, 1)
    if listener is not None:
        listener.close()
    _wait(control, said)
    os._exit(0)


def _knock(path: str) -> socket.socket | None:
    """A connection to the agent; None if there is none."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        control.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        control.close()
        return None
    return control


def _listen(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)  # of an agent that was killed
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def _be_agent(folder: StateFolder, listener: socket.socket, saying: int) -> NoReturn:
    """Be the agent: a process of its own, which outlives the one that started it if it is needed longer."""
    try:
        os.setsid()  # what ends the login's processes shall not end the agent before it has put the host back
        os.dup2(saying, 2)
        os.close(saying)
        _let_go_of_streams(0, 1)
        _open_streams()
        _reception().receive(listener, folder)
    except BaseException:  # noqa: BLE001 - the edge of a process
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _reception() -> ModuleType:
    """The agent itself, with all that it needs; a bundle that a crash of the machine has cut short is removed."""
    try:
        from shakeout.agent import reception
    except Exception as error:
        bundle = Path(__file__).parents[2]
        if len(bundle.name) != _BUNDLE_NAME:
            raise
        import shutil

        shutil.rmtree(bundle, ignore_errors=True)
        sys.stderr.write(f"shakeout: {bundle} is damaged ({error}) and has been removed; connect again\n")
        sys.stderr.flush()
        os._exit(1)
    return reception


def _open_streams() -> None:
    """Have Python's streams anew: they remember what their descriptors led to before."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)  # noqa: SIM115


def _let_go_of_streams(*numbers: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in numbers:
        os.dup2(null, number)
    os.close(null)


def _wait(control: socket.socket, said: int) -> None:
    """Until the agent has done with the connection; what it prints meanwhile goes to the controller."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(said, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if said in ready:
            data = os.read(said, _READ_SIZE)
            if data:
                os.write(2, data)
            else:
                poll.unregister(said)
        elif control.fileno() in ready:
            return
