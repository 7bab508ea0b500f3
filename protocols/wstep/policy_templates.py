"""A certificate template as an enrollment policy ([MS-XCEP] 3.1.4.1.3.1, [MS-CRTD])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.values import CertificateTemplate
from cspd.x509 import tlv
from protocols.wstep.microsoft import (
    APPLICATION_POLICIES,
    CERTIFICATE_TEMPLATE,
    CERTIFICATE_TEMPLATE_NAME,
    encode_application_policies,
    encode_certificate_template,
    encode_template_name,
)
from protocols.wstep.policy_messages import (
    Attributes,
    CertificateEnrollmentPolicy,
    CertificateValidity,
    EnrollmentPermission,
    Extension,
    OIDGroup,
    PrivateKeyAttributes,
    RARequirements,
    Revision,
)
from protocols.wstep.policy_oids import EXTENDED_KEY_USAGE, KEY_USAGE, OIDTable

SMALLEST_KEY: Final = 2048
"""Bits, where a template does not say; an RSA key of fewer is refused anyway."""

_KEY_ALGORITHMS: Final[Mapping[str, str]] = {
    "RSA": "1.2.840.113549.1.1.1",
    "ECDSA_P256": "1.2.840.10045.3.1.7",
    "ECDSA_P384": "1.3.132.0.34",
    "ECDSA_P521": "1.3.132.0.35",
    "ECDH_P256": "1.2.840.10045.3.1.7",
    "ECDH_P384": "1.3.132.0.34",
    "ECDH_P521": "1.3.132.0.35",
}
_HASH_ALGORITHMS: Final[Mapping[str, str]] = {
    "SHA1": "1.3.14.3.2.26",
    "SHA256": "2.16.840.1.101.3.4.2.1",
    "SHA384": "2.16.840.1.101.3.4.2.2",
    "SHA512": "2.16.840.1.101.3.4.2.3",
}
_KEY_USAGE_BITS: Final = tuple(KeyUsageBit)
"""In the order of RFC 5280, 4.2.1.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A template that a client may enroll by, and at which CAs: their places in the answer."""

    template: CertificateTemplate
    permission: EnrollmentPermission
    cas: tuple[int, ...]


def to_policy(offer: Offer, oids: OIDTable) -> CertificateEnrollmentPolicy:
    """The policy of an offer; its object identifiers are counted in ``oids``."""
    template = offer.template
    return CertificateEnrollmentPolicy(
        policy_oid_reference=oids.refer(policy_oid(template), OIDGroup.ENROLLMENT_OBJECT, template.display_name),
        cas=offer.cas,
        attributes=Attributes(
            common_name=template.name,
            policy_schema=template.schema_version,
            # The directory has zero where nobody set a period; on the wire both must be more.
            certificate_validity=CertificateValidity(
                validity_period_seconds=max(1, int(template.validity.total_seconds())),
                renewal_period_seconds=max(1, int(template.renewal_overlap.total_seconds())),
            ),
            permission=offer.permission,
            private_key_attributes=_private_key(template, oids),
            revision=Revision(
                major_revision=max(1, template.major_revision), minor_revision=max(0, template.minor_revision)
            ),
            superseded_policies=template.superseded_templates,
            private_key_flags=template.private_key_bits or int(template.private_key_flags),
            subject_name_flags=int(template.name_flags),
            enrollment_flags=int(template.enrollment_flags),
            general_flags=int(template.general_flags),
            hash_algorithm_oid_reference=_refer(
                template.hash_algorithm, _HASH_ALGORITHMS, OIDGroup.HASH_ALGORITHM, oids
            )
            if template.schema_version >= 3
            else None,
            # Templates that want other signatures or archival are not offered.
            ra_requirements=RARequirements(ra_signatures=0, ra_ekus=(), ra_policies=()),
            key_archival_attributes=None,
            extensions=tuple(_extensions(template, oids)),
        ),
    )


def policy_oid(template: CertificateTemplate) -> str:
    """What identifies a template: its object identifier, or that of its name for one of version 1 that has none.

    (Such are only in forests that were never upgraded from Windows 2000. Their name is the extension's that has it.)
    """
    if template.oid:
        return template.oid
    arcs = ".".join(str(octet) for octet in template.name.encode()[:64])
    return f"{CERTIFICATE_TEMPLATE_NAME}.{arcs}"


def _private_key(template: CertificateTemplate, oids: OIDTable) -> PrivateKeyAttributes:
    return PrivateKeyAttributes(
        minimal_key_length=template.minimal_key_size or SMALLEST_KEY,
        key_spec=template.key_spec or None,
        key_usage_property=None,
        permissions=None,
        algorithm_oid_reference=_refer(template.key_algorithm, _KEY_ALGORITHMS, OIDGroup.PUBLIC_KEY, oids),
        crypto_providers=template.crypto_providers,
    )


def _refer(name: str, known: Mapping[str, str], group: OIDGroup, oids: OIDTable) -> int | None:
    return oids.refer(known[name], group, name) if name in known else None


def _extensions(template: CertificateTemplate, oids: OIDTable) -> Sequence[Extension]:
    """What clients put into their requests, in the order of Windows."""
    usages = template.application_policies or template.extended_key_usage
    values: list[tuple[str, bytes]] = []
    if template.schema_version < 2 or not template.oid:
        values.append((CERTIFICATE_TEMPLATE_NAME, encode_template_name(template.name)))
    else:
        value = encode_certificate_template(template.oid, template.major_revision, template.minor_revision)
        values.append((CERTIFICATE_TEMPLATE, value))
    if usages:
        eku = x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage) for usage in usages])
        values.append((EXTENDED_KEY_USAGE, eku.public_bytes()))
    if template.key_usage:
        values.append((KEY_USAGE, encode_key_usage(template.key_usage)))
    if template.application_policies:
        values.append((APPLICATION_POLICIES, encode_application_policies(template.application_policies)))
    return [
        Extension(
            oid_reference=oids.refer(oid, OIDGroup.EXTENSION_OR_ATTRIBUTE),
            critical=oid == KEY_USAGE or oid in template.critical_extensions,
            value_der=value,
        )
        for oid, value in values
    ]


def encode_key_usage(bits: frozenset[KeyUsageBit]) -> bytes:
    """KeyUsage (RFC 5280, 4.2.1.3) of any bits; cryptography has rules of its own about which go together."""
    octet = sum(0x80 >> place for place, bit in enumerate(_KEY_USAGE_BITS) if bit in bits)
    unused = (octet & -octet).bit_length() - 1 if octet else 0
    return tlv.element(0x03, bytes((unused, octet)) if octet else b"\0")
