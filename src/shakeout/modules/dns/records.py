"""The data of DNS records, as text (as in a zone file) and as it is in messages."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from shakeout.modules.dns.names import decode_name, encode_name

#: Types by name: RFC 1035, 3596 (AAAA), 2782 (SRV), 8659 (CAA), 6891 (OPT).
TYPES: Final = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33,
    "OPT": 41, "CAA": 257, "ANY": 255,
}  # fmt: skip
_NAMES: Final = {number: name for name, number in TYPES.items()}
#: What is a name, after so many 16-bit numbers; the names of SRV must not be compressed.
_WITH_NAME: Final = {"NS": 0, "CNAME": 0, "PTR": 0, "MX": 1, "SRV": 3}

Places: TypeAlias = "dict[tuple[bytes, ...], int] | None"


def type_name(number: int) -> str:
    """ "MX", or "TYPE65" (RFC 3597) for one that is not known here."""
    return _NAMES.get(number, f"TYPE{number}")


def type_number(name: str) -> int:
    """The number of a type.

    Raises:
        ValueError: there is none of that name.
    """
    known = TYPES.get(name.upper())
    if known is not None:
        return known
    found = re.fullmatch(r"TYPE([0-9]{1,5})", name, re.IGNORECASE)
    if found and int(found[1]) < 1 << 16:
        return int(found[1])
    from shakeout.errors import did_you_mean

    raise ValueError(f"there is no record type {name!r}{did_you_mean(name.upper(), TYPES)}")


def encode_data(kind: str, text: str, message: bytearray, places: Places = None) -> None:
    """Append the data *text* of a record of type *kind* to *message*.

    Raises:
        ValueError: the text is none for that type.
    """
    try:
        if text.startswith("\\# "):
            message += _unknown(text)
        elif kind in _WITH_NAME:
            numbers = _WITH_NAME[kind]
            *first, name = text.split(maxsplit=numbers)
            if len(first) != numbers or " " in name:
                raise ValueError
            message += b"".join(_sixteen(word) for word in first)
            encode_name(name, message, None if kind == "SRV" else places)
        elif kind == "SOA":
            primary, mailbox, *numbers_ = text.split()
            encode_name(primary, message, places)
            encode_name(mailbox, message, places)
            message += struct.pack("!5I", *map(int, numbers_))
        else:
            message += _ENCODERS[kind](text)
    except (ValueError, OSError, KeyError, struct.error) as error:
        shape = _SHAPES.get(kind, r"'\# LENGTH HEX'")
        why = f": {error}" if isinstance(error, ValueError) and str(error) else ""
        raise ValueError(f"{text!r:.80} is no data of a record of type {kind}, which is {shape}{why}") from None


def decode_data(kind: int, message: bytes, at: int, size: int) -> str:
    """The data of a record of type number *kind*, which is *size* bytes at offset *at*.

    Raises:
        ValueError: it is not as it must be.
    """
    name, end, data = type_name(kind), at + size, message[at : at + size]
    if len(data) < size:
        raise ValueError("a record goes on behind the end")
    if name in _WITH_NAME:
        count = _WITH_NAME[name]
        if size < 2 * count:
            raise ValueError(f"a record of type {name} is too short")
        numbers = struct.unpack_from(f"!{count}H", data)
        target, after = decode_name(message, at + 2 * count)
        _must_end(name, after, end)
        return " ".join([*map(str, numbers), target])
    if name == "SOA":
        primary, after = decode_name(message, at)
        mailbox, after = decode_name(message, after)
        _must_end(name, after + 20, end)
        return " ".join([primary, mailbox, *map(str, struct.unpack_from("!5I", message, after))])
    if name in ("A", "AAAA"):
        if size != (4 if name == "A" else 16):
            raise ValueError(f"a record of type {name} has {size} bytes")
        return socket.inet_ntop(socket.AF_INET if name == "A" else socket.AF_INET6, data)
    if name in ("TXT", "HINFO"):
        return " ".join(_quoted(part) for part in _strings(data))
    if name == "CAA" and size >= 2 and 2 + data[1] <= size:
        tag = data[2 : 2 + data[1]]
        if tag.isalnum():
            return f"{data[0]} {tag.decode()} {_quoted(data[2 + data[1] :])}"
    return f"\\# {size} {data.hex()}".rstrip()


def _must_end(name: str, after: int, end: int) -> None:
    if after != end:
        raise ValueError(f"a record of type {name} does not end where it should")


def _strings(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        size = data[at]
        if at + 1 + size > len(data):
            raise ValueError("a text goes on behind the end of its record")
        parts.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    return parts


def _quoted(data: bytes) -> str:
    shown = "".join(
        f"\\{chr(byte)}" if byte in b'"\\' else chr(byte) if 0x20 <= byte <= 0x7E else f"\\{byte:03d}" for byte in data
    )
    return f'"{shown}"'


_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|((?:[^\s"\\]|\\.)+)', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-9]{3}|.)", re.DOTALL)


def _texts(text: str) -> list[bytes]:
    """The texts in *text*: each in quotes, or a word."""
    parts, at = [], 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            if text[at].isspace():
                at += 1
                continue
            raise ValueError("a quote is not closed")
        word = found[1] if found[1] is not None else found[2]
        parts.append(_ESCAPE.sub(_unescaped, word.encode()))
        at = found.end()
    return parts


def _unescaped(found: re.Match[bytes]) -> bytes:
    inner = found[1]
    if len(inner) == 1:
        return inner
    if int(inner) > 255:
        raise ValueError("three digits behind a backslash are at most 255")
    return bytes((int(inner),))


def _sixteen(word: str) -> bytes:
    if not (word.isascii() and word.isdigit() and int(word) < 1 << 16):
        raise ValueError("expected numbers up to 65535")
    return int(word).to_bytes(2, "big")


def _unknown(text: str) -> bytes:
    _, size, *rest = text.split()
    data = bytes.fromhex("".join(rest))
    if len(data) != int(size):
        raise ValueError("the length is another")
    return data


def _txt(text: str) -> bytes:
    # What comes as one plain text of any length is cut into the pieces that the format wants.
    parts = _texts(text) if '"' in text else [text.encode()]
    pieces = [part[at : at + 255] for part in parts for at in range(0, len(part) or 1, 255)]
    return b"".join(bytes((len(piece),)) + piece for piece in pieces)


def _hinfo(text: str) -> bytes:
    cpu, system = _texts(text)
    return b"".join(bytes((len(part),)) + part for part in (cpu, system))


def _caa(text: str) -> bytes:
    flags, tag, value = text.split(maxsplit=2)
    if not (tag.isascii() and tag.isalnum()):
        raise ValueError
    [data] = _texts(value)
    return bytes((int(flags), len(tag))) + tag.encode() + data


_ENCODERS: Final[dict[str, Callable[[str], bytes]]] = {
    "A": lambda text: socket.inet_pton(socket.AF_INET, text),
    "AAAA": lambda text: socket.inet_pton(socket.AF_INET6, text),
    "TXT": _txt,
    "HINFO": _hinfo,
    "CAA": _caa,
}
_SHAPES: Final = {
    "A": "an IPv4 address",
    "AAAA": "an IPv6 address",
    "NS": "a name",
    "CNAME": "a name",
    "PTR": "a name",
    "MX": "'PREFERENCE NAME'",
    "SRV": "'PRIORITY WEIGHT PORT NAME'",
    "SOA": "'PRIMARY MAILBOX SERIAL REFRESH RETRY EXPIRE MINIMUM'",
    "TXT": "text, or several texts in quotes",
    "HINFO": "'CPU SYSTEM'",
    "CAA": "'FLAGS TAG VALUE'",
}
