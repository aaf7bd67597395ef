"""Throughput between two hosts, measured in pure Python: nothing has to be installed there."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.endpoints import announce, bound, count_reason, endpoint, reason, remedy, resolve
from shakeout.modules.flows.pace import usual_interval
from shakeout.modules.flows.words import in_words
from shakeout.params import (
    BoolParam,
    ChoiceParam,
    DurationParam,
    FloatParam,
    HostnameOrIpParam,
    IntParam,
    IpParam,
    StrParam,
)

if TYPE_CHECKING:
    from shakeout.modules.flows.result import ThroughputResult
    from shakeout.modules.flows.session import Session
    from shakeout.modules.flows.talk import Plan, Tick
    from shakeout.modules.series import Series

#: The port of a ThroughputServer, if none is given.
PORT: Final = 5202
_TCP_LENGTH, _UDP_LENGTH = 1 << 17, 1400


class ThroughputClient(BaseTestModule):
    """Measure throughput to a `ThroughputServer` over TCP or UDP, in one direction or both.

    The rate is measured at the receiver. The result is a `ThroughputResult`: bit/s and bytes at both
    ends, how much the rate varied, for TCP retransmits, for UDP loss, reordering, duplicates and jitter,
    and whether the way or one of the ends was the limit: a Python sends some 20 Gbit/s over TCP and
    150,000 datagrams a second on one CPU; `IperfClient` sends more. Each interval is a sample in the
    run's journal, of the series "throughput" (and "throughput_back"). ``job.kill(signal.SIGINT)`` ends
    it with what came so far.

    Examples:
        >>> server = m2.run(ThroughputServer(), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(ThroughputClient(dst=m2_address, protocol="udp", rate=1e6, duration=0.5))
        >>> job.result["lost"], job.result["limited_by"]
        (0, 'rate')
        >>> 0.9e6 < job.result["received_bps"] < 1.1e6
        True
    """

    result_units = {"loss": "%"}

    dst = HostnameOrIpParam(mandatory=True, desc="address or name of the server")
    port = IntParam(default=PORT, minimum=1, maximum=65535)
    protocol = ChoiceParam(("tcp", "udp"), default="tcp")
    duration = DurationParam(default=10.0, minimum=0.05, maximum="1d", desc="how long to measure")
    warm_up = DurationParam(default=0.0, maximum="1h", desc="how long to send before that, which does not count")
    interval = DurationParam(minimum=0.01, maximum="1h", desc="between samples (duration/20, from 0.05 s to 1 s)")
    streams = IntParam(default=1, minimum=1, maximum=128, desc="connections, or flows of datagrams, at the same time")
    rate = FloatParam(minimum=0, maximum=1e15, desc="bit/s of each stream; 0: no limit (1e6 for UDP if not given)")
    reverse = BoolParam(default=False, desc="the server sends")
    bidirectional = BoolParam(default=False, desc="both send")
    length = IntParam(minimum=32, maximum=1 << 22, desc="bytes of one write (131072), or of a datagram (1400)")
    window = IntParam(minimum=1, maximum=1 << 30, desc="bytes of the socket buffers")
    zerocopy = BoolParam(default=False, desc="TCP: send with sendfile(), discard in the kernel what comes")
    nodelay = BoolParam(default=False, desc="TCP: switch off Nagle's algorithm")
    congestion = StrParam(pattern="[a-z0-9_]{1,16}", desc="TCP's congestion control, as cubic or bbr")
    bind = IpParam(desc="address to send from")
    timeout = DurationParam(default=10.0, minimum=0.1, desc="to connect in, and for a busy server to be free")
    max_loss = FloatParam(default=100.0, minimum=0.0, maximum=100.0, desc="percent of datagrams that may be lost")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = list(self._contradictions())
        if problems:
            raise BadParameters("ThroughputClient", problems)

    def _contradictions(self) -> Any:
        if self.reverse and self.bidirectional:
            yield "reverse=True and bidirectional=True contradict each other: give one"
        if self.protocol == "udp":
            for name in ("zerocopy", "nodelay", "congestion"):
                if getattr(self, name):
                    yield f"{name} is for protocol=tcp, not for udp"
            if self.length is not None and self.length > 65507:
                yield f"length={self.length}: a datagram has at most 65507 bytes"
        elif self.max_loss != 100.0:
            yield "max_loss is for protocol=udp, not for tcp"
        if self.bind is not None and self.bind.version != getattr(self.dst, "version", self.bind.version):
            yield f"bind={self.bind} is an IPv{self.bind.version} address, dst={self.dst} is not"

    def run(self) -> ThroughputResult:
        from shakeout.modules.flows import ends as throughput_ends
        from shakeout.modules.flows.talk import PeerGone

        plan = self.plan()
        family, address = resolve(self.dst, self.port, socket.SOCK_STREAM)
        source = None if self.bind is None else (str(self.bind), 0)
        where, ticks = endpoint(address), _Ticks(self, main=self.reverse)
        with ExitStack() as opened:
            try:
                session = throughput_ends.connect(opened, plan, family, address, source, self.timeout, ticks.take)
            except PeerGone as error:
                raise ModuleFailed(f"nothing was measured to {where}: {error}") from None
            except OSError as error:
                hint = "; start ThroughputServer there, and wait for its output 'listening on'"
                hint = hint if isinstance(error, ConnectionRefusedError) else remedy(reason(error))
                raise ModuleFailed(f"nothing was measured to {where}: {reason(error)}{hint}") from None
            try:
                session.run()
            except PeerGone as error:
                self._res_data = self._result(plan, session, ticks)
                raise ModuleFailed(
                    f"the measurement to {where} broke off: {error}; the result has what this end knows"
                ) from None
        result = self._res_data = self._result(plan, session, ticks)
        self._judge(result, session, where)
        return result

    def plan(self) -> Plan:
        """What the server is told."""
        from shakeout.modules.flows.talk import Plan

        udp = self.protocol == "udp"
        return Plan(
            protocol="udp" if udp else "tcp",
            streams=self.streams,
            duration=self.duration,
            warm_up=self.warm_up,
            interval=usual_interval(self.duration, 0.05) if self.interval is None else self.interval,
            forward=not self.reverse,
            back=self.reverse or self.bidirectional,
            length=self.length or (_UDP_LENGTH if udp else _TCP_LENGTH),
            rate=(1e6 if udp else 0.0) if self.rate is None else self.rate,
            buffer=self.window or 0,
            zerocopy=self.zerocopy,
            nodelay=self.nodelay,
            congestion=self.congestion or "",
        )

    def _result(self, plan: Plan, session: Session, ticks: _Ticks) -> ThroughputResult:
        from shakeout.modules.flows.result import ThroughputResult, direction

        forward = direction(plan, session.sent, session.received_there, ticks.rates[False])
        back = direction(plan, session.sent_there, session.received, ticks.rates[True])
        first = back if self.reverse else forward
        ends = (session.sent, session.received)
        seconds = next((end.seconds for end in ends if end is not None), 0.0)
        return ThroughputResult(
            **first,
            protocol=self.protocol,
            reverse=self.reverse,
            seconds=seconds,
            back=back if self.bidirectional else None,
            stopped=session.stopped,
        )

    def _judge(self, result: ThroughputResult, session: Session, where: str) -> None:
        if session.stopped and not session.interrupted:
            raise ModuleFailed(f"the measurement to {where} was stopped at the other end")
        for sent in (session.sent, session.sent_there):
            if sent is not None and sent.error and not sum(stream.size for stream in sent.streams):
                raise ModuleFailed(f"nothing could be sent over {self.protocol.upper()}: {sent.error}")
        if self.protocol == "tcp":
            return
        for name, flow in (("to", result), ("back from", result["back"])):
            loss = flow["loss"] if flow is not None else None
            if flow is not None and loss is not None and loss > self.max_loss:
                raise ModuleFailed(
                    f"{flow['lost']} of {flow['datagrams']} datagrams {name} {where} were lost "
                    f"({loss:.4g} %, allowed are {self.max_loss:g} %)"
                )

    def format_result(self, result: Any) -> str:
        """ "941.3 Mbit/s (± 2.1), limited by the path" and so on, and the other way likewise."""
        try:
            text = in_words(result)
            return f"{text}; back {in_words(result['back'])}" if result["back"] is not None else text
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class ThroughputServerResult(TypedDict):
    """What ThroughputServer found.

    Keys:
        address, port: where it listened.
        tests: measurements that came to an end.
        received, sent: bytes of all of them, without the warm-up.
        errors: those that did not, by reason.
    """

    address: str
    port: int
    tests: int
    received: int
    sent: int
    errors: dict[str, int]


class ThroughputServer(BaseTestModule):
    """Serve clients that measure throughput (`ThroughputClient`), one after the other.

    Prints "listening on ADDRESS:PORT" once it does; UDP comes to the same port. The figures are in
    the clients' results; this one's is a `ThroughputServerResult`. In the background with ``tests=0``,
    ``job.kill(signal.SIGINT)`` ends it.

    Examples:
        >>> server = m2.run(ThroughputServer(port=5203, tests=1), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(ThroughputClient(dst=m2_address, port=5203, streams=2, duration=0.5))
        >>> job.result["received_bps"] > 1e6
        True
        >>> server.wait(timeout=10)
        True
        >>> server.result["tests"]
        1
    """

    address = IpParam(desc="address to listen on; all of them, IPv4 and IPv6, if not given")
    port = IntParam(default=PORT, minimum=0, maximum=65535, desc="0: any free one")
    tests = IntParam(default=1, minimum=0, desc="measurements to serve; 0: until stopped")
    timeout = DurationParam(minimum=0.1, desc="until a client must have come; for ever if not given")

    def run(self) -> ThroughputServerResult:
        from shakeout.modules.flows import ends as throughput_ends
        from shakeout.modules.flows.talk import PeerGone

        result = ThroughputServerResult(address="", port=0, tests=0, received=0, sent=0, errors={})
        self._res_data = result
        with bound(self.address, self.port, socket.SOCK_STREAM) as listener:
            listener.listen(1024)
            result["address"], result["port"] = announce(listener)
            ticks = _Ticks(self, main=True)
            try:
                while not self.tests or result["tests"] < self.tests:
                    with ExitStack() as opened:
                        try:
                            until = None if self.timeout is None else time.monotonic() + self.timeout
                            session = throughput_ends.accept(opened, listener, until, ticks.take)
                            if session is None:
                                raise ModuleFailed(f"no client came within {self.timeout:g} s")
                            session.run()
                        except PeerGone as error:
                            count_reason(result["errors"], str(error))
                            continue
                        self._count(result, session)
                        if session.interrupted:
                            break
            except KeyboardInterrupt:
                pass
        return result

    def _count(self, result: ThroughputServerResult, session: Session) -> None:
        result["tests"] += 1
        result["sent"] += sum(stream.size for stream in session.sent.streams) if session.sent else 0
        result["received"] += sum(stream.size for stream in session.received.streams) if session.received else 0


class _Ticks:
    """The intervals of measurements on their way to the journal.

    Args:
        main: whether the direction that is "throughput" is received here; the other is "throughput_back".

    Attributes:
        rates: bit/s of each, measured here (True) and at the other end (False).
    """

    def __init__(self, module: BaseTestModule, *, main: bool) -> None:
        self._main = main
        self.rates: dict[bool, list[float]] = {True: [], False: []}
        self._module = module
        self._series: dict[bool, Series] = {}

    def take(self, tick: Tick, here: bool) -> None:
        if here not in self._series:
            name = "throughput" if here is self._main else "throughput_back"
            self._series[here] = self._module.series(name, rate="bit/s")
        self._series[here].add(rate=tick.bps)
        self.rates[here].append(tick.bps)
