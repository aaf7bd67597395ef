"""Test modules that measure references on the host itself; in a file of their own, because whole files are shipped."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import TYPE_CHECKING

from shakeout import BaseTestModule, BoolParam, IntParam, StrParam

if TYPE_CHECKING:
    from collections.abc import Callable


class Forks(BaseTestModule):
    """Forks *count* children that end at once, one after the other; the seconds that each took.

    It runs in a child of the zygote, which is as large as the zygote itself.
    """

    count = IntParam(default=50, minimum=1)

    def run(self) -> None:
        series = []
        for _ in range(self.params.count):
            begin = time.perf_counter()
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            series.append(time.perf_counter() - begin)
        self._res_data = series


class LinkOperations(BaseTestModule):
    """Reads or sets the MTU of eth0 *count* times through one netlink socket; the seconds that each took."""

    change = BoolParam(default=False)
    client = StrParam(default="raw", desc="pyroute2, or raw")
    count = IntParam(default=50, minimum=1)

    def run(self) -> None:
        index = socket.if_nametoindex("eth0")
        operation = self._with_pyroute2(index) if self.params.client == "pyroute2" else self._raw(index)
        operation(1500)
        series = []
        for turn in range(self.params.count):
            begin = time.perf_counter()
            operation(1400 + turn % 2)
            series.append(time.perf_counter() - begin)
        self._res_data = series

    def _with_pyroute2(self, index: int) -> Callable[[int], object]:
        from pyroute2 import IPRoute

        client = IPRoute()
        if self.params.change:
            return lambda mtu: client.link("set", index=index, mtu=mtu)
        return lambda mtu: client.get_links(index)[0].get("mtu")

    def _raw(self, index: int) -> Callable[[int], object]:
        channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        channel.bind((0, 0))
        body = struct.pack("=BxHiII", 0, 0, index, 0, 0)
        get = struct.pack("=IHHII", 16 + len(body), 18, 1, 1, 0) + body  # RTM_GETLINK, NLM_F_REQUEST
        set_head = struct.pack("=IHHII", 24 + len(body), 16, 5, 1, 0) + body  # RTM_NEWLINK, NLM_F_ACK too

        def operate(mtu: int) -> None:
            channel.send(set_head + struct.pack("=HHI", 8, 4, mtu) if self.params.change else get)
            channel.recv(32768)

        return operate
