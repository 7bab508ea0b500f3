"""Certificate templates for a directory ([MS-CRTD]), made from the map of conf and the profiles that it leads to.

A template says what its profile does, so that clients ask for what they get; subject and names are those that the
server writes from the account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, Final

from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.authority.profile_values import ExtendedKeyUsageMode, KeyUsageBit, Profile
from cspd.directory.values import CertificateTemplate, GeneralFlag, NameFlag, PrivateKeyFlag
from protocols.wstep import ldif
from protocols.wstep.policy_conf import conf_template, template_oid
from protocols.wstep.policy_oids import KEY_USAGE

_ADD_TEMPLATE_NAME, _IS_MODIFIED = 0x200, 0x2_0000
_FOR_USERS = NameFlag.SUBJECT_REQUIRE_COMMON_NAME | NameFlag.SUBJECT_ALT_REQUIRE_UPN
_FOR_MACHINES = NameFlag.SUBJECT_REQUIRE_DNS_AS_CN | NameFlag.SUBJECT_ALT_REQUIRE_DNS
_EXCHANGE, _SIGNATURE = 1, 2
# Versions of server and client: 2003 and XP; 2008 and Vista, the first that know algorithms by name ([MS-CRTD] 2.27).
_SINCE_2003, _SINCE_2008 = 0x0101_0000, 0x0202_0000
_RSA_PROVIDER = "Microsoft Enhanced RSA and AES Cryptographic Provider"
_KEY_STORAGE_PROVIDER = "Microsoft Software Key Storage Provider"
_IS_TEMPLATE = "1"  # flags of msPKI-Enterprise-Oid: for a template, neither an application nor an issuance policy
_MICROSECONDS_PER_TICK = 10
_KEY_USAGE_MASKS = dict(zip(KeyUsageBit, (0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02), strict=True))
_ATTRIBUTES: Final[Mapping[str, str]] = {
    "oid": "msPKI-Cert-Template-OID",
    "schema_version": "msPKI-Template-Schema-Version",
    "general_flags": "flags",
    "name_flags": "msPKI-Certificate-Name-Flag",
    "enrollment_flags": "msPKI-Enrollment-Flag",
    "private_key_bits": "msPKI-Private-Key-Flag",
    "ra_signatures": "msPKI-RA-Signature",
    "minimal_key_size": "msPKI-Minimal-Key-Size",
    "key_usage": "pKIKeyUsage",
    "extended_key_usage": "pKIExtendedKeyUsage",
    "application_policies": "msPKI-Certificate-Application-Policy",
    "critical_extensions": "pKICriticalExtensions",
    "validity": "pKIExpirationPeriod",
    "renewal_overlap": "pKIOverlapPeriod",
    "key_spec": "pKIDefaultKeySpec",
    "crypto_providers": "pKIDefaultCSPs",
    "key_algorithm": "msPKI-Asymmetric-Algorithm",
    "hash_algorithm": "msPKI-Hash-Algorithm",
}
"""What of a template is compared; not its revisions and display name, which administrators change."""


def directory_template(
    name: str, profile: Profile, *, for_machines: bool, arc: str | None = None
) -> CertificateTemplate:
    """The template of a name that conf maps to a profile.

    ``arc`` is the forest's own, dotted, below which it gets two numbers made from its name; without one the object
    identifier is that of :func:`protocols.wstep.policy_conf.template_oid`. Where only elliptic curves are allowed the
    template is of schema version 3, which can say so; else of version 2.
    """
    told = conf_template(name, profile)
    usages = told.extended_key_usage
    if for_machines and profile.extended_key_usage.mode is ExtendedKeyUsageMode.REQUEST:
        usages = (*usages, ExtendedKeyUsageOID.SERVER_AUTH.dotted_string)
    general = GeneralFlag.AUTO_ENROLLMENT | _ADD_TEMPLATE_NAME | _IS_MODIFIED
    versions = _SINCE_2008 if told.key_algorithm else _SINCE_2003
    return replace(
        told,
        oid=told.oid if arc is None else ".".join([arc, *template_oid(name).split(".")[-2:]]),
        general_flags=GeneralFlag(general | GeneralFlag.MACHINE_TYPE if for_machines else general),
        name_flags=_FOR_MACHINES if for_machines else _FOR_USERS,
        private_key_flags=PrivateKeyFlag(versions),
        private_key_bits=versions,
        extended_key_usage=usages,
        application_policies=usages,
        critical_extensions=(KEY_USAGE,),
        # A directory counts in 100 nanoseconds, timedelta in microseconds.
        renewal_overlap=timedelta(seconds=told.renewal_overlap // timedelta(seconds=1)),
        key_spec=_EXCHANGE if KeyUsageBit.KEY_ENCIPHERMENT in profile.key_usage else _SIGNATURE,
        crypto_providers=(_KEY_STORAGE_PROVIDER if told.key_algorithm else _RSA_PROVIDER,),
        hash_algorithm="SHA256" if told.key_algorithm else "",
    )


def template_records(template: CertificateTemplate, services: str, *, security: bytes | None = None) -> Sequence[str]:
    """LDIF of a template's object identifier, and of the template.

    ``services`` is the DN of Public Key Services; ``security`` a security descriptor: without one the entry gets that
    of its class, by which administrators alone enroll.
    """
    last = template.oid.rpartition(".")[2]
    unique = hashlib.sha256(template.oid.encode()).hexdigest()[:32].upper()
    return (
        ldif.addition(
            f"CN={last}.{unique},CN=OID,{services}",
            "msPKI-Enterprise-Oid",
            ("displayName", [template.display_name]),
            ("flags", [_IS_TEMPLATE]),
            ("msPKI-Cert-Template-OID", [template.oid]),
        ),
        ldif.addition(
            f"{ldif.rdn(template.name)},CN=Certificate Templates,{services}",
            "pKICertificateTemplate",
            ("displayName", [template.display_name]),
            ("flags", [_signed(template.general_flags)]),
            ("revision", [str(template.major_revision)]),
            ("pKIDefaultKeySpec", [str(template.key_spec)]),
            ("pKIKeyUsage", [_key_usage(template.key_usage)]),
            ("pKIMaxIssuingDepth", ["0"]),
            ("pKICriticalExtensions", template.critical_extensions),
            ("pKIExpirationPeriod", [_interval(template.validity)]),
            ("pKIOverlapPeriod", [_interval(template.renewal_overlap)]),
            ("pKIExtendedKeyUsage", template.extended_key_usage),
            ("pKIDefaultCSPs", [f"{place},{name}" for place, name in enumerate(template.crypto_providers, 1)]),
            ("msPKI-RA-Signature", [str(template.ra_signatures)]),
            ("msPKI-RA-Application-Policies", _algorithms(template)),
            ("msPKI-Enrollment-Flag", [_signed(template.enrollment_flags)]),
            ("msPKI-Private-Key-Flag", [_signed(template.private_key_bits)]),
            ("msPKI-Certificate-Name-Flag", [_signed(template.name_flags)]),
            ("msPKI-Minimal-Key-Size", [str(template.minimal_key_size)]),
            ("msPKI-Template-Schema-Version", [str(template.schema_version)]),
            ("msPKI-Template-Minor-Revision", [str(template.minor_revision)]),
            ("msPKI-Cert-Template-OID", [template.oid]),
            ("msPKI-Certificate-Application-Policy", template.application_policies),
            ("nTSecurityDescriptor", [] if security is None else [security]),
        ),
    )


def template_differences(wanted: CertificateTemplate, found: CertificateTemplate) -> list[str]:
    """Which attributes of a template in the directory are not as they are made here; a sentence for each."""
    return [
        f"certificate template {found.name}: {_ATTRIBUTES[each.name]} is {_told(has)}, not {_told(shall)}"
        for each in fields(CertificateTemplate)
        if each.name in _ATTRIBUTES
        and (has := _comparable(getattr(found, each.name))) != (shall := _comparable(getattr(wanted, each.name)))
    ]


def _comparable(value: Any) -> Any:
    """Directories keep values in no order."""
    return sorted(value) if isinstance(value, tuple) else value


def _told(value: Any) -> str:
    if isinstance(value, frozenset):
        return " + ".join(bit.value for bit in KeyUsageBit if bit in value) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:#x}" if isinstance(value, GeneralFlag | NameFlag) else str(value) or "none"


def _signed(bits: int) -> str:
    """32 bits as the signed number that a directory takes."""
    return str(bits - (1 << 32) if bits >> 31 else int(bits))


def _interval(span: timedelta) -> bytes:
    """Eight octets, little-endian, a negative count of 100 nanoseconds ([MS-CRTD] 2.7)."""
    ticks = span // timedelta(microseconds=1) * _MICROSECONDS_PER_TICK
    return (-ticks).to_bytes(8, "little", signed=True)


def _key_usage(bits: frozenset[KeyUsageBit]) -> bytes:
    """The two octets of the BIT STRING ([MS-CRTD] 2.5)."""
    return bytes([sum(_KEY_USAGE_MASKS[bit] for bit in bits), 0])


def _algorithms(template: CertificateTemplate) -> list[str]:
    """Name, type and value of each, a grave accent behind all three ([MS-CRTD] 2.23.2); none before version 3."""
    if not template.key_algorithm:
        return []
    told = (
        ("msPKI-Asymmetric-Algorithm", "PZPWSTR", template.key_algorithm),
        ("msPKI-Hash-Algorithm", "PZPWSTR", template.hash_algorithm),
    )
    return ["".join(f"{part}`" for each in told for part in each)]
