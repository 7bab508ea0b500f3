"""What clients say: the payloads of RFC 8555's requests, in its words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_IDENTIFIERS = 100
MAX_CONTACTS = 10
MAX_TEXT = 2048
"""Characters of any single string of a payload, the CSR and the certificate excepted."""
MAX_DER = 64 * 1024
"""Octets of a CSR or certificate inside a payload."""
MAX_JWS = 192 * 1024
"""Octets of a request body: a CSR of the largest size in base64url, twice encoded, and its envelope."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier of an order or authorization (RFC 8555, 9.7.7)."""

    type: str
    value: str

    def to_json(self) -> dict[str, str]:
        """Its JSON members."""
        return {"type": self.type, "value": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """RFC 8555, 7.3."""

    contact: tuple[str, ...] = ()
    terms_of_service_agreed: bool = False
    only_return_existing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUpdate:
    """RFC 8555, 7.3.2 and 7.3.6."""

    contact: tuple[str, ...] | None = None
    """None leaves the contacts; an empty tuple removes them."""
    deactivate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """RFC 8555, 7.4; the identifiers as sent."""

    identifiers: tuple[Identifier, ...]
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationUpdate:
    """RFC 8555, 7.5.2: ``{"status": "deactivated"}`` is the only update there is."""

    deactivate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """RFC 8555, 7.4."""

    csr_der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeCert:
    """RFC 8555, 7.6."""

    certificate_der: bytes
    reason: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """The payload of the inner JWS (RFC 8555, 7.3.5)."""

    account: str
    old_key: object
    """The JWK as a JSON value."""
