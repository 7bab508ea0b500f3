"""The states of orders, authorizations and challenges, and every move between them (RFC 8555, 7.1.6).

Nothing else decides whether a move is allowed: the repository asks :func:`require_move` before each update, and each
update names the state it starts from, so that of two racing moves one finds no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar


class AccountStatus(Enum):
    """RFC 8555, 7.1.2."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


class OrderStatus(Enum):
    """RFC 8555, 7.1.3."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class AuthorizationStatus(Enum):
    """RFC 8555, 7.1.4."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ChallengeStatus(Enum):
    """RFC 8555, 7.1.5 (named there in section 8)."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


Status = AccountStatus | OrderStatus | AuthorizationStatus | ChallengeStatus

MOVES: Mapping[Status, frozenset[Status]] = {
    AccountStatus.VALID: frozenset({AccountStatus.DEACTIVATED, AccountStatus.REVOKED}),
    AccountStatus.DEACTIVATED: frozenset(),
    AccountStatus.REVOKED: frozenset(),
    OrderStatus.PENDING: frozenset({OrderStatus.READY, OrderStatus.INVALID}),
    OrderStatus.READY: frozenset({OrderStatus.PROCESSING, OrderStatus.INVALID}),
    OrderStatus.PROCESSING: frozenset({OrderStatus.VALID, OrderStatus.INVALID}),
    OrderStatus.VALID: frozenset(),
    OrderStatus.INVALID: frozenset(),
    AuthorizationStatus.PENDING: frozenset(
        {
            AuthorizationStatus.VALID,
            AuthorizationStatus.INVALID,
            AuthorizationStatus.DEACTIVATED,
            AuthorizationStatus.EXPIRED,
        }
    ),
    AuthorizationStatus.VALID: frozenset(
        {AuthorizationStatus.DEACTIVATED, AuthorizationStatus.EXPIRED, AuthorizationStatus.REVOKED}
    ),
    AuthorizationStatus.INVALID: frozenset(),
    AuthorizationStatus.DEACTIVATED: frozenset(),
    AuthorizationStatus.EXPIRED: frozenset(),
    AuthorizationStatus.REVOKED: frozenset(),
    ChallengeStatus.PENDING: frozenset({ChallengeStatus.PROCESSING}),
    ChallengeStatus.PROCESSING: frozenset({ChallengeStatus.VALID, ChallengeStatus.INVALID}),
    ChallengeStatus.VALID: frozenset(),
    ChallengeStatus.INVALID: frozenset(),
}
"""From each state, the states it may move to; an empty set ends a life."""

S = TypeVar("S", AccountStatus, OrderStatus, AuthorizationStatus, ChallengeStatus)


class ForbiddenMove(Exception):
    """A programming error: a service asked for a move that does not exist."""


def require_move(current: S, following: S) -> None:
    """Raise :class:`ForbiddenMove` unless an object in ``current`` may become ``following``."""
    if following not in MOVES[current]:
        raise ForbiddenMove(f"{type(current).__name__}: {current.value} does not become {following.value}")


def sources(following: S) -> frozenset[S]:
    """The states from which an object may become ``following``."""
    return frozenset(state for state in type(following) if following in MOVES[state])
