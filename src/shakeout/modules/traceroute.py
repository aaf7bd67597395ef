"""Traceroute: which routers are on the way, and how far are they?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import BadParameters, JobError, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.params import (
    BoolParam,
    ChoiceParam,
    DurationParam,
    HostnameOrIpParam,
    IntParam,
    IpParam,
    ListParam,
    StrParam,
)

if TYPE_CHECKING:
    from shakeout.modules.packets.errorqueue import Came
    from shakeout.modules.packets.probing import Prober

#: Ports that nobody should listen on, as traceroute has used them since 1987.
_UDP_PORT, _TCP_PORT = 33434, 80


class Hop(TypedDict):
    """One step of a route.

    Keys:
        hop: its number, from 1.
        addresses: who answered, each once, in the order in which they did; none if nobody did.
        rtt_ms: round-trip times of all queries; None for one without an answer.
        said: what it said other than that the packet had come too far, as "host unreachable"; "" for nothing.
    """

    hop: int
    addresses: list[str]
    rtt_ms: list[float | None]
    said: str


class TracerouteResult(TypedDict):
    """What Traceroute found.

    Keys:
        target: the address that was probed.
        reached: it answered.
        hops: the route, as far as it was found; those after the last that answered are left out.
    """

    target: str
    reached: bool
    hops: list[Hop]


class Traceroute(BaseTestModule):
    """Find the routers on the way to a host; failed if it is not reached, or not on the expected way.

    Several probes are on their way at the same time, so that it takes little longer than the slowest answer. UDP and
    TCP need no privilege. With *expect*, an address for each hop, "*" stands for any or none. The result is a
    `TracerouteResult`.

    A router sends few such answers a second (Linux 6 at once, then one a second, for all that one host asks): one who
    asks again and again gets gaps.

    Examples:
        >>> job = m1.run(Traceroute(dst="127.0.0.1", expect=["127.0.0.1"]))
        >>> job.result["reached"], job.result["hops"][0]["addresses"]
        (True, ['127.0.0.1'])
    """

    dst = HostnameOrIpParam(mandatory=True, desc="address or name to find the way to")
    protocol = ChoiceParam(("udp", "icmp", "tcp"), default="udp", desc="what probes are: datagrams, pings, connections")
    port = IntParam(minimum=1, maximum=65535, desc="of the first datagram (33434), or of all connections (80)")
    max_hops = IntParam(default=30, minimum=1, maximum=255, desc="hops after which it gives up")
    queries = IntParam(default=3, minimum=1, maximum=20, desc="probes for each hop")
    timeout = DurationParam(default=1.0, minimum=0.001, desc="how long to wait for an answer")
    parallel = IntParam(default=16, minimum=1, maximum=256, desc="probes on their way at the same time")
    size = IntParam(default=24, minimum=0, maximum=1400, desc="bytes of payload of datagrams and pings")
    expect = ListParam(StrParam(min_length=1), desc="the route: an address for each hop, '*' for any or none")
    reach = BoolParam(default=True, desc="it must be reached; if False, it is enough to look")
    bind = IpParam(desc="address to send from")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = []
        for text in self.expect or ():
            if text != "*" and _address(text) is None:
                problems.append(f"expect: {text!r} is neither an address nor '*'")
        last = (self.port or _UDP_PORT) + self.max_hops * self.queries
        if self.protocol == "udp" and last > 65535:
            problems.append(f"port={self.port}: the last probe would go to port {last}; begin with a lower one")
        if problems:
            raise BadParameters("Traceroute", problems)

    def run(self) -> TracerouteResult:
        import socket

        from shakeout.modules.endpoints import resolve

        family, address = resolve(self.dst, 0, socket.SOCK_DGRAM)
        result = TracerouteResult(target=address[0], reached=False, hops=[])
        self._res_data = result
        try:
            with self._prober(4 if family == socket.AF_INET else 6, address) as prober:
                _Trace(self, prober, result).whole()
        except KeyboardInterrupt:
            if self.reach or self.expect is not None:
                raise ModuleFailed(f"stopped before {address[0]} was reached, after {_counted(result)}") from None
        self._judge(result)
        return result

    def _prober(self, version: int, address: Any) -> Prober:
        from shakeout.modules.packets import probing

        try:
            if self.protocol == "udp":
                return probing.UdpProber(version, address, self.bind, self.port or _UDP_PORT, self.size)
            if self.protocol == "tcp":
                return probing.TcpProber(version, address, self.bind, self.port or _TCP_PORT)
            return probing.IcmpProber(version, address, self.bind, self.size)
        except PermissionError:
            raise JobError(
                "this job may not send pings by itself: run it as root, use protocol='udp', or widen "
                "net.ipv4.ping_group_range on the host"
            ) from None
        except OSError as error:
            raise ModuleFailed(f"nothing can be sent from {self.bind or 'this host'}: {error.strerror}") from None

    def _judge(self, result: TracerouteResult) -> None:
        hops, target = result["hops"], result["target"]
        route = "\n" + self.format_result(result)
        if self.expect is not None:
            wanted = [text if text == "*" else str(_address(text)) for text in self.expect]
            for number, want in enumerate(wanted):
                found = hops[number]["addresses"] if number < len(hops) else []
                if want != "*" and found != [want]:
                    there = " and ".join(found) or "nobody"
                    raise ModuleFailed(f"hop {number + 1} to {target} is {there}, expected is {want}:{route}")
            if len(hops) != len(wanted):
                raise ModuleFailed(f"the route to {target} has {len(hops)} hops, expected are {len(wanted)}:{route}")
        if self.reach and not result["reached"]:
            said = hops[-1]["said"] if hops else ""
            if said:
                raise ModuleFailed(f"{target} was not reached: {hops[-1]['addresses'][0]} says {said}:{route}")
            raise ModuleFailed(f"{target} was not reached within {self.max_hops} hops, after {_counted(result)}{route}")

    def format_result(self, result: Any) -> str:
        """A line for each hop: " 2  10.0.2.2  0.051 0.043 0.047 ms"."""
        try:
            lines = []
            for hop in result["hops"]:
                times = " ".join("*" if rtt is None else f"{rtt:.3f}" for rtt in hop["rtt_ms"])
                said = f"  {hop['said']}" if hop["said"] else ""
                lines.append(f"{hop['hop']:2}  {' '.join(hop['addresses']) or '*'}  {times} ms{said}")
            return "\n".join([*lines, f"{result['target']} was {'' if result['reached'] else 'not '}reached"])
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Trace:
    """One trace: probes are sent in the order of hops, some at a time, until the target or an end is found."""

    def __init__(self, module: Traceroute, prober: Prober, result: TracerouteResult) -> None:
        self._module, self._prober, self._result = module, prober, result
        self._queries = module.queries
        self._hops: list[Hop] = []
        #: Probe -> when it was sent (CLOCK_REALTIME), and when it is given up (CLOCK_MONOTONIC).
        self._waiting: dict[int, tuple[int, int]] = {}
        #: The hop at which the way ends; what is beyond is of no interest.
        self._end = module.max_hops

    def whole(self) -> None:
        """Until all is known."""
        number = 0
        try:
            while number < self._end * self._queries or self._waiting:
                while number < self._end * self._queries and len(self._waiting) < self._module.parallel:
                    self._send(number)
                    number += 1
                    self._take(0.0)  # near ones have often answered already
                self._take(self._patience())
        finally:
            self._conclude()

    def _send(self, number: int) -> None:
        import time

        hop = number // self._queries + 1
        if len(self._hops) < hop:
            self._hops.append(Hop(hop=hop, addresses=[], rtt_ms=[None] * self._queries, said=""))
        try:
            sent = self._prober.send(number, hop)
        except OSError as error:
            if number:
                return  # the first was sent: so this is about what was sent before
            where = self._result["target"]
            raise ModuleFailed(
                f"nothing can be sent to {where}: {error.strerror}; give this host a route to it, and an address"
            ) from None
        self._waiting[number] = (sent, time.monotonic_ns() + round(self._module.timeout * 1e9))

    def _patience(self) -> float:
        """Seconds until the next probe is given up."""
        import time

        if not self._waiting:
            return 0.0
        return max(0.0, (min(until for _, until in self._waiting.values()) - time.monotonic_ns()) / 1e9)

    def _take(self, timeout: float) -> None:
        import time

        for number, came in self._prober.received(timeout):
            sent = self._waiting.pop(number, None)
            if sent is not None:
                self._note(number, came, (came.at_ns or time.time_ns()) - sent[0])
        now = time.monotonic_ns()
        for number in [number for number, (_, until) in self._waiting.items() if until <= now]:
            del self._waiting[number]
        beyond = self._end * self._queries
        for number in [number for number in self._waiting if number >= beyond]:
            del self._waiting[number]

    def _note(self, number: int, came: Came, took: int) -> None:
        import errno

        from shakeout.modules.packets.icmpwords import meaning

        hop = self._hops[number // self._queries]
        version, target = self._prober.version, self._result["target"].partition("%")[0]
        hop["rtt_ms"][number % self._queries] = round(max(0, took) / 1e6, 3)
        if came.offender and came.offender not in hop["addresses"]:
            hop["addresses"].append(came.offender)
        if came.errno and (came.kind, came.code) == ((11, 0) if version == 4 else (3, 0)):
            return
        refused = came.errno == errno.ECONNREFUSED
        if came.errno == 0 or (refused and came.offender == target):
            self._result["reached"] = True
        else:
            hop["said"] = meaning(version, came.kind, came.code)
        self._end = min(self._end, hop["hop"])

    def _conclude(self) -> None:
        hops = self._hops[: self._end]
        while hops and not hops[-1]["addresses"] and not hops[-1]["said"]:
            hops.pop()
        self._result["hops"] = hops


def _address(text: str) -> Any:
    from ipaddress import ip_address

    try:
        return ip_address(text)
    except ValueError:
        return None


def _counted(result: TracerouteResult) -> str:
    count = len(result["hops"])
    return f"{count} hop{'' if count == 1 else 's'} that answered"
