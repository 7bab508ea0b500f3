"""What a request for a certificate should look like, from the profile (RFC 9483, 4.3.3; RFC 9810, 5.3.19.16).

What has an empty value is for the client to fill in, what is not there is for the client to choose. The template names
no issuer: a request goes to the CA that was asked for the template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cryptography.x509.oid import NameOID

from cspd.authority.profile_values import ExtendedKeyUsageMode, KeyUsageBit, Profile
from cspd.keys.generation import RSA_BITS
from cspd.x509 import tlv
from cspd.x509.signatures import encode_algorithm
from protocols.cmp.info_types import CertReqTemplate
from protocols.cmp.key_algorithms import algorithm_of, ordered

ALG_ID = "1.3.6.1.5.5.7.5.1.11"
"""id-regCtrl-algId: a key that is not RSA."""
RSA_KEY_LEN = "1.3.6.1.5.5.7.5.1.12"
"""id-regCtrl-rsaKeyLen: bits."""

_KEY_USAGE, _SUBJECT_ALT_NAME = "2.5.29.15", "2.5.29.17"
_CERTIFICATE_POLICIES, _EXTENDED_KEY_USAGE = "2.5.29.32", "2.5.29.37"
_SUBJECT, _EXTENSIONS = 0xA5, 0xA9
_PRINTABLE_STRING = 0x13
_EMPTY_DNS_NAME = tlv.sequence(tlv.element(0x82, b""))
_BITS = {bit: number for number, bit in enumerate(KeyUsageBit)}


def request_template(profile: Profile) -> CertReqTemplate:
    """The template, and all types of keys that may be certified."""
    extensions = b"".join(_extensions(profile))
    return CertReqTemplate(
        tlv.sequence(
            tlv.element(_SUBJECT, _subject(profile.subject.required)) if profile.subject.required else b"",
            tlv.element(_EXTENSIONS, extensions) if extensions else b"",
        ),
        tlv.sequence(*_controls(profile)),
    )


def _subject(required: Iterable[str]) -> bytes:
    return tlv.sequence(*(tlv.element(tlv.SET, _empty_attribute(oid)) for oid in required))


def _empty_attribute(oid: str) -> bytes:
    kind = _PRINTABLE_STRING if oid == NameOID.COUNTRY_NAME.dotted_string else tlv.UTF8_STRING
    return tlv.sequence(tlv.object_identifier(oid), tlv.element(kind, b""))


def _extensions(profile: Profile) -> Iterator[bytes]:
    """What the certificate will have anyway, and the names if there must be some; any kind of name will do."""
    if profile.key_usage:
        yield _extension(_KEY_USAGE, _key_usage(profile.key_usage), critical=True)
    if profile.subject_alt_name.required:
        yield _extension(_SUBJECT_ALT_NAME, _EMPTY_DNS_NAME, critical=profile.subject_alt_name.critical)
    policies = profile.certificate_policies
    if policies.fixed:
        value_der = tlv.sequence(*(tlv.sequence(tlv.object_identifier(oid)) for oid in policies.fixed))
        yield _extension(_CERTIFICATE_POLICIES, value_der, critical=policies.critical)
    usage = profile.extended_key_usage
    if usage.mode is ExtendedKeyUsageMode.FIXED and usage.values:
        value_der = tlv.sequence(*(tlv.object_identifier(oid) for oid in usage.values))
        yield _extension(_EXTENDED_KEY_USAGE, value_der, critical=usage.critical)


def _extension(oid: str, value_der: bytes, *, critical: bool) -> bytes:
    flag = tlv.TRUE if critical else b""
    return tlv.sequence(tlv.object_identifier(oid), flag, tlv.element(tlv.OCTET_STRING, value_der))


def _key_usage(bits: Iterable[KeyUsageBit]) -> bytes:
    numbers = [_BITS[bit] for bit in bits]
    octet = sum(0x80 >> number for number in numbers)
    return tlv.element(tlv.BIT_STRING, bytes((7 - max(numbers), octet)))


def _controls(profile: Profile) -> Iterator[bytes]:
    """RSA is named by its length, everything else by its algorithm."""
    for key_type in ordered(profile):
        if key_type in RSA_BITS:
            yield tlv.sequence(tlv.object_identifier(RSA_KEY_LEN), tlv.integer(RSA_BITS[key_type]))
        else:
            yield tlv.sequence(tlv.object_identifier(ALG_ID), encode_algorithm(algorithm_of(key_type)))
