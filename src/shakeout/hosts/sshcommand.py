"""The command line that logs in to a host and runs a Python there; pure text.

Whatever login shell the user has there (sh, bash, zsh, fish, csh …) reads it first: so there is one word in single
quotes, without anything that one of them would take for more than itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shakeout.errors import UsageError

#: Looked for in this order, if the host's file names none.
PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
#: The oldest that will do.
OLDEST = (3, 11)
#: Begins what is printed if there is no Python, or only older ones.
NO_PYTHON = "SHAKEOUT-NO-PYTHON"

#: Seconds until a host must have answered at all.
CONNECT_TIMEOUT = 10
#: Seconds between two questions to the other end whether it is there, and how many may go without an answer. A starved
#: host does not answer them, either: that a link is cut is seen in the kernel's books (`shakeout.wire.tcpbooks`), which
#: these questions keep up to date; only where ssh's connection cannot be seen do the answers decide.
ALIVE_EVERY, ALIVE_MISSED = 2, 15

#: Its arguments are itself, -I, -c, NO_PYTHON, SSH_CONNECTION as sshd set it, and the Pythons that are left to try.
#: Goes on with the next Python if this one is too old; reads its program from standard input, this many bytes.
_LOADER = (
    "import os,sys;a=sys.argv;old=sys.version_info<{oldest};"
    "old and a[6:]and os.execv(a[6],[a[6],a[2],a[3],a[1]]+a[1:6]+a[7:]);"
    "old and sys.exit(a[4]+sys.version);"
    "exec(sys.stdin.buffer.read({size}))"
)
_SUDO = "sudo -n -H"
_PYTHON_PATH = re.compile(r"(~/)?[A-Za-z0-9_./+-]+")


def destination(address: str) -> tuple[str, str]:
    """Host and port ("" if none is given) of an address as HOST, HOST:PORT, or [IPv6 ADDRESS]:PORT.

    Raises:
        UsageError: it is none.
    """
    host, colon, port = address.rpartition(":")
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        colon, port = port[:1], port[1:]
        good = bool(bracket) and colon in ("", ":")
    else:
        good = True
        if not colon or ":" in host:  # none, or an IPv6 address
            host, colon, port = address, "", ""
    if colon:
        good = good and port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not good or not host or host.startswith("-") or not host.isprintable() or " " in host:
        raise UsageError(
            f"{address!r} is no address of a host via ssh: HOST or HOST:PORT, as ssh knows it, is accepted"
        )
    return host, port


def command_line(ssh: Sequence[str], address: str, user: str, remote: str) -> list[str]:
    """What to execute here so that *remote* is run there.

    The first value of an option counts for ssh, so what *ssh* has of its own stands before ours.

    Raises:
        UsageError: an address or user that is none.
    """
    host, port = destination(address)
    if user.startswith("-") or not all(char.isprintable() and char != " " for char in user):
        raise UsageError(f"{user!r} is no user that somebody could log in as")
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "ServerAliveInterval": str(ALIVE_EVERY),
        "ServerAliveCountMax": str(ALIVE_MISSED),
        "ControlMaster": "no",  # one that is there is used; but ours ends with its host, and all that it carried
        "ClearAllForwardings": "yes",  # several connections could not all have a port
        "ForwardAgent": "no",  # neither this host nor whoever else uses it shall have the user's keys
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
    }
    words = [*ssh, "-T"]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    words += ["-p", port] if port else []
    words += ["-l", user] if user else []
    return [*words, "--", host, remote]


def remote_command(size: int, *, python: str = "", sudo: bool | None = None) -> str:
    """What the login shell there is to run: the first Python that will do, with a program of *size* bytes to read.

    Args:
        python: the only one to try.
        sudo: whether to become root; None does so if that needs no password.

    Raises:
        UsageError: *python* is no path.
    """
    if python and (not _PYTHON_PATH.fullmatch(python) or python.startswith("-")):
        raise UsageError(
            f"python: {python!r} is not accepted: a command or a path of letters, digits and . _ + - / is, for "
            "instance /opt/python3.12/bin/python3"
        )
    loader = _LOADER.format(size=size, oldest=str(OLDEST).replace(" ", ""))
    become = {None: f'sudo -n true </dev/null >/dev/null 2>&1&&S="{_SUDO}"', True: f'S="{_SUDO}"', False: ":"}[sudo]
    script = (
        f"S=;[ $(id -u) = 0 ]||{{ {become};}};set --;"
        f'for p in {python or " ".join(PYTHONS)};do q=$(command -v $p)&&set -- "$@" $q;done;'
        f"[ $# = 0 ]&&{{ echo {NO_PYTHON} >&2;exit 1;}};"
        f'L="{loader}";p=$1;shift;exec $S $p -I -c "$L" "$L" -I -c {NO_PYTHON} "${{SSH_CONNECTION:--}}" "$@"'
    )
    assert not set(script) & set("'!\\\n"), "a login shell would take it apart"
    return f"exec /bin/sh -c '{script}'"
