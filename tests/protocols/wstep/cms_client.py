"""CMS and CMC as Windows sends them: any number of signers around a PKCS #10."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of
from cspd.x509.cmc.codec import encode_pki_data
from cspd.x509.cmc.messages import PKI_DATA, PKIData, TaggedAttribute, TaggedCertificationRequest
from cspd.x509.cms.signed import encode_attributes, encode_content_info
from cspd.x509.cms.values import CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNED_DATA
from cspd.x509.names import parse_name

_SHA256 = tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.1"))
_ECDSA = tlv.sequence(tlv.object_identifier("1.2.840.10045.4.3.2"))


@dataclass(frozen=True)
class SigningCertificate:
    """A key on P-256 and a certificate of it."""

    key: ec.EllipticCurvePrivateKey
    certificate_der: bytes
    unsigned: tuple[tuple[str, bytes], ...] = ()


def self_signed(key: ec.EllipticCurvePrivateKey, name: str = "CN=nobody") -> SigningCertificate:
    """Of nobody else."""
    builder = x509.CertificateBuilder().subject_name(parse_name(name)).issuer_name(parse_name(name)).serial_number(7)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2036, 1, 1, tzinfo=UTC)
    )
    certificate = builder.public_key(key.public_key()).sign(key, hashes.SHA256())
    return SigningCertificate(key, certificate.public_bytes(Encoding.DER))


def cms(content_type: str, content: bytes, *signers: SigningCertificate, broken: bool = False) -> bytes:
    """A ContentInfo with a SignedData; ``broken``: the signatures are over something else."""
    infos = [_signer_info(content_type, content + b"x" * broken, signer) for signer in signers]
    signed_data = tlv.sequence(
        tlv.integer(3),
        tlv.element(tlv.SET, _SHA256),
        tlv.sequence(tlv.object_identifier(content_type), tlv.element(0xA0, tlv.element(tlv.OCTET_STRING, content))),
        tlv.element(0xA0, b"".join(sorted({signer.certificate_der for signer in signers}))),
        tlv.element(tlv.SET, b"".join(sorted(infos))),
    )
    return encode_content_info(SIGNED_DATA, signed_data)


def pkcs7(csr_der: bytes, *signers: SigningCertificate, **how: Any) -> bytes:
    """The request as id-data."""
    return cms(DATA, csr_der, *signers, **how)


def cmc(*csrs_der: bytes, signers: tuple[SigningCertificate, ...], controls: tuple[Any, ...] = ()) -> bytes:
    """The requests in a PKIData."""
    message = PKIData(
        control_sequence=tuple(TaggedAttribute(100 + number, value) for number, value in enumerate(controls)),
        req_sequence=tuple(TaggedCertificationRequest(number, each) for number, each in enumerate(csrs_der, start=1)),
    )
    return cms(PKI_DATA, encode_pki_data(message), *signers)


def _signer_info(content_type: str, content: bytes, signer: SigningCertificate) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(content)
    attributes_der = encode_attributes(
        {
            CONTENT_TYPE: [tlv.object_identifier(content_type)],
            MESSAGE_DIGEST: [tlv.element(tlv.OCTET_STRING, digest.finalize())],
        }
    )
    unsigned = b""
    if signer.unsigned:
        unsigned = b"\xa1" + encode_attributes({oid: [value] for oid, value in signer.unsigned})[1:]
    return tlv.sequence(
        tlv.integer(1),
        fields_of(signer.certificate_der).issuer_and_serial_number,
        _SHA256,
        b"\xa0" + attributes_der[1:],
        _ECDSA,
        tlv.element(tlv.OCTET_STRING, signer.key.sign(attributes_der, ec.ECDSA(hashes.SHA256()))),
        unsigned,
    )
