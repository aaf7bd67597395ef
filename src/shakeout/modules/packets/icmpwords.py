"""ICMP and ICMPv6 in words. (Numbers: IANA, "ICMP Parameters" and "ICMPv6 Parameters")"""

from __future__ import annotations

from typing import Final

#: Type 3 of ICMP: what could not be reached, by code.
UNREACHABLE: Final = {
    0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
    4: "fragmentation needed", 5: "source route failed", 9: "network prohibited", 10: "host prohibited",
    13: "administratively prohibited",
}  # fmt: skip

#: The same of ICMPv6, where it is type 1.
UNREACHABLE6: Final = {
    0: "no route", 1: "administratively prohibited", 2: "beyond the scope of its address", 3: "address unreachable",
    4: "port unreachable", 5: "prohibited by policy", 6: "route rejected",
}  # fmt: skip

_V4: Final = {
    0: "echo reply", 4: "source quench", 5: "redirect", 8: "echo request", 9: "router advertisement",
    10: "router solicitation", 11: "time exceeded", 12: "parameter problem", 13: "timestamp request",
    14: "timestamp reply",
}  # fmt: skip
_V6: Final = {
    2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request", 129: "echo reply",
    130: "listener query", 131: "listener report", 132: "listener done", 133: "router solicitation",
    134: "router advertisement", 135: "neighbour solicitation", 136: "neighbour advertisement", 137: "redirect",
    143: "listener report v2",
}  # fmt: skip


def meaning(version: int, kind: int, code: int) -> str:
    """What a message of *kind* and *code* says: "port unreachable"."""
    if (version, kind) in ((4, 3), (6, 1)):
        table = UNREACHABLE if version == 4 else UNREACHABLE6
        return table.get(code, f"unreachable, code {code}")
    return (_V4 if version == 4 else _V6).get(kind, f"type {kind} code {code}")


def describe(message: bytes, length: int, version: int) -> str:
    """An ICMP message in words: "ICMP echo request, id 5, seq 1, 64 bytes".

    Args:
        message: it, or as much as there is of it.
        length: how long it is.
        version: 4 or 6.
    """
    name = "ICMP" if version == 4 else "ICMPv6"
    if len(message) < 8:
        return f"{name}, cut short"
    kind, code = message[0], message[1]
    text = f"{name} {meaning(version, kind, code)}"
    if (version == 4 and kind in (0, 8, 13, 14)) or (version == 6 and kind in (128, 129)):
        text += f", id {int.from_bytes(message[4:6], 'big')}, seq {int.from_bytes(message[6:8], 'big')}"
    elif version == 4 and (kind, code) == (3, 4):
        text += f", MTU {int.from_bytes(message[6:8], 'big')}"
    elif version == 6 and kind == 2:
        text += f", MTU {int.from_bytes(message[4:8], 'big')}"
    elif version == 6 and kind in (135, 136) and len(message) >= 24:
        import socket

        text += f" {'of' if kind == 136 else 'for'} {socket.inet_ntop(socket.AF_INET6, message[8:24])}"
    return f"{text}, {length} bytes"
