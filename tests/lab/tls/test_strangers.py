"""Garbage, port scans, and those who say nothing, slowly: nobody else notices."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from pathlib import Path

import pytest
from tests.lab.tls.conftest import TlsHost

GARBAGE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(3000),
    "random": os.urandom(3000),
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(70000),
    "half a ClientHello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a frame of ours": b"\0\0\0\5hello",
}


def connection(host: TlsHost) -> socket.socket:
    with host.machines.inside():
        return socket.create_connection((host.machine.address, 9999), 20)


def descriptors(host: TlsHost) -> int:
    return len(list(Path(f"/proc/{host.agent.pid}/fd").iterdir()))


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_answered_by_the_end_of_the_connection(host: TlsHost, what: str) -> None:
    with connection(host) as stranger, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stranger.sendall(GARBAGE[what])
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(1000):
            pass
    host.serves()


def test_an_older_tls_is_refused(host: TlsHost) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connection(host) as plain, pytest.raises(ssl.SSLError, match=r"(?i)version"):
        context.wrap_socket(plain)
    host.says("it does not speak TLS 1.3")


def test_hundreds_that_say_nothing_keep_no_controller_out_and_leave_nothing(host: TlsHost) -> None:
    host.serves()
    before = descriptors(host)
    silent = [connection(host) for _ in range(300)]
    try:
        for stranger in silent[::3]:
            with contextlib.suppress(OSError):
                stranger.send(b"\x16\x03\x01")
        host.serves()
        assert descriptors(host) < before + 100
    finally:
        for stranger in silent:
            stranger.close()
    host.serves()
    assert descriptors(host) <= before + 2


def test_a_port_scan_is_not_worth_many_words(host: TlsHost) -> None:
    said = len(host.agent.output)
    for _ in range(200):
        connection(host).close()
    host.serves()
    assert len(host.agent.output[said:].splitlines()) < 60
