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
        size = int.from_bytes(data[:HEADER], "big")
        if not self._buffer and len(data) == size + HEADER and 0 < size <= self._limit:
            return [data[HEADER:]]  # the usual case: one whole frame
        frames: list[bytes] = []
        view = memoryview(data)
        start = self._complete(view, frames) if self._buffer else 0
        while len(data) - start >= HEADER:
            end = start + HEADER + self._size(view[start : start + HEADER])
            if len(data) < end:
                break
            frames.append(bytes(view[start + HEADER : end]))  # the only copy
            start = end
        self._buffer += view[start:]
        return frames

    def _complete(self, view: memoryview, frames: list[bytes]) -> int:
        """Add to the frame that is begun what belongs to it; how much of *view* that was."""
        buffer = self._buffer
        taken = min(max(0, HEADER - len(buffer)), len(view))
        buffer += view[:taken]
        if len(buffer) < HEADER:
            return taken
        whole = HEADER + self._size(buffer[:HEADER])
        more = min(whole - len(buffer), len(view) - taken)
        buffer += view[taken : taken + more]
        if len(buffer) == whole:
            frames.append(bytes(memoryview(buffer)[HEADER:]))
            self._buffer = bytearray()
        return taken + more

    def _size(self, header: bytearray | memoryview) -> int:
        size = int.from_bytes(header, "big")
        if not 0 < size <= self._limit:
            raise ProtocolError(f"a frame of {size} bytes was announced; 1 to {self._limit} are accepted")
        return size
