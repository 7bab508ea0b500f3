"""What a certification request should hold, from the profile (RFC 7030, 4.5.2; RFC 8951, 4; RFC 9908, 3).

The answer says it twice: as a template of a request, and as the list of attributes that older clients know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cspd.authority.profile_values import ExtendedKeyUsageMode, KeyUsageBit, Profile
from cspd.keys.values import KeyType
from cspd.x509 import tlv

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
CERTIFICATION_REQUEST_INFO_TEMPLATE = "1.2.840.113549.1.9.16.2.61"
EXTENSION_REQUEST_TEMPLATE = "1.2.840.113549.1.9.16.2.62"

_SUBJECT_ALT_NAME, _KEY_USAGE, _EXTENDED_KEY_USAGE = "2.5.29.17", "2.5.29.15", "2.5.29.37"
_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_CURVES: Mapping[KeyType, str] = {
    KeyType.EC_P256: "1.2.840.10045.3.1.7",
    KeyType.EC_P384: "1.3.132.0.34",
    KeyType.EC_P521: "1.3.132.0.35",
}
_BITS = {bit: number for number, bit in enumerate(KeyUsageBit)}
_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1


def encode_csr_attributes(profile: Profile, asked: Sequence[str] = ()) -> bytes | None:
    """CsrAttrs (RFC 7030, 4.5.2), DER; None where nothing is asked for.

    ``asked`` are object identifiers of attributes that a request should have beside what the profile says.
    """
    known = list(_known_extensions(profile))
    needs_names = profile.subject_alt_name.required
    [key_type] = profile.key_types if len(profile.key_types) == 1 else (None,)
    curve = _CURVES.get(key_type) if key_type is not None else None
    items: list[bytes] = []
    if known or needs_names or profile.subject.required or curve is not None:
        items.append(_attribute(CERTIFICATION_REQUEST_INFO_TEMPLATE, _template(profile, known, curve)))
    if known:
        items.append(_attribute(EXTENSION_REQUEST, tlv.sequence(*known)))
    if curve is not None:
        items.append(_attribute(_EC_PUBLIC_KEY, tlv.object_identifier(curve)))
    items += [tlv.object_identifier(oid) for oid in (*profile.subject.required, *asked)]
    return tlv.sequence(*items) if items else None


def _template(profile: Profile, known: list[bytes], curve: str | None) -> bytes:
    """CertificationRequestInfoTemplate (RFC 9908, 3.4): what has no value is for the client to fill in."""
    subject = b""
    if profile.subject.required:
        names = (tlv.element(tlv.SET, tlv.sequence(tlv.object_identifier(oid))) for oid in profile.subject.required)
        subject = tlv.sequence(*names)
    key = b""
    if curve is not None:
        algorithm = tlv.sequence(tlv.object_identifier(_EC_PUBLIC_KEY), tlv.object_identifier(curve))
        key = tlv.element(_CONTEXT_0, algorithm)
    attributes = b""
    if profile.subject_alt_name.required:
        names_der = _extension(_SUBJECT_ALT_NAME, critical=profile.subject_alt_name.critical)
        attributes = _attribute(EXTENSION_REQUEST_TEMPLATE, tlv.sequence(names_der, *known))
    elif known:
        attributes = _attribute(EXTENSION_REQUEST, tlv.sequence(*known))
    return tlv.sequence(tlv.integer(0), subject, key, tlv.element(_CONTEXT_1, attributes))


def _known_extensions(profile: Profile) -> Iterable[bytes]:
    """The extensions whose values the profile knows: the certificate gets them whether or not they are asked for."""
    if profile.key_usage:
        yield _extension(_KEY_USAGE, _key_usage(profile.key_usage), critical=True)
    usage = profile.extended_key_usage
    if usage.mode is ExtendedKeyUsageMode.FIXED and usage.values:
        value_der = tlv.sequence(*(tlv.object_identifier(oid) for oid in usage.values))
        yield _extension(_EXTENDED_KEY_USAGE, value_der, critical=usage.critical)


def _key_usage(bits: Iterable[KeyUsageBit]) -> bytes:
    numbers = [_BITS[bit] for bit in bits]
    octet = sum(0x80 >> number for number in numbers)
    return tlv.element(tlv.BIT_STRING, bytes((7 - max(numbers), octet)))


def _extension(oid: str, value_der: bytes | None = None, *, critical: bool) -> bytes:
    value = b"" if value_der is None else tlv.element(tlv.OCTET_STRING, value_der)
    return tlv.sequence(tlv.object_identifier(oid), tlv.TRUE if critical else b"", value)


def _attribute(oid: str, value_der: bytes) -> bytes:
    return tlv.sequence(tlv.object_identifier(oid), tlv.element(tlv.SET, value_der))
