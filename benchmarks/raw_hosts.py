"""Namespace hosts by bare system calls: the reference for the default laboratory, as a program of its own.

    python -m benchmarks.raw_hosts COUNT [addresses]

For every host it does what the laboratory does, and nothing else: fork into a PID namespace; unshare of four more;
the same mounts (noted down once from `shakeout.labs.rootfs`, then repeated as bare calls); hostname; loopback up; a
veth pair with its other end on a bridge, both up; the two sysctls; a listening socket; on demand an IPv4 address; and
the fork of a zygote. Both processes then sleep. One process begins with all hosts before it waits for any, because that
is the quickest. Prints the seconds that all hosts took, waits until its standard input ends, and takes everything down.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

KINDS = 0x00020000 | 0x04000000 | 0x08000000 | 0x40000000  # mount, UTS, IPC, network
PIDS = 0x20000000
PRIVATE = (1 << 18) | 0x4000
#: Ports that one bridge can have, less one.
PORTS = 1000
LIBC = ctypes.CDLL(None, use_errno=True)
NEWLINK, GETLINK, NEWADDR = 16, 18, 20


def check(result: int, what: str) -> None:
    """OSError if a call of libc failed."""
    if result:
        raise OSError(ctypes.get_errno(), what)


# -- the mounts -------------------------------------------------------------------------------------------


class NotingOs:
    """Stands for `os` in the laboratory's code: passes calls on, and notes those that change something."""

    def __init__(self, calls: list[list[object]]) -> None:
        self._calls = calls

    def __getattr__(self, name: str) -> object:
        found = getattr(os, name)
        if name not in ("mkdir", "chmod", "symlink", "chdir", "open"):
            return found

        def noting(*arguments: object, **named: object) -> object:
            result = found(*arguments, **named)
            self._calls.append([name, *arguments])
            return result

        return noting


def note_mounts(scratch: str) -> list[list[object]]:
    """What the laboratory calls to make one host's file systems, found out in a child that makes them."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            check(LIBC.unshare(KINDS | PIDS), "unshare")
            if (inner := os.fork()) == 0:
                from shakeout.labs import rootfs

                mounts = rootfs.mount_points()
                calls: list[list[object]] = []
                setattr(rootfs, "os", NotingOs(calls))  # noqa: B010 - its own `os`, not everybody's
                for name in ("mount", "unmount", "pivot_root"):
                    setattr(rootfs, name, noting(getattr(rootfs, name), name, calls))
                rootfs.build(scratch, mounts, userxattr=False)
                os.write(write, json.dumps(calls).encode())
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    if not text:
        raise SystemExit("raw_hosts: the laboratory's mounts cannot be made here")
    return json.loads(text)  # type: ignore[no-any-return]


def noting(call: Callable[..., None], name: str, calls: list[list[object]]) -> Callable[..., None]:
    """*call*, with its arguments noted when it has succeeded."""

    def notes(*arguments: object, flags: int = 0) -> None:
        if name == "mount":
            filled = [*arguments, "", 0, ""][:5] if len(arguments) < 4 else [*arguments, ""][:5]
            arguments = (*filled[:2], filled[2], flags or filled[3], filled[4])
        call(*arguments)
        calls.append([name, *arguments])

    return notes


def prepared(calls: list[list[object]]) -> list[Callable[[], object]]:
    """The noted calls, with everything that can be done before."""

    def plain(name: str, arguments: list[object]) -> Callable[[], object]:
        if name == "mount":
            source, target, kind, flags, data = arguments
            texts = [str(text).encode() or None for text in (source, target, kind, data)]
            number = ctypes.c_ulong(int(str(flags)))
            return lambda: check(LIBC.mount(texts[0], texts[1], texts[2], number, texts[3]), str(target))
        if name == "unmount":
            return lambda: check(LIBC.umount2(str(arguments[0]).encode(), arguments[1]), "umount2")
        if name == "pivot_root":
            return lambda: check(LIBC.pivot_root(*(str(path).encode() for path in arguments)), "pivot_root")
        if name == "open":
            return lambda: os.close(os.open(*arguments))  # type: ignore[arg-type]
        return lambda: getattr(os, name)(*arguments)

    return [plain(str(name), arguments) for name, *arguments in calls]


# -- netlink ----------------------------------------------------------------------------------------------


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute of a netlink message, padded."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def link(index: int = 0, up: bool = False) -> bytes:
    """The fixed part of a link message."""
    return struct.pack("=BxHiII", 0, 0, index, int(up), int(up))


class Channel:
    """A netlink socket that belongs to the network namespace it was made in."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.bind((0, 0))

    def ask(self, kind: int, flags: int, body: bytes) -> bytes:
        """Send one message and wait for its answer; OSError if it is an error."""
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = self.socket.recv(16384)
        if int.from_bytes(answer[4:6], "little") == 2 and (number := struct.unpack_from("=i", answer, 16)[0]):
            raise OSError(-number, os.strerror(-number))
        return answer

    def up(self, name: str) -> int:
        """Find a link by its name and set it up; its index."""
        found = self.ask(GETLINK, 1, link() + attribute(3, name.encode() + b"\0"))
        index: int = struct.unpack_from("=i", found, 20)[0]
        self.ask(NEWLINK, 5, link(index, up=True))
        return index

    def address(self, index: int, raw: bytes) -> None:
        """Give a link an IPv4 address of a /16 network."""
        body = struct.pack("=BBBBI", socket.AF_INET, 16, 0, 0, index) + attribute(1, raw) + attribute(2, raw)
        self.ask(NEWADDR, 0x605, body)

    def bridge(self, name: str) -> int:
        """Make a bridge whose ports forward at once; its index."""
        named = attribute(3, name.encode() + b"\0")
        info = attribute(1, b"bridge\0") + attribute(2, attribute(1, struct.pack("=I", 0)))
        self.ask(NEWLINK, 0x605, link() + named + attribute(18, info))
        return self.up(name)

    def veth(self, name: str, master: int, hwaddr: bytes) -> None:
        """Make a link pair: *name* here on a bridge, eth0 in the caller's own network namespace."""
        pid = struct.pack("=I", 1)  # the caller, in its PID namespace
        peer = link() + attribute(3, b"eth0\0") + attribute(1, hwaddr) + attribute(19, pid)
        info = attribute(1, b"veth\0") + attribute(2, attribute(1, peer))
        here = attribute(3, name.encode() + b"\0") + attribute(10, struct.pack("=I", master))
        self.ask(NEWLINK, 0x605, link(up=True) + here + attribute(18, info))


# -- one host ---------------------------------------------------------------------------------------------


def launch(number: int, master: int, steps: list[Callable[[], object]], report: int, addresses: bool) -> NoReturn:
    """In a fresh child: become a host, and sleep."""
    try:
        switch = Channel()
        check(LIBC.unshare(KINDS), "unshare")
        for step in steps:
            step()
        name = f"m{number}".encode()
        check(LIBC.sethostname(name, len(name)), "sethostname")
        for scope in ("all", "default"):
            with open(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad", "w") as file:  # noqa: PTH123 - as bare as it gets
                file.write("0")
        own = Channel()
        own.up("lo")
        switch.veth(f"h{number}", master, bytes([2, 0, 0, 0, number >> 8, number & 255]))
        index = own.up("eth0")
        if addresses:
            own.address(index, bytes([10, 0, number >> 8, number & 255]))
        if os.fork():
            os.write(report, b".")
        while True:
            signal.pause()
    except BaseException as error:  # noqa: BLE001 - the edge of a process
        os.write(2, f"raw host {number}: {error!r}\n".encode())
    finally:
        os._exit(1)


def make(count: int, folder: str, addresses: bool) -> float:
    """Make *count* hosts; the seconds that they took."""
    switch = Channel()
    Path(folder, "mnt").mkdir()
    steps = prepared(note_mounts(f"{folder}/mnt"))
    read, write = os.pipe()
    own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY)
    begin = time.perf_counter()
    bridges = [switch.bridge(f"n{number}") for number in range(-(-count // PORTS))]
    for number in range(count):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/{number}")
        listener.listen(64)
        check(LIBC.unshare(PIDS), "unshare")
        pid = os.fork()
        if pid == 0:
            launch(number, bridges[number // PORTS], steps, write, addresses)
        check(LIBC.setns(own_pids, PIDS), "setns")
        listener.close()
    ready = 0
    while ready < count:
        ready += wait_ready(read)
    return time.perf_counter() - begin


def wait_ready(read: int) -> int:
    """How many hosts have become ready."""
    if not select.select([read], [], [], 30)[0]:
        raise TimeoutError("a raw host did not become ready")
    return len(os.read(read, 4096))


def main() -> NoReturn:
    """Process 1 of a PID namespace makes the hosts, so that its end ends all of them."""
    check(LIBC.unshare(KINDS | PIDS), "unshare")
    with tempfile.TemporaryDirectory() as folder:
        pid = os.fork()
        if pid == 0:
            check(LIBC.mount(None, b"/", None, ctypes.c_ulong(PRIVATE), None), "mount")
            check(LIBC.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(14), None), "mount /proc")
            try:
                print(make(int(sys.argv[1]), folder, "addresses" in sys.argv), flush=True)
                sys.stdin.read()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    os._exit(0)


if __name__ == "__main__":
    main()
