"""Packets from the kernel through memory that both share, so that few are lost when many come.

This is Linux's TPACKET_V3 (Documentation/networking/packet_mmap.rst; structures in linux/if_packet.h): the kernel fills
blocks, and hands a block over when it is full or `_RETIRE_MS` old.
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from shakeout.errors import JobError, ModuleFailed
from shakeout.modules.packets import bpf
from shakeout.modules.packets.interface import Interface

_BLOCK = 1 << 18
#: Milliseconds after which a block is handed over that is not full: what a packet may be late.
_RETIRE_MS = 10
#: How many times that is waited for a block that the kernel has begun to fill.
_PATIENCE = 100
ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 263, 1, 5, 6, 10
_TPACKET_V3, _MR_PROMISCUOUS, _RTMGRP_LINK = 2, 1, 1
_STATUS_KERNEL, _STATUS_USER = 0, 1
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6

#: Of a block: status, number of packets, offset of the first.
_BLOCK_HEADER = struct.Struct("=8xIII")
#: Of a packet: offset of the next, s, ns, bytes kept, bytes in all, status, offset of the data; tag, its type.
_PACKET_HEADER = struct.Struct("=IIIIIIHxxxxxxIH")


class Packet(NamedTuple):
    """A packet that was seen.

    Attributes:
        at_ns: when, in nanoseconds of CLOCK_REALTIME.
        data: it, as far as it was kept, with the VLAN tag that the kernel had taken out; valid until the next is
            asked for.
        length: how long it was.
    """

    at_ns: int
    data: memoryview | bytes
    length: int


class Ring:
    """Packets of one interface, from `start` to `stop`; a context manager.

    Args:
        program: which packets, and how much of each.
        size: bytes of memory for packets that wait, rounded to blocks of 256 KiB.
        direction: "in", "out" or "both". On a loopback interface every packet is seen once, as it comes in.
        promiscuous: have the interface take in what is for others.
    """

    def __init__(
        self,
        interface: Interface,
        program: bpf.Program,
        *,
        size: int = 8 << 20,
        direction: str = "both",
        promiscuous: bool = False,
    ) -> None:
        self._interface = interface
        self._program = towards(program, interface, direction)
        self._size = max(2, -(-size // _BLOCK)) * _BLOCK
        self._promiscuous = promiscuous
        self._memory: mmap.mmap | None = None
        self._view = memoryview(b"")
        self._block = 0
        self._stopped = False
        #: Packets that found no room.
        self.dropped = 0
        #: Times that the interface went down, or was down when it started.
        self.downs = 0
        #: Whether the interface is no longer on this host.
        self.gone = False

    def __enter__(self) -> Ring:
        self._socket = packet_socket()
        self._links = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
        try:
            self._prepare()
        except BaseException:
            self._socket.close()
            self._links.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._links.close()
        self._view.release()
        try:
            if self._memory is not None:
                self._memory.close()
        except BufferError:
            pass  # an exception that is on its way still holds a packet: it goes with that

    def descriptors(self) -> tuple[int, int]:
        """Readable when there are packets, and when interfaces come, change or go: `packets` is to be called then."""
        return self._socket.fileno(), self._links.fileno()

    def start(self) -> None:
        """From now on every packet counts.

        Raises:
            ModuleFailed: the interface has just gone.
        """
        self._links.bind((0, _RTMGRP_LINK))
        try:
            self._socket.bind((self._interface.name, ETH_P_ALL))
        except OSError as error:
            raise ModuleFailed(f"nothing can be captured on {self._interface.name}: {error.strerror}") from None
        self._clear_error()

    def stop(self) -> None:
        """From now on none does; those that came before are still given by `packets`."""
        bpf.attach(self._socket, bpf.nothing())
        self._stopped = True

    def packets(self) -> Iterator[Packet]:
        """What has come; after `stop`, all that is left."""
        view, patience = self._view, _PATIENCE
        while True:
            at = self._block * _BLOCK
            status, count, place = _BLOCK_HEADER.unpack_from(view, at)
            if not status & _STATUS_USER:
                if self._stopped and count and patience:
                    patience -= 1
                    select.select([self._socket], [], [], _RETIRE_MS / 1e3)  # the kernel hands it over when it is old
                    self._clear_error()
                    continue
                break
            yield from self._of_block(at + place, count)
            # No packet is in it any more: while it is the kernel's, that tells whether it has begun to fill it.
            struct.pack_into("=I", view, at + 12, 0)
            struct.pack_into("=I", view, at + 8, _STATUS_KERNEL)
            self._block = (self._block + 1) % (self._size // _BLOCK)
        self.look()

    def _of_block(self, at: int, count: int) -> Iterator[Packet]:
        view = self._view
        for _ in range(count):
            step, seconds, nano, kept, length, status, place, tag, tag_type = _PACKET_HEADER.unpack_from(view, at)
            data: memoryview | bytes = view[at + place : at + place + kept]
            if status & _VLAN_VALID and kept >= 12:
                kind = tag_type if status & _VLAN_TPID_VALID else 0x8100
                data = b"".join((data[:12], struct.pack("!HH", kind, tag & 0xFFFF), data[12:]))
                length += 4
            yield Packet(seconds * 1_000_000_000 + nano, data, length)
            at += step

    def _prepare(self) -> None:
        sock = self._socket
        sock.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
        blocks = self._size // _BLOCK
        ring = struct.pack("=7I", _BLOCK, blocks, 2048, self._size // 2048, _RETIRE_MS, 0, 0)
        try:
            sock.setsockopt(_SOL_PACKET, _PACKET_RX_RING, ring)
            self._memory = mmap.mmap(sock.fileno(), self._size)
        except OSError as error:
            raise ModuleFailed(
                f"there is no room for {self._size >> 20} MiB of packets on this host ({error.strerror}); "
                "give a smaller buffer"
            ) from None
        self._view = memoryview(self._memory)
        bpf.attach(sock, self._program)
        if self._promiscuous:
            wanted = struct.pack("=iHH8x", self._interface.index, _MR_PROMISCUOUS, 0)
            sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, wanted)

    def _clear_error(self) -> None:
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.downs += 1

    def look(self) -> None:
        """Count what was lost, and notice that the interface went down or away."""
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 12)
        self.dropped += struct.unpack_from("=II", statistics)[1]
        self._clear_error()
        try:
            while self._links.recv(1 << 16):
                # The end of one that had been down before is no error of the other socket.
                self.gone = not self._interface.exists()
        except BlockingIOError:
            pass
        except OSError:  # too much news at once
            self.gone = not self._interface.exists()


def towards(program: bpf.Program, interface: Interface, direction: str) -> bpf.Program:
    """*program* for one direction; what goes out through a loopback interface comes in again, and counts once."""
    return bpf.towards(program, "in" if interface.loopback and direction == "both" else direction)


def packet_socket(kind: int = 0) -> socket.socket:
    """A socket that sees whole frames, of no interface yet.

    Args:
        kind: further flags of its type.

    Raises:
        JobError: this process may not have one.
    """
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | kind, 0)
    except PermissionError:
        raise JobError(
            "this job may not look at packets on this host: run it as root (or with the capability CAP_NET_RAW)"
        ) from None
    except OSError as error:
        raise JobError(f"the kernel of this host has no packet sockets ({error.strerror})") from None


def monotonic_shift() -> int:
    """Nanoseconds by which CLOCK_REALTIME, which packets are stamped with, is now ahead of CLOCK_MONOTONIC."""
    before = time.monotonic_ns()
    wall = time.time_ns()
    return wall - (before + time.monotonic_ns()) // 2
