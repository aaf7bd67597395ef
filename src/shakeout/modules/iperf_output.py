"""What `iperf3` says in JSON: one document for each test, or (``--json-stream``) one line for each event.

A document has "start", "intervals" and "end"; what was cut off has "error" and only part of the others. The
two ends of a test tell each other their totals when it is over, so the client knows both then, and the
server never knows more than its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, TypedDict

#: Seconds; an interval below that is none.
SPLINTER: Final = 0.01

#: One JSON object of iperf3.
Document: TypeAlias = Mapping[str, Any]


class IperfFlow(TypedDict):
    """One stream, or all streams of a direction together.

    Keys:
        sent_bps, received_bps: bit/s at the sender and at the receiver; None where that end did not tell.
        sent_bytes, received_bytes: payload; None likewise.
        retransmits: TCP segments sent again; None if the sender did not tell, or for UDP.
        rtt_ms: mean round-trip time that the sender's TCP measured; None likewise.
        jitter_ms: by RFC 3550; None for TCP.
        datagrams, lost, out_of_order: UDP datagrams as the receiver counted; None for TCP.
        loss: percent of the datagrams; None for TCP.
    """

    sent_bps: float | None
    received_bps: float | None
    sent_bytes: int | None
    received_bytes: int | None
    retransmits: int | None
    rtt_ms: float | None
    jitter_ms: float | None
    datagrams: int | None
    lost: int | None
    out_of_order: int | None
    loss: float | None


class IperfDirection(IperfFlow):
    """All streams of one direction.

    Keys (besides those of IperfFlow):
        uncertainty_bps: standard deviation of the throughput between intervals; None if there were fewer than two.
        streams: each stream by itself; empty if the test ended early.
    """

    uncertainty_bps: float | None
    streams: list[IperfFlow]


class IperfResult(IperfDirection):
    """What one test of iperf3 measured.

    The keys of IperfDirection are those of the way from client to server, with *reverse* of that from
    server to client.

    Keys (besides those of IperfDirection):
        protocol: "tcp", "udp" or "sctp".
        reverse: the server sent.
        seconds: how long was measured, without the warm-up.
        back: the way from server to client, if both were measured at once; else None.
        cpu_local, cpu_remote: percent of one CPU that iperf3 used here and at the other end; None if not told.
        congestion: the sender's congestion control; None if not told.
        error: why it ended early, in iperf3's words; None if it did not.
    """

    protocol: str
    reverse: bool
    seconds: float
    back: IperfDirection | None
    cpu_local: float | None
    cpu_remote: float | None
    congestion: str | None
    error: str | None


class Interval(NamedTuple):
    """What was measured between two moments, in seconds from the start; before 0 it is warm-up."""

    start: float
    end: float
    bps: float
    back_bps: float | None
    retransmits: int | None


def documents(text: str) -> list[Document]:
    """The documents in *text*, in either form; what is none, or cut off, is left out."""
    import json

    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := text.find("{", at)) >= 0:
        try:
            document, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("\n{", at)  # a line that is not JSON, or one that was cut
            if at < 0:
                break
        else:
            found.append(document)
    return _assembled(found)


def _assembled(found: list[dict[str, Any]]) -> list[Document]:
    """The documents with events put together to documents."""
    result: list[Document] = []
    current: dict[str, Any] | None = None
    for document in found:
        event, data = document.get("event"), document.get("data")
        if not isinstance(event, str):
            result.append(document)
            continue
        if current is None or event == "start":
            current = {"start": {}, "intervals": [], "end": {}}
            result.append(current)
        if event == "interval":
            current["intervals"].append(data)
        else:
            current[event] = data
    return result


def read_test(document: Document) -> IperfResult | None:
    """What *document* says was measured; None if its test never began."""
    start, end = _dict(document, "start"), _dict(document, "end")
    plan = _dict(start, "test_start")
    if not plan:
        return None
    test = _Test(document)
    forward = test.direction("", sends=test.client != test.reverse)
    cpu = _dict(end, "cpu_utilization_percent")
    measured = [part for part in intervals(document) if part.start >= 0]
    total = _number(_dict(end, "sum_sent") or _dict(end, "sum"), "seconds")
    return IperfResult(
        **forward,
        protocol=str(plan.get("protocol", "")).lower(),
        reverse=test.reverse,
        seconds=total if total is not None and "error" not in document else (measured[-1].end if measured else 0.0),
        back=test.direction("_bidir_reverse", sends=not test.client) if test.bidirectional else None,
        cpu_local=_number(cpu, "host_total"),
        cpu_remote=_number(cpu, "remote_total") if test.knows_peer else None,
        congestion=_text(end, "sender_tcp_congestion"),
        error=_text(document, "error"),
    )


def intervals(document: Document) -> list[Interval]:
    """What was measured from moment to moment, at the end that wrote *document*."""
    result: list[Interval] = []
    for entry in _list(document, "intervals"):
        part = interval(document, entry)
        # What is cut off is told twice, and the end of a test leaves a splinter that says nothing of the rate.
        if part is not None and part.end - part.start >= SPLINTER and (not result or part.start > result[-1].start):
            result.append(part)
    return result


def interval(document: Document, entry: Mapping[str, Any]) -> Interval | None:
    """One of the intervals of *document*, None if it has no sum (a version older than 3.1, or no JSON of iperf3)."""
    total, back = _dict(entry, "sum"), _dict(entry, "sum_bidir_reverse")
    begin, end, bps = _number(total, "start"), _number(total, "end"), _number(total, "bits_per_second")
    if begin is None or end is None or bps is None:
        return None
    warm_up = 0.0
    if total.get("omitted"):
        plan = _dict(_dict(document, "start"), "test_start")
        warm_up = _number(plan, "omit") or end
    retransmits = _count(total, "retransmits")
    return Interval(begin - warm_up, end - warm_up, bps, _number(back, "bits_per_second"), retransmits)


class _Test:
    """One document, looked at from its own end."""

    def __init__(self, document: Document) -> None:
        start, end = _dict(document, "start"), _dict(document, "end")
        plan = _dict(start, "test_start")
        self._document, self._end = document, end
        self.client = "accepted_connection" not in start
        self.reverse = bool(plan.get("reverse"))
        self.bidirectional = bool(plan.get("bidir")) or "sum_sent_bidir_reverse" in end
        self.bidirectional |= any("sum_bidir_reverse" in entry for entry in _list(document, "intervals"))
        self.udp = str(plan.get("protocol")).upper() == "UDP"
        self._cut_off = _text(document, "error") is not None
        self.knows_peer = self.client and bool(end) and not self._cut_off

    def direction(self, suffix: str, *, sends: bool) -> IperfDirection:
        """The direction whose sums have *suffix* in their names; *sends*: this end is the sender."""
        sent, received = _dict(self._end, "sum_sent" + suffix), _dict(self._end, "sum_received" + suffix)
        both = _dict(self._end, "sum" + suffix)
        if self._cut_off or not (sent or received):
            # iperf3 divides what it has by too short a time, or says nothing.
            sent = received = both = self._so_far(suffix) or sent or received or both
        flow = self._flow(sent, received, both or received, sends)
        streams = [] if self._cut_off else [self._stream(entry, sends) for entry in self._streams(sends)]
        if flow["rtt_ms"] is None:
            known = [stream["rtt_ms"] for stream in streams if stream["rtt_ms"] is not None]
            flow["rtt_ms"] = round(sum(known) / len(known), 3) if known else None
        if flow["datagrams"] is not None and flow["out_of_order"] is None:
            flow["out_of_order"] = sum(stream["out_of_order"] or 0 for stream in streams)
        return IperfDirection(**flow, uncertainty_bps=self._uncertainty(suffix), streams=streams)

    def _flow(self, sent: Document, received: Document, counts: Document, sends: bool) -> IperfFlow:
        sender_known, receiver_known = sends or self.knows_peer, not sends or self.knows_peer
        udp = self.udp and receiver_known
        rtt = _number(sent, "mean_rtt") if sender_known else None
        return IperfFlow(
            sent_bps=_number(sent, "bits_per_second") if sender_known else None,
            received_bps=_number(received, "bits_per_second") if receiver_known else None,
            sent_bytes=_count(sent, "bytes") if sender_known else None,
            received_bytes=_count(received, "bytes") if receiver_known else None,
            retransmits=_count(sent, "retransmits") if sender_known else None,
            rtt_ms=round(rtt / 1000, 3) if rtt else None,
            jitter_ms=_number(counts, "jitter_ms") if udp else None,
            datagrams=_count(counts, "packets") if udp else None,
            lost=_count(counts, "lost_packets") if udp else None,
            out_of_order=_count(counts, "out_of_order") if udp else None,
            loss=_loss(counts) if udp else None,
        )

    def _streams(self, sends: bool) -> Iterator[Document]:
        for entry in _list(self._end, "streams"):
            parts = [part for part in entry.values() if isinstance(part, Mapping)]
            if not self.bidirectional or any(part.get("sender") is sends for part in parts):
                yield entry

    def _stream(self, entry: Document, sends: bool) -> IperfFlow:
        if "udp" not in entry:
            return self._flow(_dict(entry, "sender"), _dict(entry, "receiver"), {}, sends)
        both = _dict(entry, "udp")
        flow = self._flow(both, both, both, sends)
        # iperf3 writes the sender's bytes only; at the receiver's end it writes none.
        flow["received_bytes"] = flow["received_bps"] = None
        if not both.get("bytes"):
            flow["sent_bytes"] = flow["sent_bps"] = None
        return flow

    def _so_far(self, suffix: str) -> Document:
        """The sum of the intervals, for a test that was cut off."""
        total = {"bytes": 0, "seconds": 0.0, "retransmits": 0, "packets": 0, "lost_packets": 0}
        seen: set[str] = set()
        last = -1.0
        for entry in _list(self._document, "intervals"):
            part = _dict(entry, "sum" + suffix)
            begin = _number(part, "start")
            if not part.get("omitted") and begin is not None and begin > last:
                last = begin
                seen |= total.keys() & part.keys()
                for key in total:
                    total[key] += _number(part, key) or 0
        result: dict[str, float] = {key: value for key, value in total.items() if key in seen}
        if result.get("seconds"):
            result["bits_per_second"] = 8 * total["bytes"] / total["seconds"]
        return result

    def _uncertainty(self, suffix: str) -> float | None:
        parts = [part for part in intervals(self._document) if part.start >= 0]
        longest = max((part.end - part.start for part in parts), default=0.0)
        # The last one may be a splinter, which says nothing about the rate.
        rates = [part.back_bps if suffix else part.bps for part in parts if part.end - part.start > longest / 2]
        return deviation([rate for rate in rates if rate is not None])


def deviation(values: list[float]) -> float | None:
    """The standard deviation of a sample (n - 1), None if there are fewer than two *values*."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _dict(document: Mapping[str, Any], key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def _list(document: Mapping[str, Any], key: str) -> list[Document]:
    value = document.get(key)
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _number(document: Mapping[str, Any], key: str) -> float | None:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e30 else None


def _count(document: Mapping[str, Any], key: str) -> int | None:
    value = _number(document, key)
    return None if value is None or abs(value) >= 2**63 else int(value)


def _loss(counts: Document) -> float | None:
    """Percent lost; iperf3's own figure of a stream is 0 at the receiver's end."""
    lost, datagrams = _number(counts, "lost_packets"), _number(counts, "packets")
    return 100.0 * lost / datagrams if lost is not None and datagrams else None


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value if isinstance(value, str) and value else None
