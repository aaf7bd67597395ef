"""Ping: is a host reached, with how much loss, and how fast?"""

from __future__ import annotations

from typing import Any

from shakeout.errors import BadParameters, JobError, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.ping_output import PingResult, explain_complaint, parse_statistics
from shakeout.params import BoolParam, DurationParam, FloatParam, HostnameOrIpParam, IntParam, StrParam


class Ping(BaseTestModule):
    """Send ICMP echo requests to a host and count the answers; failed if more than *max_loss* is lost.

    Uses the system's `ping` (iputils; those of BusyBox and inetutils are understood, too). The result
    is a `PingResult`. In the background with ``count=0`` it goes on until somebody stops it:
    ``job.kill(signal.SIGINT)`` gives the statistics so far.

    Examples:
        >>> job = m1.run(Ping(dst="127.0.0.1", count=3, interval=0.01))
        >>> job.result["received"]
        3
    """

    result_units = {"loss": "%"}

    dst = HostnameOrIpParam(mandatory=True, desc="address or name to send to")
    count = IntParam(default=5, minimum=0, desc="requests to send; 0: until stopped")
    interval = FloatParam(default=1.0, minimum=0.0, desc="seconds between requests; below 0.002 only for root")
    size = IntParam(minimum=0, maximum=65507, desc="bytes of payload (56 if not given)")
    iface = StrParam(min_length=1, pattern="[^-].*", desc="interface or address to send from")
    ttl = IntParam(minimum=1, maximum=255, desc="time to live, or hop limit")
    timeout = DurationParam(desc="how long to wait for the last answer")
    deadline = DurationParam(desc="stop after this time, however many were sent")
    df = BoolParam(default=False, desc="forbid fragmentation")
    flood = BoolParam(default=False, desc="send as fast as answers come back, at least 100 a second")
    family = IntParam(choices=(4, 6), desc="IP version for a host name that has both")
    max_loss = FloatParam(default=0.0, minimum=0.0, maximum=100.0, desc="percent that may be lost")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.flood and self.count == 0 and self.deadline is None:
            raise BadParameters("Ping", ["flood=True without an end: give count or deadline, too"])
        version = getattr(self.dst, "version", self.family)
        if self.family is not None and version != self.family:
            raise BadParameters("Ping", [f"family={self.family}: dst={self.dst} is an IPv{version} address"])

    def run(self) -> PingResult:
        from shakeout.modules.command import run_command

        try:
            finished = run_command(self.command(), {"LC_ALL": "C"}, deadline=self.deadline)
        except FileNotFoundError:
            raise JobError(
                "the command ping is not installed on this host; install the package iputils-ping there"
            ) from None
        result = parse_statistics(finished.output)
        if result is None or (result["transmitted"] == 0 and not finished.stopped):
            raise ModuleFailed(explain_complaint(finished.output, str(self.dst), self.iface or ""))
        self._res_data = result
        self._judge(result)
        return result

    def command(self) -> list[str]:
        """The command line of `ping`."""
        argv = ["ping", "-q"]
        if self.count:
            argv += ["-c", str(self.count)]
        if self.interval != 1.0:
            argv += ["-i", f"{self.interval:.6f}".rstrip("0").rstrip(".")]
        for option, value in (("-s", self.size), ("-I", self.iface), ("-t", self.ttl), ("-W", self.timeout)):
            if value is not None:
                argv += [option, f"{value:g}" if isinstance(value, float) else str(value)]
        if self.df:
            argv += ["-M", "do"]
        if self.flood:
            argv.append("-f")
        if self.family is not None:
            argv.append(f"-{self.family}")
        return [*argv, str(self.dst)]

    def _judge(self, result: PingResult) -> None:
        sent, lost = result["transmitted"], result["transmitted"] - result["received"]
        if sent == 0:
            raise ModuleFailed(f"nothing was sent to {self.dst} before ping was stopped")
        if result["loss"] <= self.max_loss:
            return
        text = f"{lost} of {sent} packets to {self.dst} were lost ({result['loss']:.4g} %"
        text += f", allowed are {self.max_loss:g} %)" if self.max_loss else ")"
        if result["errors"]:
            text += f"; {result['errors']} came back as ICMP errors (no such neighbour, or no way on)"
        if self.df and not result["received"]:
            text += "; df forbids fragments: do packets of this size fit through every link?"
        raise ModuleFailed(text)

    def format_result(self, result: Any) -> str:
        """ "3 sent, 3 received, 0 % lost, 0.025/0.031/0.040 ms" and what else is worth knowing."""
        if not isinstance(result, dict):
            return super().format_result(result)
        try:
            text = f"{result['transmitted']} sent, {result['received']} received, {result['loss']:.4g} % lost"
            for kind in ("duplicates", "corrupted", "errors"):
                text += f", {result[kind]} {kind}" if result[kind] else ""
            if result["avg_ms"] is not None:
                text += ", {min_ms:.3f}/{avg_ms:.3f}/{max_ms:.3f} ms".format(**result)
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)
        return text
