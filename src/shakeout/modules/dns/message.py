"""DNS messages (RFC 1035, with EDNS of RFC 6891): encoded and decoded, nothing sent."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from shakeout.modules.dns.names import decode_name, encode_name
from shakeout.modules.dns.records import decode_data, encode_data, type_name, type_number

_HEADER: Final = struct.Struct("!6H")
_FIXED: Final = struct.Struct("!HHIH")
_IN: Final = 1
_OPT: Final = 41
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _DESIRED, _AVAILABLE = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080

#: Response codes by name (RFC 1035, 4.1.1; RFC 2136, 2.2; RFC 6891, 9).
RCODES: Final = {
    "NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5, "YXDOMAIN": 6, "YXRRSET": 7,
    "NXRRSET": 8, "NOTAUTH": 9, "NOTZONE": 10, "BADVERS": 16,
}  # fmt: skip
_RCODE_NAMES: Final = {number: name for name, number in RCODES.items()}


class Record(NamedTuple):
    """One record; *data* is as in a zone file."""

    name: str
    kind: str
    ttl: int
    data: str


class Question(NamedTuple):
    """What is asked for."""

    name: str
    kind: str


class Message(NamedTuple):
    """A query or a response.

    Attributes:
        edns: bytes of the largest datagram that its sender takes; None without EDNS.
    """

    id: int
    question: Question | None
    response: bool = False
    opcode: int = 0
    authoritative: bool = False
    truncated: bool = False
    recursion_desired: bool = True
    recursion_available: bool = False
    rcode: str = "NOERROR"
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    edns: int | None = None


def rcode_name(number: int) -> str:
    """ "NXDOMAIN", or "RCODE11" for one that has no name."""
    return _RCODE_NAMES.get(number, f"RCODE{number}")


def rcode_number(name: str) -> int:
    """The number of a response code.

    Raises:
        ValueError: there is none of that name.
    """
    known = RCODES.get(name.upper())
    if known is not None:
        return known
    digits = name.upper().removeprefix("RCODE")
    if digits.isascii() and digits.isdigit() and len(digits) < 5 and int(digits) < 4096:
        return int(digits)
    from shakeout.errors import did_you_mean

    raise ValueError(f"there is no response code {name!r}{did_you_mean(name.upper(), RCODES)}")


def encode(message: Message) -> bytes:
    """*message* as it is sent.

    Raises:
        ValueError: a name or a record in it is none, or it is longer than 65535 bytes.
    """
    rcode = rcode_number(message.rcode)
    flags = message.opcode << 11 | rcode & 15
    for bit, is_set in (
        (_RESPONSE, message.response),
        (_AUTHORITATIVE, message.authoritative),
        (_TRUNCATED, message.truncated),
        (_DESIRED, message.recursion_desired),
        (_AVAILABLE, message.recursion_available),
    ):
        flags |= bit if is_set else 0
    edns = message.edns is not None
    counts = (len(message.answers), len(message.authority), len(message.additional) + edns)
    data = bytearray(_HEADER.pack(message.id, flags, message.question is not None, *counts))
    places: dict[tuple[bytes, ...], int] = {}
    if message.question is not None:
        encode_name(message.question.name, data, places)
        data += struct.pack("!HH", type_number(message.question.kind), _IN)
    for record in (*message.answers, *message.authority, *message.additional):
        _encode_record(record, data, places)
    if message.edns is not None:
        data += b"\0" + _FIXED.pack(_OPT, message.edns, rcode >> 4 << 24, 0)
    if len(data) > 0xFFFF:
        raise ValueError(f"a message of {len(data)} bytes is longer than 65535")
    return bytes(data)


def _encode_record(record: Record, data: bytearray, places: dict[tuple[bytes, ...], int]) -> None:
    encode_name(record.name, data, places)
    data += _FIXED.pack(type_number(record.kind), _IN, record.ttl, 0)
    begin = len(data)
    encode_data(record.kind, record.data, data, places)
    size = len(data) - begin
    if size > 0xFFFF:
        raise ValueError(f"a record of {size} bytes is longer than 65535")
    data[begin - 2 : begin] = size.to_bytes(2, "big")


def decode(data: bytes) -> Message:
    """The message that *data* is.

    Raises:
        ValueError: it is none. Whatever it is, that does not take long.
    """
    if len(data) < _HEADER.size:
        raise ValueError(f"{len(data)} bytes are no DNS message")
    number, flags, questions, *counts = _HEADER.unpack_from(data)
    at, question = _HEADER.size, None
    if questions > 1:
        raise ValueError(f"a message with {questions} questions is not understood")
    if questions:
        name, at = decode_name(data, at)
        if at + 4 > len(data):
            raise ValueError("the question goes on behind the end")
        question = Question(name, type_name(int.from_bytes(data[at : at + 2], "big")))
        at += 4
    edns, rcode = None, flags & 15
    sections: list[tuple[Record, ...]] = []
    for count in counts:
        records = []
        for _ in range(count):
            record, at = _decode_record(data, at)
            if isinstance(record, Record):
                records.append(record)
            else:
                edns, rcode = record[0], rcode | record[1] >> 24 << 4
        sections.append(tuple(records))
    return Message(
        number, question, bool(flags & _RESPONSE), flags >> 11 & 15, bool(flags & _AUTHORITATIVE),
        bool(flags & _TRUNCATED), bool(flags & _DESIRED), bool(flags & _AVAILABLE), rcode_name(rcode),
        sections[0], sections[1], sections[2], edns,
    )  # fmt: skip


def _decode_record(data: bytes, at: int) -> tuple[Record | tuple[int, int], int]:
    """The record at *at*, of an OPT record its class and TTL, and the offset behind it."""
    name, at = decode_name(data, at)
    if at + _FIXED.size > len(data):
        raise ValueError("a record goes on behind the end")
    kind, place, ttl, size = _FIXED.unpack_from(data, at)
    at += _FIXED.size
    if at + size > len(data):
        raise ValueError("a record goes on behind the end")
    if kind == _OPT:
        return (place, ttl), at + size
    # A TTL with its first bit set is 0 (RFC 2181, 8).
    record = Record(name, type_name(kind), ttl if ttl < 1 << 31 else 0, decode_data(kind, data, at, size))
    return record, at + size
