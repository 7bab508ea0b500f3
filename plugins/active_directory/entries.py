"""Entries of Active Directory as values. Total: any entry gives a value or :class:`EntryError`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.security_descriptors import (
    SecurityDescriptor,
    SecurityDescriptorError,
    decode_security_descriptor,
)
from cspd.directory.security_identifiers import (
    AUTHENTICATED_USERS,
    EVERYONE,
    SecurityIdentifierError,
    decode_sid,
)
from cspd.directory.values import (
    Account,
    AccountKind,
    CertificateTemplate,
    EnrollmentFlag,
    EnrollmentService,
    GeneralFlag,
    Group,
    NameFlag,
    PrivateKeyFlag,
    TrustedAuthorities,
)
from cspd.x509.object_identifiers import is_dotted
from plugins.active_directory.conversation import Entry

T = TypeVar("T")

ACCOUNT_ATTRIBUTES = (
    "accountExpires",
    "cn",
    "dNSHostName",
    "mail",
    "msDS-User-Account-Control-Computed",
    "objectGUID",
    "objectSid",
    "sAMAccountName",
    "sAMAccountType",
    "servicePrincipalName",
    "userAccountControl",
    "userPrincipalName",
)
GROUP_ATTRIBUTES = ("sAMAccountName", "objectSid")
TOKEN_GROUPS = "tokenGroups"  # noqa: S105  # groups, no secret
TEMPLATE_ATTRIBUTES = (
    "cn",
    "displayName",
    "flags",
    "msPKI-Cert-Template-OID",
    "msPKI-Certificate-Application-Policy",
    "msPKI-Certificate-Name-Flag",
    "msPKI-Enrollment-Flag",
    "msPKI-Minimal-Key-Size",
    "msPKI-Private-Key-Flag",
    "msPKI-RA-Application-Policies",
    "msPKI-RA-Signature",
    "msPKI-Supersede-Templates",
    "msPKI-Template-Minor-Revision",
    "msPKI-Template-Schema-Version",
    "pKICriticalExtensions",
    "pKIDefaultCSPs",
    "pKIDefaultKeySpec",
    "pKIExpirationPeriod",
    "pKIExtendedKeyUsage",
    "pKIKeyUsage",
    "pKIOverlapPeriod",
    "revision",
)
SERVICE_ATTRIBUTES = ("cACertificate", "certificateTemplates", "cn", "dNSHostName", "msPKI-Enrollment-Servers")
AUTHORITY_ATTRIBUTES = ("cACertificate",)

MAX_VALUES = 4096
"""Of one attribute: an account may be in a thousand groups."""

_MACHINE = 805306369  # SAM_MACHINE_ACCOUNT
_DISABLED, _LOCKED, _PASSWORD_EXPIRED = 0x0002, 0x0010, 0x0080_0000
_32_BITS = 0xFFFF_FFFF
_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
# What stands in a list that must have a value, and has none.
_NO_CERTIFICATE = (b"", b"\0")
_NEVER = (0, (1 << 63) - 1)
# pKIKeyUsage holds the octets of the BIT STRING ([MS-CRTD] 2.5): the first bit is digitalSignature.
_KEY_USAGE_BITS = tuple(zip((0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02), KeyUsageBit, strict=True))


class EntryError(ValueError):
    """The entry lacks what it must have, or has values that are none."""


class MayNotLogOn(Exception):
    """The account is disabled, locked, or has expired; the text says which."""


class _Reader:
    """The attributes of one entry; every method raises EntryError for values that are none."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def octets(self, name: str) -> tuple[bytes, ...]:
        values = self._entry.attributes.get(name.lower(), ())
        if len(values) > MAX_VALUES:
            raise EntryError(f"{self._entry.dn}: more than {MAX_VALUES} values of {name}")
        return values

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._read(name, value, lambda octets: octets.decode()) for value in self.octets(name))

    def text(self, name: str) -> str | None:
        values = self.texts(name)
        return values[0] if values and values[0] else None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise EntryError(f"{self._entry.dn}: no {name}")
        return value

    def number(self, name: str, default: int = 0) -> int:
        values = self.octets(name)
        return self._read(name, values[0], _number) if values else default

    def flags(self, name: str) -> int:
        """32 bits, which the directory writes as a signed number."""
        return self.number(name) & _32_BITS

    def one(self, name: str, read: Callable[[bytes], T]) -> T:
        values = self.octets(name)
        if not values:
            raise EntryError(f"{self._entry.dn}: no {name}")
        return self._read(name, values[0], read)

    def interval(self, name: str) -> timedelta:
        """A span of time: eight octets, little-endian, a negative count of 100 nanoseconds ([MS-CRTD] 2.7)."""
        values = self.octets(name)
        return self._read(name, values[0], _interval) if values else timedelta(0)

    def identifiers(self, name: str) -> tuple[str, ...]:
        return tuple(text for text in self.texts(name) if is_dotted(text))

    def security(self) -> SecurityDescriptor:
        values = self.octets("nTSecurityDescriptor")
        if not values:  # the account that reads may not see it: nobody may anything then
            return SecurityDescriptor(())
        return self._read("nTSecurityDescriptor", values[0], decode_security_descriptor)

    def _read(self, name: str, value: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(value)
        except (ValueError, OverflowError, SecurityIdentifierError, SecurityDescriptorError) as error:
            raise EntryError(f"{self._entry.dn}: {name}: {error}") from error


def read_account(entry: Entry, token_groups: Entry, *, domain: str, netbios_domain: str, now: datetime) -> Account:
    """The account of an entry with :data:`ACCOUNT_ATTRIBUTES`, and the same entry's ``tokenGroups``.

    Raises :class:`EntryError`, and :class:`MayNotLogOn`.
    """
    reader = _Reader(entry)
    _check_may_log_on(reader, now)
    account_name = reader.required("sAMAccountName")
    sid = reader.one("objectSid", decode_sid)
    groups = _Reader(token_groups)
    group_sids = {groups._read(TOKEN_GROUPS, each, decode_sid) for each in groups.octets(TOKEN_GROUPS)}
    return Account(
        kind=AccountKind.MACHINE if reader.number("sAMAccountType") == _MACHINE else AccountKind.USER,
        domain=domain,
        netbios_domain=netbios_domain,
        account_name=account_name,
        distinguished_name=entry.dn,
        common_name=reader.required("cn"),
        sid=sid,
        guid=reader.one("objectGUID", lambda octets: UUID(bytes_le=octets)),
        user_principal_name=reader.text("userPrincipalName") or f"{account_name}@{domain}",
        mail=reader.text("mail"),
        dns_host_name=reader.text("dNSHostName"),
        service_principal_names=reader.texts("servicePrincipalName"),
        group_sids=frozenset({*group_sids, sid, EVERYONE, AUTHENTICATED_USERS}),
    )


def read_group(entry: Entry, *, domain: str) -> Group:
    """The group of an entry with :data:`GROUP_ATTRIBUTES`; raises :class:`EntryError`."""
    reader = _Reader(entry)
    return Group(
        domain=domain,
        account_name=reader.required("sAMAccountName"),
        distinguished_name=entry.dn,
        sid=reader.one("objectSid", decode_sid),
    )


def read_template(entry: Entry) -> CertificateTemplate:
    """The template of an entry with :data:`TEMPLATE_ATTRIBUTES` and its security; raises :class:`EntryError`."""
    reader = _Reader(entry)
    private_key_bits = reader.flags("msPKI-Private-Key-Flag")
    oid = reader.text("msPKI-Cert-Template-OID") or ""
    if oid and not is_dotted(oid):
        raise EntryError(f"{entry.dn}: msPKI-Cert-Template-OID is no object identifier")
    schema_version = reader.number("msPKI-Template-Schema-Version", 1)
    algorithms = _properties(reader.texts("msPKI-RA-Application-Policies")) if schema_version >= 3 else {}
    return CertificateTemplate(
        name=reader.required("cn"),
        display_name=reader.text("displayName") or reader.required("cn"),
        oid=oid,
        schema_version=schema_version,
        major_revision=reader.number("revision"),
        minor_revision=reader.number("msPKI-Template-Minor-Revision"),
        general_flags=GeneralFlag(reader.flags("flags")),
        name_flags=NameFlag(reader.flags("msPKI-Certificate-Name-Flag")),
        enrollment_flags=EnrollmentFlag(reader.flags("msPKI-Enrollment-Flag")),
        private_key_flags=PrivateKeyFlag(private_key_bits),
        private_key_bits=private_key_bits,
        ra_signatures=reader.number("msPKI-RA-Signature"),
        minimal_key_size=reader.number("msPKI-Minimal-Key-Size"),
        key_usage=_key_usage(next(iter(reader.octets("pKIKeyUsage")), b"")),
        extended_key_usage=reader.identifiers("pKIExtendedKeyUsage"),
        application_policies=reader.identifiers("msPKI-Certificate-Application-Policy"),
        critical_extensions=reader.identifiers("pKICriticalExtensions"),
        validity=reader.interval("pKIExpirationPeriod"),
        renewal_overlap=reader.interval("pKIOverlapPeriod"),
        key_spec=reader.number("pKIDefaultKeySpec"),
        crypto_providers=_crypto_providers(reader.texts("pKIDefaultCSPs")),
        superseded_templates=reader.texts("msPKI-Supersede-Templates"),
        key_algorithm=algorithms.get("msPKI-Asymmetric-Algorithm", ""),
        hash_algorithm=algorithms.get("msPKI-Hash-Algorithm", ""),
        security=reader.security(),
    )


def read_enrollment_service(entry: Entry) -> EnrollmentService:
    """The service of an entry with :data:`SERVICE_ATTRIBUTES` and its security; raises :class:`EntryError`."""
    reader = _Reader(entry)
    return EnrollmentService(
        name=reader.required("cn"),
        dns_host_name=reader.text("dNSHostName") or "",
        certificate_templates=frozenset(reader.texts("certificateTemplates")),
        enrollment_servers=reader.texts("msPKI-Enrollment-Servers"),
        ca_certificates_der=reader.octets("cACertificate"),
        security=reader.security(),
    )


def read_trusted_authorities(entries: Sequence[Entry], *, container: str) -> TrustedAuthorities:
    """Entries with :data:`AUTHORITY_ATTRIBUTES` below a container, told apart by where they stand.

    ``container`` is the DN of Public Key Services. Raises :class:`EntryError`.
    """
    logons: list[bytes] | None = None
    held: dict[str, list[bytes]] = {"certification authorities": [], "aia": []}
    for entry in entries:
        certificates = [each for each in _Reader(entry).octets("cACertificate") if each not in _NO_CERTIFICATE]
        dn = entry.dn.lower()
        if dn == f"cn=ntauthcertificates,{container.lower()}":
            logons = certificates
        for name, found in held.items():
            if dn.endswith(f",cn={name},{container.lower()}"):
                found += certificates
    return TrustedAuthorities(
        logons=None if logons is None else tuple(logons),
        roots=tuple(held["certification authorities"]),
        chains=tuple(held["aia"]),
    )


def _check_may_log_on(reader: _Reader, now: datetime) -> None:
    control = reader.flags("userAccountControl") | reader.flags("msDS-User-Account-Control-Computed")
    if "useraccountcontrol" not in reader._entry.attributes:
        raise EntryError(f"{reader._entry.dn}: no userAccountControl")
    if control & _DISABLED:
        raise MayNotLogOn("the account is disabled")
    if control & _LOCKED:
        raise MayNotLogOn("the account is locked")
    if control & _PASSWORD_EXPIRED:
        raise MayNotLogOn("the password has expired")
    expires = reader.number("accountExpires")
    if expires not in _NEVER and expires // 10 <= (now - _FILETIME_EPOCH) // timedelta(microseconds=1):
        raise MayNotLogOn("the account has expired")


def _number(octets: bytes) -> int:
    if len(octets) > 20:
        raise ValueError("a number of more than 20 digits")
    return int(octets)


def _interval(octets: bytes) -> timedelta:
    if len(octets) != 8:
        raise ValueError("a span of time of other than eight octets")
    return timedelta(microseconds=max(0, -int.from_bytes(octets, "little", signed=True) // 10))


def _properties(values: Sequence[str]) -> dict[str, str]:
    """What stands in msPKI-RA-Application-Policies of a later template ([MS-CRTD] 2.23.2).

    Name, type and value, with a grave accent behind each; what has another form is nothing that we read.
    """
    parts = "".join(values[:1]).split("`")
    return dict(zip(parts[::3], parts[2::3], strict=False))


def _crypto_providers(values: Sequence[str]) -> tuple[str, ...]:
    """The names of pKIDefaultCSPs in the order of the numbers before them ([MS-CRTD] 2.8)."""
    numbered = [value.partition(",") for value in values]
    known = [(int(number), name.strip()) for number, _, name in numbered if number.isdecimal() and len(number) <= 9]
    return tuple(name for _, name in sorted(known) if name)


def _key_usage(octets: bytes) -> frozenset[KeyUsageBit]:
    first = octets[0] if octets else 0
    return frozenset(bit for mask, bit in _KEY_USAGE_BITS if first & mask)
