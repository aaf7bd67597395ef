"""Reaching an agent on this machine, at its unix socket."""

from __future__ import annotations

import socket
import struct

from shakeout.errors import AgentUnreachable
from shakeout.hosts.session import OPEN_TIMEOUT
from shakeout.wire.transports import UnixTransport


def connect_unix(path: str) -> UnixTransport:
    """Connect to an agent's unix socket.

    Raises:
        AgentUnreachable: nobody listens there.
    """
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # An agent that is stopped accepts nobody: wait for it as long as for its Welcome.
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(OPEN_TIMEOUT), 0))
    try:
        connected.connect(path)
    except BlockingIOError:
        connected.close()
        raise AgentUnreachable(f"{path}: its agent did not accept a connection within {OPEN_TIMEOUT:g} s") from None
    except OSError as error:
        connected.close()
        raise AgentUnreachable(f"{path}: {error.strerror}") from error
    return UnixTransport(connected)
