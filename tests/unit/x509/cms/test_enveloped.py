"""Enveloped content, read by OpenSSL's library through cryptography where it can, and by our own reader."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.cms.content_encryption import ContentCipher, decrypt_content, encrypt_content
from cspd.x509.cms.enveloped import encode_enveloped_data, read_enveloped_data
from cspd.x509.cms.recipients import KeyAgreement, KeyTransport, Password, SharedKey, recipient_of
from cspd.x509.cms.values import CMSError
from cspd.x509.signatures import Algorithm, read_algorithm
from tests.support.issuing import common_name

CONTENT = b"a private key, for example"


def counted(octets: int) -> bytes:
    """No randomness, so that a failure repeats itself."""
    return bytes(range(octets))


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def certificate_for(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> x509.Certificate:
    name = common_name("recipient")
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(4711).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


@pytest.mark.parametrize("cipher", [ContentCipher.AES_128_CBC, ContentCipher.AES_256_CBC])
def test_openssl_reads_key_transport(cipher: ContentCipher) -> None:
    key = rsa_key()
    certificate = certificate_for(key)
    message = encode_enveloped_data(CONTENT, [recipient_of(certificate)], random_bytes=counted, cipher=cipher)
    assert pkcs7.pkcs7_decrypt_der(message, certificate, key, []) == CONTENT


def test_what_openssl_wrote_is_read() -> None:
    key = rsa_key()
    certificate = certificate_for(key)
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(CONTENT).add_recipient(certificate)
    message = builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    enveloped = read_enveloped_data(message)
    [recipient] = enveloped.key_transport
    assert (recipient.issuer_der, recipient.serial_number) == (certificate.issuer.public_bytes(), 4711)
    content_key = key.decrypt(recipient.encrypted_key, padding.PKCS1v15())
    assert enveloped.cipher is ContentCipher.AES_128_CBC
    assert enveloped.decrypt(content_key) == CONTENT


@pytest.mark.parametrize("cipher", ContentCipher)
def test_every_cipher_goes_both_ways(cipher: ContentCipher) -> None:
    key = rsa_key()
    message = encode_enveloped_data(
        CONTENT, [KeyTransport(key.public_key(), oaep=True)], random_bytes=counted, cipher=cipher
    )
    enveloped = read_enveloped_data(message)
    [recipient] = enveloped.key_transport
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    content_key = key.decrypt(recipient.encrypted_key, oaep)
    assert len(content_key) == cipher.key_octets
    assert enveloped.decrypt(content_key) == CONTENT


@pytest.mark.parametrize("cipher", ContentCipher)
def test_a_wrong_key_and_a_changed_content_are_the_same_error(cipher: ContentCipher) -> None:
    key = bytes(range(1, cipher.key_octets + 1))
    encrypted = encrypt_content(cipher, key, CONTENT, counted)
    algorithm = read_algorithm(encrypted.algorithm_der)
    cut = encrypted.ciphertext[:-1]
    for wrong_key, ciphertext in ((key[:-1], encrypted.ciphertext), (key, cut), (key, b"")):
        with pytest.raises(CMSError, match=r"^the content cannot be decrypted$"):
            decrypt_content(algorithm, wrong_key, ciphertext, encrypted.tag[:-1])


def test_an_unknown_cipher_is_named() -> None:
    with pytest.raises(CMSError, match=r"the content cipher 1\.2\.3 is not known"):
        decrypt_content(Algorithm("1.2.3"), b"", b"")


def test_nothing_is_encrypted_for_a_key_that_only_signs() -> None:
    with pytest.raises(CMSError, match="Ed25519"):
        recipient_of(certificate_for(ed25519.Ed25519PrivateKey.generate()))


def test_several_recipients_share_one_content() -> None:
    key, other = rsa_key(), ec.generate_private_key(ec.SECP256R1())
    recipients = [
        recipient_of(certificate_for(key)),
        KeyAgreement(other.public_key()),
        SharedKey(bytes(32), b"my key"),
        Password(b"secret", iterations=10),
    ]
    enveloped = read_enveloped_data(encode_enveloped_data(CONTENT, recipients, random_bytes=counted))
    assert len(enveloped.key_transport) == 1
    assert len(enveloped.passwords) == 1
    content_key = key.decrypt(enveloped.key_transport[0].encrypted_key, padding.PKCS1v15())
    assert enveloped.decrypt(content_key) == CONTENT


@given(st.binary(max_size=200))
def test_any_octets_give_a_message_or_an_error(data: bytes) -> None:
    with pytest.raises(CMSError):
        read_enveloped_data(data)
