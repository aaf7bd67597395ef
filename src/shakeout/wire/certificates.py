"""What certificates say here: files, roles and names; and in words, why one is not accepted. No I/O here.

A laboratory has one CA. What it signs has a *role*: agents accept controllers only, controllers accept hosts only,
so a key that was stolen from a host commands nobody. The role stands in the subject (OU), and, as what TLS itself
checks, in the extended key usage.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    import ssl

Role = Literal["host", "controller"]

CERTIFICATE, KEY, AUTHORITY, REVOKED = "cert.pem", "key.pem", "ca.pem", "crl.pem"
#: What a folder of credentials has.
FILES = (CERTIFICATE, KEY, AUTHORITY, REVOKED)

#: Who is at the other side of one that has this role.
OTHER: dict[Role, Role] = {"host": "controller", "controller": "host"}


class Party(msgspec.Struct, frozen=True):
    """Whom a certificate is for.

    Attributes:
        name: of the host or controller.
        role: "host" or "controller"; anything else if the CA is no laboratory's.
        names: what a host may be reached as: its name and addresses.
        serial: of the certificate, in hexadecimal digits.
        begins, ends: seconds of the Unix clock between which it is valid.
    """

    name: str
    role: str
    names: tuple[str, ...]
    serial: str
    begins: float
    ends: float


def party(certificate: dict[str, Any]) -> Party:
    """Whom *certificate* (as `SSLSocket.getpeercert` describes it) is for."""
    from ssl import cert_time_to_seconds

    subject = {key: value for group in certificate.get("subject", ()) for key, value in group}
    return Party(
        name=subject.get("commonName", ""),
        role=subject.get("organizationalUnitName", ""),
        names=tuple(_usual(value) for kind, value in certificate.get("subjectAltName", ()) if kind in _NAMED),
        serial=certificate.get("serialNumber", "").lower().lstrip("0"),
        begins=cert_time_to_seconds(certificate["notBefore"]),
        ends=cert_time_to_seconds(certificate["notAfter"]),
    )


def objection(who: Party, role: Role, name: str = "") -> str:
    """What is wrong with *who*, apart from what TLS has checked; "" if nothing is.

    Args:
        role: what it must be.
        name: what it must be called, or reached as; "" accepts every name.
    """
    if who.role != role:
        what = f"a {who.role}'s" if who.role in OTHER else "neither a host's nor a controller's"
        return f"it is {what}, and a {role}'s is needed"
    if name and _usual(name).lower() not in {each.lower() for each in who.names}:
        return f"it is for {' or '.join(map(repr, who.names)) or 'nobody'}, and {name!r} was asked for"
    return ""


def _usual(name: str) -> str:
    """*name*; an IPv6 address in its usual form, as OpenSSL does not write it."""
    try:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name))
    except (OSError, ValueError):
        return name


_NAMED = ("DNS", "IP Address")
_STRANGE = "it is not of this laboratory's CA"
_EARLY = "it is not valid yet; are the clocks right?"
_EXPIRED = "it has expired"
_LIST = "the revocation list (crl.pem) is not of this laboratory's CA, or too old"
#: X509_V_ERR_CERT_REVOKED of openssl/x509_vfy.h; the others below are of it, too.
REVOKED_CODE = 23
_VERIFICATION = {
    **dict.fromkeys((2, 7, 18, 19, 20, 21, 24, 30, 79), _STRANGE),
    **dict.fromkeys((3, 5, 6, 8, 11, 12, 33, 36, 44), _LIST),
    9: _EARLY,
    10: _EXPIRED,
    REVOKED_CODE: "it has been revoked",
}
#: Part of an OpenSSL reason -> what the other side has against our certificate. It sends one number of RFC 8446, 6.2;
#: which number OpenSSL sends for what is in its ssl_x509err2alert().
_ALERTS = {
    "UNKNOWN_CA": "it is not of that laboratory's CA",
    "CERTIFICATE_EXPIRED": _EXPIRED,
    "CERTIFICATE_REVOKED": "it has been revoked",
    "CERTIFICATE_REQUIRED": "there is none",
    "ALERT_BAD_CERTIFICATE": _EARLY,
    "DECRYPT_ERROR": "it is damaged",
    "CERTIFICATE_UNKNOWN": "it is not accepted there",
    "ACCESS_DENIED": "it is not accepted there",
}


def verification_failure(error: ssl.SSLCertVerificationError, role: Role) -> str:
    """What is wrong with the certificate of the other side, which should be of *role*."""
    if error.verify_code == 26:  # X509_V_ERR_INVALID_PURPOSE
        return f"it is a {OTHER[role]}'s, and a {role}'s is needed"
    return _VERIFICATION.get(error.verify_code, f"{error.verify_message}")


def alert_meaning(error: ssl.SSLError, role: Role) -> str:
    """What the other side has against our certificate, of *role*; "" if the error is about something else."""
    reason = error.reason or ""
    if "ALERT_UNSUPPORTED_CERTIFICATE" in reason:
        return f"it is a {role}'s, and a {OTHER[role]}'s is needed"
    return next((text for part, text in _ALERTS.items() if part in reason), "")
