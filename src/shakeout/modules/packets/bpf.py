"""Programs of the kernel's classic packet filter: put together from instructions with labels, and attached to sockets.

The instruction set is that of McCanne and Jacobson, "The BSD Packet Filter" (1993), with Linux's additions
(Documentation/networking/filter.rst).
"""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

from shakeout.errors import ModuleFailed

LD_W_ABS, LD_H_ABS, LD_B_ABS = 0x20, 0x28, 0x30
LD_W_IND, LD_H_IND, LD_B_IND = 0x40, 0x48, 0x50
LD_LEN, LD_IMM, LD_MEM, LDX_IMM, LDX_MEM, LDX_MSH = 0x80, 0x00, 0x60, 0x01, 0x61, 0xB1
ST, STX = 0x02, 0x03
ADD_K, SUB_K, MUL_K, DIV_K, OR_K, AND_K, LSH_K, RSH_K, NEG, MOD_K, XOR_K = (
    0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0x94, 0xA4,
)  # fmt: skip
ADD_X = 0x0C
JA, JEQ_K, JGT_K, JGE_K, JSET_K, JEQ_X, JGE_X = 0x05, 0x15, 0x25, 0x35, 0x45, 0x1D, 0x3D
RET_K, RET_A = 0x06, 0x16
TAX, TXA = 0x07, 0x87

#: Where what the kernel knows beside the packet is loaded from.
AD_OFFSET: Final = 0xFFFFF000
AD_PROTOCOL, AD_PACKET_TYPE = AD_OFFSET + 0, AD_OFFSET + 4
AD_VLAN_TAG, AD_VLAN_PRESENT = AD_OFFSET + 44, AD_OFFSET + 48

#: PACKET_OUTGOING (linux/if_packet.h)
_OUTGOING = 4
#: The kernel's limit (BPF_MAXINSNS).
LONGEST: Final = 4096
_SO_ATTACH_FILTER = 26


class Instruction(NamedTuple):
    """One instruction: what to do, how far to jump if its condition holds and if not, and a number."""

    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]


class Assembler:
    """Puts a program together; jumps go to labels, only forwards."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, int, int]] = []  # code, label if so, label if not, k
        self._labels: list[int] = []

    def label(self) -> int:
        """A new label, which is somewhere once it was given to `place`."""
        self._labels.append(-1)
        return len(self._labels) - 1

    def place(self, label: int) -> None:
        """*label* is here."""
        self._labels[label] = len(self._lines)

    def do(self, code: int, k: int = 0) -> None:
        """An instruction that does not jump."""
        self._lines.append((code, -1, -1, k & 0xFFFFFFFF))

    def jump(self, code: int, k: int, so: int, otherwise: int) -> None:
        """A conditional jump to one of two labels."""
        self._lines.append((code, so, otherwise, k & 0xFFFFFFFF))

    def go(self, label: int) -> None:
        """A jump."""
        self._lines.append((JA, label, -1, 0))

    def program(self) -> Program:
        """What was put together.

        A condition reaches 255 instructions; where that is too short it stands before two jumps that reach anywhere.
        """
        long: set[int] = set()
        while True:
            starts, at = [], 0
            for number in range(len(self._lines)):
                starts.append(at)
                at += 3 if number in long else 1
            starts.append(at)
            wide = {
                number
                for number, (code, so, otherwise, _) in enumerate(self._lines)
                if code != JA and so >= 0
                and max(starts[self._labels[label]] for label in (so, otherwise)) - starts[number] - 1 > 255
            }  # fmt: skip
            if wide <= long:
                return self._encode(starts, long)
            long |= wide

    def _encode(self, starts: list[int], long: set[int]) -> Program:
        result: list[Instruction] = []
        for number, (code, so, otherwise, k) in enumerate(self._lines):
            here = starts[number] + 1
            if code == JA:
                result.append(Instruction(JA, 0, 0, starts[self._labels[so]] - here))
            elif so < 0:
                result.append(Instruction(code, 0, 0, k))
            else:
                yes, no = starts[self._labels[so]], starts[self._labels[otherwise]]
                if number in long:
                    result.append(Instruction(code, 0, 1, k))
                    result.append(Instruction(JA, 0, 0, yes - here - 1))
                    result.append(Instruction(JA, 0, 0, no - here - 2))
                else:
                    result.append(Instruction(code, yes - here, no - here, k))
        return tuple(result)


def everything(snaplen: int) -> Program:
    """The program that lets everything through, cut to *snaplen* bytes."""
    return (Instruction(RET_K, 0, 0, snaplen),)


def nothing() -> Program:
    """The program that lets nothing through."""
    return everything(0)


def opposite(program: Program, snaplen: int) -> Program:
    """What lets through, cut to *snaplen* bytes, exactly what *program* does not.

    (But for packets that are too short for it: those pass neither.)
    """
    return tuple(each._replace(k=0 if each.k else snaplen) if each.code == RET_K else each for each in program)


def towards(program: Program, direction: str) -> Program:
    """*program* for packets of one direction only ("in", "out"; "both": itself)."""
    if direction == "both":
        return program
    outgoing = direction == "out"
    return (
        Instruction(LD_W_ABS, 0, 0, AD_PACKET_TYPE),
        Instruction(JEQ_K, int(outgoing), int(not outgoing), _OUTGOING),
        Instruction(RET_K, 0, 0, 0),
        *program,
    )


def attach(sock: socket.socket, program: Program) -> None:
    """Give *sock* a filter, in the place of any that it had.

    Raises:
        ModuleFailed: the kernel does not take it.
    """
    from array import array

    packed = array("B", b"".join(struct.pack("=HBBI", *each) for each in program))
    address, _ = packed.buffer_info()
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), address))
    except OSError as error:
        raise ModuleFailed(
            f"the kernel does not take the filter, a program of {len(program)} instructions "
            f"({error.strerror}); make the filter simpler"
        ) from None
