"""Updates that move an object: each names the state it starts from and tells whether it found it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, and_, select, update

from protocols.acme.states import (
    AuthorizationStatus,
    ChallengeStatus,
    OrderStatus,
    require_move,
)
from protocols.acme.tables import acme_authorizations, acme_challenges, acme_orders

_orders = acme_orders.c
_authorizations, _challenges = acme_authorizations.c, acme_challenges.c


def move_order(id: str, current: OrderStatus, following: OrderStatus) -> Update:
    """The update that moves an order; it finds no row unless the order is in ``current``."""
    return (
        update(acme_orders)
        .where(and_(_orders.id == id, _orders.status == current.value))
        .values(status=following.value)
    )


def move_authorization(
    connection: Connection, id: str, current: AuthorizationStatus, following: AuthorizationStatus, **columns: Any
) -> bool:
    """Move an authorization and set ``columns``; False unless it was in ``current``."""
    require_move(current, following)
    changed = connection.execute(
        update(acme_authorizations)
        .where(_authorizations.id == id, _authorizations.status == current.value)
        .values(status=following.value, **columns)
    )
    return changed.rowcount == 1


def move_challenge(
    connection: Connection, id: str, current: ChallengeStatus, following: ChallengeStatus, **columns: Any
) -> bool:
    """Move a challenge, end its lease and set ``columns``; False unless it was in ``current``."""
    require_move(current, following)
    changed = connection.execute(
        update(acme_challenges)
        .where(_challenges.id == id, _challenges.status == current.value)
        .values(status=following.value, lease_owner=None, lease_until=None, **columns)
    )
    return changed.rowcount == 1


def all_valid(connection: Connection, authorization_ids: Sequence[str]) -> bool:
    """Whether every one of these authorizations exists and is valid."""
    statuses = connection.scalars(select(_authorizations.status).where(_authorizations.id.in_(authorization_ids))).all()
    return len(statuses) == len(authorization_ids) and set(statuses) == {AuthorizationStatus.VALID.value}


def earliest_end(connection: Connection, authorization_ids: Sequence[str]) -> datetime:
    """When the first of these authorizations expires; they exist."""
    query = select(_authorizations.expires_at).where(_authorizations.id.in_(authorization_ids))
    ends: Sequence[datetime] = connection.scalars(query).all()
    return min(ends)
