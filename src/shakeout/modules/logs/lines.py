"""Lines of logs: cut out of what is read, of files, of the kernel's messages and of the journal. No I/O."""

from __future__ import annotations

from typing import Any

#: Bytes of a line that are looked at; what is beyond is left out.
LONGEST = 64 * 1024


class Lines:
    """Takes bytes as they come, gives whole lines as text; what is no UTF-8 appears as \\xNN."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False
        #: Lines that were too long, so that their ends were left out.
        self.cut = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole with *data*, without their ends; too long ones as soon as they are that."""
        found = []
        if self._skipping:
            _, newline, data = data.partition(b"\n")
            if not newline:
                return []
            self._skipping = False
        head, newline, tail = data.rpartition(b"\n")
        if newline:
            text = bytes(self._rest) + head
            self._rest.clear()
            found = [self._shortened(line) for line in text.split(b"\n")]
        self._rest += tail
        if len(self._rest) > LONGEST:
            found.append(self._shortened(bytes(self._rest)))
            self._rest.clear()
            self._skipping = True
        return found

    def end(self) -> list[str]:
        """What came after the last end of a line, if anything did."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [self._shortened(rest)] if rest else []

    def _shortened(self, line: bytes) -> str:
        if len(line) > LONGEST:
            self.cut += 1
            line = line[:LONGEST]
        return line.removesuffix(b"\r").decode(errors="backslashreplace")


def kernel_message(record: bytes) -> str:
    """The text of a record of /dev/kmsg ("6,339,5140900,-;NET: …" and lines of further facts; dev-kmsg)."""
    head, semicolon, rest = record.partition(b";")
    text = rest if semicolon else head
    return text.split(b"\n")[0].decode(errors="backslashreplace")


def journal_message(line: str) -> str:
    """An entry of the journal as "sshd[812]: text", from a line of ``journalctl -o json``; or the line itself."""
    import msgspec

    try:
        entry: Any = msgspec.json.decode(line)
        message = entry.get("MESSAGE")
        if isinstance(message, list) and all(type(each) is int and 0 <= each < 256 for each in message):
            message = bytes(message).decode(errors="backslashreplace")  # it is no UTF-8
        if not isinstance(message, str):
            message = ""
        who = entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or entry.get("_SYSTEMD_UNIT") or "?"
        pid = entry.get("_PID") or entry.get("SYSLOG_PID")
        return f"{who}[{pid}]: {message}" if pid else f"{who}: {message}"
    except (msgspec.DecodeError, AttributeError):
        return line
