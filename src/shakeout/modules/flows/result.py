"""What a throughput measurement amounts to, from what its two ends have told."""

from __future__ import annotations

from typing import TypedDict

from shakeout.modules.flows.load import BUSY
from shakeout.modules.flows.talk import Plan, Received, ReceivedStream, Sent, SentStream
from shakeout.modules.iperf_output import deviation

#: From this share of the wanted rate on, the rate was what limited.
_REACHED = 0.98


class ThroughputFlow(TypedDict):
    """One stream, or all streams of a direction together.

    Keys:
        sent_bps, received_bps: bit/s at the sender and at the receiver; None where that end did not tell.
        sent_bytes, received_bytes: payload; None likewise. Over TCP each end counts in its own time, so
            that they differ by what is on the way; either may be more.
        retransmits: TCP segments sent again; None for UDP.
        rtt_ms: the round-trip time that the sender's TCP knew in the end; None for UDP.
        datagrams: UDP datagrams sent; None for TCP.
        lost, loss: those that did not come, and their percentage; None for TCP.
        reordered, duplicates: that came after a later one, or again; None for TCP.
        jitter_ms: by RFC 3550; None for TCP.
    """

    sent_bps: float | None
    received_bps: float | None
    sent_bytes: int | None
    received_bytes: int | None
    retransmits: int | None
    rtt_ms: float | None
    datagrams: int | None
    lost: int | None
    loss: float | None
    reordered: int | None
    duplicates: int | None
    jitter_ms: float | None


class ThroughputDirection(ThroughputFlow):
    """All streams of one direction.

    Keys (besides those of ThroughputFlow):
        uncertainty_bps: standard deviation of the received rate between intervals; None if there were fewer than two.
        limited_by: "rate": it was the one that was asked for; "sender" or "receiver": that end's CPUs could
            not do more, so the figure says little about the way; "path": neither, so it was what lies
            between. None if an end did not tell.
        sender_cpu, receiver_cpu: percent of one CPU that the ends' processes took; None if not told.
        dropped: UDP datagrams that came to the receiving host and were lost there, because the receiver
            was too slow; they are in lost, too. None for TCP.
        streams: each stream by itself.
    """

    uncertainty_bps: float | None
    limited_by: str | None
    sender_cpu: float | None
    receiver_cpu: float | None
    dropped: int | None
    streams: list[ThroughputFlow]


class ThroughputResult(ThroughputDirection):
    """What one measurement found.

    The keys of ThroughputDirection are those of the way from client to server, with *reverse* of that from
    server to client.

    Keys (besides those of ThroughputDirection):
        protocol: "tcp" or "udp".
        reverse: the server sent.
        seconds: how long was measured, without the warm-up.
        back: the way from server to client, if both were measured at once; else None.
        stopped: it was ended early.
    """

    protocol: str
    reverse: bool
    seconds: float
    back: ThroughputDirection | None
    stopped: bool


def direction(plan: Plan, sent: Sent | None, received: Received | None, rates: list[float]) -> ThroughputDirection:
    """One direction, as far as its ends have told; *rates* are bit/s of each interval at the receiver."""
    udp = plan.protocol == "udp"
    count = max(len(sent.streams) if sent else 0, len(received.streams) if received else 0)
    streams = [
        _flow(
            sent.streams[number] if sent and number < len(sent.streams) else None,
            received.streams[number] if received and number < len(received.streams) else None,
            sent.seconds if sent else 0.0,
            received.seconds if received else 0.0,
            udp=udp,
        )
        for number in range(count)
    ]
    total = _flow(
        _sent_sum(sent) if sent else None,
        _received_sum(received) if received else None,
        sent.seconds if sent else 0.0,
        received.seconds if received else 0.0,
        udp=udp,
    )
    return ThroughputDirection(
        **total,
        uncertainty_bps=deviation(rates),
        limited_by=_limit(plan, sent, received, total),
        sender_cpu=round(sent.cpu, 1) if sent else None,
        receiver_cpu=round(received.cpu, 1) if received else None,
        dropped=received.dropped if received and udp else None,
        streams=streams,
    )


def _flow(
    sent: SentStream | None, received: ReceivedStream | None, sent_s: float, received_s: float, *, udp: bool
) -> ThroughputFlow:
    lost = max(0, sent.datagrams - received.datagrams) if udp and sent and received else None
    return ThroughputFlow(
        sent_bps=_rate(sent.size, sent_s) if sent else None,
        received_bps=_rate(received.size, received_s) if received else None,
        sent_bytes=sent.size if sent else None,
        received_bytes=received.size if received else None,
        retransmits=sent.retransmits if sent and not udp else None,
        rtt_ms=sent.rtt_us / 1e3 if sent and not udp else None,
        datagrams=sent.datagrams if sent and udp else None,
        lost=lost,
        loss=100 * lost / sent.datagrams if lost is not None and sent and sent.datagrams else None,
        reordered=received.reordered if received and udp else None,
        duplicates=received.duplicates if received and udp else None,
        jitter_ms=round(received.jitter_ns / 1e6, 6) if received and udp else None,
    )


def _sent_sum(sent: Sent) -> SentStream:
    return SentStream(
        sum(stream.size for stream in sent.streams),
        sum(stream.datagrams for stream in sent.streams),
        sum(stream.retransmits for stream in sent.streams),
        sum(stream.rtt_us for stream in sent.streams) // max(1, len(sent.streams)),
    )


def _received_sum(received: Received) -> ReceivedStream:
    return ReceivedStream(
        sum(stream.size for stream in received.streams),
        sum(stream.datagrams for stream in received.streams),
        sum(stream.reordered for stream in received.streams),
        sum(stream.duplicates for stream in received.streams),
        sum(stream.jitter_ns for stream in received.streams) / max(1, len(received.streams)),
    )


def _limit(plan: Plan, sent: Sent | None, received: Received | None, total: ThroughputFlow) -> str | None:
    if sent is None or received is None:
        return None
    if plan.rate and (total["sent_bps"] or 0.0) >= _REACHED * plan.rate * plan.streams:
        return "rate"
    if sent.busy >= BUSY:
        return "sender"
    return "receiver" if received.busy >= BUSY else "path"


def _rate(size: int, seconds: float) -> float | None:
    return 8 * size / seconds if seconds else None
