"""The server of HttpServe: a thread for each connection, and an end that waits for none of them."""

from __future__ import annotations

import http.server
import os
import select
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from shakeout.modules.endpoints import MAX_PEERS, SocketAddress, count_reason, reason

if TYPE_CHECKING:
    from shakeout.modules.http_serve import HttpServeResult

#: Seconds that a connection may be idle, or take for a TLS handshake.
_IDLE: Final = 60.0
_HANDSHAKE: Final = 10.0
_PART: Final = 1 << 16


class Server:
    """Serves on *listener*; *result* is kept up to date."""

    def __init__(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        folder: Path | None,
        responses: Mapping[str, Any],
        result: HttpServeResult,
    ) -> None:
        self.folder, self.responses = folder, responses
        self._listener, self._tls, self._result = listener, tls, result
        self._lock = threading.Lock()
        self._wanted = 0
        self._open: dict[socket.socket, threading.Thread] = {}
        self._ended = threading.Event()
        self._wake, self._woken = socket.socketpair()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        with self._lock:
            threads = dict(self._open)
        for sock, thread in threads.items():
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # TLS's own would change what the thread uses
            thread.join()
        self._wake.close()
        self._woken.close()

    def serve(self, wanted: int, timeout: float | None) -> bool:
        """Until *wanted* requests have been answered (0: no end), *timeout* is over, or SIGINT (True) comes."""
        self._wanted = wanted
        until = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return False
                ready = select.select([self._listener, self._woken], [], [], left)[0]
                if self._woken in ready:
                    return False
                if ready:
                    self._accept()
        except KeyboardInterrupt:
            return True

    def pause(self, seconds: float) -> None:
        """Wait, unless the server ends.

        Raises:
            ConnectionAbortedError: it does.
        """
        if seconds and self._ended.wait(seconds):
            raise ConnectionAbortedError("the server ended")

    def answered(self, path: str, status: int, received: int, sent: int) -> None:
        """One request was."""
        with self._lock:
            result = self._result
            result["requests"] += 1
            result["statuses"][str(status)] = result["statuses"].get(str(status), 0) + 1
            if path in result["paths"] or len(result["paths"]) < MAX_PEERS:
                result["paths"][path] = result["paths"].get(path, 0) + 1
            result["received"] += received
            result["sent"] += sent
            if result["requests"] == self._wanted:
                self._wake.send(b"\0")

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except OSError:
            return  # it is gone again
        thread = threading.Thread(target=self._attend, args=(sock, peer))
        with self._lock:
            self._open[sock] = thread
        thread.start()

    def _attend(self, sock: socket.socket, peer: SocketAddress) -> None:
        served = sock
        try:
            sock.settimeout(_HANDSHAKE)
            if self._tls is not None:
                served = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                with self._lock:
                    self._open[served] = self._open.pop(sock)
                served.do_handshake()
            served.settimeout(_IDLE)
            _Handler(served, (str(peer[0]), int(peer[1])), self)  # type: ignore[arg-type]
        except (OSError, ValueError) as error:
            if not self._ended.is_set():
                self._failed(error)
        finally:
            with self._lock:
                self._open.pop(sock, None)
                self._open.pop(served, None)
            served.close()
            sock.close()

    def _failed(self, error: Exception) -> None:
        why = error.reason if isinstance(error, ssl.SSLError) else ""
        why = why or (reason(error) if isinstance(error, OSError) else str(error)[:100])
        with self._lock:
            count_reason(self._result["errors"], why)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection; every method is answered the same way."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "shakeout", ""
    disable_nagle_algorithm = True
    server: Server  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path) or "/"
        given = self.server.responses.get(path)
        body = self._take_body(keep=isinstance(given, dict) and bool(given.get("echo")))
        if body is None:
            return
        received, data = body
        if given is not None:
            spec = given if isinstance(given, dict) else {"body": given}
            self.server.pause(spec.get("delay", 0))
            status, size = spec.get("status", 200), self._fixed(spec, data)
        elif self.server.folder is not None and self.command in ("GET", "HEAD"):
            status, size = self._file(self.server.folder, path)
        else:
            status, size = self._plain(404, f"there is nothing at {path}\n")
        self.wfile.flush()
        self.server.answered(path, status, received, size)

    def _take_body(self, *, keep: bool) -> tuple[int, bytes] | None:
        """How long the request's body is, and if wanted itself; None if it was refused."""
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            self._plain(411, "a body must come with Content-Length\n")
            return None
        text = self.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit()) or len(text) > 15 or (keep and int(text) > 64 << 20):
            self.close_connection = True
            self._plain(413 if text.isdigit() else 400, "this Content-Length is not accepted\n")
            return None
        if self.headers.get("Expect", "").lower() == "100-continue" and self.request_version == "HTTP/1.1":
            self.send_response_only(100)
            self.end_headers()
        left, kept = int(text), bytearray()
        while left:
            part = self.rfile.read(min(_PART, left))
            if not part:
                raise ConnectionError("the client ended in the middle of a body")
            left -= len(part)
            if keep:
                kept += part
        return int(text), bytes(kept)

    def _fixed(self, spec: Mapping[str, Any], received: bytes) -> int:
        data = received if spec.get("echo") else spec.get("body", "").encode()
        status, size = spec.get("status", 200), spec.get("size", 0) or len(data)
        headers = {"Content-Type": "text/plain; charset=utf-8"} | dict(spec.get("headers", {}))
        bare = status in (204, 304)
        if not bare:
            headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
            headers["Content-Length"] = str(size)
        self._head(status, headers)
        if bare or self.command == "HEAD":
            return 0
        if not spec.get("size"):
            self.wfile.write(data)
            return size
        block = bytes(_PART)
        for begin in range(0, size, _PART):
            self.wfile.write(block[: min(_PART, size - begin)])
        return int(size)

    def _file(self, folder: Path, path: str) -> tuple[int, int]:
        found = inside(folder, path)
        if found is None:
            return self._plain(404, f"there is no file {path}\n")
        try:
            file = found.open("rb")
        except OSError as error:
            return self._plain(403, f"{path}: {error.strerror}\n")
        with file:
            size = os.fstat(file.fileno()).st_size
            self._head(200, {"Content-Type": self._kind(found), "Content-Length": str(size)})
            if self.command == "HEAD":
                return 200, 0
            shutil.copyfileobj(file, self.wfile, _PART)
            return 200, size

    def _kind(self, path: Path) -> str:
        import mimetypes

        return mimetypes.guess_type(path.name)[0] or "application/octet-stream"

    def _plain(self, status: int, text: str) -> tuple[int, int]:
        data = text.encode("utf-8", "backslashreplace")
        self._head(status, {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(data))})
        if self.command == "HEAD":
            return status, 0
        self.wfile.write(data)
        return status, len(data)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def inside(folder: Path, path: str) -> Path | None:
    """The regular file at URL path *path* below *folder*, which is resolved; None if there is none, or it lies outside.

    A folder stands for its index.html. Links are followed as long as they stay inside.
    """
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") or "\0" in part for part in parts):
        return None
    try:
        found = folder.joinpath(*parts).resolve()
        if found.is_dir():
            found = (found / "index.html").resolve()
        if not found.is_relative_to(folder) or not found.is_file():
            return None
    except (OSError, ValueError, RuntimeError):  # a name that is too long, or links in a circle
        return None
    return found
