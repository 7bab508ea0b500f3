"""What is said in EST, in the words of RFC 7030."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from cspd.authority.values import CAReference


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which conditions one CA and profile are served."""

    ca: CAReference
    profile: str
    basic: bool
    """HTTP Basic (3.2.3)."""
    certificate: bool
    """The TLS client certificate (3.2.2); one of ours, for its own successor."""
    approval: bool
    """Somebody has to approve each request (4.2.3)."""
    retry_after: timedelta
    approval_lifetime: timedelta
    revoke_replaced: bool
    """A certificate is revoked as superseded once its successor is issued."""
    key_generation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredentials:
    """User name and password (RFC 7617)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a client shows of itself; nothing of it is verified but that it has the key of its TLS certificate."""

    certificate_der: bytes | None = None
    """The certificate of the TLS connection."""
    credentials: BasicCredentials | None = None
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The answer that carries certificates (4.1.3, 4.2.3)."""

    certificates_der: tuple[bytes, ...]
    """The issued one first, if there is one; then its issuers, the root last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedKey:
    """The answer to serverkeygen (4.4.2)."""

    private_key_der: bytes = field(repr=False)
    """PKCS#8, or a CMS message around it."""
    certificate_der: bytes
    is_encrypted: bool = False
    """The key is in a ContentInfo with EnvelopedData."""
