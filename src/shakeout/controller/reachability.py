"""Whether this machine has what hosts of pools are reached with; no host is asked."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from shakeout.controller.health import Finding
from shakeout.errors import BadDocument, BadInventory, UsageError
from shakeout.hosts.dialing import Access
from shakeout.hosts.wheels import find_uv
from shakeout.labs.pools import read_pool
from shakeout.wire.credentials import Credentials, day

#: Days before the end of a certificate in which it is worth a warning.
WARN_DAYS = 30


def examine(pools: Mapping[str, Path], access: Access) -> Iterator[Finding]:
    """Look at what the hosts of *pools* (name -> folder) need here, one finding after the other."""
    ways: Counter[str] = Counter()
    findings = [_pool(name, folder, ways) for name, folder in pools.items()]
    yield _ssh(access, needed="ssh" in ways)
    yield _uv()
    yield _certificates(access.certs, needed="tls" in ways)
    yield from findings
    if not pools:
        text = "none are configured, so hosts are made on this machine"
        yield Finding(check="pools", state="ok", text=text)


def _ssh(access: Access, *, needed: bool) -> Finding:
    program = access.ssh[0] if access.ssh else "ssh"
    path = shutil.which(program)
    if path:
        return Finding(check="ssh", state="ok", text=path)
    return Finding(
        check="ssh", state="failed" if needed else "warning",
        text=f"there is no program {program!r}, and hosts via ssh need it",
        remedy="install it (Debian, Ubuntu: apt-get install openssh-client), or name another: ssh in shakeout.toml",
    )  # fmt: skip


def _uv() -> Finding:
    use = "gets packages for hosts via ssh that have another Python or processor than this machine"
    path = find_uv()
    if path:
        return Finding(check="uv", state="ok", text=f"{path}, which {use}")
    return Finding(
        check="uv", state="ok", text=f"there is none: it {use}; nothing else needs it",
        remedy="if there are such hosts: pip install 'shakeout[ssh]'",
    )  # fmt: skip


def _certificates(folder: Path, *, needed: bool) -> Finding:
    if not folder.is_dir() and not needed:
        return Finding(check="certificates", state="ok", text=f"none in {folder}; only hosts via tls need them")
    told: list[str] = []
    try:
        own = Credentials(folder, "controller", told.append).own
    except UsageError as error:
        text, remedy = _parted(str(error))
        return Finding(check="certificates", state="failed" if needed else "warning", text=text, remedy=remedy)
    renew = f"shakeout certs issue --controller {own.name} --out {folder}, where the laboratory's CA is"
    if told:
        text, _ = _parted(told[0])
        return Finding(check="certificates", state="failed" if needed else "warning", text=text, remedy=renew)
    text = f"controller {own.name}, valid until {day(own.ends)}, with a revocation list, in {folder}"
    if own.ends - time.time() < WARN_DAYS * 86_400:
        return Finding(check="certificates", state="warning", text=text, remedy=renew)
    return Finding(check="certificates", state="ok", text=text)


def _pool(name: str, folder: Path, ways: Counter[str]) -> Finding:
    """The pool *name*; how its hosts are reached is added to *ways*."""
    check = f"pool {name}"
    try:
        hosts = read_pool(name, folder)
    except BadDocument as error:
        first, more = error.problems[0], len(error.problems) - 1
        return Finding(
            check=check, state="failed", text=first + (f" (and {more} more)" if more else ""),
            remedy="correct the file; shakeout pool list says all that is wrong",
        )  # fmt: skip
    except BadInventory as error:
        remedy = "make the folder readable, or name the right one: pools in shakeout.toml"
        return Finding(check=check, state="failed", text=str(error), remedy=remedy)
    own = Counter(host.endpoint.via for host in hosts)
    ways.update(own)
    if not hosts:
        return Finding(
            check=check, state="warning", text=f"there are no hosts in {folder}",
            remedy=f"describe some: shakeout pool add TARGET --pool {name}",
        )  # fmt: skip
    kinds = ", ".join(f"{number} via {via}" for via, number in sorted(own.items()))
    return Finding(check=check, state="ok", text=f"{len(hosts)} hosts ({kinds}) in {folder}")


def _parted(text: str) -> tuple[str, str]:
    """What is wrong, and what to do, of a message that says both."""
    mark = "; " if "; " in text else ": "
    wrong, _, remedy = text.rpartition(mark)
    return (wrong, remedy) if wrong else (text, "")
