"""Subject and subjectAltName (R-PRO-006, R-PRO-008, R-PLAT-146, R-PLAT-147, R-PLAT-150)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.authority.profile_values import EmptySubject, Profile
from cspd.refusals import BadName
from cspd.x509.csr import MAX_NAMES
from cspd.x509.general_names import GeneralNameError, check_dns_name, check_general_name
from cspd.x509.names import short_name

MAX_COMMON_NAME = 64

# RFC 5280, appendix A.1; attributes that stand in no standard's list share the widest bound.
_UPPER_BOUNDS = MappingProxyType(
    {
        NameOID.COMMON_NAME: MAX_COMMON_NAME,
        NameOID.SERIAL_NUMBER: 64,
        NameOID.LOCALITY_NAME: 128,
        NameOID.STATE_OR_PROVINCE_NAME: 128,
        NameOID.ORGANIZATION_NAME: 64,
        NameOID.ORGANIZATIONAL_UNIT_NAME: 64,
        NameOID.TITLE: 64,
        NameOID.EMAIL_ADDRESS: 255,
    }
)
_WIDEST_BOUND = 32768  # ub-name
_COUNTRIES = frozenset({NameOID.COUNTRY_NAME, NameOID.JURISDICTION_COUNTRY_NAME})


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedNames:
    """The names that go into the certificate."""

    subject: x509.Name
    subject_alt_names: tuple[x509.GeneralName, ...]


def decide_names(profile: Profile, subject: x509.Name, subject_alt_names: Sequence[x509.GeneralName]) -> CertifiedNames:
    """Check the requested names and complete them as the profile says; raises :class:`BadName`.

    Any subject attribute and any kind of subjectAltName is allowed. Control characters in a subject are allowed too
    (devices send them; whoever prints a subject escapes it), except NUL, which ends a string in many a verifier.
    """
    if len(subject_alt_names) > MAX_NAMES:
        raise BadName(f"more than {MAX_NAMES} subject alternative names")
    for name in subject_alt_names:
        try:
            check_general_name(name)
        except GeneralNameError as error:
            raise BadName(f"subject alternative name: {error}") from error
    _check_attributes(subject)
    if profile.subject_alt_name.fill_from_common_name:
        subject_alt_names = (*subject_alt_names, *_common_names_as_dns_names(subject))
    names = tuple(_without_duplicates(subject_alt_names))
    if profile.subject_alt_name.required and not names:
        raise BadName(f"profile {profile.id} needs a subject alternative name")
    if not subject.rdns:
        subject = _for_empty_subject(profile, names)
    _check_required(profile, subject)
    return CertifiedNames(subject=subject, subject_alt_names=names)


def _check_attributes(subject: x509.Name) -> None:
    for attribute in subject:
        oid, value = attribute.oid, attribute.value
        bound = _UPPER_BOUNDS.get(oid, _WIDEST_BOUND)
        if not 1 <= len(value) <= bound:
            raise BadName(f"subject: {short_name(oid)} is empty or has more than {bound} characters")
        if isinstance(value, str) and "\0" in value:
            raise BadName(f"subject: {short_name(oid)} has a NUL character")
        if oid in _COUNTRIES and not _is_country_code(value):
            raise BadName(f"subject: {short_name(oid)} is not a country code of two letters (ISO 3166)")


def _is_country_code(value: str | bytes) -> bool:
    return isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha()


def _check_required(profile: Profile, subject: x509.Name) -> None:
    present = {attribute.oid.dotted_string for attribute in subject}
    missing = [short_name(x509.ObjectIdentifier(oid)) for oid in profile.subject.required if oid not in present]
    if missing:
        raise BadName(f"subject: profile {profile.id} needs {', '.join(missing)}")


def _common_names_as_dns_names(subject: x509.Name) -> Iterator[x509.DNSName]:
    """The common names that are dNSNames; another common name stays a common name only (P-12)."""
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        value = str(attribute.value)
        try:
            check_dns_name(value, wildcard=True)
        except GeneralNameError:
            continue
        yield x509.DNSName(value)


def _without_duplicates(names: Iterable[x509.GeneralName]) -> Iterator[x509.GeneralName]:
    """The names in their order; host names are the same in upper and lower case (RFC 5280, 7.2)."""
    seen: set[object] = set()
    for name in names:
        key = (x509.DNSName, name.value.lower()) if isinstance(name, x509.DNSName) else name
        if key not in seen:
            seen.add(key)
            yield name


def _for_empty_subject(profile: Profile, names: Sequence[x509.GeneralName]) -> x509.Name:
    """What stands in the place of an empty subject; the request itself stays as it was signed."""
    if not names:
        raise BadName("the request names nobody: subject and subject alternative names are empty")
    if profile.subject.when_empty is EmptySubject.REFUSE:
        raise BadName(f"profile {profile.id} needs a subject")
    if profile.subject.when_empty is EmptySubject.FIRST_DNS_NAME:
        first = next((name.value for name in names if isinstance(name, x509.DNSName)), "")
        if 0 < len(first) <= MAX_COMMON_NAME:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, first)])
    return x509.Name([])
