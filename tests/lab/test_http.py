"""HttpGet and HttpServe against each other, and against servers that misbehave."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.lab.module_process import ModuleProcess, reason, run

from shakeout.modules import HttpGet, HttpServe
from shakeout.wire.samples import Rows

RESPONSES: dict[str, Any] = {
    "/": "hello world",
    "/json": {"body": '{"items": [{"name": "a", "n": 1}]}', "headers": {"Content-Type": "application/json"}},
    "/busy": {"status": 503},
    "/empty": {"status": 204},
    "/echo": {"echo": True, "headers": {"X-Kind": "echo"}},
    "/slow": {"delay": 60},
    "/big": {"size": 3 << 20},
    "/moved": {"status": 302, "headers": {"Location": "/"}},
    "/loop": {"status": 301, "headers": {"Location": "/loop"}},
    "/lost": {"status": 302, "headers": {"Location": "ftp://x/"}},
}


@contextmanager
def serving(**params: Any) -> Iterator[tuple[ModuleProcess, int]]:
    """A server that listens, and its port."""
    with ModuleProcess(HttpServe(**params)) as server:
        line = server.line()
        assert line.startswith("listening on "), line
        yield server, int(line.rpartition(":")[2])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(responses=RESPONSES) as (_, number):
        yield number


def get(port: int, path: str = "/", host: str = "127.0.0.1", **params: Any) -> Any:
    return run(HttpGet(url=f"http://{host}:{port}{path}", **params))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_an_answer_is_checked_and_told(port: int, host: str) -> None:
    outcome = get(port, host=host, expect="hello", pattern="w.rld", status=200)
    assert outcome.passed, outcome.error
    result = outcome.result
    assert (result["requests"], result["failed"], result["statuses"]) == (1, 0, {"200": 1})
    assert (result["body"], result["received"], result["tls"]) == ("hello world", 11, None)
    assert result["headers"]["content-length"] == "11"
    assert 0 < result["connect_ms"]["max"] <= result["first_byte_ms"]["max"] <= result["total_ms"]["max"]


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("/busy", {}, "status 503 instead of 200-299"),
        ("/none", {}, "status 404"),
        ("/", {"status": "2xx,404", "expect": "moon"}, "does not contain 'moon': 'hello world'"),
        ("/", {"pattern": "^x"}, "does not match '^x'"),
        ("/", {"json": {"a": 1}}, "the body is no JSON"),
        ("/json", {"json": {"items.0.name": "b"}}, "items.0.name is 'a' instead of 'b'"),
        ("/json", {"json": {"items.3": "b"}}, "list of 1, without '3'"),
        ("/echo", {"expect_headers": {"X-Kind": "ech", "X-Other": "x"}}, "X-Other should contain 'x'"),
        ("/loop", {"redirects": 3}, "more than 3 redirects"),
        ("/lost", {}, "redirected to 'ftp://x/': expected a URL"),
        ("/moved", {"redirects": 0}, "status 302"),
        ("/slow", {"timeout": 0.1}, "timed out"),
    ],
)
def test_what_is_not_as_expected_fails_with_a_reason(port: int, path: str, params: dict[str, Any], said: str) -> None:
    assert said in reason(get(port, path, **params))


def test_what_is_expected_passes(port: int) -> None:
    assert get(port, "/busy", status=[404, "5xx"]).passed
    assert get(port, "/json", json={"items.0.n": 1, "items.0.name": "a"}).passed
    assert get(port, "/empty", status=204).result["received"] == 0
    assert get(port, "/big").result["received"] == 3 << 20
    assert get(port, "/big", method="HEAD").result["received"] == 0
    moved = get(port, "/moved").result
    assert (moved["redirects"], moved["body"], moved["url"]) == (1, "hello world", f"http://127.0.0.1:{port}/")
    echoed = get(port, "/echo", method="POST", body="ü" * 9000, headers={"content-type": "text/plain"})
    assert echoed.result["body"] == "ü" * 9000
    assert get(port, host="nonesuch.invalid", resolve="127.0.0.1", bind="127.0.0.1").passed


def test_many_requests_share_connections_and_are_sampled(port: int) -> None:
    module = HttpGet(url=f"http://127.0.0.1:{port}/", count=60, concurrency=3)
    with ModuleProcess(module) as running:
        result = running.outcome().result
        rows = sum(len(frame.data) // 24 for frame in running.samples if isinstance(frame, Rows))
    assert (result["requests"], rows) == (60, 60)
    assert result["total_ms"]["p50"] <= result["total_ms"]["p99"]
    fresh = get(port, count=3, keep_alive=False, interval=0.01).result
    assert fresh["requests"] == 3
    mixed = get(port, "/busy", count=3, concurrency=2)
    assert reason(mixed).startswith("3 of 3 requests to")
    assert mixed.result["statuses"] == {"503": 3}


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_interrupt_ends_it_with_what_came(port: int, concurrency: int) -> None:
    module = HttpGet(url=f"http://127.0.0.1:{port}/", count=0, concurrency=concurrency, interval=0.001)
    with ModuleProcess(module) as running:
        running.wait_for_sample()
        outcome = running.outcome(signal.SIGINT)
    assert outcome.passed, outcome.error
    assert outcome.result["requests"] > 0


def test_an_interrupt_does_not_wait_for_what_is_under_way(port: int) -> None:
    with serving(responses=RESPONSES) as (server, number):
        module = HttpGet(url=f"http://127.0.0.1:{number}/slow", concurrency=2, count=2, timeout=60)
        with ModuleProcess(module) as running:
            connected(number, 2)
            outcome = running.outcome(signal.SIGINT)
            heard = server.outcome(signal.SIGINT)
    assert "was answered before it was stopped" in reason(outcome)
    assert heard.passed
    assert heard.result["requests"] == 0


def connected(port: int, count: int) -> None:
    """Wait until so many connections to *port* stand."""
    wanted = f":{port:04X} 01"
    while sum(wanted in line for line in Path("/proc/net/tcp").read_text().splitlines()) < count:
        pass


def test_a_server_counts_and_ends(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>index</p>")
    (tmp_path / "data.bin").write_bytes(bytes(100_000))
    with serving(folder=tmp_path, responses={"/echo": {"echo": True}}, requests=5, timeout=20) as (server, port):
        assert get(port, expect="index", expect_headers={"content-type": "text/html"}).passed
        assert get(port, "/data.bin").result["received"] == 100_000
        assert get(port, "/%2e%2e/etc/passwd", status=404).passed
        assert get(port, "/data.bin", method="DELETE", status=404).passed
        assert get(port, "/echo", method="PUT", body="abc").result["body"] == "abc"
        heard = server.outcome()
    assert heard.passed, heard.error
    result = heard.result
    assert (result["requests"], result["statuses"]) == (5, {"200": 3, "404": 2})
    assert (result["paths"]["/data.bin"], result["received"]) == (2, 3)
    assert result["sent"] > 100_000


def test_a_server_that_ends_too_early_says_so(tmp_path: Path) -> None:
    assert "only 0 of 1 requests came within 0.05 s" in reason(run(HttpServe(requests=1, timeout=0.05)))
    with serving(requests=3) as (server, port):
        assert get(port, status=404).passed
        assert "only 1 of 3 requests came before it was stopped" in reason(server.outcome(signal.SIGINT))
    assert "is no folder on this host" in reason(run(HttpServe(folder=tmp_path / "none")))
    assert "cannot listen on 192.0.2.1" in reason(run(HttpServe(address="192.0.2.1")))
    failed = run(HttpServe(tls=True, cert=tmp_path / "none"))
    assert failed.error is not None
    assert "cannot be read on this host" in failed.error.message


@pytest.mark.needs("openssl")
def test_https_with_a_known_certificate_and_a_throw_away_one(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=x", "-addext", "subjectAltName=DNS:web.example"]
    subprocess.run(argv, check=True, capture_output=True)
    with serving(tls=True, cert=cert, key=key, responses=RESPONSES) as (server, port):
        url = f"https://web.example:{port}/"
        trusted = run(HttpGet(url=url, resolve="127.0.0.1", ca=cert))
        assert trusted.passed, trusted.error
        assert trusted.result["tls"] == "TLSv1.3"
        assert "the certificate is not trusted" in reason(run(HttpGet(url=url, resolve="127.0.0.1")))
        other = run(HttpGet(url=f"https://127.0.0.1:{port}/", ca=cert))
        assert "the certificate is not trusted" in reason(other)
        assert "without an answer" in reason(get(port)) or "Connection reset" in reason(get(port))
        heard = server.outcome(signal.SIGINT)
    assert heard.result["requests"] == 1
    assert heard.result["errors"]
    with serving(tls=True, responses=RESPONSES) as (_, port):
        assert run(HttpGet(url=f"https://127.0.0.1:{port}/", verify=False, expect="hello")).passed
        assert "not trusted" in reason(run(HttpGet(url=f"https://localhost:{port}/")))
    bad = run(HttpGet(url="https://127.0.0.1:1/", ca=tmp_path / "none.pem"))
    assert bad.error is not None
    assert "cannot be read on this host" in bad.error.message


def test_nobody_there_is_explained() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert "Connection refused" in reason(get(sock.getsockname()[1]))
    assert "the host name is not known on this host" in reason(run(HttpGet(url="http://nonesuch.invalid/")))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-x\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "ended 7 bytes too early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "too early"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500, "no proper HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000, "no proper HTTP"),
    ],
)
def test_answers_that_are_none_are_named(answer: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_once, args=(listener, answer))
        thread.start()
        outcome = get(listener.getsockname()[1], timeout=10)
        thread.join()
    assert said in reason(outcome)


def test_an_answer_that_drips_ends_by_the_timeout() -> None:
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            try:
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not ended.wait(0.03):
                    sock.sendall(b"x")
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        outcome = get(listener.getsockname()[1], timeout=0.2)
        ended.set()
        thread.join()
    assert "timed out" in reason(outcome)


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    sock, _ = listener.accept()
    with sock:
        sock.recv(1 << 16)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1 << 16)


def test_a_server_withstands_strangers() -> None:
    with serving(responses=RESPONSES) as (server, port):
        for data in (
            b"",
            b"\x16\x03\x01\x02\x00",
            b"GET /../../etc/passwd HTTP/1.1\r\n\r\n",
            b"GET " + b"x" * 70000 + b" HTTP/1.1\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
            b"POST /echo HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort",
            b"BREW /%00%ff HTTP/1.1\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1 << 16):
                    pass
        assert get(port).passed
        assert server.outcome(signal.SIGINT).passed
