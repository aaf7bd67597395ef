"""Telling a service manager how we are (sd_notify's protocol: one datagram to $NOTIFY_SOCKET)."""

from __future__ import annotations

import os
import socket


def told_at() -> str:
    """Where whoever has started us wants to be told; "" if nowhere."""
    return os.environ.get("NOTIFY_SOCKET", "")


def notify(place: str, state: str) -> None:
    """Tell at *place* how we are: "READY=1", "STOPPING=1"."""
    if place[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state.encode(), "\0" + place[1:] if place[0] == "@" else place)
        except OSError:  # nobody listens any more
            return
