"""What the two ends of a throughput measurement say to each other, over a TCP connection of its own."""

from __future__ import annotations

import select
import socket
import time
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from shakeout.errors import ModuleFailed
from shakeout.modules.command import Uninterrupted

#: Said first, so that neither end takes something else for the other.
GREETING: Final = b"shakeout-throughput-1\n"
#: Bytes of a token, which shows that a connection or datagram belongs to this measurement.
TOKEN: Final = 8
_MAX_MESSAGE: Final = 1 << 20

Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Plan(msgspec.Struct, frozen=True, tag=True):
    """What the client wants to measure."""

    protocol: Literal["tcp", "udp"]
    streams: Annotated[int, msgspec.Meta(ge=1, le=128)]
    duration: Seconds
    warm_up: Seconds
    interval: Annotated[float, msgspec.Meta(ge=0.01, le=3600)]
    forward: bool
    back: bool
    length: Annotated[int, msgspec.Meta(ge=32, le=1 << 22)]
    rate: Annotated[float, msgspec.Meta(ge=0, le=1e15)] = 0.0
    buffer: Annotated[int, msgspec.Meta(ge=0, le=1 << 30)] = 0
    zerocopy: bool = False
    nodelay: bool = False
    congestion: Annotated[str, msgspec.Meta(max_length=16)] = ""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The server awaits as many streams, which show this token."""

    token: Annotated[bytes, msgspec.Meta(min_length=TOKEN, max_length=TOKEN)]


class Seen(msgspec.Struct, frozen=True, tag=True):
    """All streams are there."""


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Whoever says it begins to send, if it is to; whoever hears it measures from then on what comes."""


class Tick(msgspec.Struct, frozen=True, tag=True):
    """What came to the one who says it, in an interval: seconds from its beginning, bit/s."""

    start: Seconds
    end: Seconds
    bps: Annotated[float, msgspec.Meta(ge=0, le=1e18)]


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Somebody stopped the measurement; what came until now counts."""


class SentStream(msgspec.Struct, frozen=True):
    """What a sender knows of one stream; retransmits and rtt_us of TCP only."""

    size: Count
    datagrams: Count = 0
    retransmits: Count = 0
    rtt_us: Count = 0


class ReceivedStream(msgspec.Struct, frozen=True):
    """What a receiver knows of one stream; all but size of UDP only."""

    size: Count
    datagrams: Count = 0
    reordered: Count = 0
    duplicates: Count = 0
    jitter_ns: Annotated[float, msgspec.Meta(ge=0, le=1e18)] = 0.0


class Sent(msgspec.Struct, frozen=True, tag=True):
    """All that was sent; *busy* is the share of the time for which the busiest thread wanted a CPU."""

    seconds: Seconds
    streams: Annotated[list[SentStream], msgspec.Meta(max_length=128)]
    cpu: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    busy: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    error: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Received(msgspec.Struct, frozen=True, tag=True):
    """All that came; *dropped*: datagrams that came to the host, but found its buffer full."""

    seconds: Seconds
    streams: Annotated[list[ReceivedStream], msgspec.Meta(max_length=128)]
    cpu: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    busy: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    dropped: Count = 0


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It cannot be done, for this reason."""

    reason: Annotated[str, msgspec.Meta(max_length=500)]


Message: TypeAlias = Plan | Ready | Seen | Begin | Tick | Stop | Sent | Received | Refused

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Message)


class PeerGone(ModuleFailed):
    """The other end closed the connection, or says what nobody understands."""


class Talk:
    """The connection on which both ends talk; `sock` is non-blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = bytearray()

    def say(self, message: Message, timeout: float = 10.0) -> None:
        """Send *message*.

        Raises:
            PeerGone: it cannot be sent.
        """
        data = _encoder.encode(message)
        with Uninterrupted():
            self.send(len(data).to_bytes(4, "big") + data, timeout)

    def send(self, data: bytes, timeout: float = 10.0) -> None:
        """Send *data* as it is.

        Raises:
            PeerGone: it cannot be sent.
        """
        left, until = memoryview(data), time.monotonic() + timeout
        while left:
            try:
                left = left[self.sock.send(left) :]
            except BlockingIOError:
                if not select.select([], [self.sock], [], max(0.0, until - time.monotonic()))[1]:
                    raise PeerGone("the other end takes nothing any more") from None
            except OSError as error:
                raise PeerGone(f"the connection to the other end broke: {error.strerror}") from None

    def hear(self, until: float) -> Message | None:
        """The next message, None if none came before the monotonic moment *until*.

        Raises:
            PeerGone: none will come, or it is none.
        """
        while (message := self._next()) is None:
            left = until - time.monotonic()
            if not select.select([self.sock], [], [], max(0.0, left))[0]:
                return None
            self._receive()
        return message

    def take(self, size: int, until: float) -> bytes:
        """The next *size* bytes as they are.

        Raises:
            PeerGone: they do not come before *until*.
        """
        while len(self._pending) < size:
            if not select.select([self.sock], [], [], max(0.0, until - time.monotonic()))[0]:
                raise PeerGone("the other end is silent")
            self._receive()
        data = bytes(self._pending[:size])
        del self._pending[:size]
        return data

    def _receive(self) -> None:
        with Uninterrupted():
            try:
                data = self.sock.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                raise PeerGone(f"the connection to the other end broke: {error.strerror}") from None
            if not data:
                raise PeerGone("the other end closed the connection")
            self._pending += data

    def _next(self) -> Message | None:
        if len(self._pending) < 4:
            return None
        size = int.from_bytes(self._pending[:4], "big")
        if size > _MAX_MESSAGE:
            raise PeerGone("the other end is no ThroughputServer or ThroughputClient")
        if len(self._pending) < 4 + size:
            return None
        data = bytes(self._pending[4 : 4 + size])
        del self._pending[: 4 + size]
        try:
            message: Message = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise PeerGone("the other end says what is no message of a throughput measurement") from None
        return message
