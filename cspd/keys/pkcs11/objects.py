"""Key objects of a token: the attributes we make them with, and the public keys that theirs tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asn1crypto.core import OctetString
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import KeyType as TokenKeyType

from cspd.keys.generation import CURVES, RSA_BITS
from cspd.keys.values import KeyType
from cspd.refusals import Rejected

_EC_PARAMS: Mapping[KeyType, bytes] = {
    KeyType.EC_P256: bytes.fromhex("06082a8648ce3d030107"),
    KeyType.EC_P384: bytes.fromhex("06052b81040022"),
    KeyType.EC_P521: bytes.fromhex("06052b81040023"),
}
"""DER of the curves' object identifiers (RFC 5480, 2.1.1.1)."""

_BY_EC_PARAMS: Mapping[bytes, KeyType] = {parameters: key_type for key_type, parameters in _EC_PARAMS.items()}
_BY_RSA_BITS: Mapping[int, KeyType] = {bits: key_type for key_type, bits in RSA_BITS.items()}

# Luna in FIPS mode has no CKM_RSA_PKCS_KEY_PAIR_GEN.
_RSA_GENERATION = (Mechanism.RSA_PKCS_KEY_PAIR_GEN, Mechanism.RSA_X9_31_KEY_PAIR_GEN)

_PRIVATE_TEMPLATE: Mapping[Attribute, Any] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
}
_PUBLIC_TEMPLATE: Mapping[Attribute, Any] = {Attribute.PRIVATE: False, Attribute.VERIFY: True}


def generate_key_pair(
    session: Any,
    mechanisms: frozenset[Any],
    key_type: KeyType,
    *,
    identifier: bytes,
    label: str,
    decrypts: bool = False,
) -> Any:
    """Make a key on the token of a ``pkcs11.Session`` and give its public key object.

    ``decrypts`` is for RSA. Raises Rejected if the token has no mechanism for this type, and PKCS11Error.
    """
    usage = MechanismFlag.SIGN | MechanismFlag.VERIFY
    if decrypts:
        usage |= MechanismFlag.DECRYPT
    common = {
        "id": identifier,
        "label": label,
        "store": True,
        "capabilities": usage,
        "public_template": dict(_PUBLIC_TEMPLATE),
        "private_template": dict(_PRIVATE_TEMPLATE),
    }
    if key_type in RSA_BITS:
        mechanism = next((candidate for candidate in _RSA_GENERATION if candidate in mechanisms), None)
        if mechanism is None:
            raise _cannot_make(key_type)
        public, _ = session.generate_keypair(TokenKeyType.RSA, RSA_BITS[key_type], mechanism=mechanism, **common)
    elif key_type in _EC_PARAMS:
        if Mechanism.EC_KEY_PAIR_GEN not in mechanisms:
            raise _cannot_make(key_type)
        parameters = {Attribute.EC_PARAMS: _EC_PARAMS[key_type]}
        domain = session.create_domain_parameters(TokenKeyType.EC, parameters, local=True)
        public, _ = domain.generate_keypair(mechanism=Mechanism.EC_KEY_PAIR_GEN, **common)
    else:
        raise _cannot_make(key_type)
    return public


def public_key_of(public_object: Any) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """The key of a ``pkcs11.PublicKey``; raises ValueError for one that is not of our types, and PKCS11Error."""
    kind = public_object[Attribute.KEY_TYPE]
    if kind == TokenKeyType.RSA:
        modulus = int.from_bytes(public_object[Attribute.MODULUS])
        exponent = int.from_bytes(public_object[Attribute.PUBLIC_EXPONENT])
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if kind == TokenKeyType.EC:
        key_type = _BY_EC_PARAMS.get(public_object[Attribute.EC_PARAMS])
        if key_type is None:
            raise ValueError("an elliptic curve that is not of ours")
        return _ec_public_key(CURVES[key_type], public_object[Attribute.EC_POINT])
    raise ValueError(f"a key of type {kind}")


def key_type_of(private_object: Any) -> KeyType | None:
    """The type of a ``pkcs11.PrivateKey``, None if it is not of ours; raises PKCS11Error."""
    kind = private_object[Attribute.KEY_TYPE]
    if kind == TokenKeyType.RSA:
        return _BY_RSA_BITS.get(int.from_bytes(private_object[Attribute.MODULUS]).bit_length())
    if kind == TokenKeyType.EC:
        return _BY_EC_PARAMS.get(private_object[Attribute.EC_PARAMS])
    return None


def find(session: Any, kind: ObjectClass, identifier: bytes | None = None) -> list[Any]:
    """The objects of a class, with this CKA_ID if given; raises PKCS11Error."""
    template: dict[Attribute, Any] = {Attribute.CLASS: kind}
    if identifier is not None:
        template[Attribute.ID] = identifier
    return list(session.get_objects(template))


def _ec_public_key(curve: ec.EllipticCurve, point: bytes) -> ec.EllipticCurvePublicKey:
    """CKA_EC_POINT is an OCTET STRING around the point (PKCS#11 v2.40, 2.3.3); older tokens give the bare point."""
    bare_length = 2 * ((curve.key_size + 7) // 8) + 1
    if len(point) != bare_length:
        point = OctetString.load(point, strict=True).native
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)


def _cannot_make(key_type: KeyType) -> Rejected:
    return Rejected(f"the token cannot make {key_type.value} keys", code="hsm-cannot")


__all__ = ["find", "generate_key_pair", "key_type_of", "public_key_of"]
