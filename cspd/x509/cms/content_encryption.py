"""The ciphers of enveloped content (RFC 3565, RFC 5084, RFC 3370): AES in CBC and GCM; DES only to read old devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from cspd.x509 import tlv
from cspd.x509.cms.values import CMSError, UnknownCipher
from cspd.x509.signatures import Algorithm

RandomBytes = Callable[[int], bytes]

_GCM_NONCE, _GCM_TAG = 12, 16
_AES_BLOCK, _DES_BLOCK = 16, 8


class ContentCipher(Enum):
    """A cipher to encrypt content with; the value is its object identifier."""

    AES_128_CBC = "2.16.840.1.101.3.4.1.2"
    AES_192_CBC = "2.16.840.1.101.3.4.1.22"
    AES_256_CBC = "2.16.840.1.101.3.4.1.42"
    AES_128_GCM = "2.16.840.1.101.3.4.1.6"
    AES_192_GCM = "2.16.840.1.101.3.4.1.26"
    AES_256_GCM = "2.16.840.1.101.3.4.1.46"
    DES_EDE3_CBC = "1.2.840.113549.3.7"
    """Three keys; only where a switch allows it."""
    DES_CBC = "1.3.14.3.2.7"
    """56 bits; only where a switch allows it."""

    @property
    def key_octets(self) -> int:
        """The length of its key."""
        return _KEY_OCTETS[self]

    @property
    def is_authenticated(self) -> bool:
        """Whether the content goes into an AuthEnvelopedData."""
        return self in _GCM

    @property
    def is_obsolete(self) -> bool:
        """Whether nobody should use it."""
        return self in (ContentCipher.DES_CBC, ContentCipher.DES_EDE3_CBC)


_KEY_OCTETS = {
    ContentCipher.AES_128_CBC: 16,
    ContentCipher.AES_192_CBC: 24,
    ContentCipher.AES_256_CBC: 32,
    ContentCipher.AES_128_GCM: 16,
    ContentCipher.AES_192_GCM: 24,
    ContentCipher.AES_256_GCM: 32,
    ContentCipher.DES_EDE3_CBC: 24,
    ContentCipher.DES_CBC: 8,
}
_GCM = frozenset({ContentCipher.AES_128_GCM, ContentCipher.AES_192_GCM, ContentCipher.AES_256_GCM})


@dataclass(frozen=True, slots=True)
class EncryptedContent:
    """Content behind a cipher."""

    algorithm_der: bytes
    """The contentEncryptionAlgorithm, with its IV or nonce."""
    ciphertext: bytes
    tag: bytes = b""
    """Of an authenticated cipher."""


def encrypt_content(cipher: ContentCipher, key: bytes, content: bytes, random_bytes: RandomBytes) -> EncryptedContent:
    """Encrypt with a key of ``cipher.key_octets``."""
    if cipher.is_authenticated:
        nonce = random_bytes(_GCM_NONCE)
        sealed = AESGCM(key).encrypt(nonce, content, None)
        parameters = tlv.sequence(tlv.element(tlv.OCTET_STRING, nonce), tlv.integer(_GCM_TAG))
        return EncryptedContent(_algorithm(cipher, parameters), sealed[:-_GCM_TAG], sealed[-_GCM_TAG:])
    block = _DES_BLOCK if cipher.is_obsolete else _AES_BLOCK
    iv = random_bytes(block)
    padder = PKCS7(8 * block).padder()
    encryptor = _cbc(cipher, key, iv).encryptor()
    ciphertext = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    return EncryptedContent(_algorithm(cipher, tlv.element(tlv.OCTET_STRING, iv)), ciphertext)


def decrypt_content(algorithm: Algorithm, key: bytes, ciphertext: bytes, tag: bytes = b"", aad: bytes = b"") -> bytes:
    """Decrypt; raises :class:`CMSError` for an unknown cipher, and one and the same for whatever else does not fit."""
    cipher = cipher_of(algorithm)
    try:
        if cipher.is_authenticated:
            return AESGCM(key).decrypt(_gcm_nonce(algorithm.parameters_der), ciphertext + tag, aad or None)
        iv_start, iv_end = tlv.read_only(algorithm.parameters_der, 0, len(algorithm.parameters_der), tlv.OCTET_STRING)
        if len(key) != cipher.key_octets:
            raise ValueError("a key of another length")
        decryptor = _cbc(cipher, key, algorithm.parameters_der[iv_start:iv_end]).decryptor()
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        unpadder = PKCS7(8 * (_DES_BLOCK if cipher.is_obsolete else _AES_BLOCK)).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (ValueError, InvalidTag) as error:
        # One text for all: what tells a wrong key from a wrong padding is an oracle.
        raise CMSError("the content cannot be decrypted") from error


def cipher_of(algorithm: Algorithm) -> ContentCipher:
    """The cipher of a contentEncryptionAlgorithm; raises :class:`UnknownCipher` for one we do not know."""
    try:
        return ContentCipher(algorithm.oid)
    except ValueError:
        raise UnknownCipher(f"the content cipher {algorithm.oid} is not known") from None


def _cbc(cipher: ContentCipher, key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    if cipher is ContentCipher.DES_CBC:
        return Cipher(TripleDES(key * 3), modes.CBC(iv))  # DES is 3DES with one key
    if cipher is ContentCipher.DES_EDE3_CBC:
        return Cipher(TripleDES(key), modes.CBC(iv))  # behind a switch
    return Cipher(algorithms.AES(key), modes.CBC(iv))


def _gcm_nonce(parameters_der: bytes) -> bytes:
    """The nonce of GCMParameters (RFC 5084, 3.2); the tag must have its full length."""
    start, end = tlv.read_only(parameters_der, 0, len(parameters_der), tlv.SEQUENCE)
    nonce_start, nonce_end = tlv.read(parameters_der, start, end, tlv.OCTET_STRING)
    tag_octets = 12  # DEFAULT
    if nonce_end < end:
        tag_octets = tlv.read_integer(parameters_der, *tlv.read_only(parameters_der, nonce_end, end, tlv.INTEGER))
    if tag_octets != _GCM_TAG:
        raise ValueError("a shortened tag")
    return parameters_der[nonce_start:nonce_end]


def _algorithm(cipher: ContentCipher, parameters_der: bytes) -> bytes:
    return tlv.sequence(tlv.object_identifier(cipher.value), parameters_der)
