"""HttpGet: is a web server there, does it answer what it should, and how fast?"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypedDict

from shakeout.errors import BadParameters, JobError, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.durations import Durations, Latency
from shakeout.modules.endpoints import count_reason, reason, told
from shakeout.modules.http.checks import find_json, parse_statuses, parse_url, same
from shakeout.modules.http.checks import told as ranges_told
from shakeout.params import (
    BoolParam,
    DictParam,
    DurationParam,
    IntParam,
    IpParam,
    Param,
    PathParam,
    StrParam,
)

if TYPE_CHECKING:
    import ssl

    from shakeout.modules.http.client import Answer, Client, Request

#: Bytes of a body that are looked at and come back; more are counted only.
KEPT: Final = 64 << 10
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a method, or a header's name (RFC 9110, 5.6.2)


class HttpGetResult(TypedDict):
    """What HttpGet found.

    Keys:
        requests, failed: those that were answered as they should, and the others; why is in errors.
        statuses: answers by status: {"200": 3}.
        received: bytes of the bodies.
        total_ms: from the start of a request to the end of its answer, of those that were answered.
        first_byte_ms: until its answer began; connect_ms: until its connection was made, where one was.
        url, redirects: where the last answer came from, and after how many redirects.
        status, headers, body: the last answer; names of headers in lower case; the body's first 64 KiB as text.
        tls: "TLSv1.3" and so on for https, else None.
        errors: requests by the reason why they failed.
    """

    requests: int
    failed: int
    statuses: dict[str, int]
    received: int
    total_ms: Latency | None
    first_byte_ms: Latency | None
    connect_ms: Latency | None
    url: str
    redirects: int
    status: int | None
    headers: dict[str, str]
    body: str
    tls: str | None
    errors: dict[str, int]


class HttpGet(BaseTestModule):
    """Send HTTP requests, by default one GET, and check the answers; failed if one is not as it should be.

    The result is an `HttpGetResult`. With *count* and *concurrency* many are sent, over as many
    connections as shall be under way at the same time; each request is a sample in the run's journal.
    ``job.kill(signal.SIGINT)`` ends it with what came so far; ``count=0`` goes on until then.

    Examples:
        >>> server = m2.run(HttpServe(port=8080, responses={"/status": '{"state": "up"}'}), bg=True)
        >>> server.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> url = f"http://{m2_address}:8080/status"
        >>> job = m1.run(HttpGet(url=url, json={"state": "up"}, count=20, concurrency=2))
        >>> job.result["statuses"]
        {'200': 20}
        >>> job = m1.run(HttpGet(url=f"http://{m2_address}:8080/other", status="404"))
        >>> server.kill(signal.SIGINT)
    """

    url = StrParam(mandatory=True, desc="http://host:port/path or https://host/path")
    method = StrParam(default="GET", pattern=_TOKEN)
    headers = DictParam(StrParam(), default={}, desc="further headers")
    authorization = StrParam(secret=True, desc="the Authorization header, as 'Bearer …'; for this URL's origin only")
    body = StrParam(default="", desc="text to send")
    status = Param(default="200-299", desc="what is expected: 200, '2xx', '200-299', '200,404', or a list of such")
    expect = StrParam(desc="text that the body must contain")
    pattern = StrParam(desc="regular expression that must match somewhere in the body")
    json = DictParam(desc="what the body must have as JSON: path as 'items.0.name' -> value")
    expect_headers = DictParam(StrParam(), default={}, desc="headers that must come, and text that each must contain")
    redirects = IntParam(default=5, minimum=0, maximum=50, desc="to follow at most; 0: a redirect is the answer")
    resolve = IpParam(desc="address to connect to, whatever the URL's host is; Host header and TLS name stay")
    family = IntParam(choices=(4, 6), desc="IP version for a host name that has both")
    bind = IpParam(desc="address to connect from")
    timeout = DurationParam(default=10.0, minimum=0.001, desc="for one request with its redirects")
    count = IntParam(default=1, minimum=0, desc="requests to send; 0: until stopped")
    concurrency = IntParam(default=1, minimum=1, maximum=1000, desc="requests under way at the same time")
    interval = DurationParam(default=0.0, desc="from the start of a request to that of the next, of all together")
    keep_alive = BoolParam(default=True, desc="use a connection again")
    verify = BoolParam(default=True, desc="check the server's certificate and its name")
    ca = PathParam(desc="file or folder on the host with the certificates to trust, instead of the system's")
    cert = PathParam(desc="file on the host with a certificate, and its key, to show the server")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = list(self._problems())
        if problems:
            raise BadParameters("HttpGet", problems)

    def _problems(self) -> Any:
        import re

        try:
            target = parse_url(self.url)
        except ValueError as error:
            yield f"url={self.url!r}: {error}"
        else:
            if not target.tls and (self.ca is not None or self.cert is not None):
                yield "ca and cert are for https, url is http"
        if not self.verify and self.ca is not None:
            yield "verify=False and ca contradict each other: give one"
        try:
            parse_statuses(self.status)
        except ValueError as error:
            yield f"status={self.status!r}: {error}"
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            yield f"pattern={self.pattern!r} is no regular expression: {error}"
        for name, value in self.headers.items():
            if not re.fullmatch(_TOKEN, name) or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
                yield f"headers: {name!r} and its value must be on one line, without a colon in the name"
        if not re.fullmatch(r"[\t\x20-\x7e]*", self.authorization or ""):
            yield "authorization: expected one line of ASCII"

    def run(self) -> HttpGetResult:
        work = _Work(self)
        self._res_data = work.result
        interrupted = False
        try:
            work.run()
        except KeyboardInterrupt:
            interrupted = True
        result = self._res_data = work.told()
        done = result["requests"] + result["failed"]
        if result["failed"]:
            of = f"{result['failed']} of {done} requests" if done > 1 else "the request"
            raise ModuleFailed(f"{of} to {self.url} failed: {told(Counter(result['errors']))}")
        if interrupted and not done:
            raise ModuleFailed(f"no request to {self.url} was answered before it was stopped")
        return result

    def check(self, answer: Answer) -> None:
        """Raise ValueError if the answer is not as it should be."""
        import re

        ranges = parse_statuses(self.status)
        if not any(low <= answer.status <= high for low, high in ranges):
            raise ValueError(f"status {answer.status} instead of {ranges_told(ranges)}")
        for name, text in self.expect_headers.items():
            found = answer.headers.get(name.lower())
            if found is None or text not in found:
                has = "no such header" if found is None else repr(found)[:80]
                raise ValueError(f"header {name} should contain {text!r}, but there is {has}")
        if self.expect is None and self.pattern is None and self.json is None:
            return
        cut = f" in its first {KEPT} of {answer.size} bytes" if answer.size > KEPT else ""
        body = answer.body.decode(errors="replace")
        if self.expect is not None and self.expect not in body:
            raise ValueError(f"the body does not contain {self.expect!r:.80}{cut}: {body[:80]!r}")
        if self.pattern is not None and not re.search(self.pattern, body):
            raise ValueError(f"the body does not match {self.pattern!r:.80}{cut}: {body[:80]!r}")
        self._check_json(body, cut)

    def _check_json(self, body: str, cut: str) -> None:
        import json

        if self.json is None:
            return
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the body is no JSON{cut} ({error}): {body[:80]!r}") from None
        for path, wanted in self.json.items():
            try:
                found = find_json(document, path)
            except LookupError as error:
                raise ValueError(f"JSON: {error}") from None
            if not same(found, wanted):
                raise ValueError(f"JSON: {path or 'the document'} is {found!r:.80} instead of {wanted!r:.80}")

    def format_result(self, result: Any) -> str:
        """ "20 requests, 200 × 20, 1234 bytes, 0.4/0.5/1.2 ms (min/median/max)" and what failed."""
        try:
            text = f"{result['requests']} answered as expected, {result['received']} bytes"
            text += f", status {', '.join(result['statuses'])}" if result["statuses"] else ""
            if result["total_ms"] is not None:
                text += ", {min:.3f}/{p50:.3f}/{max:.3f} ms (min/median/max)".format(**result["total_ms"])
            return text + (f", {result['failed']} failed" if result["failed"] else "")
        except (KeyError, TypeError, ValueError):  # not from here: shown as it is
            return super().format_result(result)


class _Work:
    """All requests of one HttpGet, on their way."""

    def __init__(self, module: HttpGet) -> None:
        from shakeout.modules.http.client import Request

        self.result = HttpGetResult(
            requests=0, failed=0, statuses={}, received=0, total_ms=None, first_byte_ms=None, connect_ms=None,
            url=module.url, redirects=0, status=None, headers={}, body="", tls=None, errors={},
        )  # fmt: skip
        target = parse_url(module.url)
        self._module = module
        self._request: Request = Request(
            module.method, target, module.headers, module.body.encode(), module.authorization or "",
            module.redirects, KEPT,
        )  # fmt: skip
        self._context = _context(module) if target.tls else None
        self._lock = threading.Lock()
        self._times = {"total_ms": Durations(), "first_byte_ms": Durations(), "connect_ms": Durations()}
        self._series = module.series("requests", latency="s", status="1")
        self._next = 0
        self._begin = time.monotonic()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Send them all; interrupted, what is under way is given up."""
        if self._module.concurrency == 1:
            with _closing(self._client()) as client:
                self._serve(client)
            return
        clients = [self._client() for _ in range(self._module.concurrency)]
        threads = [threading.Thread(target=self._serve, args=(client,)) for client in clients]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._stopped.set()
            for client in clients:
                client.abandon()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            for client in clients:
                client.close()

    def told(self) -> HttpGetResult:
        """The result, with the times of all."""
        for name, durations in self._times.items():
            self.result[name] = durations.told()  # type: ignore[literal-required]
        return self.result

    def _client(self) -> Client:
        import socket

        from shakeout.modules.http.client import Client

        module = self._module
        return Client(
            timeout=module.timeout,
            to="" if module.resolve is None else str(module.resolve),
            source="" if module.bind is None else str(module.bind),
            family={4: socket.AF_INET, 6: socket.AF_INET6}.get(module.family or 0, 0),
            tls=self._tls,
            fresh=not module.keep_alive,
        )

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:  # only a redirect leads to https
                self._context = _context(self._module)
            return self._context

    def _serve(self, client: Client) -> None:
        module = self._module
        while not self._stopped.is_set():
            with self._lock:
                number, self._next = self._next, self._next + 1
            if module.count and number >= module.count:
                return
            pause = self._begin + number * module.interval - time.monotonic()
            if pause > 0 and self._stopped.wait(pause):
                return
            self._one(client)

    def _one(self, client: Client) -> None:
        import http.client

        answer, why = None, ""
        try:
            answer = client.ask(self._request)
            self._module.check(answer)
        except http.client.HTTPException as error:
            why = _http_reason(error)
        except (OSError, ValueError, JobError) as error:
            why = _reason(error)
        if answer is None and self._stopped.is_set():
            return  # given up, which is nobody's failure
        with self._lock:
            self._count(answer, why)

    def _count(self, answer: Answer | None, why: str) -> None:
        result = self.result
        if why:
            result["failed"] += 1
            count_reason(result["errors"], why)
        else:
            result["requests"] += 1
        if answer is None:
            return
        result["statuses"][str(answer.status)] = result["statuses"].get(str(answer.status), 0) + 1
        result["received"] += answer.size
        result["url"], result["redirects"], result["tls"] = answer.url, answer.redirects, answer.tls
        result["status"], result["headers"] = answer.status, answer.headers
        result["body"] = answer.body.decode(errors="replace")
        self._times["total_ms"].add(answer.total_s)
        self._times["first_byte_ms"].add(answer.first_byte_s)
        if answer.connect_s is not None:
            self._times["connect_ms"].add(answer.connect_s)
        self._series.add(latency=answer.total_s, status=answer.status)


class _closing:
    def __init__(self, client: Client) -> None:
        self._client = client

    def __enter__(self) -> Client:
        return self._client

    def __exit__(self, *exc: object) -> None:
        self._client.close()


def _context(module: HttpGet) -> ssl.SSLContext:
    import ssl

    try:
        ca = module.ca
        context = ssl.create_default_context(
            cafile=str(ca) if ca is not None and not ca.is_dir() else None,
            capath=str(ca) if ca is not None and ca.is_dir() else None,
        )
        if not module.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if module.cert is not None:
            context.load_cert_chain(module.cert)
    except OSError as error:  # SSLError is one, too
        which = " and ".join(str(path) for path in (module.ca, module.cert) if path is not None)
        raise JobError(f"the certificates in {which or 'the system'} cannot be read on this host: {error}") from None
    return context


def _reason(error: Exception) -> str:
    import socket
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}; give ca, or verify=False"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"the host name is not known on this host ({error.strerror})"
    return reason(error) if isinstance(error, OSError) else str(error)


def _http_reason(error: Exception) -> str:
    import http.client

    if isinstance(error, http.client.RemoteDisconnected):
        return "the server closed the connection without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return f"the answer ended {error.expected or 'some'} bytes too early"
    if isinstance(error, http.client.BadStatusLine):
        return f"the answer is no HTTP: {str(error)[:60]!r}"
    return f"the answer is no proper HTTP: {type(error).__name__} {str(error)[:60]}".rstrip()
