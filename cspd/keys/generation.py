"""Which key is of which type, and how software makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from cspd.keys.values import KeyType, PrivateKey, PublicKey

CURVES: Mapping[KeyType, ec.EllipticCurve] = {
    KeyType.EC_P256: ec.SECP256R1(),
    KeyType.EC_P384: ec.SECP384R1(),
    KeyType.EC_P521: ec.SECP521R1(),
}
RSA_BITS: Mapping[KeyType, int] = {
    KeyType.RSA_2048: 2048,
    KeyType.RSA_3072: 3072,
    KeyType.RSA_4096: 4096,
}
_OTHERS: Mapping[KeyType, Callable[[], PrivateKey]] = {
    KeyType.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyType.ED448: ed448.Ed448PrivateKey.generate,
    KeyType.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyType.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyType.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}
_BY_PUBLIC_CLASS: tuple[tuple[type[object], KeyType], ...] = (
    (ed25519.Ed25519PublicKey, KeyType.ED25519),
    (ed448.Ed448PublicKey, KeyType.ED448),
    (mldsa.MLDSA44PublicKey, KeyType.ML_DSA_44),
    (mldsa.MLDSA65PublicKey, KeyType.ML_DSA_65),
    (mldsa.MLDSA87PublicKey, KeyType.ML_DSA_87),
)


def generate_private_key(key_type: KeyType) -> PrivateKey:
    """A new key; takes up to seconds for RSA, so call it in a signing thread."""
    if key_type in RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[key_type])
    if key_type in CURVES:
        return ec.generate_private_key(CURVES[key_type])
    return _OTHERS[key_type]()


def key_type_of(public_key: PublicKey) -> KeyType:
    """The type of a key; raises ValueError for one that is not of ours (another curve, another modulus length)."""
    if isinstance(public_key, rsa.RSAPublicKey):
        for key_type, bits in RSA_BITS.items():
            if public_key.key_size == bits:
                return key_type
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        for key_type, curve in CURVES.items():
            if public_key.curve.name == curve.name:
                return key_type
    for public_class, key_type in _BY_PUBLIC_CLASS:
        if isinstance(public_key, public_class):
            return key_type
    raise ValueError(f"no key type for {type(public_key).__name__}")


def kind_of(public_key: PublicKey) -> str:
    """The type and size of a key for people: ``RSA 2048 bits``, ``EC 256 bits``, ``ed25519``."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA {public_key.key_size} bits"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return f"EC {public_key.key_size} bits"
    return key_type_of(public_key).value


__all__ = ["CURVES", "RSA_BITS", "generate_private_key", "key_type_of", "kind_of"]
