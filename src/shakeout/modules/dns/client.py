"""Asking a name server, or the host's own resolver, once; with what it takes to get an answer."""

from __future__ import annotations

import os
import select
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from shakeout.modules.dns.message import Message, Question, Record, decode, encode
from shakeout.modules.dns.names import same_name
from shakeout.modules.endpoints import SocketAddress, reason, resolve

if TYPE_CHECKING:
    from shakeout.modules.dns_lookup import DnsLookup


class Reply(NamedTuple):
    """An answer; of the host's resolver only *answers* are known, of a server its records."""

    rcode: str
    seconds: float
    protocol: str
    records: tuple[Record, ...] = ()
    answers: list[str] | None = None
    authoritative: bool = False
    truncated: bool = False
    size: int = 0
    resent: int = 0


def ask(name: str, how: DnsLookup) -> Reply:
    """What the server says.

    Raises:
        ValueError: nothing that is an answer.
        ModuleFailed: its own name is not known.
    """
    begin = time.monotonic()
    query = Message(
        int.from_bytes(os.urandom(2), "big"),
        Question(name, how.type.upper()),
        recursion_desired=how.recursion,
        edns=how.edns or None,
    )
    kind = socket.SOCK_STREAM if how.protocol == "tcp" else socket.SOCK_DGRAM
    family, address = resolve(how.server, how.port, kind)
    resent = truncated = 0
    try:
        if how.protocol == "udp":
            message, size, resent = _over_udp(query, family, address, how.timeout, how.retries)
            truncated = message.truncated
        if how.protocol == "tcp" or (truncated and how.tcp_fallback):
            protocol = "tcp"
            message, size = _over_tcp(query, family, address, how.timeout * (1 + how.retries))
        else:
            protocol = "udp"
    except OSError as error:
        raise ValueError(reason(error)) from None
    seconds = time.monotonic() - begin
    return Reply(
        message.rcode, seconds, protocol, message.answers, None, message.authoritative,
        bool(truncated) or message.truncated, size, resent,
    )  # fmt: skip


def _over_udp(
    query: Message, family: socket.AddressFamily, address: SocketAddress, timeout: float, retries: int
) -> tuple[Message, int, int]:
    """The answer, its size, and how often the query was sent again."""
    data, garbage = encode(query), ""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)  # the kernel lets nothing in from elsewhere
        for tries in range(retries + 1):
            sock.send(data)
            until = time.monotonic() + timeout
            while select.select([sock], [], [], max(0.0, until - time.monotonic()))[0]:
                answer = sock.recv(1 << 16)
                try:
                    return _matching(query, answer), len(answer), tries
                except ValueError as error:
                    garbage = f"; what came was no answer: {error}"  # it may be a late one, or forged
    times = f"{retries + 1} queries" if retries else "the query"
    raise ValueError(f"no answer to {times} within {timeout:g} s{' each' if retries else ''}{garbage}")


def _over_tcp(
    query: Message, family: socket.AddressFamily, address: SocketAddress, timeout: float
) -> tuple[Message, int]:
    data, until = encode(query), time.monotonic() + timeout
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(address)
        sock.sendall(len(data).to_bytes(2, "big") + data)
        size = int.from_bytes(_exactly(sock, 2, until), "big")
        answer = _exactly(sock, size, until)
    return _matching(query, answer), size


def _exactly(sock: socket.socket, size: int, until: float) -> bytes:
    data = b""
    while len(data) < size:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        part = sock.recv(size - len(data))
        if not part:
            raise ValueError(f"the server closed the connection after {len(data)} of {size} bytes")
        data += part
    return data


def _matching(query: Message, data: bytes) -> Message:
    """The answer that *data* is.

    Raises:
        ValueError: it is none to *query*.
    """
    message = decode(data)
    if message.id != query.id or not message.response:
        raise ValueError("it belongs to another query")
    asked = message.question
    assert query.question is not None
    if asked is None:
        if message.rcode in ("NOERROR", "NXDOMAIN"):
            raise ValueError("it does not repeat the question")
    elif not same_name(asked.name, query.question.name) or asked.kind != query.question.kind:
        raise ValueError(f"it is for {asked.name} ({asked.kind})")
    return message


#: What the host's resolver says, as a name server would.
_SAID = {
    socket.EAI_NONAME: "NXDOMAIN",
    getattr(socket, "EAI_NODATA", -5): "NOERROR",
    socket.EAI_AGAIN: "SERVFAIL",
    socket.EAI_FAIL: "SERVFAIL",
}


def ask_system(name: str, kind: str) -> Reply:
    """What the host's own resolver says of the addresses, or the name, of *name*.

    Raises:
        ValueError: it says something else.
    """
    begin = time.monotonic()
    rcode, answers = "NOERROR", []
    try:
        if kind == "PTR":
            answers = [socket.getnameinfo((name, 0), socket.NI_NAMEREQD)[0]]
        else:
            family = socket.AF_INET if kind == "A" else socket.AF_INET6
            found = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
            answers = sorted({str(address[0]) for *_, address in found})
    except socket.gaierror as error:
        said = _SAID.get(error.errno or 0)
        if said is None:
            raise ValueError(f"{error.strerror}") from None
        rcode = said
    except (OSError, UnicodeError) as error:
        raise ValueError(str(error)) from None
    return Reply(rcode, time.monotonic() - begin, "system", answers=answers)
