"""Public keys as JSON Web Keys (RFC 7517, 7518, 8037), and their thumbprints (RFC 7638)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.x509.public_keys import PublicKeyError, check_strength
from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.json_text import canonical_json, decode_base64url, encode_base64url, malformed

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""A verification's work grows with the square of the size; the client chooses it."""
MAX_RSA_EXPONENT = 2**32

_CURVES: Mapping[str, tuple[type[ec.EllipticCurve], int]] = {
    "P-256": (ec.SECP256R1, 32),
    "P-384": (ec.SECP384R1, 48),
    "P-521": (ec.SECP521R1, 66),
}
_OKP: Mapping[str, tuple[Callable[[bytes], ed25519.Ed25519PublicKey | ed448.Ed448PublicKey], int]] = {
    "Ed25519": (ed25519.Ed25519PublicKey.from_public_bytes, 32),
    "Ed448": (ed448.Ed448PublicKey.from_public_bytes, 57),
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

VerificationKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


@dataclass(frozen=True, slots=True)
class JWK:
    """A public key and its canonical members (the required ones only)."""

    key: VerificationKey
    members: Mapping[str, str]

    @property
    def thumbprint(self) -> str:
        """RFC 7638 with SHA-256, base64url: 43 characters; one key has one."""
        return encode_base64url(hashlib.sha256(canonical_json(self.members)).digest())

    @property
    def public_key_der(self) -> bytes:
        """The SubjectPublicKeyInfo, DER."""
        return self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def decode_jwk(value: object) -> JWK:
    """Read a public JWK given as a JSON value.

    Raises malformed for what is not one, and badPublicKey for a key that we do not support (RFC 8555, 6.2).
    """
    if not isinstance(value, dict):
        raise malformed("jwk is not a JSON object")
    if not _PRIVATE_MEMBERS.isdisjoint(value):
        raise malformed("jwk holds a private or symmetric key; replace that key, it is known to others now")
    key_type = value.get("kty")
    if key_type == "RSA":
        return _decode_rsa(value)
    if key_type == "EC":
        return _decode_ec(value)
    if key_type == "OKP":
        return _decode_okp(value)
    raise _bad_public_key("the key type is not RSA, EC or OKP")


def require_strong(jwk: JWK) -> None:
    """Refuse a key whose private half is easily found, before an account gets it; raises badPublicKey.

    Apart from :func:`decode_jwk`, which reads the key of every request, because it takes a millisecond.
    """
    try:
        check_strength(jwk.key)
    except PublicKeyError as error:
        raise _bad_public_key(str(error)) from error


def _decode_rsa(value: Mapping[str, object]) -> JWK:
    modulus_octets = decode_base64url(value.get("n"), "n")
    exponent_octets = decode_base64url(value.get("e"), "e")
    if len(modulus_octets) > MAX_RSA_BITS // 8 + 1 or len(exponent_octets) > 8:
        raise _bad_public_key(f"RSA keys have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits and a small public exponent")
    modulus, exponent = int.from_bytes(modulus_octets), int.from_bytes(exponent_octets)
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise _bad_public_key(f"RSA keys have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if not 3 <= exponent < MAX_RSA_EXPONENT or exponent % 2 == 0 or modulus % 2 == 0:
        raise _bad_public_key("the RSA modulus and exponent are odd, and the exponent is from 3 to 32 bits long")
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise _bad_public_key("the RSA key is not valid") from error
    return JWK(key, {"kty": "RSA", "n": _encode_integer(modulus), "e": _encode_integer(exponent)})


def _decode_ec(value: Mapping[str, object]) -> JWK:
    name = value.get("crv")
    if not isinstance(name, str) or name not in _CURVES:
        raise _bad_public_key("the curve is not P-256, P-384 or P-521")
    curve, size = _CURVES[name]
    x, y = decode_base64url(value.get("x"), "x"), decode_base64url(value.get("y"), "y")
    if len(x) != size or len(y) != size:
        raise malformed(f"the coordinates of a {name} key have {size} octets (RFC 7518, 6.2.1.2)")
    try:
        key = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve()).public_key()
    except ValueError as error:
        raise _bad_public_key("the point is not on the curve") from error
    return JWK(key, {"kty": "EC", "crv": name, "x": encode_base64url(x), "y": encode_base64url(y)})


def _decode_okp(value: Mapping[str, object]) -> JWK:
    name = value.get("crv")
    if not isinstance(name, str) or name not in _OKP:
        raise _bad_public_key("the curve is not Ed25519 or Ed448")
    make, size = _OKP[name]
    x = decode_base64url(value.get("x"), "x")
    if len(x) != size:
        raise malformed(f"an {name} key has {size} octets")
    try:
        key = make(x)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_public_key(f"the {name} key is not valid") from error
    return JWK(key, {"kty": "OKP", "crv": name, "x": encode_base64url(x)})


def _encode_integer(number: int) -> str:
    """Base64urlUInt (RFC 7518, 2): as few octets as it takes."""
    return encode_base64url(number.to_bytes((number.bit_length() + 7) // 8))


def _bad_public_key(detail: str) -> ACMEError:
    return ACMEError(ErrorType.BAD_PUBLIC_KEY, detail)
