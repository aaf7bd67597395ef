"""Whether this machine can run laboratories: each question tried for real, each "no" with what to do about it."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

import shakeout
from shakeout.controller.hostbook import HostBook, drop_book, read_book
from shakeout.errors import JournalError, LabLacks, ShakeoutError
from shakeout.hosts.devices import HostDevices
from shakeout.hosts.host import Host
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.session import Session
from shakeout.hosts.unix import connect_unix
from shakeout.journal.runs import RunStore
from shakeout.labs.folders import LabFolder, leftovers, living
from shakeout.labs.netns import NetnsLab
from shakeout.labs.orders import PortOrder

#: Open files that a laboratory of fifty hosts, with some jobs each, needs in its spawner and its controller.
ENOUGH_FILES = 4096
#: Bytes that a run with some output takes; below that it is likely to end with a full disk.
ENOUGH_ROOM = 100 << 20


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One question and its answer.

    Attributes:
        check: what was looked at.
        state: "failed" where shakeout cannot be used, "warning" where something is worth knowing.
        text: what was found.
        remedy: what to do; "" if nothing has to be done.
    """

    check: str
    state: Literal["ok", "warning", "failed"]
    text: str
    remedy: str = ""


def examine(store: RunStore) -> Iterator[Finding]:
    """Look at this machine, one finding after the other; *store* is where runs are kept."""
    yield _python()
    yield from _laboratory()
    yield _open_files()
    yield _cgroups()
    yield _runs(store)
    yield from _laboratories(store)


def clean(store: RunStore) -> Iterator[str]:
    """Remove what laboratories have left behind that are gone; what was removed, in words."""
    for folder in leftovers():
        LabFolder(folder, -1).remove()
        yield f"{folder}: the folder of a laboratory that is gone"
    for book in _books(store):
        if not book.reachable:
            drop_book(store.folder / book.run)
            yield f"{book.run}: where its hosts were ({', '.join(book.hosts)}), which are gone"


def _python() -> Finding:
    text = f"shakeout {shakeout.__version__} on Python {platform.python_version()} ({sys.executable})"
    return Finding(check="python", state="ok", text=text)


def _laboratory() -> Iterator[Finding]:
    """Make a laboratory of one host, and look around in it."""
    loop = LoopThread()
    began = time.monotonic()
    lab = NetnsLab()
    try:
        ready = lab.make({"doctor": [PortOrder("eth0", "net1", "02:5a:00:00:00:01")]})["doctor"]
        session = Session("doctor", connect_unix(ready.path), loop.reactor, run="doctor")
        session.begin()
        session.welcome()
        host = Host(session, HostDevices(session, {"eth0": "eth0"}))
        ran = host.run("true")
        took = (time.monotonic() - began) * 1000
        how = "as root" if lab.ready().privileged else "in a user namespace: jobs cannot change their user"
        yield Finding(check="namespaces", state="ok", text=f"a host was made and ran a command in {took:.0f} ms, {how}")
        if not ran.passed:
            yield Finding(
                check="jobs", state="failed", text=f"true failed on a host: {ran.reason}", remedy="look at bash"
            )
        yield from _on_host(host)
        session.end()
    except LabLacks as error:
        text, _, remedy = str(error).partition("; ")
        yield Finding(
            check="namespaces", state="failed", text=text, remedy=remedy or "run as root, on Linux 5.11 or later"
        )
    except ShakeoutError as error:
        remedy = "this is a mistake of shakeout's, or something ended the laboratory; please report it with this text"
        yield Finding(check="namespaces", state="failed", text=str(error), remedy=remedy)
    finally:
        lab.remove()
        loop.close()


def _on_host(host: Host) -> Iterator[Finding]:
    mark = f"/.shakeout-doctor-{os.getpid()}"
    written = host.run(["touch", mark])
    if written.passed and not Path(mark).exists():
        yield Finding(check="files", state="ok", text="what a host writes stays in the host (overlayfs)")
    else:
        reason = (written.stderr or written.reason).strip()
        yield Finding(
            check="files", state="failed", text=f"a host has no file system of its own to write to: {reason}",
            remedy="the kernel's overlay module must be loaded (modprobe overlay); as a user, Linux 5.11 is needed",
        )  # fmt: skip
    ping = host.run("command -v ping && ping -q -c 1 -W 1 127.0.0.1")
    path = (ping.stdout or "").partition("\n")[0]
    if ping.passed:
        yield Finding(check="ping", state="ok", text=f"{path} works on a host")
    else:
        why = f"{path} does not work: {(ping.stderr or ping.reason).strip()}"
        yield Finding(
            check="ping", state="warning", text=why if path else "there is none, and the module Ping needs it",
            remedy="install ping (Debian, Ubuntu: apt-get install iputils-ping)",
        )  # fmt: skip


def _open_files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= ENOUGH_FILES:
        limit = "no limit" if hard == resource.RLIM_INFINITY else f"{hard} at most"
        return Finding(check="open files", state="ok", text=limit)
    return Finding(
        check="open files", state="warning", text=f"a process may have {hard}, which is little for many hosts and jobs",
        remedy=f"raise the limit: ulimit -Hn {ENOUGH_FILES} as root, or LimitNOFILE in systemd",
    )  # fmt: skip


def _cgroups() -> Finding:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        text = "version 2"
    elif root.is_dir() and any(root.iterdir()):
        text = "version 1"
    else:
        text = "none"
    return Finding(check="cgroups", state="ok", text=f"{text} (the default laboratory sets no limits, and needs none)")


def _runs(store: RunStore) -> Finding:
    place = next(folder for folder in (store.folder, *store.folder.parents) if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK) or not place.is_dir():
        return Finding(
            check="runs", state="failed", text=f"{store.folder} cannot be written, so no run can be recorded",
            remedy=f"make {place} writable, or name another folder: SHAKEOUT_RUNS_DIR, or runs_dir in shakeout.toml",
        )  # fmt: skip
    free = shutil.disk_usage(place).free
    text = f"{len(store.ids())} in {store.folder}, {free / 2**30:.1f} GiB free"
    if free < ENOUGH_ROOM:
        return Finding(check="runs", state="warning", text=text, remedy="remove old runs: shakeout runs rm RUN")
    return Finding(check="runs", state="ok", text=text)


def _laboratories(store: RunStore) -> Iterator[Finding]:
    """What laboratories there are, and what is left of others."""
    books = {book.lab: book for book in _books(store) if book.lab}
    for folder in living():
        yield _living(folder, books.get(str(folder)))
    gone = leftovers()
    if gone:
        yield Finding(
            check="leftovers", state="warning", text=f"of {len(gone)} laboratories that are gone: {_listed(gone)}",
            remedy="shakeout doctor --clean removes them",
        )  # fmt: skip
    else:
        yield Finding(check="leftovers", state="ok", text="none")


def _living(folder: Path, book: HostBook | None) -> Finding:
    if book is None:
        text = f"{folder} belongs to a run that has just begun or is recorded elsewhere"
    elif book.kept:
        text = f"{folder} is kept by run {book.run} ({', '.join(book.hosts)}); shakeout runs rm {book.run} removes it"
    else:
        text = f"{folder} is in use by run {book.run} ({', '.join(book.hosts)})"
    return Finding(check="laboratory", state="ok", text=text)


def _books(store: RunStore) -> Iterator[HostBook]:
    try:
        runs = store.ids()
    except JournalError:
        return  # said elsewhere
    for run in runs:
        book = read_book(store.folder / run)
        if book is not None and book.run == run:
            yield book


def _listed(folders: list[Path], most: int = 3) -> str:
    shown = ", ".join(map(str, folders[:most]))
    return shown if len(folders) <= most else f"{shown} …"
