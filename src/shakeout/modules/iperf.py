"""Iperf: throughput between two hosts, measured by the program iperf3."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypedDict

from shakeout.errors import BadParameters, JobError, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.endpoints import endpoint
from shakeout.modules.flows.pace import usual_interval
from shakeout.modules.flows.words import in_words
from shakeout.modules.iperf_output import Interval, IperfResult, documents, interval, intervals, read_test
from shakeout.params import (
    BoolParam,
    ChoiceParam,
    DurationParam,
    FloatParam,
    HostnameOrIpParam,
    IntParam,
    IpParam,
    ListParam,
    StrParam,
)

if TYPE_CHECKING:
    from shakeout.modules.command import Finished
    from shakeout.modules.series import Series

#: The port that iperf3 takes if none is given.
PORT: Final = 5201

#: Bytes of JSON: a day of one-second intervals of several streams.
_KEPT = 64 << 20

_MISSING = (
    "the command iperf3 is not installed on this host; install the package iperf3 there (it is called so in "
    "Debian, Ubuntu and Fedora), or measure with ThroughputServer and ThroughputClient, which need nothing"
)

_HINTS: Final = (
    ("connection refused", "nobody listens there: start IperfServer first and wait for its output 'listening on'"),
    ("server is busy", "iperf3 serves one client at a time: wait for the other, or start a server on another port"),
    ("no route to host", "is there an address in that network on this host, and is the link up?"),
    ("network is unreachable", "give this host an address or a route towards it"),
    ("unable to set tcp_congestion", "load that module on the host, or see /proc/sys/net/ipv4/tcp_available_*"),
    ("unrecognized option", "the iperf3 on this host is too old for one of the options"),
)


class IperfClient(BaseTestModule):
    """Measure throughput to an iperf3 server (`IperfServer`) with the program iperf3.

    The result is an `IperfResult`: what was sent and received in bit/s and bytes, retransmits or jitter
    and loss, CPU load at both ends, the same for each stream, and how much the rate varied. The
    intervals are samples of the series "throughput" (and "throughput_back") in the run's journal. In
    the background, ``job.kill(signal.SIGINT)`` ends it with what came so far.

    iperf3 must be 3.2 or later; *bidirectional* needs 3.7, samples while it runs 3.17.

    Examples:
        >>> server = m2.run(IperfServer(port=5209), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(IperfClient(dst=m2_address, port=5209, duration=1, streams=2))
        >>> job.result["received_bps"] > 1e6
        True
        >>> len(job.result["streams"])
        2
    """

    result_units = {"loss": "%", "cpu_local": "%", "cpu_remote": "%"}

    dst = HostnameOrIpParam(mandatory=True, desc="address or name of the server")
    port = IntParam(default=PORT, minimum=1, maximum=65535)
    protocol = ChoiceParam(("tcp", "udp", "sctp"), default="tcp")
    duration = IntParam(default=10, minimum=1, maximum=86400, desc="seconds to measure")
    omit = IntParam(default=0, minimum=0, maximum=600, desc="seconds of warm-up before, which do not count")
    interval = FloatParam(minimum=0.1, maximum=60.0, desc="seconds between samples (duration/20, from 0.1 to 1)")
    streams = IntParam(default=1, minimum=1, maximum=128, desc="connections at the same time")
    rate = FloatParam(minimum=0, desc="bit/s to aim for in each stream, 0: no limit (1e6 for UDP if not given)")
    reverse = BoolParam(default=False, desc="the server sends")
    bidirectional = BoolParam(default=False, desc="both send")
    length = IntParam(minimum=1, maximum=1 << 20, desc="bytes of one write, or of a datagram")
    window = IntParam(minimum=1, maximum=1 << 29, desc="bytes of the socket buffers")
    mss = IntParam(minimum=88, maximum=9216 * 4, desc="TCP's largest segment in bytes")
    bind = IpParam(desc="address to send from")
    cport = IntParam(minimum=1, maximum=65535, desc="port to send from")
    congestion = StrParam(pattern="[a-z0-9_]+", desc="TCP's congestion control, as cubic or bbr")
    nodelay = BoolParam(default=False, desc="switch off Nagle's algorithm")
    zerocopy = BoolParam(default=False, desc="send with sendfile()")
    tos = IntParam(minimum=0, maximum=255, desc="type of service, or traffic class")
    cpu = IntParam(minimum=0, maximum=4095, desc="CPU to run on")
    server_cpu = IntParam(minimum=0, maximum=4095, desc="CPU for the server to run on")
    family = IntParam(choices=(4, 6), desc="IP version for a host name that has both")
    timeout = DurationParam(default=10.0, minimum=0.1, desc="to connect in, and to end in when duration is over")
    options = ListParam(StrParam(), default=(), desc="further options for iperf3's command line")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = list(self._contradictions())
        if problems:
            raise BadParameters("IperfClient", problems)

    def _contradictions(self) -> Any:
        if self.reverse and self.bidirectional:
            yield "reverse=True and bidirectional=True contradict each other: give one"
        if self.protocol != "tcp":
            for name in ("congestion", "mss", "zerocopy", "nodelay"):
                if getattr(self, name) not in (None, False) and not (name != "congestion" and self.protocol == "sctp"):
                    yield f"{name} is for protocol=tcp, not for {self.protocol}"
        if self.protocol == "udp" and self.length is not None and not 16 <= self.length <= 65507:
            yield f"length={self.length}: a datagram of iperf3 has 16 to 65507 bytes"
        version = getattr(self.dst, "version", self.family)
        if self.family is not None and version != self.family:
            yield f"family={self.family}: dst={self.dst} is an IPv{version} address"
        if self.bind is not None and version is not None and self.bind.version != version:
            yield f"bind={self.bind} is an IPv{self.bind.version} address, but traffic to {self.dst} is IPv{version}"
        if self.cport is not None and self.cport + self.streams - 1 > 65535:
            yield f"cport={self.cport}: {self.streams} streams need as many ports from there on"

    def run(self) -> IperfResult:
        live = _has_json_stream()
        samples = _Samples(self)
        begin = time.monotonic()
        limit = self.duration + self.omit + 2 * self.timeout
        finished = _iperf3(self.command(live=live), deadline=limit, said=samples.read if live else None)
        found = documents(finished.output)
        document = found[-1] if found else {}
        result = read_test(document)
        if result is not None:
            self._res_data = result
            if not live:
                samples.late(intervals(document))
        where = endpoint((str(self.dst), self.port))
        if finished.stopped and time.monotonic() - begin >= limit:
            raise ModuleFailed(
                f"iperf3 to {where} had not ended {2 * self.timeout:g} s after it should have: the way to the server "
                "is cut, or the server does not run any more; the result has what came until then"
            )
        if result is None or (result["error"] and not finished.stopped):
            _refuse(document.get("error") or finished.output, f"throughput to {where} could not be measured")
        return result

    def command(self, *, live: bool = False) -> list[str]:
        """The command line of iperf3; *live*: with one line of JSON for each event."""
        argv = ["iperf3", "--client", str(self.dst), "--json-stream" if live else "--json"]
        between = usual_interval(self.duration, 0.1) if self.interval is None else self.interval
        argv += ["--port", str(self.port), "--time", str(self.duration), "--interval", f"{between:g}"]
        argv += ["--connect-timeout", str(int(self.timeout * 1000)), "--parallel", str(self.streams)]
        argv += [] if self.protocol == "tcp" else [f"--{self.protocol}"]
        for flag in ("reverse", "zerocopy"):
            argv += [f"--{flag}"] if getattr(self, flag) else []
        argv += (["--bidir"] if self.bidirectional else []) + (["--no-delay"] if self.nodelay else [])
        values = {
            "--omit": self.omit or None,
            "--bitrate": None if self.rate is None else int(self.rate),
            "--length": self.length,
            "--window": self.window,
            "--set-mss": self.mss,
            "--bind": self.bind,
            "--cport": self.cport,
            "--congestion": self.congestion,
            "--tos": self.tos,
            "--affinity": self._affinity(),
        }
        for option, value in values.items():
            argv += [] if value is None else [option, str(value)]
        argv += [] if self.family is None else [f"-{self.family}"]
        return [*argv, *self.options]

    def _affinity(self) -> str | None:
        if self.server_cpu is None:
            return None if self.cpu is None else str(self.cpu)
        return f"{'' if self.cpu is None else self.cpu},{self.server_cpu}"

    def format_result(self, result: Any) -> str:
        """ "941.3 Mbit/s (± 2.1), 12 retransmits, CPU 12 % here, 30 % there" and the other way likewise."""
        try:
            text = in_words(result)
            if result["back"] is not None:
                text += f"; back {in_words(result['back'])}"
            if result["cpu_local"] is not None:
                text += f"; CPU {result['cpu_local']:.0f} % here"
            if result["cpu_remote"] is not None:
                text += f", {result['cpu_remote']:.0f} % there"
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)
        return text


class IperfServerResult(TypedDict):
    """What IperfServer found.

    Keys:
        address, port: where it listened.
        tests: each test as this end measured it, at most the last 1000; the other end's figures are None.
    """

    address: str
    port: int
    tests: list[IperfResult]


class IperfServer(BaseTestModule):
    """Serve clients of iperf3, one after the other, with the program iperf3.

    Prints "listening on ADDRESS:PORT" once it does. It ends after the first client, or with
    *oneoff* false when it is stopped: ``job.kill(signal.SIGINT)``. The result is an `IperfServerResult`.

    Examples:
        >>> server = m2.run(IperfServer(port=5208, oneoff=False), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(IperfClient(dst=m2_address, port=5208, protocol="udp", rate=1e6, duration=1))
        >>> server.kill(signal.SIGINT)
        >>> server.wait(timeout=10)
        True
        >>> [test["protocol"] for test in server.result["tests"]]
        ['udp']
    """

    result_units = {"loss": "%", "cpu_local": "%"}

    port = IntParam(default=PORT, minimum=1, maximum=65535)
    bind = IpParam(desc="address to listen on; all of them, if not given")
    oneoff = BoolParam(default=True, desc="end after the first client")
    interval = FloatParam(default=1.0, minimum=0.1, maximum=60.0, desc="seconds between samples")
    cpu = IntParam(minimum=0, maximum=4095, desc="CPU to run on")
    timeout = DurationParam(minimum=0.1, desc="until the first client must have come and gone; for ever if not given")
    options = ListParam(StrParam(), default=(), desc="further options for iperf3's command line")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.timeout is not None and not self.oneoff:
            raise BadParameters("IperfServer", ["timeout is for oneoff=True; a server without an end is stopped"])

    def run(self) -> IperfServerResult:
        live = _has_json_stream()
        result = IperfServerResult(address="", port=self.port, tests=[])
        self._res_data = result
        samples = _Samples(self)

        def started(pid: int) -> None:
            from shakeout.modules.listening import await_listener

            address = await_listener(pid, self.port)
            if address is not None:
                result["address"] = address
                print(f"listening on {endpoint((address, self.port))}", flush=True)  # noqa: T201

        said = samples.read if live else None
        finished = _iperf3(self.command(live=live), deadline=self.timeout, started=started, said=said)
        found = documents(finished.output)
        result["tests"] = [test for document in found[-1000:] if (test := read_test(document)) is not None]
        if not live and found:
            samples.late(intervals(found[-1]))
        if not result["address"]:
            _refuse(found[-1].get("error") if found else finished.output, f"cannot serve on port {self.port}")
        if self.oneoff:
            self._judge(result, finished, found[-1].get("error") if found else None)
        return result

    def _judge(self, result: IperfServerResult, finished: Finished, error: str | None) -> None:
        if finished.stopped:
            if not result["tests"]:
                why = "before it was stopped" if self.timeout is None else f"within {self.timeout:g} s"
                raise ModuleFailed(f"no client came {why}")
        elif error or not result["tests"]:
            _refuse(error or finished.output, "the test of the client did not come to its end")

    def command(self, *, live: bool = False) -> list[str]:
        """The command line of iperf3; *live*: with one line of JSON for each event."""
        argv = ["iperf3", "--server", "--json-stream" if live else "--json", "--forceflush"]
        argv += ["--port", str(self.port), "--interval", f"{self.interval:g}"]
        argv += ["--one-off"] if self.oneoff else []
        argv += [] if self.bind is None else ["--bind", str(self.bind)]
        argv += [] if self.cpu is None else ["--affinity", str(self.cpu)]
        return [*argv, *self.options]

    def format_result(self, result: Any) -> str:
        """One line for each test."""
        try:
            return "\n".join(in_words(test) for test in result["tests"]) or "no client came"
        except (KeyError, TypeError, ValueError):
            return super().format_result(result)


class _Samples:
    """The intervals on their way to the journal."""

    def __init__(self, module: BaseTestModule) -> None:
        self._module = module
        self._series: list[Series] = []
        self._rest = b""
        self._start: dict[str, Any] = {}

    def read(self, data: bytes) -> None:
        """More output of iperf3 that tells each event as it happens."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            for event in documents(line.decode(errors="replace")):
                if event.get("start"):
                    self._start = dict(event["start"])
                for entry in event.get("intervals", ()):
                    part = interval({"start": self._start}, entry) if isinstance(entry, dict) else None
                    if part is not None:
                        self._add(part, None)

    def late(self, parts: list[Interval]) -> None:
        """All intervals at once, when the test has just ended: their moments are counted back from now."""
        now = time.monotonic_ns()
        for part in parts:
            self._add(part, now - int((parts[-1].end - part.end) * 1e9))

    def _add(self, part: Interval, at_ns: int | None) -> None:
        if not self._series:
            self._series.append(self._module.series("throughput", rate="bit/s"))
        self._series[0].add(at_ns, rate=part.bps)
        if part.back_bps is not None:
            if len(self._series) < 2:
                self._series.append(self._module.series("throughput_back", rate="bit/s"))
            self._series[1].add(at_ns, rate=part.back_bps)


def _iperf3(argv: list[str], **options: Any) -> Finished:
    from shakeout.modules.command import run_command

    try:
        return run_command(argv, {"LC_ALL": "C"}, keep=_KEPT, **options)
    except FileNotFoundError:
        raise JobError(_MISSING) from None


def _has_json_stream() -> bool:
    return "--json-stream" in _iperf3(["iperf3", "--help"]).output


def _refuse(complaint: Any, what: str) -> NoReturn:
    """Raise ModuleFailed with what iperf3 said, and what to do about it."""
    lines = [line.strip() for line in str(complaint).splitlines() if line.strip()]
    said = lines[0].removeprefix("iperf3: ").removeprefix("error - ") if lines else "it said nothing"
    hint = next((f"; {hint}" for sign, hint in _HINTS if sign in said.lower()), "")
    raise ModuleFailed(f"{what}: {said}{hint}")
