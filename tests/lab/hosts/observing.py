"""Looking at a host from a test."""

from __future__ import annotations

from shakeout.hosts.host import Host


def alive(host: Host, pid: object) -> bool:
    """Whether a process runs there (one that has ended and is only to be reaped does not)."""
    return host.run(f"test -e /proc/{pid} && ! grep -q '^State:.[ZX]' /proc/{pid}/status").passed


def home(host: Host) -> str:
    """Where jobs start and relative paths count from."""
    return (host.run("getent passwd $(id -u) | cut -d: -f6").stdout or "").strip()


def tree(host: Host, path: str) -> list[str]:
    """Everything at and below a path: kind, mode, size of files, target of links."""
    kinds = r"-type f -printf '%P f %m %s\n' -o -type l -printf '%P l %l\n' -o -printf '%P %y %m\n'"
    script = rf"cd '{path}' && find . \( {kinds} \)"
    return sorted((host.run(script).stdout or "").splitlines())
