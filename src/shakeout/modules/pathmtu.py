"""PathMtu: how large may packets be on the way to a host?"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.limits import LimitsParam, limits_text, within
from shakeout.params import ChoiceParam, DurationParam, HostnameOrIpParam, IntParam, IpParam

if TYPE_CHECKING:
    from shakeout.modules.packets.errorqueue import Came
    from shakeout.modules.packets.mtusearch import MtuSearch
    from shakeout.modules.packets.probing import Prober

_PORT = 33434
#: Once an answer has come, others are waited for so many times as long, but not less than so many seconds.
_TIMES, _LEAST = 20, 0.25
#: Rounds without any answer after which the target counts as gone, though it had answered before.
_VOID_ROUNDS = 3


class Narrow(TypedDict):
    """What a router said of packets that were too big.

    Keys:
        address: its own.
        mtu: what it said would fit, in bytes; 0 from those that do not know.
    """

    address: str
    mtu: int


class PathMtuResult(TypedDict):
    """What PathMtu found.

    Keys:
        target: the address that was probed.
        mtu: the largest packet that arrives whole, in bytes with the IP header; 0 if it is not known.
        how: "interface" (the host's own interface is the narrowest), "max" (the limit that was given fits), "icmp"
            (a router said so, and it is so), "search" (found by trying, because nobody said it).
        limited_by: the router at the narrowest place; "" if that is not known.
        black_hole: packets that are too big vanish, and nobody says so.
        said: what routers said, in order.
        probes: packets that were sent.
        rtt_ms: the shortest round-trip time; None if nothing came back.
    """

    target: str
    mtu: int
    how: str
    limited_by: str
    black_hole: bool
    said: list[Narrow]
    probes: int
    rtt_ms: float | None


class PathMtu(BaseTestModule):
    """Find the largest packet that arrives whole; failed if the target does not answer, or *expect* is not met.

    Probes must not be divided on the way. What a router says of one that is too big is tried; where routers say
    nothing (a black hole), sizes are tried until the limit is known to the byte, and the result says so. The kernel's
    own idea of the path is not used. The result is a `PathMtuResult`.

    Pings are answered by nearly every host; they need root, or net.ipv4.ping_group_range. Datagrams need nothing: they
    are answered by "port unreachable", of which a host sends few a second, or by who sends them back from *port*
    (as ``UdpListen(echo=True)`` does).

    Examples:
        >>> job = m1.run(PathMtu(dst="127.0.0.1", max_mtu=9000, expect=9000))
        >>> job.result["how"]
        'max'
    """

    dst = HostnameOrIpParam(mandatory=True, desc="address or name to probe the way to")
    protocol = ChoiceParam(("auto", "icmp", "udp"), default="auto", desc="pings, datagrams, or pings where allowed")
    port = IntParam(minimum=1, maximum=65535, desc="of datagrams that are sent back; some unused ones if not given")
    max_mtu = IntParam(minimum=68, maximum=65535, desc="the largest size to try; that of the interface if not given")
    expect = LimitsParam(whole=True, desc="what the MTU must be: 1500, or (least, most)")
    timeout = DurationParam(default=1.0, minimum=0.001, desc="how long to wait for the first answer")
    tries = IntParam(default=3, minimum=1, maximum=20, desc="probes of a size before its silence counts")
    bind = IpParam(desc="address to send from")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = []
        if self.port is not None and self.protocol != "udp":
            problems.append(f"port={self.port} is for protocol='udp' only")
        if getattr(self.dst, "version", 4) == 6 and self.max_mtu is not None and self.max_mtu < 1280:
            problems.append(f"max_mtu={self.max_mtu}: every IPv6 network carries 1280 bytes at least")
        if problems:
            raise BadParameters("PathMtu", problems)

    def run(self) -> PathMtuResult:
        import socket

        from shakeout.modules.endpoints import resolve

        family, address = resolve(self.dst, 0, socket.SOCK_DGRAM)
        result = PathMtuResult(
            target=address[0], mtu=0, how="", limited_by="", black_hole=False, said=[], probes=0, rtt_ms=None
        )
        self._res_data = result
        with self._prober(4 if family == socket.AF_INET else 6, address) as prober:
            discovery = _Discovery(self, prober, result)
            try:
                discovery.whole()
            except KeyboardInterrupt:
                raise ModuleFailed(f"stopped before it was known: {discovery.so_far()}") from None
        if self.expect is not None and not within(result["mtu"], self.expect):
            raise ModuleFailed(f"{self.format_result(result)}; expected are {limits_text(self.expect, ' bytes')}")
        return result

    def _prober(self, version: int, address: Any) -> Prober:
        from shakeout.modules.packets.probing import IcmpProber, UdpProber

        try:
            if self.protocol != "udp":
                try:
                    return IcmpProber(version, address, self.bind, whole=True)
                except PermissionError:
                    if self.protocol == "icmp":
                        raise ModuleFailed(
                            "this job may not send pings by itself: run it as root, use protocol='udp', or widen "
                            "net.ipv4.ping_group_range on the host"
                        ) from None
            port, one = self.port or _PORT, self.port is not None
            return UdpProber(version, address, self.bind, port, one_port=one, whole=True)
        except OSError as error:
            raise ModuleFailed(f"nothing can be sent from {self.bind or 'this host'}: {error.strerror}") from None

    def format_result(self, result: Any) -> str:
        """ "packets of 1400 bytes reach 10.0.2.2, limited by 10.0.1.254" and how that is known."""
        try:
            text = f"packets of {result['mtu']} bytes reach {result['target']}"
            if result["how"] == "interface":
                return f"{text}, as many as this host's own interface sends"
            if result["how"] == "max":
                return f"{text}; larger ones were not tried"
            text += f", limited by {result['limited_by']}" if result["limited_by"] else ""
            if result["black_hole"]:
                text += "; larger ones vanish without an ICMP message (a black hole)"
            return text
        except (KeyError, TypeError):  # not from here: shown as it is
            return super().format_result(result)


class _Discovery:
    """One discovery: rounds of probes until the search is done."""

    def __init__(self, module: PathMtu, prober: Prober, result: PathMtuResult) -> None:
        self._module, self._prober, self._result = module, prober, result
        self._number = 0
        self._patience = module.timeout
        self._search: MtuSearch | None = None

    def whole(self) -> None:
        """Until the MTU is known.

        Raises:
            ModuleFailed: it cannot be found out.
        """
        from shakeout.modules.packets.mtusearch import MtuSearch

        result = self._result
        high, how = self._largest()
        search = self._search = MtuSearch(self._prober.version, high)
        void = 0
        while not search.done:
            sizes = search.next_sizes()
            answered, silent = self._round(search, sizes)
            if not answered and len(silent) == len(sizes) and search.searching:
                void += 1
                if not search.good or void == _VOID_ROUNDS:
                    raise ModuleFailed(self._unanswered(sizes[-1], before=bool(search.good)))
                continue
            if silent:
                search.silent(silent)
            result["mtu"] = search.good
        self._conclude(how if search.good == high else "")

    def _conclude(self, how: str) -> None:
        """Who or what is the limit; *how* is known if it is this host."""
        result = self._result
        if not how:
            # One who said more is before the narrowest place, about which nobody said anything then.
            there = [narrow for narrow in result["said"] if narrow["mtu"] <= result["mtu"]]
            right = [narrow for narrow in there if narrow["mtu"] == result["mtu"]]
            how = "icmp" if right else "search"
            result["black_hole"] = not there
            result["limited_by"] = (right or there)[-1]["address"] if there else ""
        result["how"] = how

    def so_far(self) -> str:
        """What is known while it is not done."""
        if self._search is None or not self._search.good:
            return f"nothing has come back from {self._result['target']}"
        return f"packets of {self._search.good} bytes reach {self._result['target']}, {self._search.bad} do not"

    def _largest(self) -> tuple[int, str]:
        """The greatest size that can be sent, and why no greater one: "interface" or "max"."""
        limit = self._module.max_mtu or 65535
        self._prober.resize(65535 if self._prober.version == 4 else 65535 + 40)
        try:
            self._send()
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise self._not_sent(error) from None
            if self._prober.local_mtu:
                limit = min(limit, self._prober.local_mtu)
        self._prober.received(0)
        return limit, "max" if limit == self._module.max_mtu else "interface"

    def _send(self) -> int:
        self._number += 1
        self._prober.send(self._number, 64)
        self._result["probes"] += 1
        return self._number

    def _round(self, search: MtuSearch, sizes: list[int]) -> tuple[bool, list[int]]:
        """Try *sizes*; whether anything fitted or was said, and those that nothing came for."""
        waiting: dict[int, tuple[int, int]] = {}  # probe -> its size and when it was sent
        open_sizes, heard = list(sizes), False
        for _ in range(self._module.tries):
            for size in open_sizes:
                self._prober.resize(size)
                try:
                    waiting[self._send()] = (size, time.monotonic_ns())
                except OSError as error:
                    raise self._not_sent(error) from None
            until = time.monotonic() + self._patience
            while open_sizes and (left := until - time.monotonic()) > 0:
                for number, came in self._prober.received(left):
                    if number in waiting:
                        heard = True
                        self._note(search, *waiting[number], came)
                # What fits settles all that is smaller, and what a router says all that is larger.
                open_sizes = [size for size in open_sizes if search.good < size < search.bad]
            if not open_sizes:
                break
        return heard, open_sizes

    def _note(self, search: MtuSearch, size: int, sent_ns: int, came: Came) -> None:
        from shakeout.modules.packets.icmpwords import meaning

        result, target = self._result, self._result["target"].partition("%")[0]
        rtt = (time.monotonic_ns() - sent_ns) / 1e9
        if result["rtt_ms"] is None or rtt * 1e3 < result["rtt_ms"]:
            result["rtt_ms"] = round(rtt * 1e3, 3)
            self._patience = min(self._module.timeout, max(_LEAST, _TIMES * rtt))
        if came.errno == 0 or (came.errno == errno.ECONNREFUSED and came.offender == target):
            search.fits(size)
        elif came.errno == errno.EMSGSIZE:
            said = Narrow(address=came.offender, mtu=came.info)
            if said not in result["said"]:
                result["said"].append(said)
            search.too_big(size, came.info)
        else:
            what = meaning(self._prober.version, came.kind, came.code)
            raise ModuleFailed(f"{target} was not reached: {came.offender or 'somebody'} says {what}")

    def _not_sent(self, error: OSError) -> ModuleFailed:
        return ModuleFailed(
            f"nothing can be sent to {self._result['target']}: {error.strerror}; "
            "give this host a route to it, and an address"
        )

    def _unanswered(self, size: int, *, before: bool) -> str:
        target = self._result["target"]
        if before:
            return f"{target} answers no more, though it did before: {self.so_far()}; make timeout or tries larger"
        text = f"{target} does not even answer packets of {size} bytes"
        if self._module.protocol == "udp" and self._module.port is None:
            return text + "; use protocol='icmp', or port= of something there that sends datagrams back"
        return text + ": is it up, and is there a way to it and back?"
