"""The transport over TLS: an encrypted stream whose other side has shown a certificate of the laboratory."""

from __future__ import annotations

import errno
from _thread import allocate_lock  # as in the reactor
from typing import TYPE_CHECKING

from shakeout.wire.lifeline import Lifeline
from shakeout.wire.reactor import Reactor
from shakeout.wire.transports import READ_SIZE

if TYPE_CHECKING:
    import ssl

#: How the kernel says that packets lead nowhere.
_CUT = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
#: The most that one TLS record carries (RFC 8446, 5.1).
RECORD = 16 << 10


class TlsTransport:
    """A TLS connection on which both sides have accepted each other (`shakeout.wire.greeting`).

    OpenSSL's objects are not to be used by two threads at once, so there is a lock around this one; nothing is ever
    waited for while it is held.

    Args:
        tls: the socket; the transport owns it from now on.
        identity: what the certificate of the other side calls it.
    """

    passes_fds = False

    def __init__(self, tls: ssl.SSLSocket, identity: str) -> None:
        import ssl
        from mmap import mmap

        tls.setblocking(False)
        self.identity = identity
        self.local_address: str = tls.getsockname()[0]
        self._tls = tls
        self._lock = allocate_lock()
        # Of the kernel's, so that only what is used of it is memory: hundreds may stand in line at one agent.
        self._view = memoryview(mmap(-1, READ_SIZE))
        self._not_now = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
        self._lifeline: Lifeline | None = None
        self._over = False
        self._cut = ""

    def attend(self, reactor: Reactor) -> None:
        """Watch the link, by timers of *reactor*, until `close`: `receive` tells of its end."""
        self._lifeline = Lifeline(self._tls, reactor)

    def fileno(self) -> int:
        return self._tls.fileno()

    def write_fileno(self) -> int:
        return self._tls.fileno()

    def receive(self) -> tuple[bytes, list[int]] | None:
        """As of any transport.

        Raises:
            OSError: the link is broken, for the reason that it gives.
        """
        size = 0
        with self._lock:
            # A record that is only half read would be in OpenSSL's buffer, where no epoll sees it: so there is always
            # room for a whole one. One that is shorter than it could be is the last for now, mostly.
            try:
                while not self._over and READ_SIZE - size >= RECORD:
                    got = self._tls.recv_into(self._view[size:])
                    size += got
                    self._over = not got
                    if got < RECORD:
                        break
            except self._not_now:
                if not size:
                    return None
            except OSError as error:
                self._over = True
                self._explain(error)
            if self._over and not size:
                self._explain(None)  # OpenSSL makes an end of many an error
        return bytes(self._view[:size]), []

    def send(self, data: bytes | memoryview, fds: tuple[int, ...] = ()) -> int:
        view, sent = memoryview(data), 0
        with self._lock:
            try:
                while sent < len(view):
                    sent += self._tls.send(view[sent:])
            except self._not_now:
                pass
            except OSError as error:
                self._explain(error)
                raise
        return sent

    def close(self) -> None:
        if self._lifeline is not None:
            self._lifeline.close()
        self._tls.close()

    def _explain(self, error: OSError | None) -> None:
        """Raise what is to be said of the end; a peer that is simply gone ends as on any other transport."""
        if error is not None and error.errno in _CUT:  # the kernel's keep-alive was first; it says so only once
            self._cut = f"nothing came back from it, not even from its kernel ({error.strerror})"
        if why := self._cut or (self._lifeline.dead if self._lifeline is not None else ""):
            raise TimeoutError(0, why) from error
