"""Certificates that only the holder of their key can read (RFC 9810, 5.2.8.3.2)."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.keys.values import PrivateKey
from cspd.refusals import BadPublicKey
from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import decrypt_content
from cspd.x509.cms.values import DATA
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import read_algorithm
from protocols.cmp.encrypted_certificates import CertificatesForKeys
from protocols.cmp.errors import failure_info
from protocols.cmp.status import PKIFailureInfo
from tests.support.enveloped import Envelope
from tests.support.issuing import common_name
from tests.support.running import result_of

ISSUER = ec.generate_private_key(ec.SECP256R1())
CERTIFICATES = CertificatesForKeys(random_bytes=os.urandom)


def certificate_for(key: PrivateKey) -> bytes:
    builder = x509.CertificateBuilder().subject_name(common_name("client")).issuer_name(common_name("CA"))
    builder = builder.public_key(key.public_key()).serial_number(4711)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    return builder.sign(ISSUER, hashes.SHA256()).public_bytes(Encoding.DER)


def info_of(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_the_holder_of_an_rsa_key_reads_the_certificate() -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate_der = certificate_for(key)
    CERTIFICATES.check(info_of(key), pvno=3)
    encrypted = result_of(CERTIFICATES.encrypt(certificate_der))
    assert encrypted.is_enveloped_data
    assert certificate_der not in encrypted.der
    envelope = Envelope.of(encrypted.der)
    assert envelope.content_type == DATA
    assert envelope.for_rsa(key)[1] == certificate_der


def test_the_holder_of_a_key_on_a_curve_reads_the_certificate() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate_der = certificate_for(key)
    CERTIFICATES.check(info_of(key), pvno=3)
    encrypted = result_of(CERTIFICATES.encrypt(certificate_der))
    assert Envelope.of(encrypted.der).for_ec(key)[1] == certificate_der


def test_a_client_of_version_2_gets_an_encrypted_value() -> None:
    """RFC 4211, 6.4: symmAlg [1], encSymmKey [2], keyAlg [3], encValue; as OpenSSL before 3.5 reads it."""
    key = rsa.generate_private_key(65537, 2048)
    certificate_der = certificate_for(key)
    encrypted = result_of(CERTIFICATES.encrypt(certificate_der, pvno=2))
    assert not encrypted.is_enveloped_data
    value = Cursor.over(encrypted.der).enter(tlv.SEQUENCE)
    algorithm = read_algorithm(tlv.element(tlv.SEQUENCE, value.contents(0xA1)))
    content_key = key.decrypt(value.contents(0x82)[1:], padding.PKCS1v15())
    assert read_algorithm(tlv.element(tlv.SEQUENCE, value.contents(0xA3))).oid == "1.2.840.113549.1.1.1"
    assert decrypt_content(algorithm, content_key, value.contents(tlv.BIT_STRING)[1:]) == certificate_der
    value.finish()


@pytest.mark.parametrize(
    ("key", "pvno"),
    [(ed25519.Ed25519PrivateKey.generate(), 3), (ec.generate_private_key(ec.SECP256R1()), 2)],
    ids=["a key that signs alone", "a curve in version 2"],
)
def test_a_key_that_cannot_decrypt_is_refused(key: PrivateKey, pvno: int) -> None:
    with pytest.raises(BadPublicKey) as refused:
        CERTIFICATES.check(info_of(key), pvno=pvno)
    assert failure_info(refused.value) is PKIFailureInfo.BAD_CERT_TEMPLATE
    with pytest.raises(BadPublicKey):
        result_of(CERTIFICATES.encrypt(certificate_for(key), pvno=pvno))


def test_octets_that_are_no_key_are_refused() -> None:
    with pytest.raises(BadPublicKey):
        CERTIFICATES.check(b"no key", pvno=3)
