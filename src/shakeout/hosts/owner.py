"""Who holds a host, or keeps it: this user on this machine."""

from __future__ import annotations

import os
import socket


def own_name() -> str:
    """Who runs this program, as "user@machine": for reservations, and for whoever finds a host held."""
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return f"{user}@{socket.gethostname()}"
