"""Test modules: the ones that come with shakeout, and those in configured folders, by name.

`from shakeout.modules import Ping` imports Ping and nothing else. A name that does not come with
shakeout is looked for among the plugins (`--plugin-path`, the configuration, entry points).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shakeout.modules.base import BaseTestModule as BaseTestModule
    from shakeout.modules.capture import PacketCapture as PacketCapture
    from shakeout.modules.cpumonitor import CpuMonitor as CpuMonitor
    from shakeout.modules.cpustress import CpuStress as CpuStress
    from shakeout.modules.diskfill import DiskFill as DiskFill
    from shakeout.modules.diskmonitor import DiskMonitor as DiskMonitor
    from shakeout.modules.diskstress import DiskStress as DiskStress
    from shakeout.modules.dns_lookup import DnsLookup as DnsLookup
    from shakeout.modules.dns_serve import DnsServe as DnsServe
    from shakeout.modules.http_get import HttpGet as HttpGet
    from shakeout.modules.http_serve import HttpServe as HttpServe
    from shakeout.modules.interfacemonitor import InterfaceMonitor as InterfaceMonitor
    from shakeout.modules.iperf import IperfClient as IperfClient
    from shakeout.modules.iperf import IperfServer as IperfServer
    from shakeout.modules.keep_connections import KeepConnections as KeepConnections
    from shakeout.modules.logwatch import LogWatch as LogWatch
    from shakeout.modules.memorymonitor import MemoryMonitor as MemoryMonitor
    from shakeout.modules.memorystress import MemoryStress as MemoryStress
    from shakeout.modules.packetassert import PacketAssert as PacketAssert
    from shakeout.modules.pathmtu import PathMtu as PathMtu
    from shakeout.modules.ping import Ping as Ping
    from shakeout.modules.processmonitor import ProcessMonitor as ProcessMonitor
    from shakeout.modules.processwatch import ProcessWatch as ProcessWatch
    from shakeout.modules.tcp import TcpConnect as TcpConnect
    from shakeout.modules.tcp import TcpListen as TcpListen
    from shakeout.modules.throughput import ThroughputClient as ThroughputClient
    from shakeout.modules.throughput import ThroughputServer as ThroughputServer
    from shakeout.modules.traceroute import Traceroute as Traceroute
    from shakeout.modules.udp import UdpListen as UdpListen
    from shakeout.modules.udp import UdpSend as UdpSend

#: The test modules that come with shakeout, and the Python module of each.
BUILTIN: Final = {
    "CpuMonitor": "cpumonitor",
    "CpuStress": "cpustress",
    "DiskFill": "diskfill",
    "DiskMonitor": "diskmonitor",
    "DiskStress": "diskstress",
    "DnsLookup": "dns_lookup",
    "DnsServe": "dns_serve",
    "HttpGet": "http_get",
    "HttpServe": "http_serve",
    "InterfaceMonitor": "interfacemonitor",
    "IperfClient": "iperf",
    "IperfServer": "iperf",
    "KeepConnections": "keep_connections",
    "LogWatch": "logwatch",
    "MemoryMonitor": "memorymonitor",
    "MemoryStress": "memorystress",
    "PacketAssert": "packetassert",
    "PacketCapture": "capture",
    "PathMtu": "pathmtu",
    "Ping": "ping",
    "ProcessMonitor": "processmonitor",
    "ProcessWatch": "processwatch",
    "TcpConnect": "tcp",
    "TcpListen": "tcp",
    "ThroughputClient": "throughput",
    "ThroughputServer": "throughput",
    "Traceroute": "traceroute",
    "UdpListen": "udp",
    "UdpSend": "udp",
}
#: Those that are often over in a millisecond: a host's agent loads them beforehand. To have all of them in each
#: agent costs 2 MB, and every run 16 ms of loading; a module that works for seconds is loaded when it is needed.
WARM: Final = ("Ping", "TcpConnect", "TcpListen", "UdpListen", "UdpSend")
_BASE: Final = {"BaseTestModule": "base"}

#: What ``from shakeout.modules import *`` brings: all of them, loaded there and then.
__all__ = [*BUILTIN, *_BASE]  # noqa: PLE0604 - these are texts


def __getattr__(name: str) -> Any:
    place = BUILTIN.get(name) or _BASE.get(name)
    if place is not None:
        import importlib

        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{place}"), name)
        return value
    if name == name.lower():
        # No class: Python asks a package for its parts like this before it imports them.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shakeout.modules.lookup import find_test_module

    return find_test_module(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *BUILTIN, *_BASE])
