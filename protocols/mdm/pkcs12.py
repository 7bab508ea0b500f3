"""A key and its certificate in one file that a password protects (RFC 7292, RFC 9579)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, serialize_key_and_certificates

from cspd.keys.values import KeyType, PrivateKey

ITERATIONS = 100_000
"""Of PBKDF2. A password of ours has 120 random bits; one that was given may be weak."""
LEGACY_ITERATIONS = 10_000

KEY_TYPES = frozenset(KeyType) - {KeyType.ML_DSA_44, KeyType.ML_DSA_65, KeyType.ML_DSA_87}
"""What fits into one; nobody reads ML-DSA in a PKCS#12 yet."""


def encode_pkcs12(
    key: PrivateKey,
    certificate_der: bytes,
    chain_der: Sequence[bytes],
    *,
    password: str,
    friendly_name: str,
    legacy: bool = False,
) -> bytes:
    """The PKCS#12, DER: PBES2 with AES-256 and a MAC of SHA-256, or, ``legacy``, 3DES and SHA-1.

    Takes a thread many milliseconds: the password is stretched.
    """
    protection = PrivateFormat.PKCS12.encryption_builder()
    if legacy:
        protection = protection.kdf_rounds(LEGACY_ITERATIONS).key_cert_algorithm(PBES.PBESv1SHA1And3KeyTripleDESCBC)
        protection = protection.hmac_hash(hashes.SHA1())  # noqa: S303  # what such devices read
    else:
        protection = protection.kdf_rounds(ITERATIONS).key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
        protection = protection.hmac_hash(hashes.SHA256())
    return serialize_key_and_certificates(
        friendly_name.encode(),
        key,  # type: ignore[arg-type]  # ML-DSA is not among KEY_TYPES
        x509.load_der_x509_certificate(certificate_der),
        [x509.load_der_x509_certificate(each) for each in chain_der],
        protection.build(password.encode()),
    )
