"""PacketAssert: do the packets come that should, and none that should not?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.limits import DeviceOrNameParam, Limits, LimitsParam, limits_text, within
from shakeout.params import BoolParam, ChoiceParam, DurationParam, IntParam, ListParam, StrParam

if TYPE_CHECKING:
    import re
    import socket

    from shakeout.modules.beat import Beat
    from shakeout.modules.packets.bpf import Program
    from shakeout.modules.packets.interface import Interface
    from shakeout.modules.packets.ring import Packet, Ring

#: Packets that are put into words, of those that were wanted and of the others.
_EXAMPLES = 5
#: Bytes of a packet that are looked at; all of it where there is a pattern for its payload.
_HEADERS, _WHOLE = 256, 65535
_OTHERS_BUFFER = 1 << 16


class PacketAssertResult(TypedDict):
    """What PacketAssert saw.

    Keys:
        seen: packets that were as wanted.
        bytes: their length on the network, in bytes.
        rate: packets a second, over all the time.
        seconds: how long it looked.
        first_s, last_s: when the first and the last came, in seconds from the beginning; None if none did.
        examples: the first of them in words, five at most.
        others: the first other packets of that time in words, five at most; none if every packet is wanted.
        dropped: packets that came while there was no room for them. Where only the filter decides they are counted
            in *seen*, because the filter had let them through.
        downs: how often the interface went down, or was down at the beginning.
    """

    seen: int
    bytes: int
    rate: float
    seconds: float
    first_s: float | None
    last_s: float | None
    examples: list[str]
    others: list[str]
    dropped: int
    downs: int


class PacketAssert(BaseTestModule):
    """Count the packets of an interface that a filter and patterns are true of; failed for too few or too many.

    Prints "listening on NAME" when it does. It ends after *duration*, by ``job.kill(signal.SIGINT)``, or as soon as
    the verdict cannot change any more: enough came where there is no upper limit, or more than the upper limit allows.
    Without *count*, *rate* or *none*, one packet is enough. The result is a `PacketAssertResult`; a failure says what
    was seen instead.

    The filter is that of PacketCapture. *grep* are regular expressions for the packet in words (as in the result),
    *payload* one for the bytes that it carries for applications; a packet counts if all of them are found.

    Examples:
        >>> looks = m1.run(PacketAssert(dev="lo", filter="icmp", grep=["echo request"], count=2, duration=0.5), bg=True)
        >>> looks.wait_output("listening on lo")
        <re.Match object; span=(0, 15), match='listening on lo'>
        >>> job = m1.run(Ping(dst="127.0.0.1", count=2, interval=0.01, size=100))
        >>> looks.wait(timeout=10)
        True
        >>> looks.result["seen"]
        2
        >>> looks.result["examples"][0].startswith("127.0.0.1 > 127.0.0.1: ICMP echo request, id ")
        True
    """

    dev = DeviceOrNameParam(mandatory=True, desc="interface: a device, or its name on the host")
    filter = StrParam(default="", desc="which packets, as tcpdump says it: 'tcp port 80 and host 10.0.0.1'")
    count = LimitsParam(whole=True, desc="how many there must be: 5, or (least, most)")
    rate = LimitsParam(desc="how many a second, over all the time: the least, or (least, most)")
    none = BoolParam(default=False, desc="there must be none")
    grep = ListParam(StrParam(min_length=1), default=[], desc="regular expressions for the packet in words")
    payload = StrParam(min_length=1, desc="regular expression for the bytes of the payload")
    duration = DurationParam(minimum=0.001, desc="how long to look; until stopped if not given")
    direction = ChoiceParam(("both", "in", "out"), default="both", desc="packets that come in, go out, or both")
    promiscuous = BoolParam(default=False, desc="have the interface take in what is for others")
    buffer = IntParam(default=4, minimum=1, maximum=1024, desc="MiB of memory for packets that wait")
    interval = DurationParam(default=1.0, minimum=0.01, desc="from one sample of the rate to the next")

    def __init__(self, **kwargs: Any) -> None:
        from shakeout.modules.packets.selection import refusal

        super().__init__(**kwargs)
        problems = [refusal(self.filter)]
        if self.none and (self.count is not None or self.rate is not None):
            problems.append("none=True contradicts count and rate: give one")
        problems += [_pattern_problem("grep", pattern) for pattern in self.grep]
        problems.append(_pattern_problem("payload", self.payload or ""))
        if any(problems):
            raise BadParameters("PacketAssert", [problem for problem in problems if problem])

    def run(self) -> PacketAssertResult:
        from shakeout.modules.beat import Beat
        from shakeout.modules.packets.interface import find_interface
        from shakeout.modules.packets.ring import Ring
        from shakeout.modules.packets.selection import program_for

        interface = find_interface(self.dev)
        snaplen = _WHOLE if self.payload else _HEADERS
        program = program_for(self.filter, interface, snaplen)
        ring = Ring(interface, program, size=self.buffer << 20, direction=self.direction, promiscuous=self.promiscuous)
        with ring, Beat(self.interval, self.duration) as beat, _Others(self, interface, program) as others:
            look = _Look(self, interface, ring, beat, others)
            look.whole()
        self._judge(look.result, interface, gone=ring.gone)
        return look.result

    def limits(self) -> Limits:
        """How many packets there may be."""
        if self.none:
            return (0, 0)
        if self.count is not None:
            return self.count  # type: ignore[no-any-return]
        return (None, None) if self.rate is not None else (1, None)

    def settled(self, seen: int) -> bool:
        """Whether the verdict cannot change any more once *seen* packets came."""
        low, high = self.limits()
        if high is not None:
            return seen > high
        return low is not None and seen >= low and self.rate is None

    @property
    def patterned(self) -> bool:
        """Whether packets are looked into beyond the filter."""
        return bool(self.grep) or self.payload is not None

    def _judge(self, result: PacketAssertResult, interface: Interface, *, gone: bool) -> None:
        limits, problems = self.limits(), []
        if limits != (None, None) and not within(result["seen"], limits):
            wanted = "none" if limits == (0, 0) else limits_text(limits)
            problems.append(
                f"{result['seen']} packets were seen, expected {'were' if wanted == 'none' else 'are'} {wanted}"
            )
        if self.rate is not None and not within(result["rate"], self.rate):
            problems.append(f"{result['rate']:.6g} packets a second came, expected are {limits_text(self.rate)}")
        if not problems and self.patterned and result["dropped"] and (limits[1] is not None or self.rate is not None):
            problems.append("whether there were too many cannot be told")
        if not problems and not gone:
            return
        self._fail(problems, result, interface, gone=gone)

    def _fail(self, problems: list[str], result: PacketAssertResult, interface: Interface, *, gone: bool) -> None:
        text = "; ".join(problems) or f"{result['seen']} packets were seen until then"
        text = f"on {interface.name}{f' ({self.filter})' if self.filter else ''} in {result['seconds']:.3g} s: {text}"
        if gone:
            text = f"{interface.name} went away; {text}"
        elif result["downs"]:
            text += f"; the interface was down {result['downs']} times"
        if result["dropped"]:
            text += f"; {result['dropped']} packets found no room: make buffer larger, or the filter narrower"
        for name, lines in (("seen", result["examples"]), ("instead", result["others"])):
            if lines and (name == "seen" or result["seen"] < (self.limits()[0] or 0) or self.rate is not None):
                text += f"\n{name}:" + "".join(f"\n  {line}" for line in lines)
        raise ModuleFailed(text)

    def format_result(self, result: Any) -> str:
        """ "12 packets, 3.4/s in 3.5 s" and the first of them."""
        try:
            text = f"{result['seen']} packets, {result['rate']:.4g}/s in {result['seconds']:.3f} s"
            text += f", {result['dropped']} dropped" if result["dropped"] else ""
            return "\n".join([text, *(f"  {line}" for line in result["examples"])])
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Look:
    """One look at an interface, from the first packet to the last."""

    def __init__(self, module: PacketAssert, interface: Interface, ring: Ring, beat: Beat, others: _Others) -> None:
        import re

        self._module, self._ring, self._beat, self._others = module, ring, beat, others
        self._interface = interface
        self._grep = [re.compile(pattern) for pattern in module.grep]
        self._payload: re.Pattern[bytes] | None = re.compile(module.payload.encode()) if module.payload else None
        self._series = module.series("packets", rate="1/s", bits="bit/s")
        self._counted = 0  # without those that were dropped
        self._sampled = (0, 0)
        self.result = PacketAssertResult(
            seen=0, bytes=0, rate=0.0, seconds=0.0, first_s=None, last_s=None, examples=[], others=others.lines,
            dropped=0, downs=0,
        )  # fmt: skip
        module._res_data = self.result

    def whole(self) -> None:
        """Until it ends."""
        ring, beat = self._ring, self._beat
        self._others.start(beat)
        ring.start()
        for descriptor in ring.descriptors():
            beat.attend(descriptor, self._take)
        print(f"listening on {self._interface.name}", flush=True)  # noqa: T201 - it is the module's output
        try:
            for _ in beat:
                self._sample()
            ring.stop()
            self._take()
        finally:
            self._told()

    def _take(self) -> None:
        from shakeout.modules.packets.ring import monotonic_shift

        begin = self._beat.begin_ns + monotonic_shift()
        result, simple = self.result, not self._module.patterned
        for packet in self._ring.packets():
            line = "" if simple and len(result["examples"]) >= _EXAMPLES else self._described(packet)
            if not simple and not self._wanted(packet, line):
                self._others.add(line)
                continue
            self._counted += 1
            result["bytes"] += packet.length
            result["last_s"] = round(max(0, packet.at_ns - begin) / 1e9, 9)
            if result["first_s"] is None:
                result["first_s"] = result["last_s"]
            if len(result["examples"]) < _EXAMPLES:
                result["examples"].append(line)
        self._count()
        if self._ring.gone or self._module.settled(result["seen"]):
            self._beat.stop()

    def _described(self, packet: Packet) -> str:
        from shakeout.modules.packets.decoder import describe

        return describe(packet.data, link=self._interface.link, length=packet.length)

    def _wanted(self, packet: Packet, line: str) -> bool:
        if not all(pattern.search(line) for pattern in self._grep):
            return False
        if self._payload is None:
            return True
        from shakeout.modules.packets.decoder import payload_of

        return self._payload.search(payload_of(packet.data, link=self._interface.link)) is not None

    def _count(self) -> None:
        result = self.result
        result["dropped"], result["downs"] = self._ring.dropped, self._ring.downs
        result["seen"] = self._counted + (0 if self._module.patterned else self._ring.dropped)

    def _sample(self) -> None:
        self._told()
        before = self._sampled
        self._sampled = (self.result["seen"], self.result["bytes"])
        if self._beat.whole:
            seconds = max(1e-9, self._beat.elapsed)
            rate, bits = ((new - old) / seconds for new, old in zip(self._sampled, before, strict=True))
            self._series.add(rate=rate, bits=8 * bits)

    def _told(self) -> None:
        self._ring.look()
        self._count()
        seconds = max(1e-9, self._beat.seconds())
        self.result["seconds"] = round(seconds, 6)
        self.result["rate"] = round(self.result["seen"] / seconds, 6)


class _Others:
    """The first packets that the filter does not let through: what was seen instead; a context manager."""

    def __init__(self, module: PacketAssert, interface: Interface, program: Program) -> None:
        self._module, self._interface, self._program = module, interface, program
        self._socket: socket.socket | None = None
        self._beat: Beat | None = None
        self.lines: list[str] = []

    def __enter__(self) -> _Others:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def start(self, beat: Beat) -> None:
        """From now on, until there are enough."""
        import socket

        from shakeout.modules.packets import bpf
        from shakeout.modules.packets.ring import ETH_P_ALL, packet_socket, towards

        if not self._module.filter.strip():
            return
        self._socket = sock = packet_socket(socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _OTHERS_BUFFER)
        program = bpf.opposite(self._program, _HEADERS)
        bpf.attach(sock, towards(program, self._interface, self._module.direction))
        sock.bind((self._interface.name, ETH_P_ALL))
        self._beat = beat
        beat.attend(sock.fileno(), self._take)

    def add(self, line: str) -> None:
        """A packet that the filter lets through, but the patterns do not."""
        if len(self.lines) < _EXAMPLES:
            self.lines.append(line)

    def _take(self) -> None:
        from shakeout.modules.packets.decoder import describe

        while self._socket is not None:
            if len(self.lines) >= _EXAMPLES:
                self._close()
                return
            try:
                data = self._socket.recv(_HEADERS)
            except BlockingIOError:
                return
            except OSError:
                return  # the interface went down
            self.lines.append(describe(data, link=self._interface.link))

    def _close(self) -> None:
        if self._socket is not None:
            if self._beat is not None:
                self._beat.leave(self._socket.fileno())
            self._socket.close()
            self._socket = None


def _pattern_problem(name: str, pattern: str) -> str:
    import re

    try:
        re.compile(pattern if name == "grep" else pattern.encode())
    except (re.error, UnicodeEncodeError, OverflowError, RecursionError) as error:
        return f"{name}={pattern!r} is no regular expression: {error}"
    return ""
