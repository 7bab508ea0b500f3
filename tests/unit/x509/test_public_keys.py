"""Weak and unknown public keys."""

from __future__ import annotations

from math import prod

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.x509.public_keys import (
    PublicKeyError,
    check_strength,
    has_close_primes,
    has_roca_fingerprint,
    key_type_name,
    load_public_key,
)

RSA_2048 = rsa.generate_private_key(65537, 2048)
NUMBERS = RSA_2048.private_numbers()


def rsa_key(modulus: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    """A public key from its numbers, whoever may have made them."""
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def next_prime(number: int) -> int:
    """The next probable prime; enough for a test."""
    number |= 1
    while any(pow(base, number - 1, number) != 1 for base in (2, 3, 5, 7)):
        number += 2
    return number


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (RSA_2048, "rsa-2048"),
        (ec.generate_private_key(ec.SECP256R1()), "ec-p256"),
        (ec.generate_private_key(ec.SECP384R1()), "ec-p384"),
        (ec.generate_private_key(ec.SECP521R1()), "ec-p521"),
        (ec.generate_private_key(ec.SECP256K1()), "ec-secp256k1"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (ed448.Ed448PrivateKey.generate(), "ed448"),
        (mldsa.MLDSA44PrivateKey.generate(), "ml-dsa-44"),
        (mldsa.MLDSA65PrivateKey.generate(), "ml-dsa-65"),
        (mldsa.MLDSA87PrivateKey.generate(), "ml-dsa-87"),
        (x25519.X25519PrivateKey.generate(), "x25519"),
        (dsa.generate_private_key(1024), "dsa-1024"),
    ],
)
def test_key_types_have_names(key: ec.EllipticCurvePrivateKey, name: str) -> None:
    public_key = key.public_key()
    assert key_type_name(public_key) == name
    loaded = load_public_key(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert key_type_name(loaded) == name
    check_strength(public_key)


@pytest.mark.parametrize("exponent", [3, 17, 65535, (1 << 256) + 1])
def test_rsa_exponents_outside_the_range_are_refused(exponent: int) -> None:
    with pytest.raises(PublicKeyError, match="exponent"):
        check_strength(rsa_key(NUMBERS.public_numbers.n, exponent))


def test_a_small_factor_is_found() -> None:
    with pytest.raises(PublicKeyError, match="small factor"):
        check_strength(rsa_key(751 * NUMBERS.p * NUMBERS.q))


def test_the_structure_of_infineons_primes_is_found() -> None:
    """A modulus made as the faulty library made them: primes k * M + 65537^a mod M."""
    primorial = prod(prime for prime in range(2, 702) if all(prime % divisor for divisor in range(2, prime)))

    def prime_of(exponent: int, start: int) -> int:
        residue = pow(65537, exponent, primorial)
        return next(
            candidate
            for candidate in (number * primorial + residue for number in range(start, start + 10_000))
            if pow(2, candidate - 1, candidate) == 1
        )

    modulus = prime_of(12345, 1 << 52) * prime_of(67890, 3 << 51)
    assert has_roca_fingerprint(modulus)
    with pytest.raises(PublicKeyError, match="ROCA"):
        check_strength(rsa_key(modulus))
    assert not has_roca_fingerprint(NUMBERS.public_numbers.n)


def test_close_primes_are_found() -> None:
    """Primes that one generator gave one after the other."""
    second = next_prime(NUMBERS.p + 2)
    assert has_close_primes(NUMBERS.p * second)
    assert has_close_primes(NUMBERS.p * NUMBERS.p)
    assert not has_close_primes(NUMBERS.public_numbers.n)
    with pytest.raises(PublicKeyError, match="close"):
        check_strength(rsa_key(NUMBERS.p * second))


P256 = ec.generate_private_key(ec.SECP256R1()).public_key()
P256_DER = P256.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "public_key_der",
    [b"", b"\x30\x00", P256_DER[:-1], P256_DER[:-1] + bytes([P256_DER[-1] ^ 1]), P256_DER + b"\0", bytes(20_000)],
    ids=["nothing", "empty", "cut off", "a point beside the curve", "trailing byte", "too long"],
)
def test_unreadable_keys_are_refused(public_key_der: bytes) -> None:
    with pytest.raises(PublicKeyError):
        load_public_key(public_key_der)
