"""Which algorithms and keys messages may have (R-CAGW-211, R-CAGW-212; RFC 9481).

Checked are the protection of a message, the key that signed it and the keys that certificates are asked for. The names
are those of conf files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cspd.x509.signatures import Algorithm, SignatureError, signature_hash_of
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.mac_algorithms import MACAlgorithm, MACPolicy, read_mac_algorithm
from protocols.cmp.status import PKIFailureInfo


class Digest(Enum):
    """Hashes of signatures, and of the derivation of MAC keys."""

    SHA256 = "SHA-256"
    SHA384 = "SHA-384"
    SHA512 = "SHA-512"


class MACName(Enum):
    """HMACs: of a message, and inside of PBKDF2."""

    HMAC_SHA1 = "HMAC-SHA1"
    HMAC_SHA256 = "HMAC-SHA256"
    HMAC_SHA384 = "HMAC-SHA384"
    HMAC_SHA512 = "HMAC-SHA512"


class SignatureClass(Enum):
    """Families of signatures."""

    RSA = "rsa"
    ECDSA = "ecdsa"
    EDDSA = "eddsa"
    ML_DSA = "ml-dsa"


class SigningName(Enum):
    """Signatures of messages."""

    SHA256_WITH_RSA = "SHA256withRSA"
    SHA384_WITH_RSA = "SHA384withRSA"
    SHA512_WITH_RSA = "SHA512withRSA"
    SHA256_WITH_RSA_PSS = "SHA256withRSAandMGF1"
    SHA384_WITH_RSA_PSS = "SHA384withRSAandMGF1"
    SHA512_WITH_RSA_PSS = "SHA512withRSAandMGF1"
    SHA256_WITH_ECDSA = "SHA256withECDSA"
    SHA384_WITH_ECDSA = "SHA384withECDSA"
    SHA512_WITH_ECDSA = "SHA512withECDSA"
    ED25519 = "Ed25519"
    ED448 = "Ed448"
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"


class Curve(Enum):
    """Named curves (RFC 5480, 2.1.1.1)."""

    SECP256R1 = "secp256r1"
    SECP384R1 = "secp384r1"
    SECP521R1 = "secp521r1"


_WITH_DIGEST = {SignatureClass.RSA: ("RSA", "RSAandMGF1"), SignatureClass.ECDSA: ("ECDSA",)}
_WITHOUT_DIGEST = {
    SignatureClass.EDDSA: (SigningName.ED25519, SigningName.ED448),
    SignatureClass.ML_DSA: (SigningName.ML_DSA_44, SigningName.ML_DSA_65, SigningName.ML_DSA_87),
}
_HASHING_BY_THEMSELVES = {
    "1.3.101.112": SigningName.ED25519,
    "1.3.101.113": SigningName.ED448,
    "2.16.840.1.101.3.4.3.17": SigningName.ML_DSA_44,
    "2.16.840.1.101.3.4.3.18": SigningName.ML_DSA_65,
    "2.16.840.1.101.3.4.3.19": SigningName.ML_DSA_87,
}
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_FAMILIES = (
    (_RSASSA_PSS, "RSAandMGF1"),
    ("1.2.840.113549.1.1.", "RSA"),
    ("1.2.840.10045.4.3.", "ECDSA"),
)
_DIGEST_NAMES = {"sha256": "SHA256", "sha384": "SHA384", "sha512": "SHA512"}


def derived_macs(digests: Iterable[Digest]) -> frozenset[MACName]:
    """The MACs of a rule that lists none (R-CAGW-212): HMAC with each digest, and HMAC-SHA1.

    RFC 4210 clients, and openssl unless told ``-mac``, protect by HMAC-SHA1. HMAC does not need that nobody finds
    collisions of its hash, which is what SHA-1 has lost (RFC 6194, 3.3), and the key is derived by one of the digests.
    """
    return frozenset({MACName.HMAC_SHA1, *(MACName(f"HMAC-{digest.name}") for digest in digests)})


def derived_signing_algorithms(classes: Iterable[SignatureClass], digests: Iterable[Digest]) -> frozenset[SigningName]:
    """The signatures of a rule that lists none (R-CAGW-212): each class with each digest."""
    digests = tuple(digests)
    found: set[SigningName] = set()
    for each in classes:
        found |= set(_WITHOUT_DIGEST.get(each, ()))
        found |= {SigningName(f"{digest.name}with{name}") for name in _WITH_DIGEST.get(each, ()) for digest in digests}
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmRules:
    """One set of limits."""

    digests: frozenset[Digest]
    macs: frozenset[MACName]
    signing_algorithms: frozenset[SigningName]
    curves: frozenset[Curve]
    min_rsa_bits: int
    min_ec_bits: int
    min_iterations: int
    max_iterations: int

    @property
    def mac_policy(self) -> MACPolicy:
        """The same for :mod:`protocols.cmp.mac_algorithms`."""
        return MACPolicy(
            min_iterations=self.min_iterations,
            max_iterations=self.max_iterations,
            owf_hashes=frozenset(digest.name.lower() for digest in self.digests),
            hmac_hashes=frozenset(mac.name.removeprefix("HMAC_").lower() for mac in self.macs),
        )

    def read_mac(self, algorithm: Algorithm) -> MACAlgorithm:
        """A protectionAlg by a shared secret; raises ``badAlg``, and ``badDataFormat`` for malformed parameters."""
        return read_mac_algorithm(algorithm, self.mac_policy)

    def check_signature_algorithm(self, algorithm: Algorithm) -> None:
        """Raise ``badAlg`` unless messages may be signed so."""
        name = _signing_name(algorithm)
        if name not in self.signing_algorithms:
            what = algorithm.oid if name is None else name.value
            raise PKIMessageRejected(PKIFailureInfo.BAD_ALG, f"signatures by {what} are not accepted here")

    def check_signer_key(self, public_key: object) -> None:
        """Raise ``badAlg`` for a key that is too weak to sign messages."""
        if lacking := self._lacking(public_key):
            raise PKIMessageRejected(PKIFailureInfo.BAD_ALG, f"the key that signed the message {lacking}")

    def check_requested_key(self, public_key: object) -> None:
        """Raise ``badCertTemplate`` for a key that is too weak for a certificate; the profile has its own rules."""
        if lacking := self._lacking(public_key):
            raise PKIMessageRejected(PKIFailureInfo.BAD_CERT_TEMPLATE, f"the key of the certificate {lacking}")

    def _lacking(self, public_key: object) -> str:
        if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size < self.min_rsa_bits:
            return f"has {public_key.key_size} bits, and RSA needs {self.min_rsa_bits} here"
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            if public_key.curve.key_size < self.min_ec_bits:
                return f"has {public_key.curve.key_size} bits, and elliptic curves need {self.min_ec_bits} here"
            if public_key.curve.name not in {curve.value for curve in self.curves}:
                return f"is on the curve {public_key.curve.name}, which is not accepted here"
        return ""


def _signing_name(algorithm: Algorithm) -> SigningName | None:
    """The name of a signature algorithm; None for one that conf has no name for."""
    if algorithm.oid in _HASHING_BY_THEMSELVES:
        return _HASHING_BY_THEMSELVES[algorithm.oid]
    try:
        hash_ = signature_hash_of(algorithm)
    except SignatureError:
        return None
    digest = None if hash_ is None else _DIGEST_NAMES.get(hash_.name)
    family = next((name for prefix, name in _FAMILIES if algorithm.oid.startswith(prefix)), None)
    return None if digest is None or family is None else SigningName(f"{digest}with{family}")
