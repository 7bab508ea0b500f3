"""Requests for certificates as a Windows client makes them ([MS-WCCE] 2.2.2.6 and 2.2.2.7), octet by octet.

Made from the documents alone: nothing of the server's encoders is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from asn1crypto.core import ObjectIdentifier
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
MICROSOFT_EXTENSION_REQUEST = "1.3.6.1.4.1.311.2.1.14"
RENEWAL_CERTIFICATE = "1.3.6.1.4.1.311.13.1"
NAME_VALUE_PAIR = "1.3.6.1.4.1.311.13.2.1"
OS_VERSION = "1.3.6.1.4.1.311.13.2.3"
ARCHIVED_KEY = "1.3.6.1.4.1.311.21.13"
TEMPLATE_NAME = "1.3.6.1.4.1.311.20.2"
TEMPLATE = "1.3.6.1.4.1.311.21.7"
NTDS_CA_SECURITY = "1.3.6.1.4.1.311.25.2"
DATA, SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
PKI_DATA = "1.3.6.1.5.5.7.12.2"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_RSA_SHA256, _ECDSA_SHA256 = "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"
_UTF8, _BMP, _IA5 = 0x0C, 0x1E, 0x16


def der(identifier: int, *parts: bytes) -> bytes:
    """One element of DER."""
    contents = b"".join(parts)
    if len(contents) < 0x80:
        return bytes([identifier, len(contents)]) + contents
    length = len(contents).to_bytes((len(contents).bit_length() + 7) // 8, "big")
    return bytes([identifier, 0x80 | len(length)]) + length + contents


def oid(dotted: str) -> bytes:
    """An object identifier."""
    encoded: bytes = ObjectIdentifier(dotted).dump()
    return encoded


def integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE."""
    return der(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """A SET OF, sorted."""
    return der(0x31, *sorted(parts))


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension that is asked for."""

    oid: str
    value: bytes
    critical: bool = False

    def encoded(self) -> bytes:
        """As X.509 has it."""
        critical = [der(1, b"\xff")] if self.critical else []
        return sequence(oid(self.oid), *critical, der(4, self.value))


def template_by_oid(dotted: str, major: int = 100, minor: int = 2) -> Extension:
    """A template of version 2 or later (2.2.2.7.7.2)."""
    return Extension(TEMPLATE, sequence(oid(dotted), integer(major), integer(minor)))


def template_by_name(name: str) -> Extension:
    """A template of version 1, as Windows writes it: a BMPString."""
    return Extension(TEMPLATE_NAME, der(_BMP, name.encode("utf-16-be")))


def template_by_documented_name(name: str) -> Extension:
    """A template of version 1 as 2.2.2.7.7.1 has it: a SEQUENCE with a UTF8String."""
    return Extension(TEMPLATE_NAME, sequence(der(_UTF8, name.encode())))


def key_usage(octet: int) -> Extension:
    """keyUsage; ``octet`` is the first of the bit string, without unused bits at its end."""
    unused = (octet & -octet).bit_length() - 1
    return Extension("2.5.29.15", der(3, bytes([unused, octet])), critical=True)


def security_identifier(sid: str) -> Extension:
    """The SID extension, in a request of somebody who would like to be somebody else."""
    value = der(0xA0, der(4, sid.encode("ascii")))
    return Extension(NTDS_CA_SECURITY, sequence(der(0xA0, oid("1.3.6.1.4.1.311.25.2.1"), value)))


def alternative_names(*, principal: str | None = None, dns: str | None = None) -> Extension:
    """subjectAltName with a user principal name, or a host name."""
    names = []
    if principal is not None:
        other = oid("1.3.6.1.4.1.311.20.2.3") + der(0xA0, der(_UTF8, principal.encode()))
        names.append(der(0xA0, other))
    if dns is not None:
        names.append(der(0x82, dns.encode("ascii")))
    return Extension("2.5.29.17", sequence(*names))


def attribute(dotted: str, *values: bytes) -> bytes:
    """An attribute of a PKCS #10."""
    return sequence(oid(dotted), set_of(*values))


def template_beside(name: str) -> bytes:
    """The template as an attribute of the request (2.2.2.7.10)."""
    pair = [der(_BMP, text.encode("utf-16-be")) for text in ("CertificateTemplate", name)]
    return attribute(NAME_VALUE_PAIR, sequence(*pair))


def pkcs10(
    key: Key,
    *extensions: Extension,
    subject: str | None = None,
    attributes: Sequence[bytes] = (),
    microsoft: bool = False,
    signed_by: Key | None = None,
) -> bytes:
    """A CertificationRequest, its subject empty if there is no common name; ``signed_by`` another key: a false one.

    ``microsoft``: the extensions stand in the attribute that Microsoft had before the one of PKCS #9.
    """
    name = sequence()
    if subject is not None:
        name = sequence(set_of(sequence(oid("2.5.4.3"), der(_UTF8, subject.encode()))))
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = [attribute(OS_VERSION, der(_IA5, b"10.0.19045.2"))]
    if extensions:
        dotted = MICROSOFT_EXTENSION_REQUEST if microsoft else EXTENSION_REQUEST
        asked.append(attribute(dotted, sequence(*(each.encoded() for each in extensions))))
    information = sequence(integer(0), name, public, der(0xA0, *sorted([*asked, *attributes])))
    signer = signed_by or key
    return sequence(information, _algorithm(signer), der(3, b"\x00", _sign(signer, information)))


def renewal_attribute(old: x509.Certificate) -> bytes:
    """The attribute with the certificate that is renewed (2.2.2.7.4)."""
    return attribute(RENEWAL_CERTIFICATE, old.public_bytes(Encoding.DER))


def cms_renewal(request: bytes, old: x509.Certificate, old_key: Key, *, broken: bool = False) -> bytes:
    """A PKCS #10 in a CMS signed with the old key (2.2.2.6.3); ``broken``: its signature is of something else."""
    return signed_data(DATA, request, [(old, old_key)], broken=broken)


def cmc(
    request: bytes, signers: Sequence[tuple[x509.Certificate, Key]], *, more: Sequence[bytes] = (), broken: bool = False
) -> bytes:
    """A full PKI request with this PKCS #10, and ``more`` of them (2.2.2.6.4)."""
    tagged = [der(0xA0, integer(number), each) for number, each in enumerate([request, *more], 1)]
    return signed_data(
        PKI_DATA, sequence(sequence(), sequence(*tagged), sequence(), sequence()), signers, broken=broken
    )


def cmc_of_new_key(request: bytes, key: Key) -> bytes:
    """A full PKI request signed by the key that is to be certified, named by its identifier: nobody has it yet."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    content = sequence(sequence(), sequence(der(0xA0, integer(1), request)), sequence(), sequence())
    identifier = der(0x80, x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest)
    assert public in request
    return _signed_data(PKI_DATA, content, [(integer(3), identifier, key)], [])


def signed_data(
    content_type: str, content: bytes, signers: Sequence[tuple[x509.Certificate, Key]], *, broken: bool = False
) -> bytes:
    """A SignedData (RFC 5652) with a SignerInfo of each."""
    described = []
    for certificate, key in signers:
        issuer_and_serial = sequence(certificate.issuer.public_bytes(), integer(certificate.serial_number))
        described.append((integer(1), issuer_and_serial, key))
    certificates = [certificate.public_bytes(Encoding.DER) for certificate, _ in signers]
    return _signed_data(content_type, content, described, certificates, broken=broken)


def _signed_data(
    content_type: str,
    content: bytes,
    signers: Sequence[tuple[bytes, bytes, Key]],
    certificates: Sequence[bytes],
    *,
    broken: bool = False,
) -> bytes:
    digest = hashlib.sha256(content + (b"!" if broken else b"")).digest()
    attributes = (attribute(CONTENT_TYPE, oid(content_type)), attribute(MESSAGE_DIGEST, der(4, digest)))
    infos = []
    for version, identifier, key in signers:
        signature = _sign(key, set_of(*attributes))
        signed = der(0xA0, *sorted(attributes))
        infos.append(
            sequence(version, identifier, _digest_algorithm(), signed, _signature_algorithm(key), der(4, signature))
        )
    body = sequence(
        integer(1 if content_type == DATA else 3),
        set_of(_digest_algorithm()),
        sequence(oid(content_type), der(0xA0, der(4, content))),
        *([der(0xA0, *sorted(certificates))] if certificates else []),
        set_of(*infos),
    )
    return sequence(oid(SIGNED_DATA), der(0xA0, body))


def _digest_algorithm() -> bytes:
    return sequence(oid(_SHA256), der(5))


def _signature_algorithm(key: Key) -> bytes:
    # rsaEncryption names the key, as CMS had it first and Windows writes it.
    if isinstance(key, rsa.RSAPrivateKey):
        return sequence(oid("1.2.840.113549.1.1.1"), der(5))
    return _algorithm(key)


def _algorithm(key: Key) -> bytes:
    return sequence(oid(_RSA_SHA256), der(5)) if isinstance(key, rsa.RSAPrivateKey) else sequence(oid(_ECDSA_SHA256))


def _sign(key: Key, octets: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(octets, ec.ECDSA(hashes.SHA256()))
