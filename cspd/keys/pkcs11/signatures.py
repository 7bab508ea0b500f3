"""What to ask a token so that it gives the signature that ``cryptography`` was asked for. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed, encode_dss_signature
from pkcs11 import MGF, Mechanism


@dataclass(frozen=True, slots=True)
class SignatureRequest:
    """The arguments of C_SignInit and C_Sign."""

    mechanism: Mechanism
    parameter: Any
    data: bytes


@dataclass(frozen=True, slots=True)
class _Hash:
    digest_info: bytes
    """What comes before the digest in a DigestInfo (RFC 8017, 9.2, note 1)."""
    mechanism: Mechanism
    mgf: MGF


_HASHES: Mapping[str, _Hash] = {
    "sha224": _Hash(bytes.fromhex("302d300d06096086480165030402040500041c"), Mechanism.SHA224, MGF.SHA224),
    "sha256": _Hash(bytes.fromhex("3031300d060960864801650304020105000420"), Mechanism.SHA256, MGF.SHA256),
    "sha384": _Hash(bytes.fromhex("3041300d060960864801650304020205000430"), Mechanism.SHA384, MGF.SHA384),
    "sha512": _Hash(bytes.fromhex("3051300d060960864801650304020305000440"), Mechanism.SHA512, MGF.SHA512),
    "sha3-224": _Hash(bytes.fromhex("302d300d06096086480165030402070500041c"), Mechanism.SHA3_224, MGF.SHA3_224),
    "sha3-256": _Hash(bytes.fromhex("3031300d060960864801650304020805000420"), Mechanism.SHA3_256, MGF.SHA3_256),
    "sha3-384": _Hash(bytes.fromhex("3041300d060960864801650304020905000430"), Mechanism.SHA3_384, MGF.SHA3_384),
    "sha3-512": _Hash(bytes.fromhex("3051300d060960864801650304020a05000440"), Mechanism.SHA3_512, MGF.SHA3_512),
}


def rsa_request(
    data: bytes,
    rsa_padding: padding.AsymmetricPadding,
    algorithm: hashes.HashAlgorithm | Prehashed | NoDigestInfo,
    key_bits: int,
) -> SignatureRequest:
    """For ``RSAPrivateKey.sign``; the digest is made here, for tokens hash slowly.

    Raises UnsupportedAlgorithm for anything but PKCS #1 v1.5 and PSS with SHA-2 or SHA-3.
    """
    if isinstance(rsa_padding, padding.PKCS1v15):
        if isinstance(algorithm, NoDigestInfo):
            return SignatureRequest(Mechanism.RSA_PKCS, None, data)
        digest, known = _digest(data, algorithm)
        return SignatureRequest(Mechanism.RSA_PKCS, None, known.digest_info + digest)
    if isinstance(rsa_padding, padding.PSS) and not isinstance(algorithm, NoDigestInfo):
        digest, known = _digest(data, algorithm)
        salt_length = _salt_length(rsa_padding, len(digest), key_bits)
        _, mgf = _hash_of(rsa_padding.mgf._algorithm)
        return SignatureRequest(Mechanism.RSA_PKCS_PSS, (known.mechanism, mgf.mgf, salt_length), digest)
    raise UnsupportedAlgorithm(f"{rsa_padding.name} with {type(algorithm).__name__}")


def ecdsa_request(data: bytes, algorithm: ec.EllipticCurveSignatureAlgorithm, key_bits: int) -> SignatureRequest:
    """For ``EllipticCurvePrivateKey.sign``.

    Raises UnsupportedAlgorithm for anything but random ECDSA with SHA-2 or SHA-3.
    """
    if not isinstance(algorithm, ec.ECDSA) or algorithm.deterministic_signing:
        raise UnsupportedAlgorithm("tokens sign with ECDSA and a random k")
    digest, _ = _digest(data, algorithm.algorithm)
    # FIPS 186-5, 6.4.1 takes the leftmost bits; not all tokens do that for CKM_ECDSA, some refuse the length.
    return SignatureRequest(Mechanism.ECDSA, None, digest[: (key_bits + 7) // 8])


def ecdsa_signature_der(signature: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 5480, appendix A) of the token's r and s; raises ValueError for an odd length."""
    half, odd = divmod(len(signature), 2)
    if odd or not half:
        raise ValueError(f"an ECDSA signature of {len(signature)} octets")
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))


def _digest(data: bytes, algorithm: hashes.HashAlgorithm | Prehashed) -> tuple[bytes, _Hash]:
    if isinstance(algorithm, Prehashed):
        hash_algorithm, known = _hash_of(algorithm._algorithm)
        if len(data) != hash_algorithm.digest_size:
            raise ValueError("the digest does not have the length of its hash")
        return bytes(data), known
    hash_algorithm, known = _hash_of(algorithm)
    return hashlib.new(hash_algorithm.name.replace("-", "_"), data).digest(), known


def _hash_of(algorithm: hashes.HashAlgorithm) -> tuple[hashes.HashAlgorithm, _Hash]:
    try:
        return algorithm, _HASHES[algorithm.name]
    except KeyError:
        raise UnsupportedAlgorithm(f"{algorithm.name} is not for signatures here") from None


def _salt_length(pss: padding.PSS, digest_length: int, key_bits: int) -> int:
    wanted = pss._salt_length
    if isinstance(wanted, int):
        return wanted
    if wanted is padding.PSS.DIGEST_LENGTH:
        return digest_length
    if wanted is padding.PSS.MAX_LENGTH:
        return (key_bits + 6) // 8 - digest_length - 2  # emLen - hLen - 2, emBits = key_bits - 1 (RFC 8017, 9.1.1)
    raise UnsupportedAlgorithm("a PSS salt length for signing")


__all__ = ["SignatureRequest", "ecdsa_request", "ecdsa_signature_der", "rsa_request"]
