"""Test modules that send what no well-behaved program would."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
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


class AnswerTunnel(BaseTestModule):
    """A tun device at whose other end somebody sends every packet back, with the addresses exchanged."""

    address = StrParam(mandatory=True)
    count = IntParam(default=1)

    def run(self):
        tunnel = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
        os.system(f"ip addr add {self.address} dev tun0 && ip link set tun0 addrgenmode none up")
        print("ready", flush=True)
        answered = 0
        while answered < self.count:
            select.select([tunnel], [], [])
            packet = bytearray(os.read(tunnel, 2000))
            if packet[0] >> 4 != 4:
                continue
            answered += 1
            packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
            os.write(tunnel, packet)
        os.close(tunnel)
