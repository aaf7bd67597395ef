"""Frames: a message's length in four bytes (big-endian), then the message. No I/O here."""

from __future__ import annotations

from shakeout.errors import ProtocolError

#: No message may be longer. Bulk data travels in messages of at most CHUNK bytes, so that nothing waits for long.
MAX_MESSAGE = 4 << 20
#: The most bulk data that one message carries.
CHUNK = 60 << 10
HEADER = 4


def frame(payload: bytes) -> bytes:
    """*payload* as it goes over the wire.

    Raises:
        ProtocolError: the payload is longer than `MAX_MESSAGE`.
    """
    size = len(payload)
    if size > MAX_MESSAGE:
        raise ProtocolError(f"a message of {size} bytes is longer than the {MAX_MESSAGE} that may travel at once")
    return size.to_bytes(HEADER, "big") + payload


class FrameReader:
    """Cuts a byte stream into frames, however it arrives."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that *data* completes.

        Raises:
            ProtocolError: a length that no honest peer sends.
        """
        buffer = self._buffer
        if not buffer:
            # The usual case, one whole frame at a time, is not copied twice.
            size = int.from_bytes(data[:HEADER], "big")
            if len(data) == size + HEADER and 0 < size <= self._limit:
                return [data[HEADER:]]
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= HEADER:
            size = int.from_bytes(buffer[start : start + HEADER], "big")
            if not 0 < size <= self._limit:
                raise ProtocolError(f"a frame of {size} bytes was announced; 1 to {self._limit} are accepted")
            end = start + HEADER + size
            if len(buffer) < end:
                break
            frames.append(bytes(buffer[start + HEADER : end]))
            start = end
        if start:
            del buffer[:start]
        return frames
