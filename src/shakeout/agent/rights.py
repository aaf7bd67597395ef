"""What to try where an agent that does not run as root was not allowed to do something."""

from __future__ import annotations

import errno
import os


def without_rights(number: int | None) -> str:
    """The end of a message about error *number*; "" if it has nothing to do with who the agent runs as."""
    if number not in (errno.EPERM, errno.EACCES) or os.geteuid() == 0:
        return ""
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return (
        f"; the agent runs as {user}, not as root: start it as root, or, for a host via ssh, let sudo there ask "
        f"{user} for no password, or say user: root in the host's file"
    )
