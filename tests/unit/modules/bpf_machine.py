"""The reference for classic BPF: an interpreter that does what the paper and the kernel's documentation say."""

from __future__ import annotations

from collections.abc import Sequence

AD = 0xFFFFF000
M32 = 0xFFFFFFFF


class OutsideError(Exception):
    """The program loads what is not in the packet."""


def run(
    program: Sequence[tuple[int, int, int, int]],
    packet: bytes,
    *,
    aside: dict[int, int] | None = None,
    strict: bool = False,
) -> int:
    """What *program* returns for *packet*; a load from outside of it returns 0.

    Args:
        aside: what the kernel knows beside the packet (offset from AD -> value).
        strict: a load from outside is an OutsideError.
    """
    a = x = at = 0
    memory: dict[int, int] = {}

    def load(place: int, size: int) -> int:
        place &= M32
        if place >= AD:
            return (aside or {}).get(place - AD, 0)
        if place + size > len(packet):
            raise OutsideError
        return int.from_bytes(packet[place : place + size], "big")

    try:
        while True:
            code, jt, jf, k = program[at]
            at += 1
            kind, size = code & 7, {0x00: 4, 0x08: 2, 0x10: 1}.get(code & 0x18, 0)
            operand = x if code & 8 else k
            if kind == 0:  # ld
                mode = code & 0xE0
                if mode == 0x20:
                    a = load(k, size)
                elif mode == 0x40:
                    a = load(x + k, size)
                else:
                    a = len(packet) if mode == 0x80 else k if mode == 0x00 else memory[k]
            elif kind == 1:  # ldx
                mode = code & 0xE0
                if mode == 0xA0:
                    x = 4 * (load(k, 1) & 15)
                else:
                    x = len(packet) if mode == 0x80 else k if mode == 0x00 else memory[k]
            elif kind in (2, 3):
                memory[k] = a if kind == 2 else x
            elif kind == 4:
                a = alu(code & 0xF0, a, operand) & M32
            elif kind == 5:
                if code & 0xF0 == 0:
                    at += k
                else:
                    holds = {0x10: a == operand, 0x20: a > operand, 0x30: a >= operand, 0x40: bool(a & operand)}
                    at += jt if holds[code & 0xF0] else jf
            elif kind == 6:
                return a if code & 0x18 == 0x10 else k
            elif code & 0xF8 == 0:
                x = a
            else:
                a = x
    except OutsideError:
        if strict:
            raise
        return 0


def alu(code: int, a: int, b: int) -> int:
    """One operation of arithmetic."""
    if code in (0x30, 0x90) and b == 0:
        raise OutsideError
    return {
        0x00: lambda: a + b, 0x10: lambda: a - b, 0x20: lambda: a * b, 0x30: lambda: a // b, 0x40: lambda: a | b,
        0x50: lambda: a & b, 0x60: lambda: a << b, 0x70: lambda: a >> b, 0x80: lambda: -a, 0x90: lambda: a % b,
        0xA0: lambda: a ^ b,
    }[code]()  # fmt: skip
