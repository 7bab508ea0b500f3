"""Public keys: their types by name, and weaknesses that can be seen from outside."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, isqrt, prod

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

MAX_PUBLIC_KEY = 16 * 1024
"""Octets of a SubjectPublicKeyInfo; ML-DSA-87 needs 2.6 thousand."""
MIN_EXPONENT = 65537
MAX_EXPONENT = 1 << 256
"""FIPS 186-5, A.1.1: 2^16 < e < 2^256."""
_FERMAT_ROUNDS = 100  # as boulder: finds primes that share their upper half or so
_SQUARE_ENDINGS_MODULUS = 16 * 9 * 5 * 7 * 11
_SQUARE_ENDINGS = frozenset(number**2 % _SQUARE_ENDINGS_MODULUS for number in range(_SQUARE_ENDINGS_MODULUS // 2 + 1))
"""How squares end, written to that base: one in fifty numbers does."""

_CURVES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521"}
_OTHER_TYPES: tuple[tuple[type, str], ...] = (
    (ed25519.Ed25519PublicKey, "ed25519"),
    (ed448.Ed448PublicKey, "ed448"),
    (mldsa.MLDSA44PublicKey, "ml-dsa-44"),
    (mldsa.MLDSA65PublicKey, "ml-dsa-65"),
    (mldsa.MLDSA87PublicKey, "ml-dsa-87"),
)


class PublicKeyError(ValueError):
    """The public key cannot be used: unreadable, of an unknown type, or weak."""


def load_public_key(public_key_der: bytes) -> PublicKeyTypes:
    """Read a SubjectPublicKeyInfo; an elliptic-curve point must be on its curve. Raises :class:`PublicKeyError`."""
    if len(public_key_der) > MAX_PUBLIC_KEY:
        raise PublicKeyError(f"more than {MAX_PUBLIC_KEY} octets")
    try:
        return load_der_public_key(public_key_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PublicKeyError(f"not a public key that can be used: {error}") from error


def key_type_name(public_key: object) -> str:
    """The type and size as conf writes them: ``rsa-2048``, ``ec-p256``, ``ed25519``, ``ml-dsa-44``.

    A curve or type without such a name gets a descriptive one (``ec-secp256k1``, ``dsa-2048``).
    """
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"rsa-{public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return _CURVES.get(public_key.curve.name, f"ec-{public_key.curve.name}")
    for key_class, name in _OTHER_TYPES:
        if isinstance(public_key, key_class):
            return name
    name = type(public_key).__name__.removesuffix("PublicKey").lower()
    size = getattr(public_key, "key_size", None)
    return f"{name}-{size}" if size else name


def check_strength(public_key: object) -> None:
    """Refuse keys whose private half is easily found; raises :class:`PublicKeyError`.

    RSA: exponent odd and at least 65537, no small factor, not made by the faulty Infineon library (ROCA,
    CVE-2017-15361), primes not close to each other (Fermat). Points were checked to be on their curve when read.
    """
    if not isinstance(public_key, rsa.RSAPublicKey):
        return
    numbers = public_key.public_numbers()
    if not MIN_EXPONENT <= numbers.e < MAX_EXPONENT or numbers.e % 2 == 0:
        raise PublicKeyError("the RSA exponent is not an odd number from 65537 up to 2^256")
    if gcd(numbers.n, _SMALL_PRIMES_PRODUCT) != 1:
        raise PublicKeyError("the RSA modulus has a small factor")
    if has_roca_fingerprint(numbers.n):
        raise PublicKeyError("the RSA key was made by a faulty library (ROCA, CVE-2017-15361)")
    if has_close_primes(numbers.n):
        raise PublicKeyError("the RSA primes are too close to each other")


def has_roca_fingerprint(modulus: int) -> bool:
    """Whether the modulus has the structure of Infineon's RSALib (Nemec et al., CCS 2017).

    Its primes are ``k * M + 65537^a mod M`` with M a product of the first primes, so that the modulus, too, is a power
    of 65537 by each of them. A random modulus has one chance in 2^27 or less.
    """
    return all(modulus % prime in powers for prime, powers in _ROCA_SUBGROUPS)


def has_close_primes(modulus: int) -> bool:
    """Whether Fermat's method factors the modulus within a few steps."""
    first = isqrt(modulus - 1) + 1  # the root, rounded up
    # Each step looks for a square. Few numbers end as squares do, and how they end is told by small numbers.
    remainder, root = modulus % _SQUARE_ENDINGS_MODULUS, first % _SQUARE_ENDINGS_MODULUS
    for step in range(_FERMAT_ROUNDS):
        if ((root + step) ** 2 - remainder) % _SQUARE_ENDINGS_MODULUS in _SQUARE_ENDINGS:
            square = (first + step) ** 2 - modulus
            if isqrt(square) ** 2 == square:
                return True
    return False


def _primes_below(limit: int) -> Sequence[int]:
    return [number for number in range(2, limit) if all(number % divisor for divisor in range(2, isqrt(number) + 1))]


def _powers_modulo(base: int, prime: int) -> frozenset[int]:
    powers = {1}
    power = base % prime
    while power not in powers:
        powers.add(power)
        power = power * base % prime
    return frozenset(powers)


_SMALL_PRIMES_PRODUCT = prod(_primes_below(752))  # NIST SP 800-89, 5.3.3 asks for primes below 752
_ROCA_SUBGROUPS = tuple((prime, _powers_modulo(65537, prime)) for prime in _primes_below(168)[1:])
