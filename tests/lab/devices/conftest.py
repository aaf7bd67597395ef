"""A namespace of its own for each test, with the devices of a host in it, and a controller's view of them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.devices.twin import Host

from shakeout.devices.namespaces import enter
from shakeout.devices.netlink import Netlink

CLONE_NEWNET = 0x40000000


@pytest.fixture
def namespace() -> Iterator[None]:
    """The test's thread is in a new network namespace, which goes when its last socket is closed."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            pytest.skip("needs root, to make network namespaces")
        yield
    finally:
        enter(home)
        os.close(home)


@pytest.fixture
def netlink(namespace: None) -> Iterator[Netlink]:
    """The configuration of the test's namespace."""
    with Netlink() as opened:
        yield opened


@pytest.fixture
def host(netlink: Netlink, tmp_path: Path) -> Iterator[Host]:
    """A host with the interfaces lo, eth0 and eth1 (a cable between these two, both up)."""
    with Host.wired(netlink, tmp_path / "undo.log") as made:
        yield made
