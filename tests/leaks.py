"""After every test: nothing that it started is still there.

Looked at are threads, file descriptors, processes (children, zombies, and whatever a child left running in
a session of its own, an agent for example) and, for tests that reach the kernel, network namespaces and
links of this machine. What a fixture of a wider scope made before the test is no leak. Something on its way
out gets a short grace, waited for by event. `@pytest.mark.leaks("threads")` lets a test leave that kind;
without a name, all of them.
"""

from __future__ import annotations

import gc
import os
import select
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

GRACE = 2.0  # seconds that something on its way out is waited for, all kinds together

#: Inherited by every process that a test starts, so that one whose parent is gone is still known as ours.
MARK = "SHAKEOUT_TESTS_OF"

NETNS = Path("/run/netns")
LINKS = Path("/sys/class/net")
KERNEL_KINDS = ("lab", "e2e", "faults")


@dataclass(frozen=True)
class Traces:
    """What was there before a test."""

    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[str, str]]
    pids: frozenset[int]
    networks: frozenset[str]


def traces(*, of_kernel: bool) -> Traces:
    """What is there now."""
    networks = all_networks() if of_kernel else ()
    return Traces(frozenset(threading.enumerate()), frozenset(descriptors()), frozenset(pids()), frozenset(networks))


def descriptors() -> Iterator[tuple[str, str]]:
    """Each open descriptor of this process with what it leads to."""
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir():
        try:
            yield entry.name, str(entry.readlink())
        except FileNotFoundError:  # the one that lists the folder
            continue


def pids() -> Iterator[int]:
    """Every process that can be seen."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def all_networks() -> Iterator[str]:
    """Named network namespaces and links of this machine."""
    for folder, word in ((NETNS, "namespace"), (LINKS, "link")):
        if folder.is_dir():
            yield from (f"{word} {entry.name}" for entry in folder.iterdir())


def threads_left(before: Traces, deadline: float) -> list[str]:
    """Threads that the test started and that did not end by *deadline*."""
    new = [thread for thread in threading.enumerate() if thread not in before.threads]
    for thread in new:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"{thread.name}{' (daemon)' if thread.daemon else ''}" for thread in new if thread.is_alive()]


def descriptors_left(before: Traces, deadline: float) -> list[str]:
    """Descriptors that the test opened and did not close."""
    new = sorted(set(descriptors()) - before.descriptors)
    if new:
        gc.collect()  # closed by a finalizer is closed, and ResourceWarning tells about it elsewhere
        new = sorted(set(descriptors()) & set(new))
    return [f"{number} -> {target}" for number, target in new]


def processes_left(before: Traces, deadline: float) -> list[str]:
    """Processes that the test started, directly or not, and that run or are not reaped at *deadline*."""
    left = []
    for pid in sorted(set(pids()) - before.pids):
        try:
            if not is_ours(pid):
                continue
            wait_for_end(pid, deadline)
            state, parent = state_of(pid)
            if state != "Z" or parent == os.getpid():  # a zombie of another parent is that one's to reap
                left.append(f"{pid} {'zombie' if state == 'Z' else 'running'}: {command_of(pid)}")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return left


def state_of(pid: int) -> tuple[str, int]:
    """State letter and parent of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return fields[0], int(fields[1])


def is_ours(pid: int) -> bool:
    """True for a child of this process, and for whatever inherited the mark from it."""
    if state_of(pid)[1] == os.getpid():
        return True
    try:
        return f"{MARK}={os.getpid()}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (PermissionError, ProcessLookupError):
        return False


def wait_for_end(pid: int, deadline: float) -> None:
    """Until the process ends, or *deadline*."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    finally:
        os.close(descriptor)


def command_of(pid: int) -> str:
    """Command line of a process, or its name in brackets."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return words or f"[{Path(f'/proc/{pid}/comm').read_text().strip()}]"


def networks_left(before: Traces, deadline: float) -> list[str]:
    """Namespaces and links that the test made in this machine's own network and that did not go."""
    while (new := sorted(set(all_networks()) - before.networks)) and time.monotonic() < deadline:
        time.sleep(0.02)  # the kernel removes links in the background and tells nobody in this process
    return new


CHECKS: dict[str, Callable[[Traces, float], list[str]]] = {
    "threads": threads_left,
    "processes": processes_left,  # before descriptors: a process that ends closes its pipes
    "descriptors": descriptors_left,
    "networks": networks_left,
}


def pytest_configure() -> None:
    """Mark all processes that the tests will start."""
    os.environ[MARK] = str(os.getpid())


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Generator[None]:
    """Fail a test that leaves something behind. Set up first of a test's own fixtures, so torn down last."""
    of_kernel = any(request.node.get_closest_marker(kind) for kind in KERNEL_KINDS)
    allowed: set[str] = set()
    for marker in request.node.iter_markers("leaks"):
        allowed.update(marker.args or CHECKS)
    if unknown := allowed - set(CHECKS):
        pytest.fail(f"the marker 'leaks' takes {', '.join(CHECKS)}, not {', '.join(sorted(unknown))}")
    before = traces(of_kernel=of_kernel)
    yield
    deadline = time.monotonic() + GRACE
    found = []
    for kind, check in CHECKS.items():
        if kind in allowed or (kind == "networks" and not of_kernel):
            continue
        found += [f"{kind}: {what}" for what in check(before, deadline)]
    if found:
        pytest.fail("the test left behind " + "\n                     ".join(found), pytrace=False)
