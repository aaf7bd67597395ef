"""Frames with something wrong in them, by the hundred thousand: the connection is closed, and nothing else happens.

SHAKEOUT_MUTATIONS says how many (default: what takes some seconds; the target is a million).
"""

from __future__ import annotations

import gc
import os
import random
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.faults.mutations import mutated

from shakeout.errors import ProtocolError
from shakeout.modules.outcome import decode_outcome, encode_outcome
from shakeout.wire import messages
from shakeout.wire.connection import Connection
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.messages import agent_decoder, controller_decoder
from shakeout.wire.plain import pack, unpack
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import MemoryTransport

MUTATIONS = int(os.environ.get("SHAKEOUT_MUTATIONS", "100000"))
#: What decoding may raise; anything else would end a loop, or a program.
ACCEPTED = (ProtocolError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

ENTRY = messages.Entry("a/b", "file", 0o644, 7, "x")
TO_AGENT: tuple[msgspec.Struct, ...] = (
    messages.Hello((1, 1), "c", "run", "control", "1.0"),
    messages.Sync(1, 2),
    messages.StartJob(1, shell="true", argv=("a",), module=b"m", env={"A": "B"}, stdin=b"x", terminal=(24, 80)),
    messages.JobInput(1, b"data", end=True),
    messages.Resize(1, 24, 80),
    messages.Signal(1, 9),
    messages.Credit(1, 2, 3),
    messages.SourceText("f" * 64, "x.py", b"pass"),
    messages.DeviceCall(1, 2, "call", "up", pack(((1, "a"), {"b": 2.5}))),
    messages.SetSetting(1, "/proc/sys/x", b"1"),
    messages.PutFiles(1, "/tmp/x", (ENTRY,), name="x"),
    messages.FileData(1, b"data"),
    messages.GetFiles(1, "/tmp/x", True),
    messages.EndSession(True),
    messages.Hello((1, 1), "c", "run", "look", "1.0", "anna@desk", True),
    messages.Reserve(1, 7200.0, "why"),
    messages.Unreserve(1, True),
    messages.Inspect(1),
)
TO_CONTROLLER: tuple[msgspec.Struct, ...] = (
    messages.Welcome(1, 2, "boot", {"kernel": "6", "cpus": 2, "x": ["y"], "f": 1.5, "t": True}, "lease", "1.0"),
    messages.Refused("lease", "no", (1, 1), "me"),
    messages.SyncReply(1, 2, 3),
    messages.JobStarted(1, 2, 3),
    messages.Output(1, 1, b"data"),
    messages.JobDone(1, 0, None, 5, 6, True, "why"),
    messages.Answer(1, pack({"a": [1, 2, (3, 4)], "b": b"x", 5: None})),
    messages.Refusal(1, "device", "no", 5, "trace"),
    messages.Listing(1, (ENTRY, ENTRY)),
    messages.Ended((messages.Step("a", "b"),), ("c",)),
    messages.Queued(2, "me"),
    messages.Welcome(1, 2, "boot", {}, "lease", "1.0", "me", messages.Reservation("anna@desk", "why", 7200.0)),
)


def _decode_all(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> None:
    for payload in FrameReader().feed(data):
        decoder.decode(payload)


DECODERS: dict[str, tuple[list[bytes], Callable[[bytes], object]]] = {
    "agent": (
        [frame(msgspec.msgpack.encode(message)) for message in TO_AGENT],
        partial(_decode_all, agent_decoder()),
    ),
    "controller": (
        [frame(msgspec.msgpack.encode(message)) for message in TO_CONTROLLER],
        partial(_decode_all, controller_decoder()),
    ),
    "values": ([pack({"a": [1, 2.5, (None, True)], "b": {b"x": {1, 2}}, (1, 2): Path("/x")})], unpack),
    "outcomes": ([encode_outcome(True, {"loss": 0.5, "rtt": [1, 2, 3]})], decode_outcome),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_refuse_or_decode(name: str) -> None:
    valid, decode = DECODERS[name]
    generator = random.Random(f"{name} 1")
    for data in valid:
        decode(data)
    refused = 0
    for number in range(MUTATIONS // len(DECODERS)):
        wrong = mutated(valid[number % len(valid)], generator)
        try:
            decode(wrong)
        except ACCEPTED:
            refused += 1
    assert refused > MUTATIONS // len(DECODERS) // 5  # the rest is another valid message, or an unfinished one


@pytest.mark.parametrize(
    ("valid", "decoder"), [(TO_AGENT, agent_decoder), (TO_CONTROLLER, controller_decoder)], ids=["agent", "controller"]
)
def test_connections_close_and_leak_nothing(
    valid: tuple[msgspec.Struct, ...], decoder: Callable[[], msgspec.msgpack.Decoder[Any]]
) -> None:
    """Each gets wrong frames, cut anywhere, with descriptors in between, until it is closed."""
    generator = random.Random(2)
    frames = [frame(msgspec.msgpack.encode(message)) for message in valid]
    reactor = Reactor()
    spare = os.open("/dev/null", os.O_RDONLY)

    def one() -> tuple[int, str | None]:
        ours, theirs = MemoryTransport.pair()
        told: list[Any] = []
        reasons: list[str] = []
        connection = Connection(ours, reactor, decoder(), told.append, reasons.append)
        sent = 0
        while not reasons and sent < 200:
            data = mutated(generator.choice(frames), generator)
            sent += 1
            cut = generator.randrange(len(data) + 1)
            for piece in (data[:cut], data[cut:]):
                if piece and not connection.closed:
                    theirs.send(piece, (spare,) * generator.choice((0, 0, 0, 1, 3)))
                    reactor.turn(0)
        if not connection.closed:
            connection.close("enough")
        theirs.close()
        assert len(reasons) == 1
        return sent, reasons[0]

    try:
        for _ in range(50):
            one()
        gc.collect()
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        sent = 0
        while sent < MUTATIONS // 10:
            sent += one()[0]
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
        assert grown < 256 << 10
    finally:
        tracemalloc.stop()
        os.close(spare)
        reactor.close()
