"""SignedData: ours and OpenSSL's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from cspd.keys.signer import Signer
from cspd.keys.values import KeyType
from cspd.x509.cms.signed import (
    certificates_of,
    encode_certs_only,
    find_certificate,
    read_signed_data,
    verify_signer,
)
from cspd.x509.cms.signing import SignedDataBuilder
from cspd.x509.cms.values import DATA, CMSError
from cspd.x509.identifiers import subject_key_identifier
from cspd.x509.signatures import SignatureError, read_algorithm, verify_signature
from tests.support.issuing import common_name
from tests.support.keys import InlineKeys
from tests.support.running import result_of

CONTENT = b"what is signed"
OTHER_TYPE = "1.3.6.1.5.5.7.12.2"


def self_signed(key: Any) -> x509.Certificate:
    name = common_name("signer")
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(17).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    hashless = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | mldsa.MLDSA44PrivateKey)
    return builder.sign(key, None if hashless else hashes.SHA256())


def signed_by(
    key_type: KeyType, digest: hashes.HashAlgorithm, content_type: str = DATA
) -> tuple[bytes, x509.Certificate]:
    """A message signed by a new key through the key service's own door, and its certificate."""
    keys = InlineKeys()
    reference = result_of(keys.generate(key_type, label="signer"))
    certificate = self_signed(keys.private_keys[reference])
    certificate_der = certificate.public_bytes(Encoding.DER)
    signer = Signer(keys, reference, result_of(keys.public_key(reference)))
    builder = SignedDataBuilder(certificate_der, digest, signer.algorithm_der)
    attributes_der = builder.signed_attributes(content_type, CONTENT, signing_time=datetime(2026, 11, 24, tzinfo=UTC))
    signature = result_of(signer.sign(attributes_der))
    return builder.message(content_type, CONTENT, attributes_der, signature), certificate


@pytest.mark.parametrize(
    ("key_type", "digest"),
    [
        (KeyType.RSA_2048, hashes.SHA256()),
        (KeyType.EC_P256, hashes.SHA256()),
        (KeyType.EC_P384, hashes.SHA384()),
        (KeyType.ED25519, hashes.SHA512()),
        (KeyType.ML_DSA_44, hashes.SHA512()),
    ],
    ids=lambda value: value.value if isinstance(value, KeyType) else "",
)
@pytest.mark.parametrize("content_type", [DATA, OTHER_TYPE])
def test_what_is_signed_verifies(key_type: KeyType, digest: hashes.HashAlgorithm, content_type: str) -> None:
    message, certificate = signed_by(key_type, digest, content_type)
    signed = read_signed_data(message)
    assert (signed.content_type, signed.content) == (content_type, CONTENT)
    [signer] = signed.signers
    found = find_certificate(signer, certificates_of(signed))
    assert found == certificate
    verify_signer(signer, found.public_key(), content_type=content_type, content=CONTENT)
    with pytest.raises(CMSError, match="the content is not what was signed"):
        verify_signer(signer, found.public_key(), content_type=content_type, content=CONTENT + b"!")
    with pytest.raises(CMSError, match="the signed content type is another"):
        verify_signer(signer, found.public_key(), content_type="1.2.3", content=CONTENT)


@pytest.mark.parametrize("options", [[pkcs7.PKCS7Options.Binary], [pkcs7.PKCS7Options.NoAttributes]])
def test_what_openssl_signed_verifies(options: list[pkcs7.PKCS7Options]) -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate = self_signed(key)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT).add_signer(certificate, key, hashes.SHA256())
    signed = read_signed_data(builder.sign(Encoding.DER, options))
    [signer] = signed.signers
    assert signed.content is not None
    verify_signer(
        signer,
        find_certificate(signer, certificates_of(signed)).public_key(),
        content_type=signed.content_type,
        content=signed.content,
    )


def test_sha1_needs_a_switch() -> None:
    key = rsa.generate_private_key(65537, 2048)
    sha1 = hashes.SHA1()  # what old devices send
    algorithm = read_algorithm(bytes.fromhex("300d06092a864886f70d0101050500"))
    signature = key.sign(CONTENT, padding.PKCS1v15(), sha1)
    with pytest.raises(SignatureError, match="SHA-1"):
        verify_signature(key.public_key(), algorithm, signature, CONTENT)
    verify_signature(key.public_key(), algorithm, signature, CONTENT, allow_sha1=True)


def test_an_algorithm_of_another_kind_of_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    algorithm = read_algorithm(bytes.fromhex("300d06092a864886f70d01010b0500"))  # sha256WithRSAEncryption
    with pytest.raises(SignatureError, match="does not go with"):
        verify_signature(key.public_key(), algorithm, b"", CONTENT)


def test_a_signature_with_pss() -> None:
    key = rsa.generate_private_key(65537, 2048)
    # SHA-256, MGF1 with SHA-256, 32 octets of salt (RFC 4055, 3.1).
    algorithm = read_algorithm(
        bytes.fromhex(
            "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d"
            "06096086480165030402010500a203020120"
        )
    )
    signature = key.sign(CONTENT, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    verify_signature(key.public_key(), algorithm, signature, CONTENT)
    with pytest.raises(SignatureError, match="the signature does not fit"):
        verify_signature(key.public_key(), algorithm, signature, CONTENT + b"!")


def test_certificates_without_a_signature() -> None:
    certificates = [self_signed(ec.generate_private_key(ec.SECP256R1())) for _ in range(3)]
    message = encode_certs_only(each.public_bytes(Encoding.DER) for each in certificates)
    signed = read_signed_data(message)
    assert (signed.content, signed.signers) == (None, ())
    assert set(certificates_of(signed)) == set(certificates)
    assert set(pkcs7.load_der_pkcs7_certificates(message)) == set(certificates)


def test_a_stranger_signed_it() -> None:
    message, _ = signed_by(KeyType.EC_P256, hashes.SHA256())
    [signer] = read_signed_data(message).signers
    with pytest.raises(CMSError, match="the signer's certificate is not there"):
        find_certificate(signer, [])


@given(st.binary(max_size=200))
def test_any_octets_give_a_message_or_an_error(data: bytes) -> None:
    with pytest.raises(CMSError):
        read_signed_data(data)


def test_a_certificate_with_an_extension_twice_is_named_by_its_key() -> None:
    """``cryptography`` raises an exception of its own kind for it."""
    key = ec.derive_private_key(4711, ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(common_name("signer")).issuer_name(common_name("signer"))
    builder = builder.public_key(key.public_key()).serial_number(17)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    for number in (1, 2):
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{number}"), b"")
        builder = builder.add_extension(extension, critical=False)
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    certificate = x509.load_der_x509_certificate(der.replace(b"\x2a\x03\x02", b"\x2a\x03\x01"))
    with pytest.raises(x509.DuplicateExtension):
        _ = certificate.extensions
    identifier = subject_key_identifier(key.public_key())
    signed, _ = signed_by(KeyType.EC_P256, hashes.SHA256())
    [signer] = read_signed_data(signed).signers
    signer = replace(signer, issuer_der=None, serial_number=None, subject_key_identifier=identifier)
    assert find_certificate(signer, [certificate]) == certificate
