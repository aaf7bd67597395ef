"""Hosts over TLS and over ssh beside those in namespaces: machines of this machine, each with a network of its own."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

from benchmarks import raw_tls
from benchmarks.jobs import passed
from benchmarks.row import Figures, NotMeasured, Row, interleave
from benchmarks.stage import need_root, on_hosts
from benchmarks.transfers import BIG, MANY, MEMORY, SMALL, in_turns, send_frames
from shakeout import BaseRecipe, Controller, DeviceReq, HostReq
from shakeout.hosts.host import Host
from shakeout.hosts.matched import Matched
from shakeout.testing.fleet import CERTS, Fleet

ROOT = str(Path(__file__).resolve().parent.parent)
#: Where files arrive on a machine (in memory, as all that is written there).
PLACE = "/srv/benchmark"


@contextmanager
def fleet(via: str, count: int = 1) -> Iterator[Fleet]:
    """*count* machines, and this thread on their network."""
    need_root("machines are made from namespaces without a user namespace")
    lacking = [
        command for command in ("ssh", "sshd", "nsenter") if not shutil.which(command, path="/usr/sbin:/usr/bin")
    ]
    if via == "ssh" and lacking:
        raise NotMeasured(f"there is no {', '.join(lacking)}")
    names = tuple(f"{via}{number}" for number in range(count))
    with Fleet(tls=names if via == "tls" else (), ssh=names if via == "ssh" else ()) as made, made.inside():
        yield made


def job(via: str) -> Figures:
    """`host.run("true")` on a machine against the same on a namespace host, in turns."""
    with fleet(via) as made:

        def beside(local: Matched) -> Figures:
            def measure(remote: Matched) -> Figures:
                return interleave(lambda: passed(remote.m1.run("true")), lambda: passed(local.m1.run("true")), 300)

            return on_hosts(measure, pool=made.pools[via])

        return on_hosts(beside)


class UntilTest(BaseRecipe):
    """Notes when its test begins."""

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net1")
    began = 0.0

    def test(self) -> None:
        self.began = perf_counter()


def until_test(pools: list[str]) -> float:
    """Seconds from the call of `run` to the first line of `test()`."""
    recipe = UntilTest()
    with tempfile.TemporaryDirectory() as runs:
        begin = perf_counter()
        Controller(pools=pools, runs_dir=runs, breakpoints=False, quiet=True).run(recipe)
    return recipe.began - begin


def start(via: str) -> Figures:
    """From `run` to `test()` on two hosts: machines against namespace hosts, which are made in that time."""
    ours, reference = [], []
    with fleet(via, 2) as made:
        for _ in range(8):
            ours.append(until_test([str(made.pools[via])]))
            reference.append(until_test([]))
    first, second = (statistics.median(series[1:]) * 1000 for series in (ours, reference))
    return Figures(first, second, "median of 7")


@contextmanager
def raw_receiver(made: Fleet) -> Iterator[tuple[str, int]]:
    """Where `raw_tls` listens on the only machine."""
    (machine,) = made.machines
    machine.path(PLACE).mkdir()
    argv = [sys.executable, "-m", "benchmarks.raw_tls", CERTS, PLACE]
    receiver = machine.start(argv, env={"PYTHONPATH": ROOT})
    try:
        receiver.wait_output("\n")
        yield machine.address, int(receiver.output.split()[-1])
    finally:
        receiver.stop()


def on_one(via: str, measure: Callable[[Host, Fleet], Figures]) -> Figures:
    """What *measure* finds out on one machine."""
    with fleet(via) as made:
        return on_hosts(lambda matched: measure(matched.m1, made), pool=made.pools[via])


def big_file(host: Host, made: Fleet) -> Figures:
    """MB a second of one big file over TLS, against bare TLS between the same two."""
    with raw_receiver(made) as address, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        source = random_file(Path(folder, "source"))
        ours, raw = in_turns(
            lambda turn: host.send_file(str(source), f"{PLACE}/big{turn}"),
            lambda turn: raw_tls.send_file(address, source, f"raw{turn}"),
            lambda turn: host.run(["rm", f"{PLACE}/big{turn}", f"{PLACE}/raw{turn}"]),
            5,
        )
    return Figures(BIG / 1e6 / ours, BIG / 1e6 / raw, "median of 5")


def small_files(host: Host, made: Fleet) -> Figures:
    """Files a second of a directory over TLS, against bare frames over TLS."""
    with raw_receiver(made) as address, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        source = Path(folder, "source")
        source.mkdir()
        for number in range(MANY):
            (source / f"file-{number:04}").write_bytes(os.urandom(SMALL))

        def raw(turn: int) -> None:
            with raw_tls.connect(address, f"raw{turn}") as tls:
                send_frames(tls, source)

        ours, reference = in_turns(
            lambda turn: host.send_file(str(source), f"{PLACE}/many{turn}", recursive=True),
            raw,
            lambda turn: host.run(["rm", "-r", f"{PLACE}/many{turn}", f"{PLACE}/raw{turn}"]),
            5,
        )
    return Figures(MANY / ours, MANY / reference, "median of 5")


def big_file_ssh(host: Host, made: Fleet) -> Figures:
    """MB a second of one big file over ssh, against a pipe through the same ssh."""
    (machine,) = made.machines
    machine.path(PLACE).mkdir()

    def raw(turn: int) -> None:
        with source.open("rb") as file:
            command = [*made.access.ssh, machine.name, f"cat > {PLACE}/raw{turn}"]
            subprocess.run(command, stdin=file, check=True, capture_output=True)

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        source = random_file(Path(folder, "source"))
        ours, reference = in_turns(
            lambda turn: host.send_file(str(source), f"{PLACE}/big{turn}"),
            raw,
            lambda turn: host.run(["rm", f"{PLACE}/big{turn}", f"{PLACE}/raw{turn}"]),
            5,
        )
    return Figures(BIG / 1e6 / ours, BIG / 1e6 / reference, "median of 5")


def random_file(path: Path) -> Path:
    """A file of BIG bytes that nothing can compress."""
    with path.open("wb") as file:
        for _ in range(BIG >> 20):
            file.write(os.urandom(1 << 20))
    return path


def rows() -> Iterable[Row]:
    """Hosts of pools."""
    for via in ("tls", "ssh"):
        yield Row(f'host.run("true") via {via} / on a namespace host', partial(job, via))
        yield Row(f"run to test(), two hosts via {via} / namespace hosts", partial(start, via))
    what = "file of 256 MiB via tls / raw TLS"
    yield Row(what, lambda: on_one("tls", big_file), "MB/s", target_ratio=0.5, better="higher")
    what = "file of 256 MiB via ssh / cat through ssh"
    yield Row(what, lambda: on_one("ssh", big_file_ssh), "MB/s", better="higher")
    what = "2,000 files of 1 KiB via tls / raw frames over TLS"
    yield Row(what, lambda: on_one("tls", small_files), "files/s", target_ratio=0.5, better="higher")
