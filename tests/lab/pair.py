"""Two network namespaces with a cable between them, and test modules run in either."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from tests.lab.module_process import ModuleProcess

from shakeout.modules.base import BaseTestModule
from shakeout.modules.outcome import Outcome

_numbers = count()


class Side:
    """One of the two namespaces.

    Attributes:
        ipv4, ipv6: its addresses.
        link: its end of the cable.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.link = "link0"
        self.ipv4, self.ipv6 = f"10.77.0.{number}", f"fd77::{number}"

    def start(self, module: BaseTestModule, **options: Any) -> ModuleProcess:
        """*module* in a process of its own in this namespace."""
        return ModuleProcess(module, within=self.name, **options)

    def run(self, module: BaseTestModule) -> Outcome:
        """Run *module* to its end."""
        with self.start(module) as process:
            return process.outcome()

    def do(self, *commands: str) -> None:
        """Run shell commands in it."""
        for command in commands:
            argv = ["ip", "netns", "exec", self.name, "sh", "-ec", command]
            subprocess.run(argv, check=True, capture_output=True, text=True)


@contextmanager
def pair() -> Iterator[tuple[Side, Side]]:
    """Two sides that reach each other over IPv4 and IPv6, removed afterwards with all that is in them."""
    stem = f"so-pair-{os.getpid()}-{next(_numbers)}"
    sides = Side(f"{stem}-a", 1), Side(f"{stem}-b", 2)
    try:
        for side in sides:
            subprocess.run(["ip", "netns", "add", side.name], check=True)
        a, b = sides
        a.do(f"ip link add {a.link} type veth peer name {b.link} netns {b.name}")
        for side in sides:
            side.do(
                "ip link set lo up",
                f"ip address add {side.ipv4}/24 dev {side.link}",
                f"ip address add {side.ipv6}/64 dev {side.link} nodad",
                f"ip link set {side.link} up",
            )
        yield sides
    finally:
        for side in sides:
            subprocess.run(["ip", "netns", "delete", side.name], check=False, capture_output=True)
