"""Who is refused, and what both sides are told about it."""

from __future__ import annotations

import ssl

import pytest
from tests.lab.tls.conftest import TlsHost

from shakeout.errors import AgentUnreachable, CertificateRefused, UsageError


def test_a_controller_of_the_laboratory_is_served_and_known_by_name(host: TlsHost) -> None:
    transport = host.dial("desk")
    assert transport.identity == "dut1"
    transport.close()
    host.serves()


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("expired", "it has expired"),
        ("early", "it is not valid yet"),
        ("revoked", "it has been revoked"),
    ],
)
def test_a_controller_that_does_not_count_is_told_why_and_the_agent_says_so(
    host: TlsHost, who: str, reason: str
) -> None:
    with pytest.raises(CertificateRefused) as refused:
        host.dial(who)
    assert f"{host.address}: it refuses this controller's certificate: {reason}" in str(refused.value)
    assert f"(that of {who}, valid from " in str(refused.value)
    assert host.says(f": its certificate is refused: {reason}").startswith("shakeout: 198.18.0.1:")


def test_a_controller_of_another_laboratory(host: TlsHost) -> None:
    """It does not accept the host, either, and finds out first."""
    with pytest.raises(CertificateRefused, match="its certificate is refused: it is not of this laboratory's CA"):
        host.dial("strange-desk")
    host.says("it refuses this host's certificate: it is not of that laboratory's CA")


@pytest.mark.parametrize(
    ("folder", "reason", "alert"),
    [
        ("strange-desk", "it is not of this laboratory's CA", "unknown ca"),
        ("dut1", "it is a host's, and a controller's is needed", "unsupported certificate"),
        ("dut2", "it is a host's, and a controller's is needed", "unsupported certificate"),
        ("revoked", "it has been revoked", "certificate revoked"),
        (None, "there is none", "certificate required"),
    ],
)
def test_who_accepts_any_agent_is_not_accepted_by_it(
    host: TlsHost, folder: str | None, reason: str, alert: str
) -> None:
    """A stolen key of a host, above all: nobody is commanded with it."""
    stranger = host.stranger(folder and host.authorities.folder(folder))
    with stranger, pytest.raises(ssl.SSLError) as told:
        stranger.send(b"shakeout: welcome\n")
        stranger.recv(100)
        stranger.recv(100)
    assert alert in str(told.value)
    host.says(f": its certificate is refused: {reason}")


@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        ("dut1-expired", "it has expired"),
        ("dut1-early", "it is not valid yet"),
        ("dut1-revoked", "it has been revoked"),
        ("strange-dut1", "it is not of this laboratory's CA"),
        ("dut2", "it is for 'dut2' or '127.0.0.1' or '::1', and 'dut1' was asked for"),
    ],
)
def test_a_host_that_does_not_count(host: TlsHost, installed: str, reason: str) -> None:
    host.install(installed)
    with pytest.raises(CertificateRefused) as refused:
        host.dial("desk")
    assert f"its certificate is refused: {reason}" in str(refused.value)
    host.says("it refuses this host's certificate: " + reason.replace("this laboratory", "that laboratory"))


def test_a_host_by_its_address_where_nobody_says_its_name(host: TlsHost) -> None:
    with pytest.raises(CertificateRefused, match=r"'198\.18\.1\.1' was asked for"):
        host.dial("desk", name="")


def test_credentials_of_the_wrong_role_are_not_even_tried(host: TlsHost) -> None:
    with pytest.raises(UsageError, match="it is a host's, and a controller's is needed; shakeout certs issue --contr"):
        host.dial("dut2")


def test_nobody_listens_or_somebody_else(host: TlsHost) -> None:
    mail = host.machine.start(
        [
            *("python3", "-uc"),
            "import socket; s = socket.create_server(('', 7)); print('ready')\n"
            "c, _ = s.accept(); c.send(b'220 mail.example ESMTP\\r\\n'); c.recv(1000)",
        ]
    )
    address = host.address
    try:
        mail.wait_output("ready")
        host.address = f"{host.machine.address}:8"
        with pytest.raises(AgentUnreachable, match=r":8: Connection refused; is shakeout agent running there"):
            host.dial("desk")
        host.address = f"{host.machine.address}:7"
        with pytest.raises(AgentUnreachable, match=r"it does not speak TLS 1\.3"):
            host.dial("desk")
    finally:
        host.address = address
        mail.stop()


def test_somebody_who_says_little_at_a_time(host: TlsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time, and the handshake never over."""
    monkeypatch.setattr("shakeout.hosts.tls.OPEN_TIMEOUT", 1.0)
    slow = host.machine.start(
        [
            *("python3", "-uc"),
            "import socket, time; s = socket.create_server(('', 7)); print('ready')\n"
            "c, _ = s.accept(); c.send(b'\\x16\\x03\\x03\\x3f\\xff')\n"
            "while True: c.send(b'x'); time.sleep(0.1)",
        ]
    )
    monkeypatch.setattr(host, "address", f"{host.machine.address}:7")
    try:
        slow.wait_output("ready")
        with pytest.raises(AgentUnreachable, match=r":7: its agent did not answer within 1 s"):
            host.dial("desk")
    finally:
        slow.stop()
