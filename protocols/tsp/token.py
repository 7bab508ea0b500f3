"""Tokens: a TSTInfo in a SignedData (RFC 3161, 2.4.2; RFC 5652, 5; RFC 5816; ETSI EN 319 422).

All tokens of a time-stamp unit are alike but for a few octets, so that :class:`TokenEncoder` has everything else
encoded once. A token is made in four steps::

    tst_info_der = encoder.tst_info(message_imprint, serial_number=..., gen_time=..., nonce=...)
    signed_attributes_der = encoder.signed_attributes(tst_info_der)
    signature = await signer.sign(signed_attributes_der)
    token_der = encoder.token(tst_info_der, signed_attributes_der, signature, cert_req=...)

and :func:`protocols.tsp.codec.encode_granted` wraps it for the client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from cspd.keys.values import PublicKey
from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of
from protocols.tsp.codec import encode_extensions
from protocols.tsp.hash_algorithms import ALGORITHM_IDENTIFIERS, Digest, digest_function
from protocols.tsp.messages import Accuracy, Extension, HashAlgorithm, MessageImprint

QC_STATEMENTS = "1.3.6.1.5.5.7.1.3"
QTST_STATEMENT_1 = "0.4.0.19422.1.1"
"""``esi4-qtstStatement-1``: the issuer says that the token is a qualified electronic time-stamp (EN 319 422, 9.1)."""
QUALIFIED = Extension(QC_STATEMENTS, False, tlv.sequence(tlv.sequence(tlv.object_identifier(QTST_STATEMENT_1))))

_TST_INFO = tlv.object_identifier("1.2.840.113549.1.9.16.1.4")
_SIGNED_DATA = tlv.object_identifier("1.2.840.113549.1.7.2")
_CONTENT_TYPE = tlv.object_identifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = tlv.object_identifier("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = tlv.object_identifier("1.2.840.113549.1.9.16.2.47")
_ALGORITHM_PROTECTION = tlv.object_identifier("1.2.840.113549.1.9.52")
_SHAKE256_LEN = tlv.object_identifier("2.16.840.1.101.3.4.2.18")

_VERSION_1 = tlv.integer(1)
_VERSION_3 = tlv.integer(3)
_CONTEXT_0 = 0xA0
_CONTEXT_1 = 0xA1
_DIRECTORY_NAME = 0xA4  # of a GeneralName; EXPLICIT, because a Name is a CHOICE
_SHAKE_OCTETS = 64


@dataclass(frozen=True, slots=True)
class ContentDigest:
    """The digest of the TSTInfo in the signed attributes."""

    algorithm_der: bytes
    """AlgorithmIdentifier, DER."""
    digest: Digest


def content_digest(public_key: PublicKey, signature_digest: HashAlgorithm) -> ContentDigest:
    """The digest that goes with signatures of this key.

    It is ``signature_digest`` for RSA and ECDSA. The others leave no choice, or one that is not ours to make:
    SHAKE256 with 512 bits for Ed448, SHA-512 for Ed25519 (RFC 8419, 3.1) and for ML-DSA, where it is the one digest
    that everybody must know (RFC 9882, 3.3).
    """
    if isinstance(public_key, ed448.Ed448PublicKey):
        algorithm_der = tlv.sequence(_SHAKE256_LEN, tlv.integer(8 * _SHAKE_OCTETS))
        return ContentDigest(algorithm_der, lambda octets: hashlib.shake_256(octets).digest(_SHAKE_OCTETS))
    algorithm = signature_digest
    if not isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        algorithm = HashAlgorithm.SHA512
    return ContentDigest(ALGORITHM_IDENTIFIERS[algorithm], digest_function(algorithm))


def accuracy_of(span: timedelta) -> Accuracy:
    """The Accuracy that says this span, which is not negative, to the microsecond."""
    milliseconds, micros = divmod(span.microseconds, 1000)
    return Accuracy(span.days * 86400 + span.seconds, milliseconds, micros)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """What all tokens of an issuer have in common."""

    policy: str
    """Dotted."""
    accuracy: Accuracy | None = None
    ordering: bool = False
    tsa_name: bool = False
    """``tsa`` is the subject of the certificate."""
    qualified: bool = False
    """With :data:`QUALIFIED`."""


class TokenEncoder:
    """Encodes the tokens of one certificate and profile; what they have in common is made once."""

    def __init__(
        self,
        certificate_der: bytes,
        chain_der: Sequence[bytes],
        profile: TokenProfile,
        *,
        digest: ContentDigest,
        signature_algorithm_der: bytes,
    ) -> None:
        """``chain_der`` are the certificates that go with ``certificate_der`` into tokens, in any order.

        ``signature_algorithm_der`` is that of :class:`cspd.keys.signer.Signer`.
        """
        signer = fields_of(certificate_der)
        tsa = b""
        if profile.tsa_name:
            tsa = tlv.element(_CONTEXT_0, tlv.element(_DIRECTORY_NAME, signer.subject))
        self._tst_info_start = _VERSION_1 + tlv.object_identifier(profile.policy)
        self._after_gen_time = _encode_accuracy(profile.accuracy) + (tlv.TRUE if profile.ordering else b"")
        self._tst_info_end = tsa + encode_extensions((QUALIFIED,) if profile.qualified else (), _CONTEXT_1)

        self._digest = digest.digest
        self._digest_octets = len(digest.digest(b""))
        signing_certificate = _signing_certificate(certificate_der, signer.issuer, signer.serial_number)
        self._attributes_start, self._attributes_end = _around_digest(
            digest.algorithm_der, signature_algorithm_der, signing_certificate, self._digest_octets
        )

        # The sets are in the order of DER (X.690, 11.6): a token is DER throughout, though CMS would allow BER.
        self._certificates = tlv.element(_CONTEXT_0, b"".join(sorted({certificate_der, *chain_der})))
        self._before_content = _VERSION_3 + tlv.element(tlv.SET, digest.algorithm_der)
        self._before_attributes = _VERSION_1 + signer.issuer_and_serial_number + digest.algorithm_der
        self._signature_algorithm = signature_algorithm_der
        self._heads = lru_cache(maxsize=1024)(self._make_heads)  # few lengths occur

    def tst_info(
        self, message_imprint: MessageImprint, *, serial_number: int, gen_time: datetime, nonce: int | None
    ) -> bytes:
        """Encode a TSTInfo (RFC 3161, 2.4.2), DER. ``gen_time`` is UTC, and is written to the microsecond."""
        return tlv.element(
            tlv.SEQUENCE,
            self._tst_info_start
            + message_imprint.encoded
            + tlv.integer(serial_number)
            + tlv.generalized_time_with_fraction(gen_time)
            + self._after_gen_time
            + (b"" if nonce is None else tlv.integer(nonce))
            + self._tst_info_end,
        )

    def signed_attributes(self, tst_info_der: bytes) -> bytes:
        """Encode the attributes that are signed, as the SET OF that the signature is over (RFC 5652, 5.4), DER.

        They are contentType, messageDigest, signingCertificateV2 (RFC 5816, 2.2.1) and CMSAlgorithmProtection
        (RFC 6211).
        """
        return self._attributes_start + self._digest(tst_info_der) + self._attributes_end

    def token(
        self, tst_info_der: bytes, signed_attributes_der: bytes, signature: bytes, *, cert_req: bool = False
    ) -> bytes:
        """Encode a TimeStampToken, DER; with ``cert_req`` the certificates are in it, without it none."""
        start, before_signer, before_signature = self._heads(len(tst_info_der), len(signature), cert_req)
        return b"".join(
            (
                start,
                tst_info_der,
                self._certificates if cert_req else b"",
                before_signer,
                signed_attributes_der[1:],
                before_signature,
                signature,
            )
        )

    def _make_heads(self, tst_info_octets: int, signature_octets: int, cert_req: bool) -> tuple[bytes, bytes, bytes]:
        """What stands before the TSTInfo, before the signed attributes without their identifier, and before the
        signature."""
        attributes_octets = len(self._attributes_start) + self._digest_octets + len(self._attributes_end)
        before_signature = self._signature_algorithm + _head(tlv.OCTET_STRING, signature_octets)
        signer = self._before_attributes + bytes((_CONTEXT_0,))
        signer_octets = len(signer) + attributes_octets - 1 + len(before_signature) + signature_octets
        before_signer = _head(tlv.SEQUENCE, signer_octets) + signer
        signer_octets += len(before_signer) - len(signer)
        before_signer = _head(tlv.SET, signer_octets) + before_signer
        signer_octets += len(_head(tlv.SET, signer_octets))

        start = _head(tlv.OCTET_STRING, tst_info_octets)
        start = _head(_CONTEXT_0, len(start) + tst_info_octets) + start
        start = _TST_INFO + start
        start = _head(tlv.SEQUENCE, len(start) + tst_info_octets) + start
        start = self._before_content + start
        octets = tst_info_octets + signer_octets + (len(self._certificates) if cert_req else 0)
        start = _head(tlv.SEQUENCE, len(start) + octets) + start
        start = _head(_CONTEXT_0, len(start) + octets) + start
        start = _SIGNED_DATA + start
        start = _head(tlv.SEQUENCE, len(start) + octets) + start
        return start, before_signer, before_signature


def _head(identifier: int, length: int) -> bytes:
    return bytes((identifier,)) + tlv.length_of(length)


def _encode_accuracy(accuracy: Accuracy | None) -> bytes:
    if accuracy is None:
        return b""
    return tlv.sequence(
        tlv.integer(accuracy.seconds) if accuracy.seconds else b"",
        b"\x80" + tlv.integer(accuracy.millis)[1:] if accuracy.millis else b"",
        b"\x81" + tlv.integer(accuracy.micros)[1:] if accuracy.micros else b"",
    )


def _signing_certificate(certificate_der: bytes, issuer: bytes, serial_number: bytes) -> bytes:
    """SigningCertificateV2 with the one certificate that signs (RFC 5035, 4); SHA-256 is its default, and left out."""
    issuer_serial = tlv.sequence(tlv.sequence(tlv.element(_DIRECTORY_NAME, issuer)), serial_number)
    cert_hash = tlv.element(tlv.OCTET_STRING, hashlib.sha256(certificate_der).digest())
    return tlv.sequence(tlv.sequence(tlv.sequence(cert_hash, issuer_serial)))


def _attribute(attr_type: bytes, value: bytes) -> bytes:
    return tlv.sequence(attr_type, tlv.element(tlv.SET, value))


def _around_digest(
    digest_algorithm: bytes, signature_algorithm: bytes, signing_certificate: bytes, digest_octets: int
) -> tuple[bytes, bytes]:
    """The signed attributes up to the digest and from there on.

    Their order by encoding (X.690, 11.6) is the same for all digests: two attributes differ before their values.
    """
    digest_attribute = _attribute(_MESSAGE_DIGEST, tlv.element(tlv.OCTET_STRING, bytes(digest_octets)))
    protection = tlv.sequence(digest_algorithm, bytes((_CONTEXT_1,)) + signature_algorithm[1:])
    attributes = sorted(
        (
            _attribute(_CONTENT_TYPE, _TST_INFO),
            digest_attribute,
            _attribute(_SIGNING_CERTIFICATE_V2, signing_certificate),
            _attribute(_ALGORITHM_PROTECTION, protection),
        )
    )
    encoded = tlv.element(tlv.SET, b"".join(attributes))
    digest_end = encoded.index(digest_attribute) + len(digest_attribute)
    return encoded[: digest_end - digest_octets], encoded[digest_end:]
