"""Frames come out as they went in, however the stream was cut; what is no frame is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import ProtocolError
from shakeout.wire.framing import MAX_MESSAGE, FrameReader, frame

payloads = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8)


@given(payloads, st.lists(st.integers(1, 50), min_size=1))
def test_any_cut_of_the_stream_gives_the_same_frames(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(payload) for payload in sent)
    reader = FrameReader()
    received: list[bytes] = []
    position = 0
    while position < len(stream):
        size = cuts[position % len(cuts)]
        received += reader.feed(stream[position : position + size])
        position += size
    assert received == sent
    assert reader.pending == 0


@given(st.binary(max_size=200))
def test_garbage_gives_frames_or_a_refusal_and_never_hoards(data: bytes) -> None:
    reader = FrameReader(limit=100)
    try:
        for payload in reader.feed(data):
            assert 0 < len(payload) <= 100
    except ProtocolError:
        return
    assert reader.pending <= 104


@pytest.mark.parametrize("head", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", (MAX_MESSAGE + 1).to_bytes(4, "big")])
def test_a_length_that_nobody_honest_sends_is_refused_at_once(head: bytes) -> None:
    with pytest.raises(ProtocolError, match="was announced"):
        FrameReader().feed(head + b"x")


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="longer than"):
        frame(bytes(MAX_MESSAGE + 1))
