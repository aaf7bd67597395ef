"""A synchronous netlink socket: numbered requests, acknowledgements, dumps, and errors in words."""

from __future__ import annotations

import errno
import os
import socket
import struct

from shakeout.devices.attributes import text, walk
from shakeout.errors import DeviceError

_HEADER = struct.Struct("=IHHII")
_I32 = struct.Struct("=i")

REQUEST, ACK, ECHO, DUMP = 0x1, 0x4, 0x8, 0x300
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
_DUMP_INTR = 0x10
#: Stands for "this dump is torn" in place of a message's type.
_TORN = -1
_CAPPED, _ACK_TLVS = 0x100, 0x200
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12
#: Seconds the kernel gets; it answers in microseconds, but its network lock may be held by others.
_TIMEOUT_S = 30
#: How often a dump is begun again because tables changed under it.
_DUMP_TRIES = 50


class Message:
    """One message of a reply: its type and its body without the netlink header."""

    __slots__ = ("body", "type")

    def __init__(self, kind: int, body: bytes) -> None:
        self.type = kind
        self.body = body


class Channel:
    """A rtnetlink socket that lives in one network namespace.

    Belongs to one thread; do not use one that was opened before a fork on both sides.
    """

    def __init__(self, netns_fd: int | None = None) -> None:
        """Open in the namespace of *netns_fd*, or in the calling thread's."""
        if netns_fd is None:
            self._socket = _open()
        else:
            from shakeout.devices.namespaces import inside

            with inside(netns_fd):
                self._socket = _open()
        self._sequence = 0
        self._buffer = bytearray(65536)

    def close(self) -> None:
        """Close the socket; closing again does nothing."""
        self._socket.close()

    def get(self, kind: int, body: bytes, what: str) -> bytes:
        """Ask for one thing; return the body of the reply.

        Raises:
            DeviceError: the kernel refused; *what* ("read eth0") is named in the message.
        """
        sequence = self._send(kind, REQUEST, body, what)
        while True:
            for message in self._receive(sequence, what):
                return message.body

    def do(self, kind: int, body: bytes, what: str, flags: int = 0) -> list[Message]:
        """Have something done, and wait for the acknowledgement; return what was echoed (flag ECHO).

        Raises:
            DeviceError: the kernel refused, with its own words if it has any.
        """
        sequence = self._send(kind, REQUEST | ACK | flags, body, what)
        echoed: list[Message] = []
        while True:
            for message in self._receive(sequence, what):
                if message.type == _NLMSG_ERROR:
                    return echoed
                echoed.append(message)

    def dump(self, kind: int, body: bytes, what: str) -> list[bytes]:
        """All rows of a table: the bodies of the replies. Begins again if the table changed meanwhile.

        Raises:
            DeviceError: the kernel refused, or the table never stood still.
        """
        for _ in range(_DUMP_TRIES):
            rows = self._dump_once(kind, body, what)
            if rows is not None:
                return rows
        raise DeviceError(f"cannot {what}: the table changed during each of {_DUMP_TRIES} readings")

    def _dump_once(self, kind: int, body: bytes, what: str) -> list[bytes] | None:
        rows: list[bytes] = []
        torn = False
        try:
            sequence = self._send(kind, REQUEST | DUMP, body, what)
            while True:
                for message in self._receive(sequence, what):
                    if message.type == _NLMSG_DONE:
                        return None if torn else rows
                    if message.type == _TORN:
                        torn = True
                    else:
                        rows.append(message.body)
        except DeviceError as error:
            if error.errno not in (errno.EINTR, errno.ENOBUFS):
                raise
            self._drain()
            return None
        except BaseException:  # an interrupt in mid-dump: the rest would make the next dump EBUSY
            self._drain()
            raise

    def _send(self, kind: int, flags: int, body: bytes, what: str) -> int:
        self._sequence = sequence = (self._sequence + 1) & 0x7FFFFFFF
        try:
            self._socket.send(_HEADER.pack(16 + len(body), kind, flags, sequence, 0) + body)
        except OSError as error:
            raise _refused(what, error.errno or 0, "") from error
        return sequence

    def _receive(self, sequence: int, what: str) -> list[Message]:
        """Messages of one datagram that answer *sequence*; older answers are dropped.

        A dump that the kernel marks as interrupted yields a message of type _TORN.
        """
        data = self._datagram(what)
        messages: list[Message] = []
        offset, end = 0, len(data)
        while offset + 16 <= end:
            length, kind, flags, number, _ = _HEADER.unpack_from(data, offset)
            body = data[offset + 16 : offset + length]
            offset += (length + 3) & ~3
            if number != sequence:
                continue
            if flags & _DUMP_INTR and kind != _NLMSG_ERROR:
                messages.append(Message(_TORN, b""))
            if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                _check(kind, flags, body, what)
            messages.append(Message(kind, body))
        return messages

    def _datagram(self, what: str) -> bytes:
        flags = socket.MSG_PEEK | socket.MSG_TRUNC
        try:
            size = self._socket.recv_into(self._buffer, 0, flags)
            if size > len(self._buffer):
                self._buffer = bytearray(size * 2)
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            raise DeviceError(
                f"cannot {what}: the kernel did not answer within {_TIMEOUT_S} s", errno.ETIMEDOUT
            ) from None
        except OSError as error:
            raise _refused(what, error.errno or 0, "") from error
        return bytes(memoryview(self._buffer)[:size])

    def _drain(self) -> None:
        while True:
            try:
                self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    opened.bind((0, 0))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _TIMEOUT_S, 0))
    # strict checking lets a dump be limited to one interface or table
    for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
        opened.setsockopt(_SOL_NETLINK, option, 1)
    return opened


def _check(kind: int, flags: int, body: bytes, what: str) -> None:
    """Raise what an acknowledgement or the end of a dump reports, if it is an error."""
    number = -_I32.unpack_from(body)[0] if len(body) >= 4 else 0
    if number <= 0:
        return
    words = ""
    if flags & _ACK_TLVS:
        offset = 4
        if kind == _NLMSG_ERROR:
            offset += 16 if flags & _CAPPED else (_I32.unpack_from(body, 4)[0] + 3) & ~3
        words = text(walk(body, offset).get(1))
    raise _refused(what, number, words)


def _refused(what: str, number: int, words: str) -> DeviceError:
    name = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))
    message = f"cannot {what}: {os.strerror(number)} ({name})"
    if words:
        message += f"; the kernel says: {words}"
    if number == errno.EPERM:
        message += "; this needs root, or CAP_NET_ADMIN in the namespace"
    return DeviceError(message, number)
