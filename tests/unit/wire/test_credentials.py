"""Credentials that somebody else could change are not used: whoever changes the CA lets in whom they like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shakeout.certs.delivery import deliver
from shakeout.certs.laboratory import Laboratory
from shakeout.errors import UsageError
from shakeout.wire.credentials import Credentials, check_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    laboratory = Laboratory.found(tmp_path / "ca")
    deliver(laboratory.issue("dut1", "host"), tmp_path / "dut1", laboratory.revocations())
    return tmp_path / "dut1"


def test_as_they_are_delivered(folder: Path) -> None:
    assert Credentials(folder, "host").own.name == "dut1"


@pytest.mark.parametrize("file", ["", "ca.pem", "crl.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_to(file: str, mode: int, folder: Path) -> None:
    path = folder / file
    path.chmod(path.stat().st_mode | mode)
    with pytest.raises(UsageError, match=f"can be changed by others.*chmod go-w {path}"):
        check_files(folder, "host")


@pytest.mark.needs("root")
@pytest.mark.parametrize("file", ["", "ca.pem", "key.pem"])
def test_what_belongs_to_somebody_else(file: str, folder: Path) -> None:
    os.chown(folder / file, 12345, -1)
    with pytest.raises(UsageError, match="belongs to user 12345, who could change it"):
        check_files(folder, "host")
