"""The agent under a service manager."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User

UNIT = Path(__file__).resolve().parents[2] / "packaging" / "shakeout-agent.service"


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert "ExecStart=/usr/local/bin/shakeout agent" in text
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/usr/local/bin/shakeout", SHAKEOUT))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr, done.stderr


def test_the_service_manager_is_told_that_it_serves_and_that_it_ends(user: User) -> None:
    """Not before controllers can connect; and jobs do not see where it is told."""
    place = user.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(place))
        told.settimeout(20)
        with subprocess.Popen(
            [SHAKEOUT, "agent", "--socket", str(user.folder / "agent.sock"), "--state", str(user.folder / "agent")],
            env={**user.environment, "NOTIFY_SOCKET": str(place)}, stdout=subprocess.DEVNULL,
        ) as agent:  # fmt: skip
            try:
                assert told.recv(100) == b"READY=1"
                with socket.socket(socket.AF_UNIX) as controller:
                    controller.connect(str(user.folder / "agent.sock"))
                agent.send_signal(signal.SIGTERM)
                assert told.recv(100) == b"STOPPING=1"
                assert agent.wait(20) == 0
            finally:
                agent.kill()
