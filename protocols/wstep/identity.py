"""Subject and subjectAltName of a certificate: by the template, from the account, hardly ever from the request.

A certificate of a CA that domain controllers trust is a logon. So a name that stands for an account (user principal
name, SID, host name, mail address) is the account's own, whoever wrote it: built from the directory the request's names
are not looked at, and where the template lets the request supply them each is compared with the account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.directory.values import Account, CertificateTemplate, NameFlag
from cspd.refusals import BadName
from cspd.x509.general_names import (
    GeneralNameError,
    check_dns_name,
    check_general_name,
    check_mailbox,
    describe,
    user_principal_name,
)
from cspd.x509.names import NameSyntaxError, parse_name
from protocols.wstep import microsoft

BAD_SUBJECT = "bad-subject"
FOREIGN_NAME = "foreign-name"
LACKS_PRINCIPAL_NAME = "account-lacks-upn"
LACKS_DNS_NAME = "account-lacks-dns-name"
LACKS_MAIL = "account-lacks-mail"
NAME_FORMAT = "name-format-unsupported"

_DOMAIN_CONTROLLERS = ("516", "521", "498")
"""RIDs of the groups Domain Controllers, and Read-only Domain Controllers of a domain and of the enterprise."""
_MAIL_IN_SUBJECT = x509.ObjectIdentifier("1.2.840.113549.1.9.1")
_NOT_IN_SUBJECTS = {
    NameOID.TITLE: "Title",
    NameOID.INITIALS: "Initials",
    _MAIL_IN_SUBJECT: "an e-mail address",
}
_SUPPLIED = NameFlag.ENROLLEE_SUPPLIES_SUBJECT
_REUSED = NameFlag.OLD_CERT_SUPPLIES_SUBJECT_AND_ALT_NAME


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """What a certificate says of its holder."""

    subject: x509.Name
    subject_alt_names: tuple[x509.GeneralName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRules:
    """What conf says of names."""

    parent: x509.Name | None = None
    """Appended to every subject (P-WST-31)."""
    dns_zones: tuple[str, ...] = ()
    """Zones in which requests may supply any host name, where their template lets them supply names."""


def names_for(
    account: Account,
    template: CertificateTemplate,
    supplied: CertificateNames,
    *,
    is_mapped: bool,
    rules: NameRules,
    previous: CertificateNames | None = None,
) -> CertificateNames:
    """The names of a certificate.

    ``supplied`` are those of the request; ``previous`` those of the certificate that it renews, which has been verified
    to be this CA's and this account's. ``is_mapped``: conf maps the template to a profile.
    The account's SID stands among the names in any case (KB5014754).
    Raises BadName; its code says which name the account lacks, or that it is foreign.
    """
    if previous is not None and _REUSED in template.name_flags:
        names = _checked(account, previous, rules, zones_of=previous)
    elif _SUPPLIED in template.name_flags:
        names = _checked(account, supplied, rules)
    else:
        names = CertificateNames(_subject(account, template, is_mapped), tuple(_alt_names(account, template)))
    if not names.subject.rdns and not names.subject_alt_names:
        raise BadName(f"the certificate template {template.name} names the holder in no way", code=NAME_FORMAT)
    return CertificateNames(
        _with_parent(names.subject, rules.parent),
        (*names.subject_alt_names, microsoft.security_identifier_uri(account.sid)),
    )


def _subject(account: Account, template: CertificateTemplate, is_mapped: bool) -> x509.Name:
    """The subject that the template builds; an e-mail address never is in it (R-CEGI-035)."""
    flags = template.name_flags
    if NameFlag.SUBJECT_REQUIRE_DIRECTORY_PATH in flags:
        if is_mapped:
            raise BadName(
                f"the certificate template {template.name} is mapped to a profile: its subject must be the common "
                "name or the DNS name, not the fully distinguished name",
                code=NAME_FORMAT,
            )
        return _directory_path(account)
    if NameFlag.SUBJECT_REQUIRE_DNS_AS_CN in flags:
        return _common_name(_dns_host_name(account))
    if NameFlag.SUBJECT_REQUIRE_COMMON_NAME in flags:
        return _common_name(account.common_name)
    if is_mapped:
        raise BadName(
            f"the certificate template {template.name} is mapped to a profile: it has to build a subject",
            code=NAME_FORMAT,
        )
    return x509.Name([])


def _alt_names(account: Account, template: CertificateTemplate) -> Iterable[x509.GeneralName]:
    flags = template.name_flags
    # [MS-CRTD] 2.28: the flag that is called after service principal names adds the user principal name, too.
    if flags & (NameFlag.SUBJECT_ALT_REQUIRE_UPN | NameFlag.SUBJECT_ALT_REQUIRE_SPN):
        if not account.user_principal_name.isprintable():
            raise BadName("the account has no user principal name that can be used", code=LACKS_PRINCIPAL_NAME)
        yield microsoft.user_principal_name(account.user_principal_name)
    if NameFlag.SUBJECT_ALT_REQUIRE_EMAIL in flags:
        yield x509.RFC822Name(_mail(account))
    if NameFlag.SUBJECT_ALT_REQUIRE_DNS in flags:
        yield x509.DNSName(_dns_host_name(account))
    if NameFlag.SUBJECT_ALT_REQUIRE_DOMAIN_DNS in flags:
        if not _is_domain_controller(account):
            raise BadName("only a domain controller is called like its domain", code=FOREIGN_NAME)
        yield x509.DNSName(account.domain)
    if NameFlag.SUBJECT_ALT_REQUIRE_DIRECTORY_GUID in flags:
        yield microsoft.directory_guid(account.guid)


def _checked(
    account: Account, names: CertificateNames, rules: NameRules, *, zones_of: CertificateNames | None = None
) -> CertificateNames:
    """Names that somebody supplied, compared with the account; raises BadName for any that is not its own.

    Host names that ``zones_of`` has (a certificate of the same account) count as its own.
    """
    known_hosts = frozenset() if zones_of is None else frozenset(map(str.lower, _host_names(zones_of)))
    alt_names = []
    for name in names.subject_alt_names:
        if isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(microsoft.SID_URI):
            if name.value[len(microsoft.SID_URI) :] != account.sid:
                raise _foreign(describe(name))
            continue  # it is written in any case
        _check_alt_name(account, name, rules, known_hosts)
        alt_names.append(name)
    for attribute in names.subject:
        if attribute.oid in _NOT_IN_SUBJECTS:
            raise BadName(f"{_NOT_IN_SUBJECTS[attribute.oid]} is not supported in subjects", code=BAD_SUBJECT)
        if attribute.oid in (NameOID.COMMON_NAME, NameOID.USER_ID):
            _check_common_name(account, str(attribute.value), rules, known_hosts)
    return CertificateNames(names.subject, tuple(alt_names))


def _check_alt_name(account: Account, name: x509.GeneralName, rules: NameRules, known_hosts: frozenset[str]) -> None:
    try:
        check_general_name(name)
        principal = user_principal_name(name) if isinstance(name, x509.OtherName) else None
    except GeneralNameError as error:
        raise BadName(str(error), code=BAD_SUBJECT) from error
    if isinstance(name, x509.RegisteredID):
        raise BadName("registeredID is not supported in subjectAltName", code=BAD_SUBJECT)
    if isinstance(name, x509.DNSName):
        is_own = _is_own_host(account, name.value, rules, known_hosts)
    elif isinstance(name, x509.RFC822Name):
        is_own = account.mail is not None and name.value.lower() == account.mail.lower()
    elif principal is not None:
        is_own = principal.lower() == account.user_principal_name.lower()
    else:
        # An address, a URI, or another otherName: nothing that the directory could vouch for.
        is_own = False
    if not is_own:
        raise _foreign(describe(name))


def _check_common_name(account: Account, text: str, rules: NameRules, known_hosts: frozenset[str]) -> None:
    """A common name that reads as a host or a principal name is taken for one by old programs."""
    if "@" in text:
        own = {account.user_principal_name.lower(), (account.mail or "").lower()}
        is_own = text.lower() in own
    elif "." in text and _is_host_name(text):
        is_own = _is_own_host(account, text, rules, known_hosts)
    else:
        own = {account.common_name.lower(), account.account_name.lower(), account.account_name.rstrip("$").lower()}
        is_own = text.lower() in own
    if not is_own:
        raise _foreign(f"CN={text[:64]}")


def _is_own_host(account: Account, host: str, rules: NameRules, known_hosts: frozenset[str]) -> bool:
    wanted = host.lower()
    if wanted in known_hosts or (account.dns_host_name is not None and wanted == account.dns_host_name.lower()):
        return True
    return any(wanted.endswith("." + zone.lower().strip(".")) for zone in rules.dns_zones)


def _host_names(names: CertificateNames) -> Iterable[str]:
    yield from (name.value for name in names.subject_alt_names if isinstance(name, x509.DNSName))
    yield from (str(each.value) for each in names.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _is_host_name(text: str) -> bool:
    try:
        check_dns_name(text, wildcard=True)
    except GeneralNameError:
        return False
    return True


def _directory_path(account: Account) -> x509.Name:
    try:
        return parse_name(account.distinguished_name)
    except NameSyntaxError as error:
        raise BadName("the account's distinguished name cannot be a subject", detail=str(error)) from error


def _common_name(text: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    except ValueError as error:  # more than 64 characters
        raise BadName("the account's name is too long for a subject", code=BAD_SUBJECT) from error


def _dns_host_name(account: Account) -> str:
    if account.dns_host_name is None:
        raise BadName("the account has no DNS name", code=LACKS_DNS_NAME)
    try:
        check_dns_name(account.dns_host_name)
    except GeneralNameError as error:
        raise BadName(f"the account's DNS name is none: {error}", code=LACKS_DNS_NAME) from error
    return account.dns_host_name


def _mail(account: Account) -> str:
    if account.mail is None:
        raise BadName("the account has no mail address", code=LACKS_MAIL)
    try:
        check_mailbox(account.mail)
    except GeneralNameError as error:
        raise BadName(f"the account's mail address is none: {error}", code=LACKS_MAIL) from error
    return account.mail


def _is_domain_controller(account: Account) -> bool:
    domain_sid = account.sid.rpartition("-")[0]
    return any(f"{domain_sid}-{rid}" in account.group_sids for rid in _DOMAIN_CONTROLLERS)


def _with_parent(subject: x509.Name, parent: x509.Name | None) -> x509.Name:
    """The subject below its parent, once: a subject that is below it already stays as it is (R-CEGI-041)."""
    if parent is None or not parent.rdns or not subject.rdns or _is_below(subject.rdns, parent.rdns):
        return subject
    return x509.Name([*parent.rdns, *subject.rdns])


def _is_below(
    subject: Sequence[x509.RelativeDistinguishedName], parent: Sequence[x509.RelativeDistinguishedName]
) -> bool:
    return list(subject[: len(parent)]) == list(parent)


def _foreign(name: str) -> BadName:
    return BadName(f"{name} is not a name of this account", code=FOREIGN_NAME)
