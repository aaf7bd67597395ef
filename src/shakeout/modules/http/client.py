"""One HTTP connection, kept open between requests, whose every request ends by a deadline."""

from __future__ import annotations

import http.client
import io
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from shakeout.modules.http.checks import Target, parse_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

_PART = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status, headers: of the last response; names of headers in lower case.
        body: its beginning, as much as was to be kept.
        size: bytes of its body.
        url: where it came from.
        redirects: how many there were before it.
        connect_s: how long the connection took to be made, with TLS; None if there was one.
        first_byte_s, total_s: from the start of the request to its response, and to the end of that.
        tls: "TLSv1.3" and so on, None without.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    size: int
    url: str
    redirects: int
    connect_s: float | None
    first_byte_s: float
    total_s: float
    tls: str | None


class Request(NamedTuple):
    """What is asked."""

    method: str
    target: Target
    headers: dict[str, str]
    body: bytes
    authorization: str = ""
    redirects: int = 0
    keep: int = 1 << 16


class Client:
    """A connection for requests, one after the other; made anew where the last one cannot be used again.

    Args:
        to: where to connect, whatever the URL says: an address, and a port or 0.
        tls: gives what https needs; asked only if it is.
        fresh: a connection for each request.
    """

    def __init__(
        self,
        *,
        timeout: float,
        to: str = "",
        source: str = "",
        family: int = 0,
        tls: Callable[[], ssl.SSLContext] | None = None,
        fresh: bool = False,
    ) -> None:
        self._timeout, self._to, self._source, self._family = timeout, to, source, family
        self._tls, self._fresh = tls, fresh
        self._key: tuple[bool, str, int] | None = None
        self._sock: _Timed | None = None
        self._tls_version: str | None = None
        self._connecting: socket.socket | None = None
        self._abandoned = False

    def abandon(self) -> None:
        """Have a request that runs in another thread fail at once, and any later one."""
        self._abandoned = True
        for sock in (self._connecting, self._sock):
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        sock, self._sock, self._key = self._sock, None, None
        if sock is not None:
            sock.close()

    def ask(self, request: Request) -> Answer:
        """Send *request*, follow redirects, read the answer.

        Raises:
            OSError: no connection, or it broke, or the deadline is over.
            ValueError: the answer is no HTTP, or leads nowhere.
        """
        begin = time.monotonic()
        until, redirects, connect_s = begin + self._timeout, 0, None
        origin = request.target[:3]
        while True:
            try:
                answer = self._one(request, begin, until)
            except BaseException:
                self.close()
                raise
            connect_s = answer.connect_s if connect_s is None else connect_s
            place = answer.headers.get("location")
            if answer.status not in _REDIRECTS or place is None or not request.redirects:
                return answer._replace(redirects=redirects, connect_s=connect_s)
            if redirects == request.redirects:
                raise ValueError(f"more than {redirects} redirects, the last to {place}")
            redirects += 1
            request = _redirected(request, place, answer.status, origin)

    def _one(self, request: Request, begin: float, until: float) -> Answer:
        target = request.target
        key = (target.tls, target.host, target.port)
        reused = self._sock is not None and self._key == key and not self._fresh
        connect_s = None if reused else self._connect(target, key, until)
        try:
            response = self._exchange(request, until)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not reused:
                raise
            # The server may close a connection that was idle at any time; that is no failure.
            connect_s = self._connect(target, key, until)
            response = self._exchange(request, until)
        first_byte_s = time.monotonic() - begin
        body, size = bytearray(), 0
        while part := response.read1(_PART):
            size += len(part)
            body += part[: max(0, request.keep - len(body))]
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close or self._fresh:
            self.close()
        total_s = time.monotonic() - begin
        version = self._tls_version if target.tls else None
        return Answer(
            response.status, headers, bytes(body), size, target.url, 0, connect_s, first_byte_s, total_s, version
        )

    def _exchange(self, request: Request, until: float) -> http.client.HTTPResponse:
        sock = self._sock
        assert sock is not None
        sock.until = until
        # Everything but the bytes on the wire is http.client's; the socket is ours.
        connection = http.client.HTTPConnection(request.target.host)
        connection.sock = sock
        connection.putrequest(request.method, request.target.path, skip_host=True, skip_accept_encoding=True)
        given = {name.lower() for name in request.headers}
        headers = {"Host": request.target.authority, "User-Agent": "shakeout", "Accept": "*/*"}
        headers = {name: value for name, value in headers.items() if name.lower() not in given} | request.headers
        if request.authorization:
            headers["Authorization"] = request.authorization
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers.setdefault("Content-Length", str(len(request.body)))
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(request.body or None)
        response = http.client.HTTPResponse(sock, method=request.method)  # type: ignore[arg-type]
        response.begin()
        return response

    def _connect(self, target: Target, key: tuple[bool, str, int], until: float) -> float:
        self.close()
        begin = time.monotonic()
        found = socket.getaddrinfo(self._to or target.host, target.port, self._family, socket.SOCK_STREAM)
        error: OSError | None = None
        for family, kind, _, _, address in found:
            sock = self._connecting = socket.socket(family, kind)
            if self._abandoned:
                sock.close()
                raise ConnectionAbortedError("given up")
            try:
                sock.settimeout(max(0.001, until - begin))
                if self._source:
                    sock.bind((self._source, 0))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if target.tls:
                    assert self._tls is not None
                    sock.settimeout(max(0.001, until - time.monotonic()))
                    sock = self._connecting = self._tls().wrap_socket(sock, server_hostname=target.host)
                    self._tls_version = sock.version()
            except BaseException as failure:
                sock.close()
                if not isinstance(failure, OSError) or isinstance(failure, TimeoutError):
                    raise
                error = failure
                continue
            self._sock, self._key, self._connecting = _Timed(sock, until), key, None
            return time.monotonic() - begin
        raise error or OSError("there is no address to connect to")


class _Timed:
    """A socket as http.client uses it, all of whose operations together end by a deadline."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._inner = sock
        self.until = until

    def sendall(self, data: Any) -> None:
        self._set()
        self._inner.sendall(data)  # its timeout is for all of it

    def makefile(self, mode: str, *args: object) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def receive_into(self, buffer: Any) -> int:
        self._set()
        return self._inner.recv_into(buffer)

    def shutdown(self, how: int) -> None:
        socket.socket.shutdown(self._inner, how)  # TLS's own would change what a thread uses that still reads

    def close(self) -> None:
        self._inner.close()

    def _set(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._inner.settimeout(left)


class _Reader(io.RawIOBase):
    """Reads from a socket, which stays open when this is closed."""

    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.receive_into(buffer)


def _redirected(request: Request, place: str, status: int, origin: tuple[object, ...]) -> Request:
    """The request to send after a redirect (RFC 9110, 15.4)."""
    try:
        target = parse_url(place, request.target.url)
    except ValueError as error:
        raise ValueError(f"redirected to {place!r:.80}: {error}") from None
    if target[:3] != origin:  # what proves who we are is for nobody else
        kept = {name: value for name, value in request.headers.items() if name.lower() not in ("cookie", "host")}
        request = request._replace(headers=kept, authorization="")
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        kept = {name: v for name, v in request.headers.items() if not name.lower().startswith("content-")}
        method = "HEAD" if request.method == "HEAD" else "GET"
        request = request._replace(method=method, body=b"", headers=kept)
    return request._replace(target=target)
