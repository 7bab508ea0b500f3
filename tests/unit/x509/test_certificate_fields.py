"""Fields cut out of certificates are what the certificates say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of

KEY = ec.generate_private_key(ec.SECP256R1())
SERIAL = 2**159 - 1


def _certificate() -> x509.Certificate:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the issuer")]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the subject")]),
        public_key=KEY.public_key(),
        serial_number=SERIAL,
        not_valid_before=now,
        not_valid_after=now + timedelta(days=1),
    )
    return builder.sign(KEY, hashes.SHA256())


CERTIFICATE = _certificate()
CERTIFICATE_DER = CERTIFICATE.public_bytes(Encoding.DER)


def _without_version(certificate_der: bytes) -> bytes:
    position, end = tlv.read(certificate_der, 0, len(certificate_der), tlv.SEQUENCE)
    start, stop = tlv.read(certificate_der, position, end, tlv.SEQUENCE)
    _, _, version_end = tlv.read_any(certificate_der, start, stop)
    return tlv.sequence(tlv.sequence(certificate_der[version_end:stop]), certificate_der[stop:end])


@pytest.mark.parametrize("certificate_der", [CERTIFICATE_DER, _without_version(CERTIFICATE_DER)], ids=["v3", "v1"])
def test_fields_are_those_of_the_certificate(certificate_der: bytes) -> None:
    fields = fields_of(certificate_der)
    assert fields.serial_number == tlv.integer(SERIAL)
    assert fields.issuer == CERTIFICATE.issuer.public_bytes()
    assert fields.subject == CERTIFICATE.subject.public_bytes()
    assert fields.issuer_and_serial_number == tlv.sequence(fields.issuer, fields.serial_number)
    key = KEY.public_key()
    assert fields.subject_public_key_info == key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert fields.public_key == key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\x30\x00", CERTIFICATE_DER[:-1], CERTIFICATE_DER + b"\x00", tlv.sequence(tlv.sequence(tlv.integer(1)))],
    ids=["nothing", "empty", "cut short", "something behind it", "no names"],
)
def test_what_is_no_certificate_is_refused(damaged: bytes) -> None:
    with pytest.raises(tlv.DERError):
        fields_of(damaged)
