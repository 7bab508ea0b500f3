"""Templates of the map of conf, for users whom no directory knows: what a directory would say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from cspd.authority.profile_values import ExtendedKeyUsageMode, Profile
from cspd.directory.values import CertificateTemplate, EnrollmentFlag, NameFlag
from cspd.keys.values import KeyType
from protocols.wstep.policy_messages import EnrollmentPermission
from protocols.wstep.policy_offers import IssuingCA, Offers
from protocols.wstep.policy_templates import Offer

TEMPLATE_ARC: Final = "1.3.6.1.4.1.311.21.8"
"""Below it forests make the object identifiers of their templates, from random numbers ([MS-CRTD] 2.19)."""

_NAMESPACE: Final = UUID("6f0f4a4e-3f2b-5d0e-9c55-0a6f2f1d7c11")
_VERSION: Final = 2
_VERSION_WITH_ALGORITHM: Final = 3
_REVISION: Final = 100
_WEEKS_BEFORE: Final = timedelta(weeks=6)
_SOME_DAY: Final = datetime(2025, 1, 1, tzinfo=UTC)
_RSA: Final[Mapping[KeyType, int]] = {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
_EC: Final[Mapping[KeyType, tuple[str, int]]] = {
    KeyType.EC_P256: ("ECDSA_P256", 256),
    KeyType.EC_P384: ("ECDSA_P384", 384),
    KeyType.EC_P521: ("ECDSA_P521", 521),
}


def template_oid(tenant: str, name: str, *, arc: str = TEMPLATE_ARC) -> str:
    """The object identifier of a template of conf: the same on every server, at any time, for a tenant and a name.

    A UUID of both (RFC 9562, version 5) in six numbers, as forests write theirs: Windows has no numbers of 128 bits.
    """
    bits = uuid5(_NAMESPACE, f"{tenant}\n{name.lower()}").int
    numbers = [bits >> shift & 0xFF_FFFF for shift in (104, 80, 56, 32, 8)]
    return ".".join([arc, *map(str, numbers), str(bits & 0xFF)])


def conf_template(tenant: str, name: str, profile: Profile, *, arc: str = TEMPLATE_ARC) -> CertificateTemplate:
    """A template that says what the profile does with a request."""
    validity = profile.validity.default.after(_SOME_DAY) - _SOME_DAY
    algorithm, bits = _key(profile.key_types)
    usages = profile.extended_key_usage
    return CertificateTemplate(
        name=name,
        display_name=name,
        oid=template_oid(tenant, name, arc=arc),
        schema_version=_VERSION_WITH_ALGORITHM if algorithm else _VERSION,
        major_revision=_REVISION,
        # The server writes the user's name, whatever a request says.
        name_flags=NameFlag.SUBJECT_REQUIRE_COMMON_NAME,
        enrollment_flags=EnrollmentFlag.AUTO_ENROLLMENT,
        minimal_key_size=bits,
        key_usage=profile.key_usage,
        extended_key_usage=usages.values if usages.mode is ExtendedKeyUsageMode.FIXED else (),
        validity=validity,
        renewal_overlap=min(_WEEKS_BEFORE, validity / 5),
        key_algorithm=algorithm,
    )


def conf_offers(
    tenant: str, cas: Sequence[IssuingCA], profiles: Mapping[str, Profile], *, arc: str = TEMPLATE_ARC
) -> Offers:
    """Every template that conf maps to a profile, for everybody who has proved who they are.

    Where two CAs map a template to different profiles, it is that of the first, and offered there alone.
    """
    chosen: dict[str, tuple[str, str, list[int]]] = {}
    for place, ca in enumerate(cas):
        for name, profile in sorted(ca.terms.mapped.items()):
            _, first, places = chosen.setdefault(name.lower(), (name, profile, []))
            if first == profile:
                places.append(place)
    everything = EnrollmentPermission(enroll=True, auto_enroll=True)
    return Offers(
        offers=tuple(
            Offer(
                template=conf_template(tenant, name, profiles[profile], arc=arc),
                permission=everything,
                cas=tuple(places),
            )
            for name, profile, places in chosen.values()
            if profile in profiles
        ),
        allowed_cas=frozenset(range(len(cas))),
    )


def _key(key_types: frozenset[KeyType]) -> tuple[str, int]:
    """The algorithm, empty where it is RSA as everywhere in Windows, and the fewest bits."""
    if any(kind in _RSA for kind in key_types) or not any(kind in _EC for kind in key_types):
        return "", min((_RSA[kind] for kind in key_types if kind in _RSA), default=0)
    return min((_EC[kind] for kind in key_types if kind in _EC), key=lambda known: known[1])
