"""Attributes of a host's devices against the bare netlink operation, on the same link in the same namespace."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from time import perf_counter

from benchmarks.jobs import passed
from benchmarks.modules_at_hand import LinkOperations
from benchmarks.row import Figures, Row
from benchmarks.stage import on_hosts
from shakeout.hosts.matched import Matched

BLOCKS, EACH = 10, 50


def attribute(*, change: bool) -> Figures:
    """Reading or setting an MTU from the recipe against pyroute2 on the host itself, in blocks of 50."""

    def measure(matched: Matched) -> Figures:
        device = matched.m1.eth0
        device.mtu = 1500
        series: list[float] = []
        reference: dict[str, list[float]] = {"pyroute2": [], "raw": []}
        for _ in range(BLOCKS):
            for turn in range(EACH):
                begin = perf_counter()
                if change:
                    device.mtu = 1400 + turn % 2
                else:
                    _ = device.mtu
                series.append(perf_counter() - begin)
            for client in reference:
                job = matched.m1.run(LinkOperations(change=change, client=client, count=EACH))
                passed(job)
                reference[client] += job.result
        ours, pyroute2, raw = (statistics.median(times) * 1000 for times in (series, *reference.values()))
        return Figures(ours, pyroute2, f"median of {BLOCKS * EACH}; a bare socket takes {raw:.2g} ms")

    return on_hosts(measure)


def rows() -> Iterable[Row]:
    """Devices of the control plane."""
    yield Row("read a device's attribute / pyroute2 on the host", lambda: attribute(change=False), target_ratio=3)
    yield Row("set a device's attribute / pyroute2 on the host", lambda: attribute(change=True), target_ratio=3)
