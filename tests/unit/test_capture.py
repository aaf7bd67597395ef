"""What a job prints is bounded in memory, and whole in its artifact."""

from __future__ import annotations

import io
from typing import BinaryIO

from hypothesis import given
from hypothesis import strategies as st

from shakeout.hosts.capture import EXCERPT, KEPT, Capture


class Kept(io.BytesIO):
    """A file whose content can still be read once it is closed."""

    content = b""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


def capture(limit: int = 1 << 40) -> tuple[Capture, list[Kept]]:
    files: list[Kept] = []

    def open_artifact() -> tuple[str, BinaryIO]:
        files.append(Kept())
        return "artifacts/out.txt", files[0]

    return Capture(open_artifact, limit), files


@given(st.lists(st.binary(max_size=3000), max_size=10))
def test_an_output_of_any_pieces_is_whole(pieces: list[bytes]) -> None:
    kept, files = capture()
    for piece in pieces:
        kept.add(piece)
    whole = b"".join(pieces)
    assert kept.value() == whole
    assert kept.size == len(whole)
    kept.end()
    if len(whole) > EXCERPT:
        assert files[0].content == whole
    else:
        assert not files
        assert kept.artifact == ""


def test_of_a_long_output_the_beginning_and_the_end_are_kept_and_the_rest_is_in_the_artifact() -> None:
    kept, files = capture()
    for number in range(100):
        kept.add(f"{number:4}".encode() * 10_000)
    value = kept.value()
    assert len(value) < 2 * KEPT + 500
    assert value.startswith(b"   0")
    assert value.endswith(b"  99")
    assert f"[… {kept.size - 2 * KEPT} bytes are left out here".encode() in value
    assert b"artifacts/out.txt" in value
    kept.end()
    assert len(files[0].content) == kept.size == 4_000_000


def test_an_artifact_ends_at_its_limit_and_says_so() -> None:
    kept, files = capture(limit=10_000)
    for _ in range(30):
        kept.add(bytes(1000))
    kept.end()
    assert kept.truncated_at == 10_000
    assert len(files[0].content) == 10_000
    assert kept.size == 30_000


def test_an_artifact_that_cannot_be_written_loses_no_job() -> None:
    def refuse() -> tuple[str, BinaryIO]:
        raise OSError(28, "No space left on device")

    kept = Capture(refuse)
    kept.add(b"x" * 10_000)
    assert kept.value() == b"x" * 10_000
    assert "No space" in kept.trouble


@given(st.binary(max_size=3 * EXCERPT))
def test_the_excerpt_is_short_and_true(data: bytes) -> None:
    kept, _ = capture()
    kept.add(data)
    head, tail = kept.excerpt()
    if len(data) <= EXCERPT:
        assert tail == ""
        assert head == data.decode("utf-8", "backslashreplace")
    else:
        assert head == data[: EXCERPT // 2].decode("utf-8", "backslashreplace")
        assert tail == data[-EXCERPT // 2 :].decode("utf-8", "backslashreplace")
