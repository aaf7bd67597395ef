"""Files of packets that Wireshark, tcpdump and all others read: the classic pcap format, with nanoseconds.

The format is described in draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, Final

from shakeout.errors import ModuleFailed
from shakeout.modules.packets.ring import Packet

_MAGIC_NANOSECONDS: Final = 0xA1B23C4D
#: LINKTYPE_ETHERNET, LINKTYPE_RAW (tcpdump.org/linktypes.html)
_LINK_TYPES: Final = {"ether": 1, "ip": 101}
_HEADER: Final = struct.Struct("=IHHiIII")
_RECORD: Final = struct.Struct("=IIII")
_BUFFER = 1 << 18


class PacketFiles:
    """Writes packets into one file, or into a ring of several of which the oldest is removed.

    Args:
        path: of the file; of several, the second is ``path.1`` and so on.
        link: "ether" or "ip": what packets begin with.
        snaplen: the most that is kept of one.
        limit: bytes of a file; 0: any number.
        files: how many are kept when they are limited.

    Attributes:
        paths: the files that there are, oldest first.
        removed: how many were removed again.
        full: with one file only: it has reached its limit.
    """

    def __init__(self, path: str, link: str, snaplen: int, *, limit: int = 0, files: int = 1) -> None:
        self._path = path
        self._header = _HEADER.pack(_MAGIC_NANOSECONDS, 2, 4, 0, 0, snaplen, _LINK_TYPES[link])
        self._limit = limit
        self._files = files
        self._number = 0
        self._size = 0
        self._file: BinaryIO | None = None
        self.paths: list[str] = []
        self.removed = 0
        self.full = False
        self._next()

    def write(self, packet: Packet) -> bool:
        """Append *packet*; False if there is no room for it within the limit.

        Raises:
            ModuleFailed: it cannot be written.
        """
        size = _RECORD.size + len(packet.data)
        if self._limit and self._size + size > self._limit and self._size > _HEADER.size:
            if self._files == 1:
                self.full = True
                return False
            self._next()
        seconds, nano = divmod(packet.at_ns, 1_000_000_000)
        assert self._file is not None
        try:
            self._file.write(_RECORD.pack(seconds, nano, len(packet.data), packet.length))
            self._file.write(packet.data)
        except OSError as error:
            raise self._trouble(error) from None
        self._size += size
        return True

    def flush(self) -> None:
        """Have all that was written in the files, for who reads along.

        Raises:
            ModuleFailed: it cannot be written.
        """
        try:
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise self._trouble(error) from None

    def close(self) -> None:
        """Close the last file; what cannot be written any more is lost."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
            self._file = None

    def _next(self) -> None:
        self.flush()
        self.close()
        path = self._path if not self._number else f"{self._path}.{self._number}"
        self._number += 1
        try:
            # Not through a link that somebody else has put there, nor for others to read: it may hold secrets.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=_BUFFER)
            self._file.write(self._header)
        except OSError as error:
            raise self._trouble(error, path) from None
        self._size = len(self._header)
        self.paths.append(path)
        if len(self.paths) > self._files:
            os.unlink(self.paths.pop(0))  # noqa: PTH108 - pathlib is not loaded
            self.removed += 1

    def _trouble(self, error: OSError, path: str = "") -> ModuleFailed:
        where = path or (self.paths[-1] if self.paths else self._path)
        return ModuleFailed(
            f"packets cannot be written to {where}: {error.strerror}; choose another place with file=, "
            "or a limit with max_size="
        )
