"""What is said in EST, in the words of RFC 7030."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from cspd.authentication.basic import Credentials
from cspd.authentication.certificates import TrustAnchors
from cspd.authority.values import CAReference
from cspd.http.channel_bindings import ChannelBindings


class ChannelBinding(Enum):
    """Whether requests are tied to the TLS connection that they come over (3.5)."""

    OFF = "off"
    CHECKED = "checked"
    """If a request says that it is, it has to be right."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which conditions one CA and profile are served."""

    ca: CAReference
    profile: str
    basic: bool
    """HTTP Basic (3.2.3) by users."""
    certificate: bool
    """The TLS client certificate (3.3.2); one of ours, for its own successor."""
    secret: bool
    """HTTP Basic by an enrollment secret: its reference number and authorization code."""
    challenge: bool
    """An enrollment secret in the request itself."""
    trusted: TrustAnchors | None
    """Other CAs, such as those of makers of devices, whose certificates get a first one (3.3.1)."""
    channel_binding: ChannelBinding
    approval: bool
    """Somebody has to approve each request (4.2.3)."""
    retry_after: timedelta
    approval_lifetime: timedelta
    revoke_replaced: bool
    """A certificate is revoked as superseded once its successor is issued."""
    key_generation: bool

    @property
    def passwords(self) -> bool:
        """Whether HTTP Basic is of use."""
        return self.basic or self.secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a client shows of itself; nothing of it is verified but that it has the key of its TLS certificate."""

    certificate_der: bytes | None = None
    """The certificate of the TLS connection."""
    chain_der: tuple[bytes, ...] = ()
    """What the client sent behind it."""
    credentials: Credentials | None = None
    channel_bindings: Callable[[], ChannelBindings] = ChannelBindings
    """Computes what ties a request to the TLS connection."""
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationForm:
    """What a client wants revoked; no message of the RFC."""

    reason: str = "unspecified"
    """A CRLReason by name."""
    serial: int | None = None
    """None for the certificate of its TLS connection."""


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
