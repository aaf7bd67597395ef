"""Packets in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.modules import frames
from tests.unit.modules.frames import MACS, arp, ether, icmp, ipv4, ipv6, tcp, udp

from shakeout.modules.packets.decoder import describe, payload_of

NS = icmp(135, 0, bytes(4), frames.ip_address("fe80::9").packed)


@pytest.mark.parametrize(("frame", "text"), [
    (ether(ipv4(icmp(8), 1), 0x0800), "10.0.0.1 > 10.0.0.2: ICMP echo request, id 5, seq 1, 8 bytes"),
    (ether(ipv4(icmp(0), 1), 0x0800, tags=(5, 0x2006)),
     "vlan 5: vlan 6: 10.0.0.1 > 10.0.0.2: ICMP echo reply, id 5, seq 1, 8 bytes"),
    (ether(ipv4(icmp(3, 4, b"\0\0\x05\x14"), 1), 0x0800),
     "10.0.0.1 > 10.0.0.2: ICMP fragmentation needed, MTU 1300, 8 bytes"),
    (ether(ipv4(icmp(3, 3), 1), 0x0800), "10.0.0.1 > 10.0.0.2: ICMP port unreachable, 8 bytes"),
    (ether(ipv4(icmp(99, 7), 1), 0x0800), "10.0.0.1 > 10.0.0.2: ICMP type 99 code 7, 8 bytes"),
    (ether(ipv6(icmp(2, 0, b"\0\0\x05\0"), 58), 0x86DD),
     "2001:db8::1 > 2001:db8::2: ICMPv6 packet too big, MTU 1280, 8 bytes"),
    (ether(ipv6(NS, 58), 0x86DD), "2001:db8::1 > 2001:db8::2: ICMPv6 neighbour solicitation for fe80::9, 24 bytes"),
    (ether(ipv6(b"\x3a\0" + bytes(6) + icmp(143), 0), 0x86DD),
     "2001:db8::1 > 2001:db8::2: ICMPv6 listener report v2, 8 bytes"),
    (ether(ipv4(tcp(data=b"abc"), 6), 0x0800), "10.0.0.1:5000 > 10.0.0.2:80: TCP SYN, 3 bytes"),
    (ether(ipv4(tcp(flags=0x19), 6), 0x0800), "10.0.0.1:5000 > 10.0.0.2:80: TCP ACK FIN PSH, 0 bytes"),
    (ether(ipv4(tcp(flags=0), 6), 0x0800), "10.0.0.1:5000 > 10.0.0.2:80: TCP no flags, 0 bytes"),
    (ether(ipv6(udp(data=b"x"), 17), 0x86DD), "[2001:db8::1]:5000 > [2001:db8::2]:53: UDP, 1 bytes"),
    (ether(ipv4(b"x" * 9, 17, fragment=3), 0x0800), "10.0.0.1 > 10.0.0.2: UDP fragment at byte 24, 9 bytes"),
    (ether(ipv4(b"x" * 9, 89), 0x0800), "10.0.0.1 > 10.0.0.2: OSPF, 9 bytes"),
    (ether(ipv4(b"x" * 9, 254), 0x0800), "10.0.0.1 > 10.0.0.2: protocol 254, 9 bytes"),
    (ether(arp(), 0x0806), "ARP who has 10.0.0.2? tell 10.0.0.1"),
    (ether(arp(2), 0x0806), "ARP 10.0.0.1 is at 02:00:00:00:00:01"),
    (ether(arp(1, "10.0.0.1", "10.0.0.1"), 0x0806), "ARP announcement of 10.0.0.1 at 02:00:00:00:00:01"),
    (ether(b"x" * 10, 0x88CC), f"{MACS[0]} > {MACS[1]}: LLDP, 24 bytes"),
    (ether(b"\x42\x42\x03", 3), f"{MACS[0]} > {MACS[1]}: STP, 17 bytes"),
    (ether(b"", 0x1234), f"{MACS[0]} > {MACS[1]}: ether type 0x1234, 14 bytes"),
    (ether(ipv4(udp(), 17), 0x0800) + bytes(18), "10.0.0.1:5000 > 10.0.0.2:53: UDP, 0 bytes"),  # filled up
    (b"", "a frame of 0 bytes, too short for its header"),
    (ether(b"\0", 0x8100), f"{MACS[0]} > {MACS[1]}: a VLAN tag that is cut short"),
    (ether(b"\x45", 0x0800), "IP, cut short"),
    (ether(b"\0\1", 0x0806), "ARP, cut short"),
])  # fmt: skip
def test_one_line(frame: bytes, text: str) -> None:
    assert describe(frame) == text


def test_without_ethernet_and_cut() -> None:
    packet = ipv4(tcp(), 6)
    assert describe(packet, link="ip") == "10.0.0.1:5000 > 10.0.0.2:80: TCP SYN, 0 bytes"
    cut = describe(packet[:30], link="ip", length=40)
    assert cut == "10.0.0.1:5000 > 10.0.0.2:80: TCP, cut short (the last 10 bytes were not captured)"


@pytest.mark.parametrize(("frame", "payload"), [
    (ether(ipv4(tcp(data=b"hello"), 6), 0x0800) + bytes(9), b"hello"),
    (ether(ipv6(udp(data=b"hello"), 17), 0x86DD, tags=(5,)), b"hello"),
    (ether(ipv4(icmp(data=b"hello"), 1), 0x0800), b"hello"),
    (ether(ipv4(b"hello", 17, fragment=3), 0x0800), b"hello"),
    (ether(ipv4(b"hello", 89), 0x0800), b"hello"),
    (ether(b"hello", 0x88CC), b"hello"),
    (b"short", b""),
])  # fmt: skip
def test_payload(frame: bytes, payload: bytes) -> None:
    assert payload_of(frame) == payload


@given(st.one_of(st.binary(max_size=120), frames.frames), st.sampled_from(("ether", "ip")), st.integers(0, 100))
def test_anything_is_one_line(frame: bytes, link: str, cut: int) -> None:
    frame = frame[: max(0, len(frame) - cut)]
    text = describe(frame, link=link, length=len(frame) + cut)
    assert text.isprintable()
    assert len(text) < 300
    assert payload_of(frame, link=link) in (b"", frame) or payload_of(frame, link=link) in frame
