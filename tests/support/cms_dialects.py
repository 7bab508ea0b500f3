"""SignedData, EnvelopedData and certification requests as clients in the field encode them, octet by octet.

Our own codec writes one form of each, in DER. What is here writes the others: BER with indefinite lengths and octet
strings in pieces, digests and ciphers of the nineties, and attributes that we would not write.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import new as hash_new

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of
from cspd.x509.cms.content_encryption import ContentCipher

DATA, SIGNED_DATA, ENVELOPED_DATA = (f"1.2.840.113549.1.7.{number}" for number in (1, 2, 3))
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
BMP_STRING, IA5_STRING, PRINTABLE_STRING = 0x1E, 0x16, 0x13

DIGESTS: Mapping[str, tuple[str, str, type[hashes.HashAlgorithm]]] = {
    "md5": ("1.2.840.113549.2.5", "1.2.840.113549.1.1.4", hashes.MD5),
    "sha1": ("1.3.14.3.2.26", "1.2.840.113549.1.1.5", hashes.SHA1),
    "sha256": ("2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.11", hashes.SHA256),
    "sha512": ("2.16.840.1.101.3.4.2.3", "1.2.840.113549.1.1.13", hashes.SHA512),
}
"""Of each: the digest, the signature with RSA and it, and how the library calls it."""

_CONTEXT_0, _CONTEXT_0_PRIMITIVE = 0xA0, 0x80
_CONSTRUCTED = 0x20
_END = b"\x00\x00"


def algorithm(oid: str, parameters_der: bytes = tlv.NULL) -> bytes:
    """An AlgorithmIdentifier."""
    return tlv.sequence(tlv.object_identifier(oid), parameters_der)


def text(identifier: int, value: str) -> bytes:
    """A string of a type of ASN.1."""
    return tlv.element(identifier, value.encode("utf-16-be" if identifier == BMP_STRING else "utf-8"))


def name(*attributes: tuple[str, int, str]) -> bytes:
    """A Name of attributes that are each an object identifier, a string type, and a value."""
    return tlv.sequence(
        *(
            tlv.element(tlv.SET, tlv.sequence(tlv.object_identifier(oid), text(identifier, value)))
            for oid, identifier, value in attributes
        )
    )


def attribute(oid: str, value_der: bytes) -> bytes:
    """An Attribute with one value."""
    return tlv.sequence(tlv.object_identifier(oid), tlv.element(tlv.SET, value_der))


def certification_request(
    subject_der: bytes, attributes: Sequence[bytes], key: rsa.RSAPrivateKey, digest: str = "sha256"
) -> bytes:
    """A request for a certificate (RFC 2986), its attributes in the order of DER."""
    information = tlv.sequence(
        tlv.integer(0),
        subject_der,
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        tlv.element(_CONTEXT_0, b"".join(sorted(attributes))),
    )
    return tlv.sequence(
        information, algorithm(DIGESTS[digest][1]), tlv.element(tlv.BIT_STRING, b"\0" + _sign(key, information, digest))
    )


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a client writes CMS."""

    digest: str = "sha256"
    cipher: ContentCipher = ContentCipher.AES_128_CBC
    is_streamed: bool = False
    """Indefinite lengths, and octet strings in pieces, as encoders write that do not know how much is to come."""
    piece_octets: int = 1024
    names_digest_in_signature: bool = False
    """signatureAlgorithm is sha256WithRSAEncryption and its like, not rsaEncryption."""

    def signed(
        self, content: bytes, attributes: Mapping[str, bytes], key: rsa.RSAPrivateKey, certificate: x509.Certificate
    ) -> bytes:
        """A ContentInfo with SignedData; ``attributes`` are values, DER, by object identifier."""
        certificate_der = certificate.public_bytes(Encoding.DER)
        digest_oid, signature_oid, _ = DIGESTS[self.digest]
        all_attributes = {
            CONTENT_TYPE: tlv.object_identifier(DATA),
            MESSAGE_DIGEST: tlv.element(tlv.OCTET_STRING, hash_new(self.digest, content).digest()),
            **attributes,
        }
        signed = b"".join(sorted(attribute(oid, value) for oid, value in all_attributes.items()))
        signer_info = tlv.sequence(
            tlv.integer(1),
            fields_of(certificate_der).issuer_and_serial_number,
            algorithm(digest_oid),
            tlv.element(_CONTEXT_0, signed),
            algorithm(signature_oid if self.names_digest_in_signature else RSA_ENCRYPTION),
            tlv.element(tlv.OCTET_STRING, _sign(key, tlv.element(tlv.SET, signed), self.digest)),
        )
        return self._content_info(
            SIGNED_DATA,
            tlv.integer(1),
            tlv.element(tlv.SET, algorithm(digest_oid)),
            self._open(
                tlv.SEQUENCE,
                tlv.object_identifier(DATA),
                self._open(_CONTEXT_0, self._octets(tlv.OCTET_STRING, content)),
            ),
            tlv.element(_CONTEXT_0, certificate_der),
            tlv.element(tlv.SET, signer_info),
        )

    def enveloped(self, content: bytes, recipient: x509.Certificate) -> bytes:
        """A ContentInfo with EnvelopedData for the RSA key of a certificate, by issuer and serial number."""
        public_key = recipient.public_key()
        assert isinstance(public_key, rsa.RSAPublicKey)
        content_key, (iv, ciphertext) = _encrypted(self.cipher, content)
        recipient_info = tlv.sequence(
            tlv.integer(0),
            fields_of(recipient.public_bytes(Encoding.DER)).issuer_and_serial_number,
            algorithm(RSA_ENCRYPTION),
            tlv.element(tlv.OCTET_STRING, public_key.encrypt(content_key, padding.PKCS1v15())),
        )
        return self._content_info(
            ENVELOPED_DATA,
            tlv.integer(0),
            tlv.element(tlv.SET, recipient_info),
            self._open(
                tlv.SEQUENCE,
                tlv.object_identifier(DATA),
                algorithm(self.cipher.value, tlv.element(tlv.OCTET_STRING, iv)),
                self._octets(_CONTEXT_0_PRIMITIVE, ciphertext),
            ),
        )

    def _content_info(self, content_type: str, *fields: bytes) -> bytes:
        content = self._open(_CONTEXT_0, self._open(tlv.SEQUENCE, *fields))
        return self._open(tlv.SEQUENCE, tlv.object_identifier(content_type), content)

    def _open(self, identifier: int, *contents: bytes) -> bytes:
        """A constructed element."""
        whole = b"".join(contents)
        return bytes((identifier, 0x80)) + whole + _END if self.is_streamed else tlv.element(identifier, whole)

    def _octets(self, identifier: int, octets: bytes) -> bytes:
        """An octet string, perhaps under another tag."""
        if not self.is_streamed:
            return tlv.element(identifier, octets)
        starts = range(0, len(octets), self.piece_octets)
        pieces = (tlv.element(tlv.OCTET_STRING, octets[start : start + self.piece_octets]) for start in starts)
        return self._open(identifier | _CONSTRUCTED, *pieces)


def _encrypted(cipher: ContentCipher, content: bytes) -> tuple[bytes, tuple[bytes, bytes]]:
    """A key, and IV and ciphertext."""
    is_des = cipher.is_obsolete
    key, iv = os.urandom(cipher.key_octets), os.urandom(8 if is_des else 16)
    make: Callable[[bytes], algorithms.AES | TripleDES] = TripleDES if is_des else algorithms.AES
    padder = PKCS7(8 * len(iv)).padder()
    # DES is Triple DES with one key three times.
    encryptor = Cipher(make(key * 3 if cipher is ContentCipher.DES_CBC else key), modes.CBC(iv)).encryptor()
    padded = padder.update(content) + padder.finalize()
    return key, (iv, encryptor.update(padded) + encryptor.finalize())


def _sign(key: rsa.RSAPrivateKey, octets: bytes, digest: str) -> bytes:
    return key.sign(octets, padding.PKCS1v15(), DIGESTS[digest][2]())
