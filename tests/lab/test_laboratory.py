"""The default laboratory as a whole: what others may want of it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from shakeout.labs.netns import NetnsLab
from shakeout.labs.removal import remove_lab

pytestmark = pytest.mark.needs("root", "namespaces")


@pytest.mark.parametrize("said", [b"", b"\0\0\0\1x", b"\xff" * 100, b"\0\0"])
def test_a_visitor_who_talks_nonsense_does_not_end_it(said: bytes) -> None:
    lab = NetnsLab()
    try:
        folder = Path(lab.ready().folder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
            visitor.connect(str(folder / "lab.sock"))
            visitor.sendall(said)
            visitor.shutdown(socket.SHUT_WR)
            assert visitor.recv(1) == b""
        assert list(lab.make({"m1": []})) == ["m1"]
        assert remove_lab(folder)
        assert not folder.exists()
    finally:
        lab.remove()
