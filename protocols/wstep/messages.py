"""Requests and answers, in the words of [MS-WSTEP]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from cspd.authority.values import CAReference
from cspd.directory.interfaces import Directory
from cspd.directory.values import Account
from protocols.wstep.identity import NameRules
from protocols.wstep.profile_choice import ProfilesByKeyUsage


class Mode(StrEnum):
    """How a client of enrollment proves who it is; the values are the words of the URLs."""

    USER_NAME = "usertoken"
    KERBEROS = "kerberos"
    CERTIFICATE = "certificate"


class RequestType(Enum):
    """What a RequestSecurityToken asks for ([MS-WSTEP] 3.1.4.1.2.7); the values are those of the wire."""

    ISSUE = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue"
    """A first certificate, and the successor of one."""
    QUERY = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/QueryTokenStatus"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSecurityToken:
    """What a client asks for ([MS-WSTEP] 3.1.4.1.3.3)."""

    request_type: RequestType
    token_der: bytes = field(default=b"", repr=False)
    """The BinarySecurityToken: PKCS #10, CMS or CMC; empty if there is none."""
    request_id: str | None = None
    template_name: str | None = None
    """``CertificateTemplate`` of the AdditionalContext."""
    domain: str | None = None
    """The DNS domain of the client's machine, by ``ccm`` of the AdditionalContext."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticUser:
    """Somebody who is known to conf, not to a directory."""

    name: str
    method: str
    """The ``[authentication.NAME]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who has proved who they are."""

    who: Account | StaticUser
    directory: Directory | None = field(default=None, repr=False, compare=False)
    """Where the account is; None for a static user."""
    address: str = ""
    request_id: str = ""

    @property
    def name(self) -> str:
        """For people: ``DOMAIN\\account``, or the name of a static user."""
        return str(self.who) if isinstance(self.who, Account) else self.who.name

    @property
    def key(self) -> str:
        """Tells accounts apart for ever: another account that gets the name of one that is gone has another SID."""
        return self.who.sid if isinstance(self.who, Account) else f"{self.who.method}:{self.who.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What conf says of a CA."""

    ca: CAReference
    names: NameRules
    by_key_usage: ProfilesByKeyUsage
    mapped: Mapping[str, str]
    """Names of templates to ids of profiles."""
    enrollment_services: frozenset[str]
    """Names, in lower case, of the directory objects that stand for this CA; empty: those with its certificate."""
    certificate_renewal: bool = False
    """Accounts renew by their TLS client certificate alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A certificate, as the answer tells of it."""

    certificate_der: bytes
    response_der: bytes
    """CMC full PKI response."""
    request_id: int
