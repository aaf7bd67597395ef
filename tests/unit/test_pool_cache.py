"""The cache of pool files: believed only where nobody else can have written it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shakeout.labs.pools import read_pool


def pool(folder: Path) -> Path:
    folder.mkdir()
    file = folder / "dut1.yaml"
    file.write_text("host: {name: dut1, address: dut1.lab, via: tls}\n")
    return folder


def poison(cache: Path) -> None:
    """Have the cache say that dut1 is elsewhere."""
    (file,) = (cache / "pools").iterdir()
    file.write_bytes(file.read_bytes().replace(b"dut1.lab", b"evil.lab"))


def addresses(folder: Path, cache: Path) -> list[str]:
    return [entry.endpoint.address for entry in read_pool("p", folder, cache)]


@pytest.mark.parametrize(("mode", "believed"), [(0o700, "evil.lab"), (0o777, "dut1.lab"), (0o1777, "dut1.lab")])
def test_only_ones_own_is_believed(mode: int, believed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakeout.labs.poolcache._SETTLED", -1.0)
    folder, cache = pool(tmp_path / "pool"), tmp_path / "cache"
    assert addresses(folder, cache) == ["dut1.lab"]
    assert addresses(folder, cache) == ["dut1.lab"]
    poison(cache)
    (cache / "pools").chmod(mode)
    assert addresses(folder, cache) == [believed]
    if mode != 0o700:
        assert b"evil" in next((cache / "pools").iterdir()).read_bytes()  # nothing is written there, either


@pytest.mark.needs("root")
def test_one_that_belongs_to_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakeout.labs.poolcache._SETTLED", -1.0)
    folder, cache = pool(tmp_path / "pool"), tmp_path / "cache"
    addresses(folder, cache)
    poison(cache)
    os.chown(cache / "pools", 12345, 12345)
    assert addresses(folder, cache) == ["dut1.lab"]
