"""DnsLookup and DnsServe against each other, against the C library's resolver, and against liars."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.lab.module_process import ModuleProcess, reason, run
from tests.lab.pair import pair

from shakeout.modules import DnsLookup, DnsServe
from shakeout.wire.samples import Rows

RECORDS = {
    "www.example": {"A": ["10.0.0.2", "10.0.0.1"], "AAAA": "fd00::1"},
    "alias.example": {"CNAME": "www.example"},
    "example": {"MX": "10 Mail.example", "SRV": "1 2 80 www.example", "NS": "ns.example", "TXT": "Hello World"},
    "2.0.0.10.in-addr.arpa": {"PTR": "www.example"},
    "many.example": {"TXT": ["x" * 200 + str(number) for number in range(20)]},
}


@contextmanager
def serving(**params: Any) -> Iterator[tuple[ModuleProcess, int]]:
    """A name server that listens, and its port."""
    with ModuleProcess(DnsServe(**{"records": RECORDS, **params})) as server:
        line = server.line()
        assert line.startswith("listening on "), line
        yield server, int(line.rpartition(":")[2])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as (_, number):
        yield number


def look(port: int, name: str = "www.example", type: str = "A", server: str = "127.0.0.1", **params: Any) -> Any:
    return run(DnsLookup(name=name, type=type, server=server, port=port, **params))


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("server", ["127.0.0.1", "::1", "localhost"])
def test_addresses_are_found(port: int, server: str, protocol: str) -> None:
    outcome = look(port, server=server, protocol=protocol, expect=["10.0.0.1", "10.0.0.2"])
    assert outcome.passed, outcome.error
    result = outcome.result
    assert result["answers"] == ["10.0.0.1", "10.0.0.2"]
    assert (result["rcode"], result["protocol"], result["authoritative"]) == ("NOERROR", protocol, True)
    assert result["records"][0] == {"name": "www.example", "type": "A", "ttl": 60, "data": "10.0.0.2"}
    assert result["size"] > 50
    assert result["latency_ms"]["min"] > 0


@pytest.mark.parametrize(
    ("name", "type", "expect"),
    [
        ("WWW.Example.", "aaaa", ["fd00:0::1"]),
        ("example", "MX", ["10 mail.example."]),
        ("example", "SRV", ["1 2 80 www.example"]),
        ("example", "TXT", ["Hello World"]),
        ("example", "NS", ["NS.example"]),
        ("10.0.0.2", "PTR", ["www.example"]),
        ("alias.example", "A", ["10.0.0.1", "10.0.0.2"]),
        ("example", "A", []),
    ],
)
def test_records_of_all_kinds_are_found(port: int, name: str, type: str, expect: list[str]) -> None:
    outcome = look(port, name, type, expect=expect)
    assert outcome.passed, outcome.error


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"expect": ["10.0.0.1"]}, "the answers are 10.0.0.1, 10.0.0.2 instead of 10.0.0.1"),
        ({"contains": ["10.0.0.3"]}, "10.0.0.3 is not among the answers"),
        ({"name": "none.example"}, "the answer is NXDOMAIN instead of NOERROR"),
        ({"rcode": "NXDOMAIN"}, "the answer is NOERROR instead of NXDOMAIN"),
        ({"type": "MX"}, "the name exists, but has no record of type MX"),
    ],
)
def test_another_answer_fails(port: int, params: dict[str, Any], said: str) -> None:
    assert said in reason(look(port, **params))


def test_that_a_name_is_not_there_can_be_what_is_wanted(port: int) -> None:
    assert look(port, "none.example", rcode="nxdomain").passed
    assert look(port, contains=["10.0.0.2"]).passed


def test_an_answer_that_is_too_long_comes_over_tcp(port: int) -> None:
    result = look(port, "many.example", "TXT").result
    assert (result["protocol"], result["truncated"], len(result["answers"])) == ("tcp", True, 20)
    cut = look(port, "many.example", "TXT", tcp_fallback=False, expect=[]).result
    assert (cut["protocol"], cut["truncated"], cut["answers"]) == ("udp", True, [])
    wide = look(port, "many.example", "TXT", edns=8000).result
    assert (wide["protocol"], wide["truncated"]) == ("udp", False)


def test_lost_queries_are_sent_again() -> None:
    with serving(drop=50, queries=6, truncate=True) as (server, port):
        module = DnsLookup(name="www.example", server="127.0.0.1", port=port, timeout=0.2, count=3)
        with ModuleProcess(module) as running:
            outcome = running.outcome()
            rows = [frame for frame in running.samples if isinstance(frame, Rows)]
        heard = server.outcome()
    assert outcome.passed, outcome.error
    assert (outcome.result["lookups"], outcome.result["resent"], outcome.result["protocol"]) == (3, 2, "tcp")
    assert rows
    assert (heard.result["dropped"], heard.result["tcp"], heard.result["queries"]) == (2, 3, 8)


def test_faults_of_a_server_are_told() -> None:
    with serving(rcode="SERVFAIL", delay=0.05) as (server, port):
        assert "the answer is SERVFAIL" in reason(look(port))
        slow = look(port, rcode="SERVFAIL", protocol="tcp")
        assert slow.result["latency_ms"]["min"] >= 50
        assert "no answer to 2 queries within 0.01 s each" in reason(look(port, timeout=0.01, retries=1))
        heard = server.outcome(signal.SIGINT)
    assert heard.passed
    assert set(heard.result["rcodes"]) == {"SERVFAIL"}
    assert heard.result["names"] == {"www.example A": heard.result["queries"]}
    assert "only 0 of 1 queries came within 0.05 s" in reason(run(DnsServe(queries=1, timeout=0.05)))


def test_nobody_there_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert "no answer to the query within 0.05 s" in reason(look(port, timeout=0.05, retries=0))
        assert "Connection refused" in reason(look(port, protocol="tcp"))
    assert "Connection refused" in reason(look(port, timeout=5))
    assert "the host name nonesuch.invalid is not known" in reason(look(port, server="nonesuch.invalid"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda query: b"x", "1 bytes are no DNS message"),
        (lambda query: bytes(2) + query[2:], "it belongs to another query"),
        (lambda query: query, "it belongs to another query"),
        (lambda query: query[:2] + b"\x80" + query[3:].replace(b"\3www", b"\3xxx"), "it is for xxx.example"),
        (lambda query: query[:2] + b"\x80\0" + struct.pack("!4H", 0, 0, 0, 0), "does not repeat the question"),
        (lambda query: query[:2] + b"\x80\0" + struct.pack("!4H", 0, 9, 0, 0) + b"\xc0\x0c" * 99, "points"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(answer: Any, said: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_answer_once, args=(sock, answer))
        thread.start()
        outcome = look(sock.getsockname()[1], timeout=0.2, retries=0)
        thread.join()
    assert f"what came was no answer: {said}" in reason(outcome) or said in reason(outcome)


def _answer_once(sock: socket.socket, answer: Any) -> None:
    query, peer = sock.recvfrom(65535)
    sock.sendto(answer(query), peer)


def test_strangers_do_not_disturb_a_server() -> None:
    with serving() as (server, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for data in (b"", b"x", bytes(12), bytes(2) + b"\x80" + bytes(9), b"\xff" * 600):
                sock.sendto(data, ("127.0.0.1", port))
        for data in (b"", b"\0", b"\xff\xff", b"\0\5abcde", b"GET / HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(100) == b""
        assert look(port).passed
        heard = server.outcome(signal.SIGINT)
    assert heard.passed
    assert heard.result["garbage"] >= 4


def test_the_hosts_own_resolver_is_asked_without_a_server() -> None:
    local = run(DnsLookup(name="localhost", contains=["127.0.0.1"]))
    assert local.passed, local.error
    assert (local.result["protocol"], local.result["records"]) == ("system", [])
    assert run(DnsLookup(name="127.0.0.1", type="PTR")).result["answers"]
    gone = run(DnsLookup(name="nonesuch.invalid"))
    assert "instead of NOERROR" in reason(gone)


@pytest.mark.needs("ip", "root")
def test_the_c_library_understands_the_server(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 10.77.0.2\noptions timeout:2 attempts:2\n")
    asked = "import socket; print(sorted({x[4][0] for x in socket.getaddrinfo('alias.example', 80)}))"
    with pair() as (a, b):
        module = DnsServe(records=RECORDS, port=53, address=b.ipv4)
        with b.start(module) as server:
            server.line()
            # ip netns exec has given it mounts of its own
            script = f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf; exec "$@"'
            argv = ["ip", "netns", "exec", a.name, "sh", "-ec", script, "sh", sys.executable, "-c", asked]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert done.stdout.strip() == "['10.0.0.1', '10.0.0.2', 'fd00::1']", done.stderr
            with ModuleProcess(DnsServe(address="127.0.0.1"), within=b.name) as other:
                assert other.line().startswith("listening on 127.0.0.1:")
