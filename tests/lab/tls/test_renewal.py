"""New certificates, keys and revocation lists count at once, and broken ones not at all; nothing is restarted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lab.tls.conftest import CERTS, TlsHost

from shakeout.certs.delivery import deliver
from shakeout.errors import CertificateRefused
from shakeout.hosts.loop import LoopThread
from shakeout.testing.connection import Connected


def serial_shown(host: TlsHost) -> str:
    """The serial number of the certificate that the agent shows."""
    from cryptography.x509 import load_der_x509_certificate

    with host.stranger(None) as stranger:
        der = stranger.getpeercert(binary_form=True)
    host.says("there is none")
    return f"{load_der_x509_certificate(der or b'').serial_number:x}"


def test_a_certificate_is_renewed_while_a_session_is_open(host: TlsHost) -> None:
    loop = LoopThread()
    try:
        with Connected("m1", host.dial("desk"), loop.reactor) as m1:
            renewed = host.authorities.ours.issue("dut1", "host")
            deliver(renewed, host.machine.path(CERTS), host.authorities.ours.revocations())
            assert m1.run("echo still").stdout == "still\n"
            assert serial_shown(host) == renewed.issued.serial
            host.dial("desk").close()
            assert m1.run("echo here").stdout == "here\n"
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("key.pem", b"", "cannot be used"),
        ("key.pem", None, "key.pem cannot be read (No such file or directory)"),
        ("cert.pem", b"-----BEGIN CERTIFICATE-----\nMIIB", "cannot be used"),
        ("ca.pem", b"nothing", "ca.pem cannot be used"),
        ("crl.pem", b"", "crl.pem cannot be used"),
        ("crl.pem", None, "crl.pem cannot be read"),
    ],
)
def test_a_broken_file_leaves_the_former_ones_in_force_and_is_told_once(
    host: TlsHost, file: str, content: bytes | None, says: str
) -> None:
    place = host.machine.path(f"{CERTS}/{file}")
    place.unlink()
    if content is not None:
        place.write_bytes(content)
        place.chmod(0o600)
    for _ in range(3):
        host.serves()
    line = host.says(says)
    assert "those that were read before stay in force" in line
    host.serves()
    assert "stay in force" not in host.agent.output[host._read :]


def test_files_of_two_certificates_are_not_mixed(host: TlsHost) -> None:
    """As while somebody copies them one by one."""
    before = serial_shown(host)
    other = host.authorities.folder("dut1-early")
    host.machine.path(f"{CERTS}/cert.pem").write_bytes((other / "cert.pem").read_bytes())
    assert serial_shown(host) == before
    assert "key values mismatch" in host.agent.output


def test_a_key_that_others_can_read_is_not_taken(host: TlsHost) -> None:
    host.machine.path(f"{CERTS}/key.pem").chmod(0o640)
    host.serves()
    assert "chmod 600 /etc/shakeout/certs/key.pem" in host.says("a secret key")


def test_a_controller_is_revoked_by_copying_the_list(host: TlsHost, tmp_path: Path) -> None:
    ours = host.authorities.ours
    signed = ours.issue("leaver", "controller")
    deliver(signed, host.authorities.folder("leaver"), ours.revocations())
    host.serves("leaver")
    ours.revoke(ours.find("leaver"))
    host.machine.path(f"{CERTS}/crl.pem").write_bytes(ours.revocations())
    with pytest.raises(CertificateRefused, match="it has been revoked"):
        host.dial("leaver")
    host.says("it has been revoked")
