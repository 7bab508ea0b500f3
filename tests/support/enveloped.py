"""Opens what was sealed for somebody, step by step as a client does, and checks every step."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from cryptography.hazmat.primitives.serialization import load_der_private_key

from cspd.keys.values import PrivateKey
from cspd.x509 import tlv
from cspd.x509.asymmetric_key_package import KEY_PACKAGE, OneAsymmetricKey, read_key_package
from cspd.x509.cms.content_encryption import decrypt_content
from cspd.x509.cms.recipients import (
    AES_WRAP,
    ECDH_SHA256_KDF,
    PBKDF2,
    PWRI_KEK,
    RSAES_OAEP,
    RSAES_PKCS1,
    agreed_key,
)
from cspd.x509.cms.signed import (
    certificates_of,
    encode_content_info,
    find_certificate,
    read_signed_data,
    verify_signer,
)
from cspd.x509.cms.values import SIGNED_DATA
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import read_algorithm


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A bare EnvelopedData (RFC 5652, 6.1) with one recipient."""

    version: int
    recipient: bytes
    content_type: str
    algorithm_der: bytes
    ciphertext: bytes

    @classmethod
    def of(cls, enveloped_der: bytes) -> Envelope:
        """Read it."""
        cursor = Cursor.over(enveloped_der).enter(tlv.SEQUENCE)
        version = cursor.integer()
        [recipient] = cursor.enter(tlv.SET).elements()
        info = cursor.enter(tlv.SEQUENCE)
        cursor.finish()
        return cls(
            version=version,
            recipient=recipient,
            content_type=info.object_identifier(),
            algorithm_der=info.element(),
            ciphertext=info.contents(0x80),
        )

    def content(self, content_key: bytes) -> bytes:
        """What is inside."""
        return decrypt_content(read_algorithm(self.algorithm_der), content_key, self.ciphertext)

    def for_rsa(self, key: rsa.RSAPrivateKey) -> tuple[bytes, bytes]:
        """The identifier of the recipient, an element, and the content."""
        cursor = Cursor.over(self.recipient).enter(tlv.SEQUENCE)
        version, rid, algorithm = cursor.integer(), cursor.element(), read_algorithm(cursor.element())
        assert version == (0 if rid[0] == tlv.SEQUENCE else 2)
        assert self.version == version
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        scheme = {RSAES_OAEP: oaep, RSAES_PKCS1: padding.PKCS1v15()}[algorithm.oid]
        return rid, self.content(key.decrypt(cursor.contents(tlv.OCTET_STRING), scheme))

    def for_ec(self, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
        """As :meth:`for_rsa`."""
        cursor = Cursor.over(self.recipient).enter(0xA1)
        assert (self.version, cursor.integer()) == (2, 3)
        originator = cursor.enter(0xA0).enter(0xA1)
        originator.enter(tlv.SEQUENCE)
        point = originator.contents(tlv.BIT_STRING)[1:]
        algorithm = read_algorithm(cursor.element())
        assert algorithm.oid == ECDH_SHA256_KDF
        assert read_algorithm(algorithm.parameters_der).oid == AES_WRAP[32]
        [encrypted] = cursor.enter(tlv.SEQUENCE).elements()
        inner = Cursor.over(encrypted).enter(tlv.SEQUENCE)
        rid, wrapped = inner.element(), inner.contents(tlv.OCTET_STRING)
        ephemeral = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
        shared = key.exchange(ec.ECDH(), ephemeral)
        return rid, self.content(aes_key_unwrap(agreed_key(shared, algorithm.parameters_der, 32), wrapped))

    def for_password(self, password: bytes) -> bytes:
        """The content."""
        cursor = Cursor.over(self.recipient).enter(0xA3)
        assert (self.version, cursor.integer()) == (3, 0)
        derivation = read_algorithm(tlv.element(tlv.SEQUENCE, cursor.contents(0xA0)))
        assert derivation.oid == PBKDF2
        parameters = Cursor.over(derivation.parameters_der).enter(tlv.SEQUENCE)
        salt, iterations = parameters.contents(tlv.OCTET_STRING), parameters.integer()
        wrapping = read_algorithm(cursor.element())
        assert wrapping.oid == PWRI_KEK
        iv = Cursor.over(read_algorithm(wrapping.parameters_der).parameters_der).contents(tlv.OCTET_STRING)
        key = PBKDF2HMAC(hashes.SHA256(), 32, salt, iterations).derive(password)
        return self.content(_unwrap_with_password_key(key, iv, cursor.contents(tlv.OCTET_STRING)))

    def for_shared_key(self, key: bytes) -> tuple[bytes, bytes]:
        """The identifier of the key, its octets, and the content."""
        cursor = Cursor.over(self.recipient).enter(0xA2)
        assert (self.version, cursor.integer()) == (2, 4)
        identifier = cursor.enter(tlv.SEQUENCE).contents(tlv.OCTET_STRING)
        assert read_algorithm(cursor.element()).oid == AES_WRAP[len(key)]
        return identifier, self.content(aes_key_unwrap(key, cursor.contents(tlv.OCTET_STRING)))


def _unwrap_with_password_key(key: bytes, iv: bytes, wrapped: bytes) -> bytes:
    """RFC 3211, 2.3.2."""

    def decrypt(iv: bytes, octets: bytes) -> bytes:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        return decryptor.update(octets) + decryptor.finalize()

    last = decrypt(wrapped[-32:-16], wrapped[-16:])
    block = decrypt(iv, decrypt(last, wrapped[:-16]) + last)
    content_key = block[4 : 4 + block[0]]
    assert bytes(octet ^ 0xFF for octet in block[1:4]) == content_key[:3]
    return content_key


def opened_key_package(signed_der: bytes, signer: x509.Certificate) -> OneAsymmetricKey:
    """The key in a bare SignedData, whose signature is that of ``signer``, which comes first in it."""
    signed = read_signed_data(encode_content_info(SIGNED_DATA, signed_der))
    assert signed.content_type == KEY_PACKAGE
    assert signed.content is not None
    [info] = signed.signers
    certificates = certificates_of(signed)
    assert certificates[0] == signer
    assert all(each.subject != each.issuer for each in certificates[1:])
    assert find_certificate(info, certificates) == signer
    assert info.subject_key_identifier is not None
    assert len(info.signed_attributes) == 2
    verify_signer(info, signer.public_key(), content_type=KEY_PACKAGE, content=signed.content)
    [key] = read_key_package(signed.content)
    return key


def private_key_of(key: OneAsymmetricKey) -> PrivateKey:
    """The key, loaded."""
    loaded = load_der_private_key(key.pkcs8_der, None)
    assert isinstance(loaded, PrivateKey)
    return loaded
