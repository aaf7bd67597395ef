"""Files to a namespace host against copying them here; both ends in memory (tmpfs), so that no disk is measured."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import struct
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter

from benchmarks.row import Figures, NotMeasured, Row
from benchmarks.stage import on_hosts
from shakeout.hosts.matched import Matched

#: A tmpfs that every Linux has.
MEMORY = Path("/dev/shm")
BIG = 256 << 20
MANY, SMALL = 2000, 1 << 10
HEAD = struct.Struct("!II")


def timed(action: Callable[[], object]) -> float:
    """Seconds that *action* takes."""
    begin = perf_counter()
    action()
    return perf_counter() - begin


def in_turns(
    ours: Callable[[int], object], local: Callable[[int], object], tidy: Callable[[int], object], n: int
) -> list[float]:
    """Medians (seconds) of both, taken in turns; *tidy* makes room again, and is not measured."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(n + 1):
        for side in (0, 1) if turn % 2 else (1, 0):
            call = (ours, local)[side]
            begin = perf_counter()
            call(turn)
            if turn:  # the first is for warming up
                times[side].append(perf_counter() - begin)
        tidy(turn)
    return [statistics.median(series) for series in times]


def one_big(matched: Matched) -> Figures:
    """MB a second of one big file; the host is handed a descriptor and copies by itself."""
    host = matched.m1
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        source, copy = Path(folder, "source"), Path(folder, "copy")
        with source.open("wb") as file:
            for _ in range(BIG >> 20):
                file.write(os.urandom(1 << 20))

        def tidy(turn: int) -> None:
            copy.unlink()
            host.run(["rm", f"/srv/big{turn}"])

        ours, local = in_turns(
            lambda turn: host.send_file(str(source), f"/srv/big{turn}"),
            lambda turn: shutil.copyfile(source, copy),
            tidy,
            7,
        )
    return Figures(BIG / 1e6 / ours, BIG / 1e6 / local, "median of 7")


def many_small(matched: Matched) -> Figures:
    """Files a second of a directory against bare frames over a socket pair, written by a receiver."""
    host = matched.m1
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        source = Path(folder, "source")
        source.mkdir()
        for number in range(MANY):
            (source / f"file-{number:04}").write_bytes(os.urandom(SMALL))

        def tidy(turn: int) -> None:
            shutil.rmtree(Path(folder, f"copy{turn}"))
            host.run(["rm", "-r", f"/srv/many{turn}"])

        ours, local = in_turns(
            lambda turn: host.send_file(str(source), f"/srv/many{turn}", recursive=True),
            lambda turn: raw_frames(source, Path(folder, f"copy{turn}")),
            tidy,
            7,
        )
    return Figures(MANY / ours, MANY / local, "median of 7")


def send_frames(connection: socket.socket, source: Path) -> None:
    """Every file of *source* as one frame: name and content."""
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        name, data = os.fsencode(entry.name), Path(entry.path).read_bytes()
        connection.sendall(HEAD.pack(len(name), len(data)) + name + data)
    connection.sendall(HEAD.pack(0, 0))
    connection.recv(1)


def raw_frames(source: Path, target: Path) -> None:
    """`send_frames` to a forked receiver, which writes them and at the end says so."""
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            here.close()
            receive_frames(there, target)
            status = 0
        finally:
            os._exit(status)
    there.close()
    with here:
        send_frames(here, source)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("the receiver of the raw frames broke")


def receive_frames(connection: socket.socket, target: Path) -> None:
    """Write what `send_frames` sends."""
    target.mkdir()
    with connection, connection.makefile("rb", buffering=1 << 18) as stream:
        while head := stream.read(HEAD.size):
            name_size, data_size = HEAD.unpack(head)
            if not name_size:
                break
            name = os.fsdecode(stream.read(name_size))
            with Path(target, name).open("wb", buffering=0) as file:
                file.write(stream.read(data_size))
        connection.sendall(b".")


def rows() -> Iterable[Row]:
    """Transfers of the control plane."""
    if not MEMORY.is_dir():

        def missing() -> Figures:
            raise NotMeasured(f"there is no {MEMORY}")

        yield Row("files to a host", missing)
        return
    yield Row(
        "file of 256 MiB to a host / shutil.copyfile",
        lambda: on_hosts(one_big),
        "MB/s",
        target_ratio=0.6,
        better="higher",
    )
    yield Row(
        "2,000 files of 1 KiB to a host / raw frames over a socket pair",
        lambda: on_hosts(many_small),
        "files/s",
        target_ratio=0.5,
        better="higher",
    )
