"""What a throughput measurement found, on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words(flow: Mapping[str, Any]) -> str:
    """One direction: "941.3 Mbit/s (± 2.1), 12 retransmits", or with what was lost of datagrams."""
    rate = flow["received_bps"] if flow["received_bps"] is not None else flow["sent_bps"]
    text = "nothing" if rate is None else f"{rate / 1e6:.4g} Mbit/s"
    if flow["uncertainty_bps"] is not None:
        text += f" (± {flow['uncertainty_bps'] / 1e6:.2g})"
    if flow["retransmits"] is not None:
        text += f", {flow['retransmits']} retransmits"
    if flow["loss"] is not None:
        text += f", {flow['loss']:.3g} % lost, jitter {flow['jitter_ms'] or 0:.3g} ms"
    if flow.get("limited_by") is not None:
        text += f", limited by the {flow['limited_by']}"
    return text
