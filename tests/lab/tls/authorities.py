"""Certificates of every kind, right and wrong, made once."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from shakeout.certs.delivery import deliver
from shakeout.certs.laboratory import DAY, Laboratory
from shakeout.wire.certificates import Role


class Authorities:
    """Two laboratories, and folders of credentials: `folder(NAME)`.

    Of ours: hosts dut1, dut2, dut1-expired, dut1-early, dut1-revoked; controllers desk, desk2, expired, early, revoked.
    Of another one: host strange-dut1, controller strange-desk.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self.ours = Laboratory.found(base / "ca")
        self.others = Laboratory.found(base / "other-ca")
        now = time.time()
        long_ago, some_day = now - 9 * DAY, now + 9 * DAY
        for folder, name, begins in (
            ("dut1", "dut1", 0.0), ("dut2", "dut2", 0.0), ("dut1-revoked", "dut1", 0.0),
            ("dut1-expired", "dut1", long_ago), ("dut1-early", "dut1", some_day),
        ):  # fmt: skip
            self._issue(folder, name, "host", begins)
        for name, begins in (
            ("desk", 0.0), ("desk2", 0.0), ("revoked", 0.0), ("expired", long_ago), ("early", some_day),
        ):  # fmt: skip
            self._issue(name, name, "controller", begins)
        for role in ("host", "controller"):
            name = "dut1" if role == "host" else "desk"
            deliver(self.others.issue(name, role), base / f"strange-{name}", self.others.revocations())
        gone = [*self.ours.find("revoked"), *(r for r in self.ours.find("dut1") if r.issued.serial in self._revoked)]
        self.ours.revoke(gone)
        for folder in base.iterdir():
            if (folder / "cert.pem").exists() and not folder.name.startswith("strange"):
                (folder / "crl.pem").write_bytes(self.ours.revocations())

    def folder(self, name: str) -> Path:
        """The credentials called *name*."""
        return self._base / name

    def copy(self, name: str, target: Path) -> Path:
        """*target*, with the files of *name* in it, whatever was there."""
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in self.folder(name).iterdir():
            shutil.copy2(file, target / f"{file.name}.new")
            (target / f"{file.name}.new").replace(target / file.name)
        return target

    _revoked: set[str] = set()

    def _issue(self, folder: str, name: str, role: Role, begins: float) -> None:
        signed = self.ours.issue(name, role, ("127.0.0.1", "::1"), days=4 if begins else 365, begins=begins)
        if folder == "dut1-revoked":
            self._revoked = {signed.issued.serial}
        deliver(signed, self._base / folder, self.ours.revocations())
