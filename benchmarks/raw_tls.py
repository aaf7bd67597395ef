"""`python -m benchmarks.raw_tls CERTS FOLDER`: takes files over bare TLS, one connection after the other.

What transfers to hosts over TLS are compared with. A connection begins with a line, "file NAME" or "frames NAME"; what
follows is the file, or frames as in `transfers`; a byte comes back when everything is written.
"""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path

from benchmarks.transfers import receive_frames

PIECE = 1 << 20


def main() -> None:
    """Serve for ever, at a port that is printed."""
    certs, folder = Path(sys.argv[1]), Path(sys.argv[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certs / "cert.pem", certs / "key.pem")
    with socket.create_server(("0.0.0.0", 0)) as listener:
        print("listening on", listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as tls:
                kind, name = _line(tls).split()
                if kind == "file":
                    _receive_file(tls, folder / name)
                else:
                    receive_frames(tls, folder / name)


def _line(tls: ssl.SSLSocket) -> str:
    text = b""
    while not text.endswith(b"\n"):
        text += tls.recv(1)
    return text.decode()


def _receive_file(tls: ssl.SSLSocket, target: Path) -> None:
    room = bytearray(PIECE)
    view = memoryview(room)
    with target.open("wb", buffering=0) as file:
        while size := tls.recv_into(view):
            file.write(view[:size])
            if view[:size].tobytes().endswith(END):
                break
    tls.sendall(b".")


#: What a file ends with: bare TLS has no end of its own that lets the other side answer.
END = b"the end of the file, as nobody else would say it"


def send_file(address: tuple[str, int], source: Path, name: str) -> None:
    """Send *source* to a receiver, and wait until it is written there."""
    with _connected(address) as tls, source.open("rb") as file:
        tls.sendall(f"file {name}\n".encode())
        while piece := file.read(PIECE):
            tls.sendall(piece)
        tls.sendall(END)
        tls.recv(1)


def connect(address: tuple[str, int], name: str) -> ssl.SSLSocket:
    """A connection for frames."""
    tls = _connected(address)
    tls.sendall(f"frames {name}\n".encode())
    return tls


def _connected(address: tuple[str, int]) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who listens there is known, and this is about speed
    plain = socket.create_connection(address)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain)


if __name__ == "__main__":
    main()
