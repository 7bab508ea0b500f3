"""The EncryptedValue of old (RFC 4211, 2.1 and 6.4), which clients read before RFC 9480 had EnvelopedData instead."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import ContentCipher, RandomBytes, encrypt_content

_RSA_ENCRYPTION = tlv.object_identifier("1.2.840.113549.1.1.1") + tlv.NULL
_SYMM_ALG, _ENC_SYMM_KEY, _KEY_ALG = 0xA1, 0x82, 0xA3


def encode_encrypted_value(content: bytes, public_key: rsa.RSAPublicKey, random_bytes: RandomBytes) -> bytes:
    """``content`` for the holder of an RSA key, DER: AES-256 in CBC mode, its key by PKCS#1 v1.5.

    Nothing protects it from being changed: for what is public or signed, such as a certificate, and for no private key.
    """
    cipher = ContentCipher.AES_256_CBC
    content_key = random_bytes(cipher.key_octets)
    encrypted = encrypt_content(cipher, content_key, content, random_bytes)
    _, start, stop = tlv.read_any(encrypted.algorithm_der, 0, len(encrypted.algorithm_der))
    return tlv.sequence(
        tlv.element(_SYMM_ALG, encrypted.algorithm_der[start:stop]),
        tlv.element(_ENC_SYMM_KEY, b"\x00" + public_key.encrypt(content_key, padding.PKCS1v15())),
        tlv.element(_KEY_ALG, _RSA_ENCRYPTION),
        tlv.element(tlv.BIT_STRING, b"\x00" + encrypted.ciphertext),
    )
