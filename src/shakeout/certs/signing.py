"""Keys, certificates and revocation lists as files hold them (PEM). Pure: reads no clock, writes no file.

Keys are ECDSA on P-256: small, fast to sign with, and spoken by every TLS 1.3.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shakeout.certs.ledger import Issued, Record
from shakeout.certs.naming import is_ip

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, ExtensionType, Name


def new_key() -> EllipticCurvePrivateKey:
    """A new secret key."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: EllipticCurvePrivateKey) -> bytes:
    """*key* as a file holds it."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(pem: bytes) -> EllipticCurvePrivateKey:
    """The key in a file.

    Raises:
        ValueError, TypeError: there is none, or one that we did not make.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("the key is none on an elliptic curve")
    return key


def read_certificate(pem: bytes) -> Certificate:
    """The certificate in a file.

    Raises:
        ValueError: there is none.
    """
    from cryptography.x509 import load_pem_x509_certificate

    return load_pem_x509_certificate(pem)


def subject(pem: bytes) -> tuple[str, str]:
    """Name and role in a certificate's file.

    Raises:
        ValueError: there is no certificate in it.
    """
    from cryptography.x509.oid import NameOID

    there = read_certificate(pem).subject
    name, role = (
        next((str(each.value) for each in there.get_attributes_for_oid(oid)), "")
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)
    )
    return name, role


def certificate_pem(certificate: Certificate) -> bytes:
    """*certificate* as a file holds it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def authority(key: EllipticCurvePrivateKey, name: str, serial: int, begins: int, ends: int) -> Certificate:
    """The CA's own certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    subject = _name(name, "laboratory")
    builder = _builder(subject, subject, serial, begins, ends).public_key(key.public_key())
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(signs_certificates=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, SHA256())


def leaf(issued: Issued, key: EllipticCurvePrivateKey, ca: Certificate, ca_key: EllipticCurvePrivateKey) -> Certificate:
    """The certificate that *issued* tells of, for *key*."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID

    purpose = ExtendedKeyUsageOID.SERVER_AUTH if issued.role == "host" else ExtendedKeyUsageOID.CLIENT_AUTH
    subject = _name(issued.name, issued.role)
    builder = _builder(subject, ca.subject, int(issued.serial, 16), issued.begins, issued.ends)
    builder = builder.public_key(key.public_key())
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    extensions: list[tuple[ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage([purpose]), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    ]
    if issued.role == "host":
        extensions.append((_alternatives(issued.name, issued.addresses), False))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(ca_key, SHA256())


def revocations_pem(
    records: Iterable[Record], ca: Certificate, ca_key: EllipticCurvePrivateKey, number: int, now: int
) -> bytes:
    """The list of what was revoked; in force as long as the CA, since nobody would renew it in time."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = x509.CertificateRevocationListBuilder(
        issuer_name=ca.subject, last_update=_moment(now), next_update=ca.not_valid_after_utc
    )
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
    builder = builder.add_extension(x509.CRLNumber(number), False)
    for record in records:
        if record.revoked_at:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(int(record.issued.serial, 16), _moment(record.revoked_at)).build()
            )
    return builder.sign(ca_key, SHA256()).public_bytes(Encoding.PEM)


def _builder(subject: Name, issuer: Name, serial: int, begins: int, ends: int) -> CertificateBuilder:
    from cryptography.x509 import CertificateBuilder

    builder = CertificateBuilder(issuer, subject, serial_number=serial)
    return builder.not_valid_before(_moment(begins)).not_valid_after(_moment(ends))


def _name(name: str, role: str) -> Name:
    from cryptography.x509 import Name, NameAttribute
    from cryptography.x509.oid import NameOID

    return Name(
        [
            NameAttribute(NameOID.ORGANIZATION_NAME, "shakeout"),
            NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _alternatives(name: str, addresses: Iterable[str]) -> ExtensionType:
    from cryptography import x509

    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(each)) if is_ip(each) else x509.DNSName(each)
        for each in dict.fromkeys((name, *addresses))
    ]
    return x509.SubjectAlternativeName(names)


def _usage(*, signs_certificates: bool) -> ExtensionType:
    from cryptography.x509 import KeyUsage

    return KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
