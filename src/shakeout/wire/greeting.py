"""From a connected socket to a peer that each side has accepted, in either case with the reason on both sides.

In TLS 1.3 a client is done before the server has looked at its certificate, and an alert can say few things. So after
the handshake each side sends one line: that it accepts the other, or why it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shakeout.errors import CertificateRefused, ProtocolError
from shakeout.wire.certificates import OTHER, Party, Role, alert_meaning, objection, party, verification_failure

if TYPE_CHECKING:
    import ssl

_YES = b"shakeout: welcome\n"
_NO = b"shakeout: no: "
#: Bytes of such a line, its end included.
_LONGEST = 400


class Greeting:
    """One side of a greeting; on a blocking socket `advance` goes all the way, else call it until it does.

    Args:
        tls: the socket; its handshake has not begun.
        role: ours.
        name: what the other side must be called; "" accepts every name.
    """

    def __init__(self, tls: ssl.SSLSocket, role: Role, name: str = "") -> None:
        self._tls = tls
        self._role = role
        self._name = name
        self._peer: Party | None = None
        self._against = ""
        self._to_say = b""
        self._heard = b""

    def advance(self) -> Party:
        """Go as far as it goes; the other side, once both have accepted each other.

        Raises:
            ssl.SSLWantReadError, ssl.SSLWantWriteError: (non-blocking) go on when the socket is ready.
            TimeoutError: (blocking) the socket's timeout has passed.
            CertificateRefused: one side does not accept the other; says which, and why.
            ProtocolError: what is there does not speak TLS 1.3, or not shakeout's way.
        """
        import ssl

        try:
            return self._advance()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, TimeoutError):
            raise
        except ssl.SSLCertVerificationError as error:
            raise _refused(verification_failure(error, OTHER[self._role])) from error
        except ssl.SSLError as error:
            raise self._failure(error) from error
        except OSError as error:
            raise ProtocolError(f"it ended the connection ({error.strerror or error})") from error

    def _advance(self) -> Party:
        if self._peer is None:
            self._tls.do_handshake()
            self._peer = party(self._tls.getpeercert() or {})
            self._against = objection(self._peer, OTHER[self._role], self._name)
            self._to_say = _NO + _printable(self._against).encode() + b"\n" if self._against else _YES
        while self._to_say:
            self._to_say = self._to_say[self._tls.send(self._to_say) :]
        while not self._heard.endswith(b"\n") and len(self._heard) < _LONGEST:
            # Byte by byte, out of OpenSSL's buffer: what comes behind the line is not ours.
            byte = self._tls.recv(1)
            if not byte:
                break
            self._heard += byte
        return self._conclusion(self._peer)

    def _conclusion(self, peer: Party) -> Party:
        if self._against:
            raise _refused(self._against)
        if self._heard.startswith(_NO):
            reason = _printable(self._heard.removeprefix(_NO).decode("ascii", "replace"))
            raise CertificateRefused(f"it refuses this {self._role}'s certificate: {reason}")
        if self._heard != _YES:
            raise ProtocolError("it ended the connection" if not self._heard else "it does not speak shakeout's way")
        return peer

    def _failure(self, error: ssl.SSLError) -> ProtocolError | CertificateRefused:
        reason = error.reason or ""
        if "PEER_DID_NOT_RETURN_A_CERTIFICATE" in reason:
            return _refused("there is none")
        if meaning := alert_meaning(error, self._role):
            return CertificateRefused(f"it refuses this {self._role}'s certificate: {meaning}")
        if "EOF" in reason or "EOF" in str(error):
            return ProtocolError("it ended the connection in the middle of the handshake")
        return ProtocolError(f"it does not speak TLS 1.3 ({reason.lower().replace('_', ' ') or error})")


def _refused(why: str) -> CertificateRefused:
    return CertificateRefused(f"its certificate is refused: {why}")


def _printable(text: str) -> str:
    """*text* as one short line of visible ASCII: it goes to logs and terminals, whoever has written it."""
    return "".join(c if " " <= c <= "~" else "?" for c in text.strip())[: _LONGEST - len(_NO) - 1]
