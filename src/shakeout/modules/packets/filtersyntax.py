"""The filter language: the part of tcpdump's that tests write every day, read without tcpdump.

It differs in being less surprising about VLAN tags: protocols are looked for behind them, so "icmp" is also what is
tagged, "vlan 5 and icmp" what is tagged so, and "not vlan and icmp" what is not; and IPv6 packets are looked into
behind a hop-by-hop or fragment header.
"""

from __future__ import annotations

import re
from typing import Any as AnyType
from typing import Final

from shakeout.errors import UsageError, did_you_mean
from shakeout.modules.packets import filterwords
from shakeout.modules.packets.filtertree import (
    ETHER_TYPES,
    PROTOCOLS,
    EtherType,
    Field,
    IpProtocol,
    Node,
    Not,
    Size,
    Vlan,
    both,
    either,
)

#: The longest filter, in characters.
LONGEST: Final = 2000
_DEEPEST = 40

_TOKEN = re.compile(r"\s*(?:([0-9A-Za-z_.:/\\-]+)|(&&|\|\||[!=<>]=|[()\[\]!=<>&|])|(\S))")
_JOINS = {"and": both, "&&": both, "or": either, "||": either}
_RELATIONS: Final = {"=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_HEADERS = ("ether", *ETHER_TYPES, *PROTOCOLS)
_WORDS: Final = (
    *_HEADERS, "vlan", "host", "net", "port", "portrange", "proto", "src", "dst", "less", "greater",
    "broadcast", "multicast", "and", "or", "not",
)  # fmt: skip

#: What the language has, for messages.
SUMMARY: Final = (
    "ip, ip6, arp, tcp, udp, sctp, icmp, icmp6, igmp, vlan [N], [src|dst] host, net, port and portrange, ether host, "
    "proto, less, greater, broadcast, multicast, PROTOCOL[OFFSET:SIZE] & MASK = NUMBER, and, or, not, ( )"
)


def parse(text: str) -> Node | None:
    """What the filter *text* says; None if it is blank and so lets everything through.

    Raises:
        UsageError: it is not understood; the message says where.
    """
    if len(text) > LONGEST:
        raise UsageError(f"a filter of {len(text)} characters is longer than the limit of {LONGEST}")
    return None if not text.strip() else _Parser(text).whole()


class _Parser:
    """Reads one filter, from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, int]] = []
        for found in _TOKEN.finditer(text):
            if found[3]:
                raise UsageError(f"{found[3]!r} at character {found.start(3) + 1} is nothing that a filter has")
            kind = 1 if found[1] else 2
            self._tokens.append((found[kind], found.start(kind) + 1))
        self._place = 0
        self._depth = 0
        #: How the last address or port was to be understood: for "port 80 or 443".
        self._last: tuple[str, str, str] | None = None

    def whole(self) -> Node:
        node = self._expression()
        if self._place < len(self._tokens):
            raise self._wrong("and, or, or the end")
        return node

    # -- combinations: "and" and "or" bind alike, from the left, as in tcpdump ------------------------

    def _expression(self) -> Node:
        node = self._negated()
        while (join := _JOINS.get(self._peek())) is not None:
            self._place += 1
            node = join(node, self._negated())
        return node

    def _negated(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(f"a filter is at most {_DEEPEST} levels deep")
        try:
            if self._peek() in ("not", "!"):
                self._place += 1
                return Not(self._negated())
            if self._peek() == "(":
                self._place += 1
                node = self._expression()
                self._expect(")")
                return node
            return self._statement()
        finally:
            self._depth -= 1

    # -- single statements ----------------------------------------------------------------------------

    def _statement(self) -> Node:
        word = self._peek()
        if word == "vlan":
            self._place += 1
            return Vlan(self._number(4095) if self._peek()[:1].isdigit() else None)
        if word in ("less", "greater"):
            self._place += 1
            return Size("<=" if word == "less" else ">=", self._number())
        protocol = ""
        if word in _HEADERS:
            protocol = word
            self._place += 1
            if self._peek() == "[":
                return self._field(protocol)
        return self._about(protocol)

    def _about(self, protocol: str) -> Node:
        """What follows the protocol, if any was named."""
        side = self._side()
        word = self._peek()
        if side == "or" and word in ("broadcast", "multicast"):
            self._place += 1
            return filterwords.groups(protocol, word)
        if side == "or" and word == "proto":
            self._place += 1
            return self._protocol(protocol)
        if word in ("host", "net", "port", "portrange"):
            self._place += 1
            self._last = (protocol, side or "or", word)
            return self._value(*self._last)
        if self._named_side and word:
            self._last = (protocol, side, "host")
            return self._value(*self._last)
        if protocol and protocol != "ether":
            return filterwords.protocols(protocol)
        if self._last is not None and not protocol and word[:1].isalnum() and word not in _WORDS:
            return self._value(*self._last)
        raise self._wrong("host, proto, broadcast or multicast" if protocol else "a statement")

    def _side(self) -> str:
        """ "src", "dst", "or" (either; also if nothing is said), "and"."""
        self._named_side = self._peek() in filterwords.SIDES
        if not self._named_side:
            return "or"
        side = self._next()
        if self._peek() in ("or", "and") and self._peek(1) in filterwords.SIDES and self._peek(1) != side:
            side = self._next()
            self._place += 1
        return side

    def _value(self, protocol: str, side: str, kind: str) -> Node:
        place = self._place
        word = self._next()
        try:
            if kind in ("host", "net"):
                return filterwords.hosts(protocol, side, word, net=kind == "net")
            if protocol not in ("", "tcp", "udp", "sctp"):
                raise UsageError(f"{protocol} has no ports")
            first, dash, last = word.partition("-") if kind == "portrange" else (word, "", "")
            low = filterwords.number(first, 65535)
            high = filterwords.number(last, 65535) if dash else low
            return filterwords.ports(protocol, side, min(low, high), max(low, high))
        except UsageError as error:
            raise self._said(error, place) from None

    def _protocol(self, within: str) -> Node:
        place = self._place
        word = self._next().removeprefix("\\")
        table = ETHER_TYPES if within == "ether" else PROTOCOLS
        try:
            number = table[word] if word in table else filterwords.number(word, 0xFFFF if within == "ether" else 0xFF)
        except UsageError as error:
            raise self._said(error, place) from None
        if within == "ether":
            return EtherType(number)
        if within not in ("", "ip", "ip6"):
            raise UsageError(f"{within} carries no protocols: there are ether proto, ip proto, ip6 proto and proto")
        return IpProtocol(number, {"": 0, "ip": 4, "ip6": 6}[within])

    def _field(self, base: AnyType) -> Node:
        self._expect("[")
        inside = ""
        while self._peek() not in ("]", ""):
            inside += self._next()
        self._expect("]")
        offset, colon, size = inside.partition(":")
        width = filterwords.number(size, 4) if colon else 1
        if width not in (1, 2, 4):
            raise UsageError(f"{base}[{inside}] is {width} bytes wide; fields have 1, 2 or 4")
        place = filterwords.OFFSETS[offset] if offset in filterwords.OFFSETS else filterwords.number(offset, 65535)
        mask = 0xFFFFFFFF
        if self._peek() == "&":
            self._place += 1
            mask = self._sum()
        relation: AnyType = _RELATIONS.get(self._peek())
        if relation is None:
            raise self._wrong("a comparison (= != < <= > >=)")
        self._place += 1
        return Field(base, place, width, relation, self._sum(), mask)

    def _sum(self) -> int:
        """A number, or several in parentheses with "|" between."""
        if self._peek() != "(":
            return self._number()
        self._place += 1
        value = self._number()
        while self._peek() == "|":
            self._place += 1
            value |= self._number()
        self._expect(")")
        return value

    # -- words ----------------------------------------------------------------------------------------

    def _number(self, highest: int = 0xFFFFFFFF) -> int:
        place = self._place
        try:
            return filterwords.number(self._next(), highest)
        except UsageError as error:
            raise self._said(error, place) from None

    def _peek(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._tokens[place][0] if place < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._peek()
        if not word:
            raise self._wrong("more")
        self._place += 1
        return word

    def _expect(self, word: str) -> None:
        if self._peek() != word:
            raise self._wrong(repr(word))
        self._place += 1

    def _wrong(self, wanted: str) -> UsageError:
        if self._place >= len(self._tokens):
            return UsageError(f"it ends where {wanted} is expected")
        word, place = self._tokens[self._place]
        near = did_you_mean(word, _WORDS)
        return UsageError(f"{word!r} at character {place} stands where {wanted} is expected{near}")

    def _said(self, error: UsageError, place: int) -> UsageError:
        at = self._tokens[place][1] if place < len(self._tokens) else 0
        return UsageError(f"at character {at}: {error}") if at else error
