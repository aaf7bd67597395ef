"""An ssh process beside this one: its standard input and output as one socket, and what it says."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO

from shakeout.errors import UsageError
from shakeout.wire.harmless import one_line

#: Seconds that it may take to end by itself, once its connection is closed.
LINGER = 2.0
#: Lines of what it says that are kept (the last), and bytes of each (the first): the host has its say in it, too.
_KEPT_LINES, _KEPT_BYTES = 20, 500


class Login:
    """Runs *argv* until `close`.

    Attributes:
        socket: its standard input and output.

    Raises:
        UsageError: there is no such program.
    """

    def __init__(self, argv: list[str]) -> None:
        self.socket, theirs = socket.socketpair()
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        self._owner = os.getpid()
        self._lock = threading.Lock()
        with theirs:
            try:
                # A session of its own: Ctrl-C in the terminal is for the recipe, which still needs its hosts.
                self._process = subprocess.Popen(
                    argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, start_new_session=True
                )
            except OSError as error:
                self.socket.close()
                raise UsageError(
                    f"{argv[0]}, which logs in to hosts via ssh, cannot be run: {error.strerror}; install OpenSSH's "
                    "client, or name another command with the setting ssh (or SHAKEOUT_SSH)"
                ) from error
        #: Written to when it shall end soon; -1 once it has ended.
        self._closing = os.eventfd(0, os.EFD_CLOEXEC)
        assert self._process.stderr is not None
        self._watch = threading.Thread(
            target=self._listen, args=(self._process.stderr,), name="shakeout-ssh", daemon=True
        )
        self._watch.start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def close(self) -> None:
        """End it: the host's end notices, and puts the host back. Harmless the second time."""
        self.socket.close()
        if os.getpid() != self._owner:
            return  # a forked child of a recipe has a copy of the socket, but the process is its parent's
        with self._lock:
            if self._closing >= 0:
                os.eventfd_write(self._closing, 1)

    def outcome(self, patience: float) -> tuple[int | None, list[str]]:
        """Its exit status (None: it goes on) and what it said last; waits at most *patience* seconds for its end."""
        if os.getpid() != self._owner:
            return None, []
        self._watch.join(patience)
        return self._process.returncode, list(self._said)

    def _listen(self, stderr: IO[bytes]) -> None:
        """Keep what it says until it ends, and end it if it lingers; in a thread of its own.

        That somebody else still has its standard error (the master of shared connections) is not waited for.
        """
        os.set_blocking(stderr.fileno(), False)
        ended = os.pidfd_open(self._process.pid)
        poll = select.poll()
        for fd in (stderr.fileno(), ended, self._closing):
            poll.register(fd, select.POLLIN)
        deadline: float | None = None
        text = _Lines(self._said)
        while True:
            rest = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            ready = dict(poll.poll(rest))
            if not ready:
                self._process.send_signal(signal.SIGTERM)
                deadline = None
            if self._closing in ready:
                poll.unregister(self._closing)
                deadline = time.monotonic() + LINGER
            if stderr.fileno() in ready and not text.add(stderr.read(1 << 16)):
                poll.unregister(stderr)
            if ended in ready:
                break
        with suppress(OSError):
            text.add(stderr.read(1 << 16))
        text.end()
        self._process.wait()
        stderr.close()
        os.close(ended)
        with self._lock:
            os.close(self._closing)
            self._closing = -1


class _Lines:
    """Text as it comes, kept line by line."""

    def __init__(self, kept: deque[str]) -> None:
        self._kept = kept
        self._begun = b""

    def add(self, data: bytes | None) -> bool:
        """Take what was read; False at the end."""
        *lines, begun = (self._begun + (data or b"")).split(b"\n")
        self._begun = begun[:_KEPT_BYTES]
        self._kept.extend(text for line in lines if (text := one_line(line.decode(errors="replace"), _KEPT_BYTES)))
        return data != b""

    def end(self) -> None:
        """Nothing more comes."""
        self.add(b"\n" if self._begun else None)
