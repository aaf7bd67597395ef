"""HttpServe: a small web server for tests: a folder, or answers that were given."""

from __future__ import annotations

from typing import Any, TypedDict

from shakeout.errors import BadParameters, JobError, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.endpoints import announce, bound
from shakeout.params import BoolParam, DictParam, DurationParam, IntParam, IpParam, PathParam

#: What a fixed response may say.
_KEYS: dict[str, type | tuple[type, ...]] = {
    "status": int,
    "headers": dict,
    "body": str,
    "delay": (int, float),
    "echo": bool,
    "size": int,
}


class HttpServeResult(TypedDict):
    """What HttpServe found.

    Keys:
        address, port: where it listened.
        requests: that were answered.
        statuses: answers by status: {"200": 3}.
        paths: requests by path, of the first 1000 paths.
        sent, received: bytes of bodies.
        errors: connections that broke, by reason.
    """

    address: str
    port: int
    requests: int
    statuses: dict[str, int]
    paths: dict[str, int]
    sent: int
    received: int
    errors: dict[str, int]


class HttpServe(BaseTestModule):
    """Serve HTTP until as many requests as wanted have come, or until it is stopped.

    Prints "listening on ADDRESS:PORT" once it does. A path of *responses* is answered as given there:
    by that text, or by a dict with any of "status" (200), "headers", "body" or "size" (so many bytes),
    "delay" (seconds) and "echo" (the request's body is the answer's); other paths by the files in
    *folder*, if there is one. What is not there is answered 404. The result is an `HttpServeResult`.
    ``job.kill(signal.SIGINT)`` ends it with what came so far.

    Examples:
        >>> responses = {"/": "hello", "/busy": {"status": 503, "headers": {"Retry-After": "1"}}}
        >>> server = m2.run(HttpServe(responses=responses, requests=2, tls=True), bg=True)
        >>> port = server.wait_output(r"listening on .*:(\\d+)")[1]
        >>> job = m1.run(HttpGet(url=f"https://{m2_address}:{port}/", expect="hello", verify=False))
        >>> job = m1.run(HttpGet(url=f"https://{m2_address}:{port}/busy", status=503, verify=False))
        >>> server.wait(timeout=10)
        True
        >>> server.result["paths"]
        {'/': 1, '/busy': 1}
    """

    address = IpParam(desc="address to listen on; all of them, IPv4 and IPv6, if not given")
    port = IntParam(default=0, minimum=0, maximum=65535, desc="0: any free one")
    folder = PathParam(desc="folder on the host whose files are served")
    responses = DictParam(default={}, desc="path -> text, or a dict: status, headers, body, size, delay, echo")
    requests = IntParam(default=0, minimum=0, desc="requests to answer; 0: until stopped")
    timeout = DurationParam(minimum=0.001, desc="until all must have come; for ever if not given")
    tls = BoolParam(default=False, desc="serve https; with a throw-away certificate, unless cert is given")
    cert = PathParam(desc="file on the host with the certificate (and key) for https")
    key = PathParam(desc="file on the host with the certificate's key, if it is not in the same")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = list(self._problems())
        if problems:
            raise BadParameters("HttpServe", problems)

    def _problems(self) -> Any:
        if self.key is not None and self.cert is None:
            yield "key needs cert"
        if self.cert is not None and not self.tls:
            yield "cert is for tls=True"
        if self.timeout is not None and not self.requests:
            yield "timeout needs requests; a server without an end is stopped"
        for path, given in self.responses.items():
            where = f"responses[{path!r}]"
            if not path.startswith("/"):
                yield f"{where}: a path begins with /"
            if not isinstance(given, str | dict):
                yield f"{where}: expected text, or a dict with any of {', '.join(_KEYS)}"
            elif isinstance(given, dict):
                yield from _problems_of(where, given)

    def run(self) -> HttpServeResult:
        import socket

        from shakeout.modules.http.server import Server

        result = HttpServeResult(
            address="", port=0, requests=0, statuses={}, paths={}, sent=0, received=0, errors={}
        )  # fmt: skip
        self._res_data = result
        folder = None
        if self.folder is not None:
            if not self.folder.is_dir():
                raise ModuleFailed(f"folder={self.folder} is no folder on this host")
            folder = self.folder.resolve()
        context = self._context() if self.tls else None
        with bound(self.address, self.port, socket.SOCK_STREAM) as listener:
            listener.listen(1024)
            result["address"], result["port"] = announce(listener)
            with Server(listener, context, folder, self.responses, result) as server:
                stopped = server.serve(self.requests, self.timeout)
        if result["requests"] < self.requests:
            why = "before it was stopped" if stopped else f"within {self.timeout:g} s"
            raise ModuleFailed(f"only {result['requests']} of {self.requests} requests came {why}")
        return result

    def _context(self) -> Any:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
            else:
                _throw_away(context)
        except OSError as error:  # SSLError is one, too
            which = f"{self.cert}" if self.key is None else f"{self.cert} and {self.key}"
            raise JobError(f"certificate and key in {which} cannot be read on this host: {error}") from None
        return context


def _problems_of(where: str, given: dict[Any, Any]) -> Any:
    from shakeout.errors import did_you_mean

    for name, value in given.items():
        kind, number, headers = _KEYS.get(name), value, value
        if kind is None:
            yield f"{where}: there is no {name!r}{did_you_mean(str(name), _KEYS)}; known are {', '.join(_KEYS)}"
        elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield f"{where}: {name} is {value!r:.40}, which is of the wrong kind"
        elif name == "status" and not 200 <= number <= 599:
            yield f"{where}: expected a status from 200 to 599"
        elif name in ("delay", "size") and not 0 <= number <= 1 << 40:
            yield f"{where}: {name} cannot be {value}"
        elif name == "headers" and not all(_is_header(key, text) for key, text in headers.items()):
            yield f"{where}: headers are text, each on one line"
    if sum(bool(given.get(name)) for name in ("body", "size", "echo")) > 1:
        yield f"{where}: body, size and echo contradict each other: give one"


def _is_header(name: object, text: object) -> bool:
    import re

    return (
        isinstance(name, str)
        and isinstance(text, str)
        and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is not None
        and re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", text) is not None
    )


def _throw_away(context: Any) -> None:
    """Give *context* a certificate that nobody signed, with a key that nobody else gets."""
    import tempfile

    from shakeout.modules.command import run_command

    with tempfile.TemporaryDirectory(prefix="shakeout-tls-") as folder:
        key, cert = f"{folder}/key.pem", f"{folder}/cert.pem"
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        argv += ["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=shakeout-throw-away"]
        argv += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"]
        try:
            finished = run_command(argv, {"LC_ALL": "C"}, deadline=30)
        except FileNotFoundError:
            raise JobError(
                "the command openssl, which makes a throw-away certificate, is not installed on this host; install "
                "the package openssl there (it is called so in Debian, Ubuntu and Fedora), or give cert and key"
            ) from None
        if finished.status:
            raise JobError(f"openssl could not make a certificate: {finished.output.strip()[-300:]}")
        context.load_cert_chain(cert, key)
