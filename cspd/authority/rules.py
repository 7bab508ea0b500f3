"""What the fields of a CA may hold (ca.md section 5).

A refusal says which field in its code, ``bad-field.<field>``, so that a form or ``cspctl`` can point at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.authority.profile_values import Profile
from cspd.authority.values import AuthorityKind
from cspd.refusals import BadName, BadValidity, Rejected
from cspd.x509.names import ATTRIBUTE_ALIASES

MAX_CRL_DAYS = 366
MAX_USERS = 1000
_CA_ID = re.compile(r"[a-z0-9_-]{3,18}")
_USER = re.compile(r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,126}[^\x00-\x20\x7f])?")
_ATTRIBUTE_TYPES = frozenset(ATTRIBUTE_ALIASES.values())


def check_ca_id(ca_id: str) -> None:
    """R-CA-024, R-PLAT-014; raises BadName."""
    if not _CA_ID.fullmatch(ca_id):
        raise BadName("a CA id has 3 to 18 of the characters a-z, 0-9, _ and -", code="bad-field.ca-id")


def check_subject(subject: x509.Name) -> None:
    """A common name, and nothing beside the 34 attribute types (R-CA-027); raises BadName."""
    if not subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        raise BadName("the subject of a CA needs a common name", code="bad-field.subject")
    for attribute in subject:
        if attribute.oid not in _ATTRIBUTE_TYPES:
            raise BadName(
                f"the attribute type {attribute.oid.dotted_string} is not known here", code="bad-field.subject"
            )
        value = attribute.value
        if not value or (isinstance(value, str) and (not value.strip() or any(ord(each) < 0x20 for each in value))):
            raise BadName(
                f"the attribute {attribute.rfc4514_attribute_name} is empty or has control characters",
                code="bad-field.subject",
            )


def checked_profiles(
    chosen: Iterable[str] | None, kind: AuthorityKind, profiles: Mapping[str, Profile]
) -> frozenset[str]:
    """The profiles a CA offers (R-CA-028, A-6).

    A root without a choice offers all that roots may, which are those of external subordinate CAs. Raises Rejected for
    none, for an unknown one and for one that this kind of CA may not offer.
    """
    if chosen is None and kind is AuthorityKind.ROOT:
        return frozenset(each.id for each in profiles.values() if each.may_be_enabled_on(kind))
    wanted = frozenset(chosen or ())
    if not wanted:
        raise Rejected("choose at least one profile", code="bad-field.profiles")
    if unfit := sorted(each for each in wanted if each not in profiles or not profiles[each].may_be_enabled_on(kind)):
        raise Rejected(f"no profiles for a CA of this kind: {', '.join(unfit)}", code="bad-field.profiles")
    return wanted


def checked_users(users: Iterable[str], *, field: str, at_least: int = 0) -> tuple[str, ...]:
    """The users in their order, each once (R-CA-028, R-CA-029); ``field`` is ``administrators`` or ``auditors``."""
    chosen = tuple(dict.fromkeys(users))
    if len(chosen) < at_least:
        raise Rejected(f"name at least {at_least} of the {field}", code=f"bad-field.{field}")
    if len(chosen) > MAX_USERS:
        raise Rejected(f"no more than {MAX_USERS} {field}", code=f"bad-field.{field}")
    for user in chosen:
        if not _USER.fullmatch(user):
            raise Rejected(f"not a user name: {user[:40]!r}", code=f"bad-field.{field}")
    return chosen


def check_crl_schedule(crl_days: int | None, delta_crl_hours: int | None) -> None:
    """Raise Rejected unless delta CRLs come more often than full ones."""
    if crl_days is not None and not 1 <= crl_days <= MAX_CRL_DAYS:
        raise Rejected(f"CRLs are made every 1 to {MAX_CRL_DAYS} days", code="bad-field.crl-days")
    if delta_crl_hours is None:
        return
    if crl_days is None:
        raise Rejected("delta CRLs need full ones on a schedule", code="bad-field.delta-crl-hours")
    if not 1 <= delta_crl_hours < 24 * crl_days:
        raise Rejected(
            "delta CRLs come at least hourly and more often than full ones", code="bad-field.delta-crl-hours"
        )


def checked_expiry(
    profile: Profile, *, not_before: datetime, wanted: datetime | None, issuer_not_after: datetime | None
) -> datetime:
    """When a CA certificate ends (R-CA-026): the default of its profile, never later than its issuer.

    Raises BadValidity for a wanted end that is past, beyond the profile's maximum or beyond the issuer (A-14).
    """
    if wanted is None:
        default = profile.validity.default.after(not_before)
        return default if issuer_not_after is None else min(default, issuer_not_after)
    wanted = wanted.replace(microsecond=0)
    if wanted <= not_before:
        raise BadValidity("the expiration date is past", code="bad-field.not-after")
    if profile.validity.maximum is not None and wanted > profile.validity.maximum.after(not_before):
        raise BadValidity(
            f"the expiration date is beyond the {profile.validity.maximum.years} years of {profile.id}",
            code="bad-field.not-after",
        )
    if issuer_not_after is not None and wanted > issuer_not_after:
        raise BadValidity(
            f"the expiration date is beyond the end of the root, {issuer_not_after:%Y-%m-%d %H:%M:%S}Z",
            code="bad-field.not-after",
        )
    return wanted


def check_ca_certificate(certificate: x509.Certificate, *, key_usage_required: bool) -> None:
    """Raise Rejected unless the certificate may sign certificates (RFC 5280, 4.2.1.3 and 4.2.1.9).

    A foreign root may come without keyUsage; a CA of ours signs CRLs as well, so that it needs both bits.
    """
    try:
        extensions = certificate.extensions
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Rejected("the certificate has malformed extensions", code="bad-field.certificate") from error
    try:
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        raise Rejected("the certificate is not one of a CA (cA is not TRUE)", code="bad-field.certificate")
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        if key_usage_required:
            raise Rejected("the certificate has no keyUsage", code="bad-field.certificate") from None
        return
    missing: Sequence[str] = [
        name
        for name, given, needed in (
            ("keyCertSign", usage.key_cert_sign, True),
            ("cRLSign", usage.crl_sign, key_usage_required),
        )
        if needed and not given
    ]
    if missing:
        raise Rejected(f"the certificate's keyUsage lacks {' and '.join(missing)}", code="bad-field.certificate")
