"""Opening what was enveloped for a password: PBKDF2 and PWRI-KEK (RFC 5652, 6.2.4; RFC 3211; RFC 8018)."""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import ContentCipher, cipher_of
from cspd.x509.cms.enveloped import PasswordRecipient
from cspd.x509.cms.recipients import HMAC_SHA256, PBKDF2, PWRI_KEK
from cspd.x509.cms.values import CMSError
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import Algorithm, SignatureError, read_algorithm

MAX_ITERATIONS = 600_000
"""A quarter of a second and more of a processor; who asks for more wants to keep us busy."""
MAX_SALT = 64
"""Octets."""

_SHA1 = hashes.SHA1()  # noqa: S303  # in HMAC, where its collisions do not matter
_PRF: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.2.7": _SHA1,
    "1.2.840.113549.2.8": hashes.SHA224(),
    HMAC_SHA256: hashes.SHA256(),
    "1.2.840.113549.2.10": hashes.SHA384(),
    "1.2.840.113549.2.11": hashes.SHA512(),
}
_WRAPPING = {
    ContentCipher.AES_128_CBC: 16,
    ContentCipher.AES_192_CBC: 16,
    ContentCipher.AES_256_CBC: 16,
    ContentCipher.DES_EDE3_CBC: 8,
}
"""Octets of a block by the cipher that wraps."""


def unwrap_with_password(
    recipient: PasswordRecipient, password: bytes, *, max_iterations: int = MAX_ITERATIONS
) -> bytes:
    """The content key.

    Takes a tenth of a second and more: run it in a thread. Raises :class:`CMSError` for algorithms that are not known
    or ask too much, and one and the same for whatever else does not fit.
    """
    cipher, iv = _wrapping(recipient.wrapping)
    key = _derive(recipient.derivation, password, cipher.key_octets, max_iterations)
    block = _WRAPPING[cipher]
    wrapped = recipient.encrypted_key
    if len(wrapped) < 2 * block or len(wrapped) % block or len(iv) != block:
        raise CMSError("the content key cannot be unwrapped")
    # RFC 3211, 2.3.2: the last block is the IV that the first encryption ended with.
    last = _decrypt(cipher, key, wrapped[-2 * block : -block], wrapped[-block:])
    once = _decrypt(cipher, key, last, wrapped[:-block]) + last
    plain = _decrypt(cipher, key, iv, once)
    octets = plain[0]
    content_key = plain[4 : 4 + octets]
    check = bytes(octet ^ 0xFF for octet in plain[1:4])
    if len(content_key) != octets or octets < len(check) or not bytes_eq(check, content_key[:3]):
        raise CMSError("the content key cannot be unwrapped")
    return content_key


def _wrapping(algorithm: Algorithm) -> tuple[ContentCipher, bytes]:
    """The cipher and IV of id-alg-PWRI-KEK."""
    if algorithm.oid != PWRI_KEK:
        raise CMSError(f"the password wrapping {algorithm.oid} is not known")
    try:
        inner = read_algorithm(algorithm.parameters_der)
        cipher = cipher_of(inner)
        if cipher not in _WRAPPING:
            raise CMSError(f"the password wrapping {inner.oid} is not known")
        parameters = Cursor.over(inner.parameters_der)
        iv = parameters.contents(tlv.OCTET_STRING)
        parameters.finish()
    except (tlv.DERError, SignatureError) as error:
        raise CMSError(f"not a password wrapping: {error}") from error
    return cipher, iv


def _derive(derivation: Algorithm | None, password: bytes, octets: int, max_iterations: int) -> bytes:
    if derivation is None or derivation.oid != PBKDF2:
        raise CMSError("a key derivation other than PBKDF2")
    try:
        cursor = Cursor.over(derivation.parameters_der).enter(tlv.SEQUENCE)
        salt, iterations = cursor.contents(tlv.OCTET_STRING), cursor.integer()
        if cursor.peek() == tlv.INTEGER and cursor.integer() != octets:
            raise CMSError("a derived key of another length than its cipher's")
        prf = _SHA1 if cursor.is_at_end else _PRF.get(read_algorithm(cursor.element()).oid)
        cursor.finish()
    except (tlv.DERError, SignatureError) as error:
        raise CMSError(f"not parameters of PBKDF2: {error}") from error
    if prf is None:
        raise CMSError("the function of PBKDF2 is not known")
    if not 0 < iterations <= max_iterations or not 0 < len(salt) <= MAX_SALT:
        raise CMSError(f"more than {max_iterations} iterations, or a salt of more than {MAX_SALT} octets")
    return PBKDF2HMAC(prf, octets, salt, iterations).derive(password)


def _decrypt(cipher: ContentCipher, key: bytes, iv: bytes, octets: bytes) -> bytes:
    algorithm = TripleDES(key) if cipher is ContentCipher.DES_EDE3_CBC else algorithms.AES(key)
    decryptor = Cipher(algorithm, modes.CBC(iv)).decryptor()
    return decryptor.update(octets) + decryptor.finalize()


__all__ = ["MAX_ITERATIONS", "unwrap_with_password"]
