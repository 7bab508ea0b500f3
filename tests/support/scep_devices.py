"""Clients of SCEP in the field, rebuilt: what each sends, as its own source, captures or its maker's pages tell.

============  =========================================================================================================
Apple         SecSCEP.c and libsecurity_smime of the open-source Security framework: GetCACert before GetCACaps, each
              with a ``message``; BER, streamed; transactionID the SHA-1 of the PKCS#1 key, in capitals; a CertPoll
              names the registration authority as the issuer. AES-128 and SHA-512 where GetCACaps has them; Triple DES
              and SHA-1 whatever it has (iOS 8, OS X 10.9). By GET, ``+`` and ``/`` of base64 are not escaped
              (smallstep/certificates#1570).
Cisco IOS 12  Captures: ``pkiclient.exe``, base64 in lines of 64 that are escaped with their ends, MD5 and DES
              (smallstep/certificates#2100, smallstep/docs#364); it polls, and asks for CRLs by GetCRL.
Cisco IOS XE  The same with SHA-256 and AES, which the trustpoint's ``hash`` and GetCACaps choose.
ChromeOS      The Google Cloud Certificate Connector hands on requests of Chromebooks, whose keys never leave them, and
              signs with a key of its own (support.google.com/chrome/a/answer/11053129). So does Ivanti EPMM
              (jscep/jscep#276).
Windows       ``certsrv/mscep/mscep.dll/pkiclient.exe``; requests with the attributes of [MS-WCCE] 2.2.2.7: operating
              system, client, provider of the key; names in BMPString, as CertStrToName writes what PrintableString has
              not; a renewal is a PKCSReq signed with the old certificate, which the request repeats (RenewalCert).
============  =========================================================================================================
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha1, sha256
from textwrap import wrap
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import ContentCipher
from protocols.scep.codec import MESSAGE_TYPE, PKI_STATUS, SENDER_NONCE, TRANSACTION_ID
from protocols.scep.messages import IssuerAndSerialNumber, MessageType
from tests.support.cms_dialects import (
    BMP_STRING,
    IA5_STRING,
    PRINTABLE_STRING,
    Dialect,
    attribute,
    certification_request,
    name,
    text,
)

COMMON_NAME, ORGANIZATION, SERIAL_NUMBER = "2.5.4.3", "2.5.4.10", "2.5.4.5"
UNSTRUCTURED_NAME, CHALLENGE_PASSWORD, EXTENSION_REQUEST = (f"1.2.840.113549.1.9.{number}" for number in (2, 7, 14))
RENEWAL_CERTIFICATE = "1.3.6.1.4.1.311.13.1"
ENROLLMENT_CSP, OS_VERSION = "1.3.6.1.4.1.311.13.2.2", "1.3.6.1.4.1.311.13.2.3"
REQUEST_CLIENT_INFO = "1.3.6.1.4.1.311.21.20"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request of HTTP; ``path`` is what the client puts behind the URL that it was given."""

    query: str
    body: bytes | None = None
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A client and its habits."""

    key: rsa.RSAPrivateKey
    ra_certificate: x509.Certificate
    dialect: Dialect
    subject_der: bytes
    path: str = ""
    ca_message: str = ""
    """The ``message`` of GetCACert and GetCACaps."""
    uses_post: bool = True
    write_query: Callable[[bytes], str] = field(default=lambda message: quote(b64encode(message), safe=""))
    transaction_id: str = ""
    issuer_in_poll: bytes = b""
    attributes: tuple[bytes, ...] = ()
    """Of the certification request."""
    signer: rsa.RSAPrivateKey | None = None
    """Signs messages, where it is not ``key``."""
    certificate: x509.Certificate | None = None
    """What messages are signed with; None: one that the device makes for itself."""

    def operation(self, name: str) -> Sent:
        """GetCACert, GetCACaps, GetNextCACert."""
        return Sent(query=f"operation={name}&message={quote(self.ca_message)}", path=self.path)

    def enroll(self, challenge: str | None, message_type: MessageType = MessageType.PKCS_REQ) -> Sent:
        """PKCSReq."""
        return self._send(message_type, self.request(challenge))

    def poll(self) -> Sent:
        """CertPoll; attributes of the answer before stand in it, as they do in those of many a client."""
        names = tlv.sequence(self.issuer_in_poll, self.subject_der)
        return self._send(MessageType.CERT_POLL, names, {PKI_STATUS: text(PRINTABLE_STRING, "3")})

    def ask(self, message_type: MessageType, asked: IssuerAndSerialNumber) -> Sent:
        """GetCRL, GetCert."""
        return self._send(message_type, tlv.sequence(asked.issuer_der, tlv.integer(asked.serial_number)))

    def request(self, challenge: str | None) -> bytes:
        """The certification request."""
        password = () if challenge is None else (attribute(CHALLENGE_PASSWORD, text(PRINTABLE_STRING, challenge)),)
        digest = "sha256" if self.dialect.digest == "sha512" else self.dialect.digest
        return certification_request(self.subject_der, (*self.attributes, *password), self.key, digest)

    @property
    def own_certificate(self) -> x509.Certificate:
        """What messages are signed with, and answers enveloped for."""
        return self.certificate or self_signed(self.signer or self.key, self.subject_der)

    def _send(self, message_type: MessageType, content: bytes, more: dict[str, bytes] | None = None) -> Sent:
        attributes = {
            MESSAGE_TYPE: text(PRINTABLE_STRING, str(message_type.value)),
            TRANSACTION_ID: text(PRINTABLE_STRING, self.transaction_id),
            SENDER_NONCE: tlv.element(tlv.OCTET_STRING, os.urandom(16)),
            **(more or {}),
        }
        envelope = self.dialect.enveloped(content, self.ra_certificate)
        message = self.dialect.signed(envelope, attributes, self.signer or self.key, self.own_certificate)
        if self.uses_post:
            return Sent(query="operation=PKIOperation", body=message, path=self.path)
        return Sent(query=f"operation=PKIOperation&message={self.write_query(message)}", path=self.path)


def self_signed(key: rsa.RSAPrivateKey, subject_der: bytes) -> x509.Certificate:
    """The certificate of a device that has none yet, with that key and name."""
    subject = x509.Name.from_bytes(subject_der)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=3650))
    return builder.sign(key, hashes.SHA256())


def apple(key: rsa.RSAPrivateKey, ra_certificate: x509.Certificate, **habits: object) -> Device:
    """iOS and macOS of today, by POST."""
    subject = name((ORGANIZATION, tlv.UTF8_STRING, "Example"), (COMMON_NAME, tlv.UTF8_STRING, "Ann's iPhone"))
    usage = x509.KeyUsage(True, False, True, *[False] * 6)
    mail = x509.SubjectAlternativeName([x509.RFC822Name("ann@example.org")])
    pkcs1 = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    given: dict[str, object] = {
        "dialect": Dialect(digest="sha512", cipher=ContentCipher.AES_128_CBC, is_streamed=True),
        "ca_message": "Example CA",
        "transaction_id": sha1(pkcs1, usedforsecurity=False).hexdigest().upper(),
        "issuer_in_poll": ra_certificate.subject.public_bytes(),
        "attributes": (_extensions((usage, True), (mail, False)),),
        **habits,
    }
    return Device(key=key, ra_certificate=ra_certificate, subject_der=subject, **given)  # type: ignore[arg-type]  # habits of it


def old_apple(key: rsa.RSAPrivateKey, ra_certificate: x509.Certificate) -> Device:
    """iOS 8, OS X 10.9."""
    dialect = Dialect(digest="sha1", cipher=ContentCipher.DES_EDE3_CBC, is_streamed=True)
    return apple(key, ra_certificate, dialect=dialect)


def apple_by_get(key: rsa.RSAPrivateKey, ra_certificate: x509.Certificate) -> Device:
    """macOS where GetCACaps does not say POSTPKIOperation."""
    return apple(key, ra_certificate, uses_post=False, write_query=lambda message: quote(b64encode(message), safe="+/"))


def cisco(key: rsa.RSAPrivateKey, ra_certificate: x509.Certificate, ca_name: bytes, *, is_old: bool = False) -> Device:
    """IOS XE 16, or IOS 12 on a 2800."""
    subject = name(
        (SERIAL_NUMBER, PRINTABLE_STRING, "FTX0945W0MY"), (UNSTRUCTURED_NAME, PRINTABLE_STRING, "r1.example.org")
    )
    host = x509.SubjectAlternativeName([x509.DNSName("r1.example.org")])
    usage = x509.KeyUsage(True, False, True, *[False] * 6)
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest, cipher = ("md5", ContentCipher.DES_CBC) if is_old else ("sha256", ContentCipher.AES_128_CBC)
    return Device(
        key=key,
        ra_certificate=ra_certificate,
        dialect=Dialect(digest=digest, cipher=cipher),
        subject_der=subject,
        path="pkiclient.exe",
        ca_message="TRUSTPOINT",
        uses_post=False,
        write_query=lambda message: quote(
            "".join(f"{line}\n" for line in wrap(b64encode(message).decode(), 64)), safe=""
        ),
        transaction_id=md5(info, usedforsecurity=False).hexdigest().upper(),
        issuer_in_poll=ca_name,
        attributes=(_extensions((usage, True), (host, False)),),
    )


def chromeos(key: rsa.RSAPrivateKey, ra_certificate: x509.Certificate, connector: rsa.RSAPrivateKey) -> Device:
    """The connector, with the request of a Chromebook."""
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Device(
        key=key,
        ra_certificate=ra_certificate,
        dialect=Dialect(names_digest_in_signature=True),
        subject_der=name((COMMON_NAME, tlv.UTF8_STRING, "chromebook-7")),
        transaction_id=sha256(info).hexdigest(),
        signer=connector,
    )


def windows(
    key: rsa.RSAPrivateKey,
    ra_certificate: x509.Certificate,
    *,
    replaces: tuple[rsa.RSAPrivateKey, x509.Certificate] | None = None,
) -> Device:
    """Windows 11; with ``replaces``, the renewal of a certificate."""
    provider = tlv.sequence(
        tlv.integer(1), text(BMP_STRING, "Microsoft Platform Crypto Provider"), tlv.element(tlv.BIT_STRING, b"\0")
    )
    client = tlv.sequence(
        tlv.integer(5),
        text(tlv.UTF8_STRING, "DESKTOP-7.example.org"),
        text(tlv.UTF8_STRING, "EXAMPLE\\ann"),
        text(tlv.UTF8_STRING, "omadmclient.exe"),
    )
    purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2")])
    attributes = [
        attribute(OS_VERSION, text(IA5_STRING, "10.0.22631.2")),
        attribute(REQUEST_CLIENT_INFO, client),
        attribute(ENROLLMENT_CSP, provider),
        _extensions((purposes, False)),
    ]
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signer, certificate = replaces or (None, None)
    if certificate is not None:
        attributes.append(attribute(RENEWAL_CERTIFICATE, certificate.public_bytes(Encoding.DER)))
    return Device(
        key=key,
        ra_certificate=ra_certificate,
        dialect=Dialect(names_digest_in_signature=True),
        subject_der=name((COMMON_NAME, BMP_STRING, "Jürgens Rechner")),
        path="nop/certsrv/mscep/mscep.dll/pkiclient.exe",
        ca_message="MyDeviceID",
        transaction_id=sha256(info).hexdigest(),
        attributes=tuple(attributes),
        signer=signer,
        certificate=certificate,
    )


def _extensions(*extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """An extensionRequest."""
    return attribute(EXTENSION_REQUEST, tlv.sequence(*(_extension(value, critical) for value, critical in extensions)))


def _extension(value: x509.ExtensionType, critical: bool) -> bytes:
    oid = tlv.object_identifier(value.oid.dotted_string)
    return tlv.sequence(oid, tlv.TRUE if critical else b"", tlv.element(tlv.OCTET_STRING, value.public_bytes()))


__all__ = [
    "Device",
    "Sent",
    "apple",
    "apple_by_get",
    "chromeos",
    "cisco",
    "old_apple",
    "self_signed",
    "windows",
]
