"""Search filters (RFC 4515). Whatever comes from outside becomes a value, never a part of the filter."""

from __future__ import annotations

from ldap3.utils.conv import escape_filter_chars

from cspd.directory.security_identifiers import encode_sid

# sAMAccountType: SAM_USER_OBJECT and SAM_MACHINE_ACCOUNT ([MS-SAMR] 2.2.1.9); neither groups nor trusts.
_ACCOUNTS = "(|(sAMAccountType=805306368)(sAMAccountType=805306369))"
# groupType: ADS_GROUP_TYPE_SECURITY_ENABLED, by the rule that compares bits ([MS-ADTS] 2.2.12, 3.1.1.3.4.4.1).
_SECURITY_GROUPS = "(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648)"
ANYTHING = "(objectClass=*)"
ACCOUNT = f"(&{_ACCOUNTS})"
"""Whatever is an account, when the base of the search says which."""
CROSS_REFERENCES = "(|(objectClass=crossRef)(objectClass=crossRefContainer))"
TEMPLATES = "(objectClass=pKICertificateTemplate)"
ENROLLMENT_SERVICES = "(objectClass=pKIEnrollmentService)"
CERTIFICATION_AUTHORITIES = "(objectClass=certificationAuthority)"


def value(text: str) -> str:
    """Text as the value of an assertion (RFC 4515, 3: ``*``, ``(``, ``)``, ``\\`` and NUL escaped)."""
    escaped: str = escape_filter_chars(text)
    return escaped


def octets(data: bytes) -> str:
    """Octets as the value of an assertion."""
    return "".join(f"\\{octet:02x}" for octet in data)


def account_by_name(account: str) -> str:
    """The user or machine with this sAMAccountName."""
    return f"(&(sAMAccountName={value(account)}){_ACCOUNTS})"


def account_by_principal_name(name: str) -> str:
    """The user or machine with this userPrincipalName."""
    return f"(&(userPrincipalName={value(name)}){_ACCOUNTS})"


def account_by_sid(sid: str) -> str:
    """The user or machine with this SID; raises SecurityIdentifierError for text that is none."""
    return f"(&(objectSid={octets(encode_sid(sid))}){_ACCOUNTS})"


def security_group(account: str) -> str:
    """The security group with this sAMAccountName."""
    return f"(&(sAMAccountName={value(account)}){_SECURITY_GROUPS})"
