"""The server's side of the conversation: accounts, orders, authorizations and challenges as stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from protocols.acme.messages import Identifier
from protocols.acme.states import AccountStatus, AuthorizationStatus, ChallengeStatus, OrderStatus

StoredProblem = Mapping[str, Any]
"""A problem document as it went into the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """RFC 8555, 7.1.2."""

    id: str
    directory: str
    """The key of the directory it was made in (:attr:`protocols.acme.directories.Directory.key`)."""
    status: AccountStatus
    key: Mapping[str, str]
    """The public JWK, canonical."""
    thumbprint: str
    contact: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """RFC 8555, 7.1.3."""

    id: str
    directory: str
    account_id: str
    status: OrderStatus
    identifiers: tuple[Identifier, ...]
    authorization_ids: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    expires_at: datetime
    """When an unfinished order becomes invalid; of a valid one, when its certificate ends. Then it may be deleted."""
    created_at: datetime
    error: StoredProblem | None = None
    csr_der: bytes | None = None
    serial: int | None = None
    """Of the certificate, once valid."""

    def at(self, now: datetime) -> Order:
        """The order as it stands at ``now``: one that nobody finished in time is invalid (R-CEG-114)."""
        if self.status in (OrderStatus.PENDING, OrderStatus.READY) and self.expires_at <= now:
            return replace(self, status=OrderStatus.INVALID)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """RFC 8555, 7.1.5 and 8."""

    id: str
    authorization_id: str
    type: str
    token: str
    status: ChallengeStatus
    validated_at: datetime | None = None
    error: StoredProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """RFC 8555, 7.1.4."""

    id: str
    directory: str
    account_id: str
    order_id: str
    """The order it was made for."""
    identifier: Identifier
    """Without the ``*.`` of a wildcard."""
    is_wildcard: bool
    status: AuthorizationStatus
    expires_at: datetime
    challenges: tuple[Challenge, ...] = ()

    def at(self, now: datetime) -> Authorization:
        """The authorization as it stands at ``now``."""
        if self.status in (AuthorizationStatus.PENDING, AuthorizationStatus.VALID) and self.expires_at <= now:
            return replace(self, status=AuthorizationStatus.EXPIRED)
        return self
