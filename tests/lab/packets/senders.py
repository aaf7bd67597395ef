"""Test modules that send what no well-behaved program would."""

from __future__ import annotations

import socket
from pathlib import Path

from shakeout import BaseTestModule, IntParam, ListParam, StrParam


class SendFrames(BaseTestModule):
    """Frames as they are, in hex, again and again."""

    dev = StrParam(default="eth0")
    frames = ListParam(StrParam(), mandatory=True)
    count = IntParam(default=1)

    def run(self):
        raw = [bytes.fromhex(frame) for frame in self.frames]
        sent = lost = 0
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind((self.dev, 0))
            for _ in range(self.count):
                for frame in raw:
                    try:
                        sock.send(frame)
                        sent += 1
                    except OSError:
                        lost += 1
        return {"sent": sent, "lost": lost}


class ReadCounters(BaseTestModule):
    """What the kernel has counted on an interface."""

    dev = StrParam(default="eth0")

    def run(self):
        counts = {}
        for name in ("rx_packets", "tx_packets"):
            counts[name] = int(Path(f"/sys/class/net/{self.dev}/statistics/{name}").read_text())
        return counts
