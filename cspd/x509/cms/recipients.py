"""Recipients of enveloped content: each wraps the content key in its own way (RFC 5652, 6.2).

- :class:`KeyTransport`: RSA, PKCS#1 v1.5 (RFC 3370) or OAEP (RFC 3560);
- :class:`KeyAgreement`: ephemeral-static ECDH, X9.63 KDF, AES key wrap (RFC 5753);
- :class:`SharedKey`: a key that both sides have, AES key wrap (RFC 3565);
- :class:`Password`: PBKDF2 and PWRI-KEK (RFC 3211).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of
from cspd.x509.cms.content_encryption import RandomBytes
from cspd.x509.cms.values import CMSError
from cspd.x509.identifiers import subject_key_identifier

AES_WRAP = {16: "2.16.840.1.101.3.4.1.5", 24: "2.16.840.1.101.3.4.1.25", 32: "2.16.840.1.101.3.4.1.45"}
"""AES key wrap by the octets of its key."""
RSAES_PKCS1 = "1.2.840.113549.1.1.1"
RSAES_OAEP = "1.2.840.113549.1.1.7"
ECDH_SHA256_KDF = "1.3.132.1.11.1"
"""dhSinglePass-stdDH-sha256kdf-scheme."""
PBKDF2 = "1.2.840.113549.1.5.12"
PWRI_KEK = "1.2.840.113549.1.9.16.3.9"
HMAC_SHA256 = "1.2.840.113549.2.9"

_SHA256 = tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.1"))
_OAEP_SHA256 = tlv.sequence(
    tlv.element(0xA0, _SHA256),
    tlv.element(0xA1, tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.8"), _SHA256)),
)
_KTRI_BY_NAME, _KTRI_BY_KEY = tlv.integer(0), tlv.integer(2)
_KARI_VERSION, _KEKRI_VERSION, _PWRI_VERSION = tlv.integer(3), tlv.integer(4), tlv.integer(0)
_KARI, _KEKRI, _PWRI = 0xA1, 0xA2, 0xA3
_CONTEXT_0, _CONTEXT_1, _CONTEXT_2 = 0xA0, 0xA1, 0xA2
_PASSWORD_ITERATIONS = 100_000


class Recipient(Protocol):
    """Somebody who can get at the content key."""

    def wrap(self, content_key: bytes, random_bytes: RandomBytes) -> bytes:
        """The RecipientInfo with the content key, DER."""
        ...


@dataclass(frozen=True, slots=True)
class KeyTransport:
    """The holder of an RSA key."""

    public_key: rsa.RSAPublicKey
    certificate: x509.Certificate | None = None
    """Names the recipient by issuer and serial number; None: by the identifier of the key."""
    oaep: bool = False
    key_identifier: bytes | None = None
    """What names the key where there is no ``certificate``; None: what this server makes of it."""

    def wrap(self, content_key: bytes, random_bytes: RandomBytes) -> bytes:
        """See :class:`Recipient`; the library makes the random octets of the padding itself."""
        if self.oaep:
            scheme: padding.AsymmetricPadding = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
            algorithm = tlv.sequence(tlv.object_identifier(RSAES_OAEP), _OAEP_SHA256)
        else:
            scheme, algorithm = padding.PKCS1v15(), tlv.sequence(tlv.object_identifier(RSAES_PKCS1), tlv.NULL)
        if self.certificate is None:
            identifier = self.key_identifier or subject_key_identifier(self.public_key)
            version, rid = _KTRI_BY_KEY, tlv.element(0x80, identifier)
        else:
            version, rid = (
                _KTRI_BY_NAME,
                _issuer_and_serial_number(self.certificate),
            )
        encrypted = tlv.element(tlv.OCTET_STRING, self.public_key.encrypt(content_key, scheme))
        return tlv.sequence(version, rid, algorithm, encrypted)


@dataclass(frozen=True, slots=True)
class KeyAgreement:
    """The holder of a key on a NIST curve."""

    public_key: ec.EllipticCurvePublicKey
    certificate: x509.Certificate | None = None
    """As at :class:`KeyTransport`."""
    key_identifier: bytes | None = None
    """As at :class:`KeyTransport`."""

    def wrap(self, content_key: bytes, random_bytes: RandomBytes) -> bytes:
        """See :class:`Recipient`; the library makes the ephemeral key itself."""
        ephemeral = ec.generate_private_key(self.public_key.curve)
        wrap_der = tlv.sequence(tlv.object_identifier(AES_WRAP[32]))
        key = agreed_key(ephemeral.exchange(ec.ECDH(), self.public_key), wrap_der, 32)
        point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        # The curve is that of the recipient's key, so that the parameters may be absent (RFC 5753, 3.1.1).
        originator = tlv.sequence(tlv.object_identifier("1.2.840.10045.2.1")) + tlv.element(
            tlv.BIT_STRING, b"\x00" + point
        )
        if self.certificate is None:
            identifier = self.key_identifier or subject_key_identifier(self.public_key)
            rid = tlv.element(_CONTEXT_0, tlv.element(tlv.OCTET_STRING, identifier))
        else:
            rid = _issuer_and_serial_number(self.certificate)
        encrypted = tlv.element(tlv.OCTET_STRING, aes_key_wrap(key, content_key))
        return tlv.element(
            _KARI,
            _KARI_VERSION
            + tlv.element(_CONTEXT_0, tlv.element(_CONTEXT_1, originator))
            + tlv.sequence(tlv.object_identifier(ECDH_SHA256_KDF), wrap_der)
            + tlv.sequence(tlv.sequence(rid, encrypted)),
        )


@dataclass(frozen=True, slots=True)
class SharedKey:
    """Whoever has the same AES key, which ``identifier`` names."""

    key: bytes = field(repr=False)
    """16, 24 or 32 octets."""
    identifier: bytes

    def wrap(self, content_key: bytes, random_bytes: RandomBytes) -> bytes:
        """See :class:`Recipient`."""
        algorithm = tlv.sequence(tlv.object_identifier(AES_WRAP[len(self.key)]))
        encrypted = tlv.element(tlv.OCTET_STRING, aes_key_wrap(self.key, content_key))
        kek_id = tlv.sequence(tlv.element(tlv.OCTET_STRING, self.identifier))
        return tlv.element(_KEKRI, _KEKRI_VERSION + kek_id + algorithm + encrypted)


@dataclass(frozen=True, slots=True)
class Password:
    """Whoever knows a password."""

    password: bytes = field(repr=False)
    iterations: int = _PASSWORD_ITERATIONS

    def wrap(self, content_key: bytes, random_bytes: RandomBytes) -> bytes:
        """See :class:`Recipient`."""
        salt, iv = random_bytes(16), random_bytes(16)
        key = PBKDF2HMAC(hashes.SHA256(), 32, salt, self.iterations).derive(self.password)
        derivation = tlv.sequence(
            tlv.element(tlv.OCTET_STRING, salt),
            tlv.integer(self.iterations),
            tlv.integer(32),
            tlv.sequence(tlv.object_identifier(HMAC_SHA256), tlv.NULL),
        )
        cipher_der = tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.1.42"), tlv.element(tlv.OCTET_STRING, iv))
        return tlv.element(
            _PWRI,
            _PWRI_VERSION
            + tlv.element(_CONTEXT_0, tlv.object_identifier(PBKDF2) + derivation)
            + tlv.sequence(tlv.object_identifier(PWRI_KEK), cipher_der)
            + tlv.element(tlv.OCTET_STRING, wrap_with_password_key(key, iv, content_key, random_bytes)),
        )


def recipient_of(
    certificate: x509.Certificate, *, oaep: bool = False, by_key_identifier: bool = False
) -> KeyTransport | KeyAgreement:
    """The holder of a certificate's key; raises :class:`CMSError` for a key that cannot be encrypted to.

    ``by_key_identifier`` names the recipient by the subjectKeyIdentifier of the certificate, if it has one (RFC 9483,
    4.1.6); otherwise issuer and serial number do.
    """
    try:
        public_key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CMSError("the key of the certificate cannot be read") from error
    identifier = _key_identifier_of(certificate) if by_key_identifier else None
    named = certificate if identifier is None else None
    if isinstance(public_key, rsa.RSAPublicKey):
        return KeyTransport(public_key, named, oaep, identifier)
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return KeyAgreement(public_key, named, identifier)
    raise CMSError(f"nothing can be encrypted for a {type(public_key).__name__}")


def may_receive_keys(certificate: x509.Certificate) -> bool:
    """Whether a keyUsage, if there is one, allows that keys are encrypted for the certificate's key.

    keyEncipherment for RSA, keyAgreement for elliptic curves (RFC 5280, 4.2.1.3).
    """
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    if isinstance(certificate.public_key(), ec.EllipticCurvePublicKey):
        return usage.key_agreement
    return usage.key_encipherment


def _key_identifier_of(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def agreed_key(shared_secret: bytes, wrap_algorithm_der: bytes, octets: int, ukm: bytes | None = None) -> bytes:
    """The key that both sides of an ECDH derive (RFC 5753, 7.2: ECC-CMS-SharedInfo)."""
    shared_info = tlv.sequence(
        wrap_algorithm_der,
        b"" if ukm is None else tlv.element(_CONTEXT_0, tlv.element(tlv.OCTET_STRING, ukm)),
        tlv.element(_CONTEXT_2, tlv.element(tlv.OCTET_STRING, (8 * octets).to_bytes(4, "big"))),
    )
    return X963KDF(hashes.SHA256(), octets, shared_info).derive(shared_secret)


def wrap_with_password_key(key: bytes, iv: bytes, content_key: bytes, random_bytes: RandomBytes) -> bytes:
    """Wrap by encrypting twice in CBC mode (RFC 3211, 2.3.1)."""
    check = bytes(octet ^ 0xFF for octet in content_key[:3])
    block = bytes((len(content_key),)) + check + content_key
    block += random_bytes(max(-len(block) % 16, 32 - len(block)))
    first = _cbc_encrypt(key, iv, block)
    return _cbc_encrypt(key, first[-16:], first)


def _cbc_encrypt(key: bytes, iv: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def _issuer_and_serial_number(certificate: x509.Certificate) -> bytes:
    return fields_of(certificate.public_bytes(Encoding.DER)).issuer_and_serial_number
