"""Domain names, as text and as they are in DNS messages (RFC 1035, 3.1, 4.1.4 and 5.1).

As text a name is absolute and has no dot at its end; the root is ".". A dot or backslash in a label has a
backslash before it, other characters than printable ASCII are three decimal digits behind one.
"""

from __future__ import annotations

_LONGEST_LABEL, _LONGEST_NAME = 63, 255
#: Two bytes that begin with these bits point to where the rest of a name is.
_POINTER = 0xC0


def labels_of(name: str) -> list[bytes]:
    """The labels of *name*.

    Raises:
        ValueError: it is no domain name.
    """
    text = name.removesuffix(".") if not name.endswith("\\.") else name
    if not text:
        if name in (".", ""):
            return []
        raise ValueError(f"{name!r} is no domain name")
    labels, current, at = [], bytearray(), 0
    while at < len(text):
        char = text[at]
        if char == ".":
            labels.append(bytes(current))
            current.clear()
        elif char == "\\":
            digits = text[at + 1 : at + 4]
            if len(digits) == 3 and digits.isascii() and digits.isdigit() and int(digits) < 256:
                current.append(int(digits))
                at += 3
            elif digits[:1].isascii() and digits[:1].isprintable() and digits[:1] and not digits[:1].isdigit():
                current += digits[:1].encode()
                at += 1
            else:
                raise ValueError(f"{name!r:.80}: a backslash must stand before a character or three digits up to 255")
        elif char.isascii() and char.isprintable() and char != " ":
            current += char.encode()
        else:
            raise ValueError(f"{name!r:.80} is no domain name; write an international one in its xn-- form")
        at += 1
    labels.append(bytes(current))
    if any(not 0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise ValueError(f"{name!r:.80} is no domain name: between two dots there must be 1 to {_LONGEST_LABEL} bytes")
    if sum(map(len, labels)) + len(labels) + 1 > _LONGEST_NAME:
        raise ValueError(f"{name!r:.80} is too long for a domain name")
    return labels


def text_of(labels: list[bytes]) -> str:
    """The name that has these *labels*, as text."""
    return ".".join("".join(map(_shown, label)) for label in labels) or "."


def same_name(one: str, other: str) -> bool:
    """Whether two names are one: upper and lower case are the same (RFC 4343)."""
    return one.removesuffix(".").lower() == other.removesuffix(".").lower()


def reverse_name(address: object) -> str:
    """The name that belongs to an address (IPv4Address or IPv6Address) in the reverse tree."""
    return str(getattr(address, "reverse_pointer", address))


def encode_name(name: str, message: bytearray, places: dict[tuple[bytes, ...], int] | None) -> None:
    """Append *name* to *message*.

    Args:
        places: where in the message which names begin, to point to and to add to; None: no pointers.
    """
    labels = labels_of(name)
    for at in range(len(labels)):
        rest = tuple(label.lower() for label in labels[at:])
        if places is not None:
            known = places.get(rest)
            if known is not None:
                message += (_POINTER << 8 | known).to_bytes(2, "big")
                return
            if len(message) < 1 << 14:
                places[rest] = len(message)
        message.append(len(labels[at]))
        message += labels[at]
    message.append(0)


def decode_name(message: bytes, at: int) -> tuple[str, int]:
    """The name at offset *at*, and the offset behind it.

    Raises:
        ValueError: there is none. Every pointer must lead to before all that was read of the name, so no
            message makes this run for long.
    """
    labels: list[bytes] = []
    after, first, size = -1, at, 1
    while True:
        if at >= len(message):
            raise ValueError("a name goes on behind the end")
        length = message[at]
        if length & _POINTER == _POINTER:
            if at + 1 >= len(message):
                raise ValueError("a name goes on behind the end")
            target = (length & ~_POINTER) << 8 | message[at + 1]
            after = at + 2 if after < 0 else after
            if target >= first:
                raise ValueError("a name points forward, or to itself")
            at = first = target
            continue
        if length & _POINTER:
            raise ValueError("a label is of a kind that does not exist")
        at += 1
        if not length:
            return text_of(labels), at if after < 0 else after
        size += length + 1
        if at + length > len(message) or size > _LONGEST_NAME:
            raise ValueError("a name is too long")
        labels.append(message[at : at + length])
        at += length


def _shown(byte: int) -> str:
    char = chr(byte)
    if char in '.\\"();@$':
        return f"\\{char}"
    return char if 0x21 <= byte <= 0x7E else f"\\{byte:03d}"
