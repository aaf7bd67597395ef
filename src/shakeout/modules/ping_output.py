"""What `ping` prints: statistics of the iputils, BusyBox and inetutils programs, and their complaints."""

from __future__ import annotations

import re
from typing import TypedDict


class PingResult(TypedDict):
    """The statistics of one run of ping.

    Keys:
        transmitted, received: echo requests sent, and those that were answered.
        duplicates, corrupted: answers that came more than once, or with other content.
        errors: ICMP errors that came back instead.
        loss: percent of the requests that were not answered.
        min_ms, avg_ms, max_ms: round-trip times; None if nothing was answered.
        mdev_ms: their mean deviation; None if nothing was answered, or this ping does not tell.
    """

    transmitted: int
    received: int
    duplicates: int
    corrupted: int
    errors: int
    loss: float
    min_ms: float | None
    avg_ms: float | None
    max_ms: float | None
    mdev_ms: float | None


_COUNTS = re.compile(r"^(\d+) packets transmitted, (\d+) (?:packets )?received(.*)", re.MULTILINE)
_EXTRA = re.compile(r"\+?(\d+) (duplicates|corrupted|errors)")
_TIMES = re.compile(r"(?:rtt|round-trip) min/avg/max(?:/(?:mdev|stddev))? = ([\d./]+) ms")

# What is in a complaint -> what it means, and what to do.
_COMPLAINTS = (
    (
        r"name or service not known|unknown host|bad address|temporary failure in name resolution"
        r"|no address associated|name does not resolve|unknown server error|address family .* not supported",
        "the host name {dst} is not known on this host; give an address, or name the host in its /etc/hosts",
    ),
    (
        r"network is unreachable|no route to host|network unreachable",
        "this host has no route to {dst}: nothing was sent; give one of its interfaces an address in that "
        "network, bring the interface up, or add a route",
    ),
    (
        r"minimal interval|cannot flood|option not permitted|interval too short",
        "only root may ping so fast ({complaint}); make interval longer, or run the job as root",
    ),
    (
        r"operation not permitted|permission denied|cap_net_raw|are you root|must be root",
        "ping may not open its socket on this host ({complaint}); run the job as root",
    ),
    (
        r"so_bindtodevice|unknown iface|no such device|can't bind|bind to device|cannot assign requested"
        r"|bind icmp socket|device not found",
        "ping cannot send from {iface} ({complaint}); name an interface or an address of this host",
    ),
    (
        r"message too long",
        "a packet of this size does not fit ({complaint}); make size smaller, or leave df out",
    ),
    (
        r"unrecognized option|invalid option|unknown option|usage:",
        "the ping on this host does not know an option ({complaint}); install the package iputils-ping there",
    ),
)


def parse_statistics(text: str) -> PingResult | None:
    """The statistics in the output of ping, None if there are none."""
    every = list(_COUNTS.finditer(text))
    if not every:
        return None
    counts = every[-1]
    transmitted, received = int(counts[1]), int(counts[2])
    extra = {kind: int(number) for number, kind in _EXTRA.findall(counts[3])}
    found = _TIMES.search(text, counts.end())
    times: list[float | None] = [float(part) for part in found[1].split("/")] if found else []
    times += [None] * (4 - len(times))
    return PingResult(
        transmitted=transmitted,
        received=received,
        duplicates=extra.get("duplicates", 0),
        corrupted=extra.get("corrupted", 0),
        errors=extra.get("errors", 0),
        loss=max(0.0, 100.0 * (transmitted - received) / transmitted) if transmitted else 0.0,
        min_ms=times[0],
        avg_ms=times[1],
        max_ms=times[2],
        mdev_ms=times[3],
    )


def explain_complaint(text: str, dst: str, iface: str) -> str:
    """Why ping could not do its work, in one sentence with a remedy."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("PING ", "---"))]
    complaint = lines[0].removeprefix("ping: ") if lines else "it said nothing"
    for pattern, meaning in _COMPLAINTS:
        if re.search(pattern, "\n".join(lines), re.IGNORECASE):
            return meaning.format(dst=dst, iface=iface or "this address", complaint=complaint)
    return f"ping to {dst} could not be done: {complaint}"
