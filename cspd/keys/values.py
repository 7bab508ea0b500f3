"""Key types and key references."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
"""What signs: a software key of ``cryptography``, or an HSM key that implements the same ABC."""

PublicKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


class KeyType(Enum):
    """The key types we make; values are the names of conf files and ``cspctl``."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    EC_P521 = "ec-p521"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


@dataclass(frozen=True, slots=True)
class KeyReference:
    """Names a private key: which provider keeps it, and its identifier there.

    Its text, ``software:4f0c...`` or ``TOKEN:4f0c...``, is what the store and ``cspctl key list`` hold.
    """

    provider: str
    """``software``, or the name of a ``[keys.pkcs11.NAME]`` section."""
    identifier: str
    """32 lower-case hexadecimal digits, made at random; a token carries it as CKA_ID."""

    def __str__(self) -> str:
        return f"{self.provider}:{self.identifier}"

    @classmethod
    def parse(cls, text: str) -> KeyReference:
        """The reference written as ``provider:identifier``; raises ValueError on anything else."""
        provider, separator, identifier = text.partition(":")
        if not separator or not provider or not identifier:
            raise ValueError(f"not a key reference: {text!r}")
        return cls(provider, identifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDescription:
    """A key as ``cspctl key list`` shows it."""

    reference: KeyReference
    key_type: KeyType
    label: str
