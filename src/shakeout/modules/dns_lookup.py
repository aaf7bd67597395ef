"""DnsLookup: does a name server answer, what, and how fast?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.durations import Durations, Latency
from shakeout.modules.endpoints import count_reason, endpoint, told
from shakeout.params import (
    BoolParam,
    ChoiceParam,
    DurationParam,
    HostnameOrIpParam,
    IntParam,
    ListParam,
    StrParam,
)

if TYPE_CHECKING:
    from shakeout.modules.dns.client import Reply

#: What the system's resolver can be asked for.
_SYSTEM: Final = ("A", "AAAA", "PTR")


class DnsRecord(TypedDict):
    """One record; *data* is as in a zone file: "10 mail.example" of an MX."""

    name: str
    type: str
    ttl: int
    data: str


class DnsLookupResult(TypedDict):
    """What DnsLookup found.

    Keys:
        lookups, failed: those that were answered as they should, and the others; why is in errors.
        answers: data of the records of the wanted type in the last answer, sorted.
        records: all records of its answer section in their order, with the aliases that led to the answers;
            empty if the system's resolver was asked.
        rcode: of the last answer: "NOERROR", "NXDOMAIN" …; None if there was none.
        authoritative, truncated: flags of the last answer; truncated: it came over TCP for that.
        protocol: "udp" or "tcp", which it came over; "system" if the system's resolver was asked.
        size: its bytes; 0 from the system's resolver.
        resent: queries that were sent again, because no answer came in time.
        latency_ms: from the first query to the answer.
        errors: lookups by the reason why they failed.
    """

    lookups: int
    failed: int
    answers: list[str]
    records: list[DnsRecord]
    rcode: str | None
    authoritative: bool
    truncated: bool
    protocol: str
    size: int
    resent: int
    latency_ms: Latency | None
    errors: dict[str, int]


class DnsLookup(BaseTestModule):
    """Look a name up, by a given name server or as the host itself does; failed if the answer is another.

    With *server* that one is asked, over UDP and, if the answer is too long for that, TCP; without, the
    host's own resolver (its hosts file, cache and so on), for types A, AAAA and PTR. The result is a
    `DnsLookupResult`; each lookup is a sample in the run's journal.

    Examples:
        >>> records = {"www.example": {"A": ["10.0.0.1", "10.0.0.2"]}}
        >>> server = m2.run(DnsServe(port=5353, records=records), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(DnsLookup(name="www.example", server=m2_address, port=5353, expect=["10.0.0.2", "10.0.0.1"]))
        >>> job.result["answers"]
        ['10.0.0.1', '10.0.0.2']
        >>> job = m1.run(DnsLookup(name="ftp.example", server=m2_address, port=5353, rcode="NXDOMAIN"))
        >>> server.kill(signal.SIGINT)
    """

    name = StrParam(mandatory=True, min_length=1, desc="name to look up; for PTR an address does, too")
    type = StrParam(default="A", desc="A, AAAA, CNAME, MX, TXT, NS, SRV, PTR, SOA, CAA, ANY … or TYPE65")
    server = HostnameOrIpParam(desc="name server to ask; the host's own resolver if not given")
    port = IntParam(default=53, minimum=1, maximum=65535)
    protocol = ChoiceParam(("udp", "tcp"), default="udp")
    tcp_fallback = BoolParam(default=True, desc="ask again over TCP for an answer that is cut off")
    edns = IntParam(default=1232, minimum=0, maximum=65535, desc="bytes of the largest datagram to accept; 0: no EDNS")
    recursion = BoolParam(default=True, desc="ask the server to ask others")
    timeout = DurationParam(default=2.0, minimum=0.001, desc="until a query is sent again, or given up")
    retries = IntParam(default=2, minimum=0, maximum=100, desc="how often a query is sent again")
    rcode = StrParam(default="NOERROR", desc="response code that must come, as NXDOMAIN")
    expect = ListParam(StrParam(), desc="the answers, in any order and no others; [] if there must be none")
    contains = ListParam(StrParam(), default=(), desc="answers that must be there, others may, too")
    count = IntParam(default=1, minimum=0, desc="lookups to make; 0: until stopped")
    interval = DurationParam(default=0.0, desc="from the start of a lookup to that of the next")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = list(self._problems())
        if problems:
            raise BadParameters("DnsLookup", problems)

    def _problems(self) -> Any:
        from shakeout.modules.dns.message import rcode_number
        from shakeout.modules.dns.names import labels_of
        from shakeout.modules.dns.records import type_number

        for name, check in (("name", labels_of), ("type", type_number), ("rcode", rcode_number)):
            try:
                check(getattr(self, name))
            except ValueError as error:
                yield f"{name}: {error}"
        if self.server is None and self.type.upper() not in _SYSTEM:
            yield f"type={self.type} needs server: the host's own resolver is asked for {', '.join(_SYSTEM)} only"
        if self.server is None and self.type.upper() == "PTR" and _address(self.name) is None:
            yield "type=PTR without server takes an address as name"
        if self.expect is not None and self.contains:
            yield "expect and contains contradict each other: give one"
        if self.expect and self.rcode.upper() != "NOERROR":
            yield f"expect: with rcode={self.rcode} come no answers"

    def run(self) -> DnsLookupResult:
        result = DnsLookupResult(
            lookups=0, failed=0, answers=[], records=[], rcode=None, authoritative=False, truncated=False,
            protocol=self.protocol, size=0, resent=0, latency_ms=None, errors={},
        )  # fmt: skip
        self._res_data = result
        times = Durations()
        series = None
        begin, number = time.monotonic(), 0
        try:
            while not self.count or number < self.count:
                time.sleep(max(0.0, begin + number * self.interval - time.monotonic()))
                number += 1
                reply = self._one(result)
                if reply is not None:
                    times.add(reply.seconds)
                    series = series or self.series("lookups", latency="s")
                    series.add(latency=reply.seconds)
        except KeyboardInterrupt:
            if not result["lookups"] + result["failed"]:
                raise ModuleFailed(f"no lookup of {self.name} was answered before it was stopped") from None
        finally:
            result["latency_ms"] = times.told()
        self._judge(result)
        return result

    def _one(self, result: DnsLookupResult) -> Reply | None:
        from shakeout.modules.dns.client import ask, ask_system

        why, reply = "", None
        try:
            if self.server is None:
                reply = ask_system(self._question(), self.type.upper())
            else:
                reply = ask(self._question(), self)
            _note(result, reply, self.type.upper())
            self._check(result)
        except ValueError as error:
            why = str(error)
        if why:
            result["failed"] += 1
            count_reason(result["errors"], why)
        else:
            result["lookups"] += 1
        return reply

    def _question(self) -> str:
        from shakeout.modules.dns.names import reverse_name

        address = _address(self.name) if self.type.upper() == "PTR" else None
        if address is None or self.server is None:
            return self.name
        return reverse_name(address)

    def _check(self, result: DnsLookupResult) -> None:
        """Raise ValueError if the last answer is not as it should be."""
        rcode, answers = result["rcode"], result["answers"]
        if rcode != self.rcode.upper():
            raise ValueError(f"the answer is {rcode} instead of {self.rcode.upper()}")
        if self.expect is not None:
            wanted = sorted(map(_normal, self.expect))
            if sorted(map(_normal, answers)) != wanted:
                raise ValueError(f"the answers are {_listed(answers)} instead of {_listed(self.expect)}")
        elif self.contains:
            there = set(map(_normal, answers))
            missing = [text for text in self.contains if _normal(text) not in there]
            if missing:
                raise ValueError(f"{_listed(missing)} is not among the answers, which are {_listed(answers)}")
        elif rcode == "NOERROR" and not answers:
            raise ValueError(f"the name exists, but has no record of type {self.type.upper()}")

    def _judge(self, result: DnsLookupResult) -> None:
        if not result["failed"]:
            return
        from collections import Counter

        done = result["failed"] + result["lookups"]
        of = f"{result['failed']} of {done} lookups" if done > 1 else "the lookup"
        whom = "the host's own resolver" if self.server is None else endpoint((str(self.server), self.port))
        raise ModuleFailed(f"{of} of {self.name} ({self.type}) at {whom} failed: {told(Counter(result['errors']))}")

    def format_result(self, result: Any) -> str:
        """ "NOERROR: 10.0.0.1, 10.0.0.2; 0.2/0.3/0.9 ms (min/median/max)"."""
        try:
            text = f"{result['rcode']}: {', '.join(result['answers']) or 'no answers'}"
            if result["latency_ms"] is not None:
                text += "; {min:.3f}/{p50:.3f}/{max:.3f} ms (min/median/max)".format(**result["latency_ms"])
            return text + (f"; {result['resent']} sent again" if result["resent"] else "")
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


def _note(result: DnsLookupResult, reply: Reply, kind: str) -> None:
    result["rcode"], result["authoritative"] = reply.rcode, reply.authoritative
    result["truncated"], result["protocol"] = reply.truncated, reply.protocol
    result["size"], result["resent"] = reply.size, result["resent"] + reply.resent
    result["records"] = [DnsRecord(name=r.name, type=r.kind, ttl=r.ttl, data=r.data) for r in reply.records]
    wanted = reply.answers
    if wanted is None:
        wanted = [record.data for record in reply.records if kind in (record.kind, "ANY")]
    result["answers"] = sorted(wanted)


def _address(text: str) -> Any:
    import ipaddress

    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _normal(text: str) -> str:
    """*text* so that two spellings of one answer are the same."""
    address = _address(text)
    if address is not None:
        return str(address)
    text = text.strip()
    if text.startswith('"') and text.endswith('"') and text.count('"') == 2:
        return text[1:-1]  # a text record: its case counts
    return " ".join(text.split()).removesuffix(".").lower() if "." in text and '"' not in text else text


def _listed(answers: list[str]) -> str:
    return ", ".join(answers) or "none"
