"""The CA: never overwritten, kept to itself, whole after a kill at any moment; what it signs is what it says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from cryptography import x509

from shakeout.certs.delivery import deliver
from shakeout.certs.laboratory import Laboratory, Signed
from shakeout.errors import UnknownName, UsageError
from shakeout.wire.credentials import Credentials


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    return Laboratory.found(tmp_path / "ca")


def certificate(signed: Signed) -> x509.Certificate:
    return x509.load_pem_x509_certificate(signed.files["cert.pem"])


def revoked(laboratory: Laboratory) -> set[str]:
    return {f"{each.serial_number:x}" for each in x509.load_pem_x509_crl(laboratory.revocations())}


def test_nobody_else_can_read_it(laboratory: Laboratory) -> None:
    assert laboratory.folder.stat().st_mode & 0o777 == 0o700
    assert (laboratory.folder / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    (laboratory.folder / "ca-key.pem").chmod(0o644)
    with pytest.raises(UsageError, match=r"chmod 600 .*ca-key\.pem"):
        Laboratory(laboratory.folder)


def test_one_that_is_there_is_never_overwritten(laboratory: Laboratory) -> None:
    before = {file.name: file.read_bytes() for file in laboratory.folder.iterdir()}
    with pytest.raises(UsageError, match=r"there is a CA in .* already"):
        Laboratory.found(laboratory.folder)
    assert {file.name: file.read_bytes() for file in laboratory.folder.iterdir()} == before


def test_none_is_there_or_no_good_one(tmp_path: Path, laboratory: Laboratory) -> None:
    with pytest.raises(UsageError, match="make one with shakeout certs init"):
        Laboratory(tmp_path / "nothing")
    (laboratory.folder / "ca.pem").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="is damaged"):
        Laboratory(laboratory.folder)
    with pytest.raises(UsageError, match="the CA cannot be made in /proc/no: "):
        Laboratory.found(Path("/proc/no"))


def test_a_host_is_known_by_its_names_and_can_only_be_a_server(laboratory: Laboratory) -> None:
    made = certificate(laboratory.issue("dut1", "host", ("dut1.lab", "192.0.2.7", "2001:db8::7"), days=30))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["dut1", "dut1.lab"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "2001:db8::7"]
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each._name for each in usage] == ["serverAuth"]
    assert 29.9 < (made.not_valid_after_utc.timestamp() - time.time()) / 86_400 < 30.1


def test_a_controller_can_only_be_a_client(laboratory: Laboratory) -> None:
    usage = certificate(laboratory.issue("desk", "controller")).extensions
    assert [each._name for each in usage.get_extension_for_class(x509.ExtendedKeyUsage).value] == ["clientAuth"]


@pytest.mark.parametrize("days", [0, -1, 3651, float("nan"), float("inf")])
def test_impossible_lengths_of_time(laboratory: Laboratory, days: float) -> None:
    with pytest.raises(UsageError, match="more than 0 and up to 3650"):
        laboratory.issue("dut1", "host", days=days)
    assert laboratory.records() == []


def test_by_name_or_serial_number(laboratory: Laboratory) -> None:
    first, second = (laboratory.issue("dut1", "host").issued for _ in range(2))
    other = laboratory.issue("dut2", "host").issued
    assert [r.issued for r in laboratory.revoke(laboratory.find(first.serial.upper()))] == [first]
    assert revoked(laboratory) == {first.serial}
    assert [r.issued for r in laboratory.revoke(laboratory.find("dut1"))] == [second]
    assert revoked(laboratory) == {first.serial, second.serial}
    assert laboratory.revoke(laboratory.find("dut1")) == []
    assert [r.state(time.time()) for r in laboratory.find(other.serial)] == ["valid"]
    with pytest.raises(UnknownName, match=r"did you mean 'dut[12]'"):
        laboratory.find("dut")


def test_a_name_that_two_roles_have(laboratory: Laboratory) -> None:
    serials = [laboratory.issue("box", role).issued.serial for role in ("host", "controller")]
    with pytest.raises(UsageError, match=f"{serials[0]} \\(host\\), {serials[1]} \\(controller\\)"):
        laboratory.find("box")


def test_a_folder_of_somebody_else_is_not_written_into(laboratory: Laboratory, tmp_path: Path) -> None:
    from shakeout.certs.delivery import check_owner

    deliver(laboratory.issue("dut1", "host"), tmp_path / "out", laboratory.revocations())
    check_owner("dut1", "host", tmp_path / "out")
    with pytest.raises(UsageError, match="has the certificate of host dut1"):
        check_owner("dut2", "host", tmp_path / "out")


def test_killed_at_any_moment_it_goes_on(laboratory: Laboratory, tmp_path: Path) -> None:
    """All that was delivered is known to the CA and can be revoked; the next one finds nothing broken."""
    for attempt in range(12):
        child = os.fork()
        if child == 0:
            try:
                for number in range(1000):
                    signed = laboratory.issue("dut1", "host")
                    laboratory.revoke(laboratory.find(signed.issued.serial) if number % 2 else [])
                    deliver(signed, tmp_path / "out", laboratory.revocations())
            finally:
                os._exit(1)
        started = time.monotonic()
        while not (tmp_path / "out/cert.pem").exists() or time.monotonic() < started + 0.003 * attempt:
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        known = {record.issued.serial for record in laboratory.records()}
        delivered = x509.load_pem_x509_certificate((tmp_path / "out/cert.pem").read_bytes())
        assert f"{delivered.serial_number:x}" in known
        laboratory = Laboratory(laboratory.folder)
        deliver(laboratory.issue("dut1", "host"), tmp_path / "out", laboratory.revocations())
        assert Credentials(tmp_path / "out", "host").own.name == "dut1"
        assert revoked(laboratory) == {r.issued.serial for r in laboratory.records() if r.revoked_at}
