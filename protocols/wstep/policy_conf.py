"""Templates of the map of conf, for users whom no directory knows: what a directory would say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from cryptography.x509.oid import ExtendedKeyUsageOID

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


def template_oid(name: str) -> str:
    """The object identifier of a template of conf: for a name the same on every server, at any time.

    A UUID of the name (RFC 9562, version 5) in six numbers, as forests write theirs: Windows has none of 128 bits.
    """
    bits = uuid5(_NAMESPACE, name.lower()).int
    numbers = [bits >> shift & 0xFF_FFFF for shift in (104, 80, 56, 32, 8)]
    return ".".join([TEMPLATE_ARC, *map(str, numbers), str(bits & 0xFF)])


def mapped_name(oid: str, mapped: Iterable[str]) -> str | None:
    """The name among those of the map whose template has this object identifier; None if there is none."""
    return next((name for name in mapped if template_oid(name) == oid), None)


def conf_template(name: str, profile: Profile) -> CertificateTemplate:
    """A template that says what the profile does with a request."""
    validity = profile.validity.default.after(_SOME_DAY) - _SOME_DAY
    algorithm, bits = _key(profile.key_types)
    return CertificateTemplate(
        name=name,
        display_name=name,
        oid=template_oid(name),
        schema_version=_VERSION_WITH_ALGORITHM if algorithm else _VERSION,
        major_revision=_REVISION,
        # The server writes the user's name, whatever a request says.
        name_flags=NameFlag.SUBJECT_REQUIRE_COMMON_NAME,
        enrollment_flags=EnrollmentFlag.AUTO_ENROLLMENT,
        minimal_key_size=bits,
        key_usage=profile.key_usage,
        extended_key_usage=_usages(profile),
        validity=validity,
        renewal_overlap=min(_WEEKS_BEFORE, validity / 5),
        key_algorithm=algorithm,
    )


def conf_offers(cas: Sequence[IssuingCA], profiles: Mapping[str, Profile]) -> Offers:
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
                template=conf_template(name, profiles[profile]),
                permission=everything,
                cas=tuple(places),
            )
            for name, profile, places in chosen.values()
            if profile in profiles
        ),
        allowed_cas=frozenset(range(len(cas))),
        may_renew_by_certificate=False,
    )


def _usages(profile: Profile) -> tuple[str, ...]:
    """Where the profile leaves it to requests, static users get certificates for clients."""
    match profile.extended_key_usage.mode:
        case ExtendedKeyUsageMode.FIXED:
            return profile.extended_key_usage.values
        case ExtendedKeyUsageMode.REQUEST:
            return (ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,)
        case ExtendedKeyUsageMode.ABSENT:
            return ()


def _key(key_types: frozenset[KeyType]) -> tuple[str, int]:
    """The algorithm, empty where it is RSA as everywhere in Windows, and the fewest bits."""
    if any(kind in _RSA for kind in key_types) or not any(kind in _EC for kind in key_types):
        return "", min((_RSA[kind] for kind in key_types if kind in _RSA), default=0)
    return min((_EC[kind] for kind in key_types if kind in _EC), key=lambda known: known[1])
