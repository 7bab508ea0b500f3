"""Verifying signatures by AlgorithmIdentifier, as CMS, CMP and CRMF name them (RFC 4055, 5758, 8410, 9688, 9881)."""

from __future__ import annotations

from dataclasses import dataclass

from asn1crypto.algos import RSASSAPSSParams
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from cspd.x509 import tlv
from cspd.x509.der import DERError, read

_SHA1 = hashes.SHA1()  # noqa: S303  # refused unless the caller allows it
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "1.3.14.3.2.26": _SHA1,
    "2.16.840.1.101.3.4.2.4": hashes.SHA224(),
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
    "2.16.840.1.101.3.4.2.7": hashes.SHA3_224(),
    "2.16.840.1.101.3.4.2.8": hashes.SHA3_256(),
    "2.16.840.1.101.3.4.2.9": hashes.SHA3_384(),
    "2.16.840.1.101.3.4.2.10": hashes.SHA3_512(),
}
_RSA_WITH: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.1.1.5": _SHA1,
    "1.2.840.113549.1.1.14": hashes.SHA224(),
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
    "2.16.840.1.101.3.4.3.13": hashes.SHA3_224(),
    "2.16.840.1.101.3.4.3.14": hashes.SHA3_256(),
    "2.16.840.1.101.3.4.3.15": hashes.SHA3_384(),
    "2.16.840.1.101.3.4.3.16": hashes.SHA3_512(),
}
_ECDSA_WITH: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.10045.4.1": _SHA1,
    "1.2.840.10045.4.3.1": hashes.SHA224(),
    "1.2.840.10045.4.3.2": hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
    "2.16.840.1.101.3.4.3.9": hashes.SHA3_224(),
    "2.16.840.1.101.3.4.3.10": hashes.SHA3_256(),
    "2.16.840.1.101.3.4.3.11": hashes.SHA3_384(),
    "2.16.840.1.101.3.4.3.12": hashes.SHA3_512(),
}
_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"
_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_WITHOUT_HASH: dict[str, tuple[type, ...]] = {
    "1.3.101.112": (ed25519.Ed25519PublicKey,),
    "1.3.101.113": (ed448.Ed448PublicKey,),
    "2.16.840.1.101.3.4.3.17": (mldsa.MLDSA44PublicKey,),
    "2.16.840.1.101.3.4.3.18": (mldsa.MLDSA65PublicKey,),
    "2.16.840.1.101.3.4.3.19": (mldsa.MLDSA87PublicKey,),
}
_MAX_PSS_SALT = 512


class SignatureError(ValueError):
    """A signature does not fit, or its algorithm is not one that may be used."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An AlgorithmIdentifier (RFC 5280, 4.1.1.2), taken apart."""

    oid: str
    """Dotted."""
    parameters_der: bytes = b""
    """Empty when absent; ``05 00`` is NULL."""


def read_algorithm(algorithm_der: bytes) -> Algorithm:
    """Take an AlgorithmIdentifier apart; raises :class:`SignatureError` for bytes that are none."""
    try:
        start, end = tlv.read_only(algorithm_der, 0, len(algorithm_der), tlv.SEQUENCE)
        inner, stop = tlv.read(algorithm_der, start, end, tlv.OBJECT_IDENTIFIER)
        oid = tlv.read_object_identifier(algorithm_der, inner, stop)
        tlv.check_well_formed(algorithm_der, stop, end)
        if stop < end and tlv.read_any(algorithm_der, stop, end)[2] != end:
            raise SignatureError("an AlgorithmIdentifier has more than its parameters")
    except tlv.DERError as error:
        raise SignatureError(f"not an AlgorithmIdentifier: {error}") from error
    return Algorithm(oid, algorithm_der[stop:end])


def encode_algorithm(algorithm: Algorithm) -> bytes:
    """The DER of an AlgorithmIdentifier."""
    return tlv.sequence(tlv.object_identifier(algorithm.oid), algorithm.parameters_der)


def hash_of(oid: str) -> hashes.HashAlgorithm:
    """The hash with that object identifier; raises :class:`SignatureError` for one we do not know."""
    try:
        return _HASHES[oid]
    except KeyError:
        raise SignatureError(f"the hash {oid} is not known") from None


def signature_hash_of(algorithm: Algorithm, digest: hashes.HashAlgorithm | None = None) -> hashes.HashAlgorithm | None:
    """The hash that an algorithm signs; None for EdDSA and ML-DSA, which hash by themselves.

    ``digest`` is what goes with the bare ``rsaEncryption`` and ``id-ecPublicKey`` that old CMS writers put where the
    signature algorithm belongs (RFC 3370, 3.2). Raises :class:`SignatureError` for an algorithm we do not know.
    """
    oid = algorithm.oid
    if oid in _WITHOUT_HASH:
        return None
    if oid == _RSASSA_PSS:
        return _pss(algorithm)[1]
    found = _RSA_WITH.get(oid) or _ECDSA_WITH.get(oid)
    if found is None and oid in (_RSA_ENCRYPTION, _EC_PUBLIC_KEY):
        found = digest
    if found is None:
        raise SignatureError(f"the signature algorithm {oid} is not known")
    return found


def verify_signature(
    public_key: object,
    algorithm: Algorithm,
    signature: bytes,
    octets: bytes,
    *,
    digest: hashes.HashAlgorithm | None = None,
    allow_sha1: bool = False,
) -> None:
    """Verify a signature over ``octets``; returns nothing, or raises :class:`SignatureError`.

    ``digest`` as in :func:`signature_hash_of`. The algorithm must be one of the key's kind.
    """
    hash_ = signature_hash_of(algorithm, digest)
    if isinstance(hash_, hashes.SHA1) and not allow_sha1:
        raise SignatureError("signatures with SHA-1 are refused")
    oid = algorithm.oid
    try:
        if isinstance(public_key, rsa.RSAPublicKey) and hash_ is not None:
            if oid == _RSASSA_PSS:
                pss, hash_ = _pss(algorithm)
                public_key.verify(signature, octets, pss, hash_)
                return
            if oid in _RSA_WITH or oid == _RSA_ENCRYPTION:
                public_key.verify(signature, octets, padding.PKCS1v15(), hash_)
                return
        elif isinstance(public_key, ec.EllipticCurvePublicKey) and hash_ is not None:
            if oid in _ECDSA_WITH or oid == _EC_PUBLIC_KEY:
                public_key.verify(signature, octets, ec.ECDSA(hash_))
                return
        elif isinstance(public_key, _WITHOUT_HASH.get(oid, ())):
            public_key.verify(signature, octets)  # type: ignore[attr-defined]  # EdDSA and ML-DSA alike
            return
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError("the signature does not fit") from error
    raise SignatureError(f"the signature algorithm {oid} does not go with a {type(public_key).__name__}")


def _pss(algorithm: Algorithm) -> tuple[padding.PSS, hashes.HashAlgorithm]:
    """The padding and hash of RSASSA-PSS-params (RFC 4055, 3.1), whose mask must use the same hash."""
    try:
        parameters = read(RSASSAPSSParams, algorithm.parameters_der, limit=512, canonical=False)
        hash_ = hash_of(parameters["hash_algorithm"]["algorithm"].dotted)
        mask = parameters["mask_gen_algorithm"]
        salt_length, trailer = parameters["salt_length"].native, parameters["trailer_field"].native
        if mask["algorithm"].dotted != _MGF1 or mask["parameters"]["algorithm"].dotted is None:
            raise SignatureError("RSASSA-PSS knows the mask MGF1 only")
        mask_hash = hash_of(mask["parameters"]["algorithm"].dotted)
    except (DERError, KeyError, TypeError, ValueError) as error:
        raise SignatureError(f"RSASSA-PSS parameters: {error}") from error
    if mask_hash is not hash_ or trailer not in (1, "trailer_field_bc") or not 0 <= salt_length <= _MAX_PSS_SALT:
        raise SignatureError("RSASSA-PSS parameters that nobody needs")
    return padding.PSS(padding.MGF1(hash_), salt_length), hash_
