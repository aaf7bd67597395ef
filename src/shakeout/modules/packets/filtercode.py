"""The compiler: from what a filter says to a program for the kernel.

A program first finds out, into its memory, where the headers are: behind VLAN tags (those in the frame and the one
that the kernel has taken out), an IPv6 hop-by-hop header and an IPv6 fragment header. Then each test is short.
"""

from __future__ import annotations

from typing import Final, Literal

from shakeout.errors import UsageError
from shakeout.modules.packets import bpf
from shakeout.modules.packets.bpf import Assembler, Program
from shakeout.modules.packets.filtertree import (
    ETHER_TYPES,
    ONLY_IN,
    PROTOCOLS,
    All,
    EtherType,
    Field,
    IpProtocol,
    Leaf,
    Node,
    Not,
    Relation,
    Size,
    Vlan,
)
from shakeout.modules.packets.filtertree import Any as AnyOf

#: What frames of a device begin with: an Ethernet header, or at once with that of IP (a tun device).
Link = Literal["ether", "ip"]

#: The program's memory: ether type; offset of the network header; IP protocol; offset of the transport header (0:
#: there is none in this packet); VLANs of up to three tags, from outside to inside.
_TYPE, _NETWORK, _PROTOCOL, _TRANSPORT, _TAGS = 0, 1, 2, 3, (4, 5, 6)
_NONE = 0xFFFFFFFF
_TAG_TYPES: Final = (0x8100, 0x88A8, 0x9100)
_LOADS: Final = {1: (bpf.LD_B_ABS, bpf.LD_B_IND), 2: (bpf.LD_H_ABS, bpf.LD_H_IND), 4: (bpf.LD_W_ABS, bpf.LD_W_IND)}
_IP4, _IP6 = ETHER_TYPES["ip"], ETHER_TYPES["ip6"]


def compile_filter(node: Node | None, snaplen: int, link: Link = "ether") -> Program:
    """The program that returns *snaplen* for packets that *node* is true of, and 0 for others.

    Raises:
        UsageError: it would be longer than the kernel accepts.
    """
    if node is None:
        return bpf.everything(snaplen)
    code = Assembler()
    _find_headers(code, link)
    so, otherwise = code.label(), code.label()
    _Compiler(code, link).test(node, so, otherwise)
    code.place(so)
    code.do(bpf.RET_K, snaplen)
    code.place(otherwise)
    code.do(bpf.RET_K, 0)
    program = code.program()
    if len(program) > bpf.LONGEST:
        raise UsageError(f"it compiles to {len(program)} instructions, but the kernel takes {bpf.LONGEST}")
    return program


def _find_headers(code: Assembler, link: Link) -> None:
    for place in (_PROTOCOL, *_TAGS):
        _remember(code, place, _NONE)
    _remember(code, _TRANSPORT, 0)
    if link == "ether":
        _find_tags(code)
    else:
        _remember(code, _NETWORK, 0)
        code.do(bpf.LD_H_ABS, bpf.AD_PROTOCOL)
        code.do(bpf.ST, _TYPE)
    v4, not_v4, v6, done = code.label(), code.label(), code.label(), code.label()
    code.do(bpf.LD_MEM, _TYPE)
    code.jump(bpf.JEQ_K, _IP4, v4, not_v4)
    code.place(not_v4)
    code.jump(bpf.JEQ_K, _IP6, v6, done)
    code.place(v4)
    _into_v4(code, done)
    code.place(v6)
    _into_v6(code, done)
    code.place(done)


def _remember(code: Assembler, place: int, value: int) -> None:
    code.do(bpf.LD_IMM, value)
    code.do(bpf.ST, place)


def _find_tags(code: Assembler) -> None:
    """The tag that the kernel keeps beside the packet, then up to two in it; after them the type of what is inside."""
    in_frame, beside = code.label(), code.label()
    _remember(code, _NETWORK, 14)
    code.do(bpf.LD_B_ABS, bpf.AD_VLAN_PRESENT)
    code.jump(bpf.JEQ_K, 0, in_frame, beside)
    code.place(beside)
    code.do(bpf.LD_H_ABS, bpf.AD_VLAN_TAG)
    code.do(bpf.AND_K, 0xFFF)
    code.do(bpf.ST, _TAGS[0])
    code.place(in_frame)
    code.do(bpf.LD_H_ABS, 12)
    code.do(bpf.ST, _TYPE)
    done = code.label()
    for offset, place in ((14, _TAGS[1]), (18, _TAGS[2])):
        tagged = code.label()
        for number in _TAG_TYPES:
            other = done if number == _TAG_TYPES[-1] else code.label()
            code.jump(bpf.JEQ_K, number, tagged, other)
            if other != done:
                code.place(other)
        code.place(tagged)
        code.do(bpf.LD_H_ABS, offset)
        code.do(bpf.AND_K, 0xFFF)
        code.do(bpf.ST, place)
        _remember(code, _NETWORK, offset + 4)
        code.do(bpf.LD_H_ABS, offset + 2)
        code.do(bpf.ST, _TYPE)
    code.place(done)


def _room(code: Assembler, place: int, size: int, done: int) -> None:
    """Go on only if the packet has *size* bytes from the header at *place*, which X points to then."""
    enough = code.label()
    code.do(bpf.LD_MEM, place)
    code.do(bpf.ADD_K, size)
    code.do(bpf.TAX)
    code.do(bpf.LD_LEN)
    code.jump(bpf.JGE_X, 0, enough, done)
    code.place(enough)
    code.do(bpf.LDX_MEM, place)


def _into_v4(code: Assembler, done: int) -> None:
    whole = code.label()
    _room(code, _NETWORK, 20, done)
    code.do(bpf.LD_B_IND, 9)
    code.do(bpf.ST, _PROTOCOL)
    code.do(bpf.LD_H_IND, 6)
    code.jump(bpf.JSET_K, 0x1FFF, done, whole)  # a later fragment has no transport header
    code.place(whole)
    code.do(bpf.LD_B_IND, 0)
    code.do(bpf.AND_K, 0x0F)
    code.do(bpf.LSH_K, 2)
    code.do(bpf.ADD_X)
    code.do(bpf.ST, _TRANSPORT)
    code.go(done)


def _into_v6(code: Assembler, done: int) -> None:
    found, options, fragment, no_options = code.label(), code.label(), code.label(), code.label()
    _room(code, _NETWORK, 40, done)
    code.do(bpf.LD_B_IND, 6)
    code.do(bpf.ST, _PROTOCOL)
    code.do(bpf.TXA)
    code.do(bpf.ADD_K, 40)
    code.do(bpf.ST, _TRANSPORT)
    code.do(bpf.LD_MEM, _PROTOCOL)
    code.jump(bpf.JEQ_K, 0, options, no_options)
    code.place(options)  # hop-by-hop options: their length is in units of 8 bytes, without the first
    _room(code, _TRANSPORT, 8, found)
    code.do(bpf.LD_B_IND, 0)
    code.do(bpf.ST, _PROTOCOL)
    code.do(bpf.LD_B_IND, 1)
    code.do(bpf.ADD_K, 1)
    code.do(bpf.LSH_K, 3)
    code.do(bpf.ADD_X)
    code.do(bpf.ST, _TRANSPORT)
    code.place(no_options)
    code.do(bpf.LD_MEM, _PROTOCOL)
    code.jump(bpf.JEQ_K, 44, fragment, found)
    code.place(fragment)
    _room(code, _TRANSPORT, 8, found)
    code.do(bpf.LD_B_IND, 0)
    code.do(bpf.ST, _PROTOCOL)
    code.do(bpf.LD_H_IND, 2)
    later, first = code.label(), code.label()
    code.jump(bpf.JSET_K, 0xFFF8, later, first)
    code.place(later)
    _remember(code, _TRANSPORT, 0)
    code.go(found)
    code.place(first)
    code.do(bpf.TXA)
    code.do(bpf.ADD_K, 8)
    code.do(bpf.ST, _TRANSPORT)
    code.place(found)


class _Compiler:
    """Makes jumps to one of two labels from what is to be tested."""

    def __init__(self, code: Assembler, link: Link) -> None:
        self._code = code
        self._link = link

    def test(self, node: Node, so: int, otherwise: int) -> None:
        """Go to *so* if *node* is true, else to *otherwise*."""
        if isinstance(node, Not):
            self.test(node.part, otherwise, so)
        elif isinstance(node, All | AnyOf):
            wanted = isinstance(node, All)
            for part in node.parts[:-1]:
                on = self._code.label()
                self.test(part, *((on, otherwise) if wanted else (so, on)))
                self._code.place(on)
            self.test(node.parts[-1], so, otherwise)
        else:
            self._leaf(node, so, otherwise)

    def _leaf(self, leaf: Leaf, so: int, otherwise: int) -> None:
        code = self._code
        if isinstance(leaf, EtherType):
            code.do(bpf.LD_MEM, _TYPE)
            code.jump(bpf.JEQ_K, leaf.number, so, otherwise)
        elif isinstance(leaf, IpProtocol):
            if leaf.family:
                self._only(_TYPE, _IP4 if leaf.family == 4 else _IP6, otherwise)
            code.do(bpf.LD_MEM, _PROTOCOL)
            code.jump(bpf.JEQ_K, leaf.number, so, otherwise)
        elif isinstance(leaf, Size):
            code.do(bpf.LD_LEN)
            self._compare(leaf.relation, leaf.number, so, otherwise)
        elif isinstance(leaf, Vlan):
            self._vlan(leaf, so, otherwise)
        else:
            self._field(leaf, so, otherwise)

    def _vlan(self, leaf: Vlan, so: int, otherwise: int) -> None:
        code = self._code
        for place in _TAGS:
            code.do(bpf.LD_MEM, place)
            on = otherwise if place == _TAGS[-1] else code.label()
            if leaf.number is None:
                code.jump(bpf.JEQ_K, _NONE, on, so)
            else:
                code.jump(bpf.JEQ_K, leaf.number, so, on)
            if on != otherwise:
                code.place(on)

    def _field(self, leaf: Field, so: int, otherwise: int) -> None:
        code, base = self._code, leaf.base
        direct, indirect = _LOADS[leaf.width]
        if base == "ether":
            if self._link != "ether":
                code.go(otherwise)
                return
            code.do(direct, leaf.offset)
        else:
            if base in ETHER_TYPES:
                self._only(_TYPE, ETHER_TYPES[base], otherwise)
                place = _NETWORK
            else:
                if base in ONLY_IN:
                    self._only(_TYPE, _IP4 if ONLY_IN[base] == 4 else _IP6, otherwise)
                self._only(_PROTOCOL, PROTOCOLS[base], otherwise)
                place = _TRANSPORT
                there = code.label()
                code.do(bpf.LD_MEM, place)
                code.jump(bpf.JEQ_K, 0, otherwise, there)
                code.place(there)
            code.do(bpf.LDX_MEM, place)
            code.do(indirect, leaf.offset)
        if leaf.mask != 0xFFFFFFFF:
            code.do(bpf.AND_K, leaf.mask)
        self._compare(leaf.relation, leaf.number, so, otherwise)

    def _only(self, place: int, number: int, otherwise: int) -> None:
        on = self._code.label()
        self._code.do(bpf.LD_MEM, place)
        self._code.jump(bpf.JEQ_K, number, on, otherwise)
        self._code.place(on)

    def _compare(self, relation: Relation, number: int, so: int, otherwise: int) -> None:
        turned = relation in ("!=", "<", "<=")
        code = {"=": bpf.JEQ_K, "!=": bpf.JEQ_K, ">": bpf.JGT_K, "<=": bpf.JGT_K, ">=": bpf.JGE_K, "<": bpf.JGE_K}
        self._code.jump(code[relation], number, *((otherwise, so) if turned else (so, otherwise)))
