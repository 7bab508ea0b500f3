"""The names by which users call themselves (R-CEG-128): parsing alone, no directory is asked.

::

    user                   no domain: from the request, else from conf
    domain\\user            NetBIOS name of the domain
    user@domain            NetBIOS name, or the suffix of a user principal name
    domainfqdn\\user        DNS name of the domain
    user@domainfqdn        DNS name, or the suffix of a user principal name
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_ACCOUNT = 256
"""Characters; sAMAccountName has 256 at most ([MS-ADA3] 2.222), machines and users far fewer."""
MAX_DOMAIN = 255

# [MS-SAMR] 3.1.1.6: what sAMAccountName never has; the at sign and the backslash separate here.
_NOT_IN_ACCOUNTS = re.compile(r'["/\\\[\]:;|=,+*?<>@\x00-\x1f\x7f]')
_DOMAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.&'!#$%^()~-]*[A-Za-z0-9_])?")


class AccountNameError(ValueError):
    """Not a name that an account can have."""


@dataclass(frozen=True, slots=True)
class AccountName:
    """An account, and the domain that was named with it."""

    account: str
    """sAMAccountName, or what stands before the at sign of a user principal name."""
    domain: str | None = None
    """As it was given: NetBIOS name, DNS name, or suffix of user principal names; None if none was given."""
    is_principal: bool = False
    """Written ``account@domain``, so that it may be a user principal name."""

    def __str__(self) -> str:
        if self.domain is None:
            return self.account
        return f"{self.account}@{self.domain}" if self.is_principal else f"{self.domain}\\{self.account}"


def parse_account_name(text: str) -> AccountName:
    """Read one of the five forms; raises :class:`AccountNameError`.

    A name has one separator at most: whatever has two (``a\\b@c``) means different accounts to different readers.
    """
    if len(text) > MAX_ACCOUNT + 1 + MAX_DOMAIN:
        raise AccountNameError("the user name is too long")
    if "\\" in text:
        domain, _, account = text.partition("\\")
        return AccountName(_account(account), _domain(domain))
    if "@" in text:
        account, _, domain = text.rpartition("@")
        return AccountName(_account(account), _domain(domain), is_principal=True)
    return AccountName(_account(text))


def parse_domain(text: str) -> str:
    """A domain as a request names it; raises :class:`AccountNameError`."""
    return _domain(text)


def _account(text: str) -> str:
    if not 1 <= len(text) <= MAX_ACCOUNT or _NOT_IN_ACCOUNTS.search(text) or text != text.strip():
        raise AccountNameError("the user name has characters that no account has")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise AccountNameError("the user name is not Unicode") from None
    return text


def _domain(text: str) -> str:
    if len(text) > MAX_DOMAIN or not _DOMAIN.fullmatch(text):
        raise AccountNameError("the domain has characters that no domain has")
    return text
