"""Authorizations and challenges in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select, update

from protocols.acme.objects import Account, Authorization, Challenge, StoredProblem
from protocols.acme.repository.moves import all_valid, earliest_end, move_authorization, move_challenge, move_order
from protocols.acme.repository.orders import fail_order
from protocols.acme.repository.rows import authorization_of, one_order
from protocols.acme.states import (
    AuthorizationStatus,
    ChallengeStatus,
    OrderStatus,
    require_move,
)
from protocols.acme.tables import acme_authorizations, acme_challenges, acme_orders

_orders = acme_orders.c
_authorizations, _challenges = acme_authorizations.c, acme_challenges.c


def find_authorization(connection: Connection, directory: str, id: str) -> Authorization | None:
    """The authorization of a directory with that id, and its challenges."""
    row = connection.execute(
        select(acme_authorizations).where(_authorizations.directory == directory, _authorizations.id == id)
    ).one_or_none()
    return None if row is None else authorization_of(connection, row)


def find_challenge(connection: Connection, directory: str, id: str) -> tuple[Authorization, Challenge] | None:
    """The challenge of a directory with that id, and its authorization."""
    authorization_id = connection.scalar(select(_challenges.authorization_id).where(_challenges.id == id))
    if authorization_id is None:
        return None
    authorization = find_authorization(connection, directory, authorization_id)
    if authorization is None:
        return None
    return authorization, next(challenge for challenge in authorization.challenges if challenge.id == id)


def deactivate_authorization(connection: Connection, authorization: Authorization, error: StoredProblem) -> bool:
    """Deactivate an authorization and invalidate the unfinished order it belongs to; False if it was decided."""
    require_move(authorization.status, AuthorizationStatus.DEACTIVATED)
    if not move_authorization(connection, authorization.id, authorization.status, AuthorizationStatus.DEACTIVATED):
        return False
    for current in (OrderStatus.PENDING, OrderStatus.READY):
        fail_order(connection, authorization.order_id, current, error)
    return True


def begin_challenge(connection: Connection, id: str) -> bool:
    """Move a pending challenge to processing; False if it was not pending."""
    return move_challenge(connection, id, ChallengeStatus.PENDING, ChallengeStatus.PROCESSING)


def lease_challenge(connection: Connection, id: str, *, owner: str, lease_until: datetime, now: datetime) -> bool:
    """Take a processing challenge for validation; False if another owner has it, or it is decided."""
    changed = connection.execute(
        update(acme_challenges)
        .where(
            _challenges.id == id,
            _challenges.status == ChallengeStatus.PROCESSING.value,
            or_(
                _challenges.lease_until.is_(None),
                _challenges.lease_until < now,
                _challenges.lease_owner == owner,
            ),
        )
        .values(lease_owner=owner, lease_until=lease_until)
    )
    return changed.rowcount == 1


def release_challenge(connection: Connection, id: str, owner: str) -> None:
    """Give a challenge back undecided (the process stops)."""
    connection.execute(
        update(acme_challenges)
        .where(_challenges.id == id, _challenges.lease_owner == owner)
        .values(lease_owner=None, lease_until=None)
    )


def abandoned_challenges(connection: Connection, now: datetime) -> Sequence[tuple[str, str]]:
    """Processing challenges that nobody validates: pairs of directory key and challenge id."""
    statement = (
        select(_authorizations.directory, _challenges.id)
        .join(acme_authorizations, _authorizations.id == _challenges.authorization_id)
        .where(
            _challenges.status == ChallengeStatus.PROCESSING.value,
            or_(_challenges.lease_until.is_(None), _challenges.lease_until < now),
        )
        .limit(1000)
    )
    return tuple((row.directory, row.id) for row in connection.execute(statement))


def challenge_succeeded(
    connection: Connection, authorization: Authorization, challenge_id: str, *, now: datetime, expires_at: datetime
) -> bool:
    """Record a proof: challenge and authorization become valid, and the order ready if it was the last.

    ``expires_at`` is how long the authorization holds now. False if the challenge was not in processing.
    """
    # The order's row is the lock of its authorizations: of two that become valid at once, one sees the other.
    order = one_order(connection, select(acme_orders).where(_orders.id == authorization.order_id).with_for_update())
    if not move_challenge(
        connection, challenge_id, ChallengeStatus.PROCESSING, ChallengeStatus.VALID, validated_at=now
    ):
        return False
    if not move_authorization(
        connection,
        authorization.id,
        AuthorizationStatus.PENDING,
        AuthorizationStatus.VALID,
        expires_at=expires_at,
    ):
        return True  # deactivated meanwhile: the proof changes nothing
    if order is not None and order.status is OrderStatus.PENDING and all_valid(connection, order.authorization_ids):
        require_move(OrderStatus.PENDING, OrderStatus.READY)
        # An order whose authorization has expired is invalid (RFC 8555, 7.1.6): so it lasts no longer than they all do.
        lasts_until = min(order.expires_at, earliest_end(connection, order.authorization_ids))
        connection.execute(move_order(order.id, OrderStatus.PENDING, OrderStatus.READY).values(expires_at=lasts_until))
    return True


def challenge_failed(
    connection: Connection,
    authorization: Authorization,
    challenge_id: str,
    *,
    now: datetime,
    error: StoredProblem,
    order_error: StoredProblem,
) -> bool:
    """Record a failure: challenge, authorization and order become invalid; False if it was not in processing."""
    if not move_challenge(
        connection,
        challenge_id,
        ChallengeStatus.PROCESSING,
        ChallengeStatus.INVALID,
        validated_at=now,
        error=dict(error),
    ):
        return False
    if move_authorization(connection, authorization.id, AuthorizationStatus.PENDING, AuthorizationStatus.INVALID):
        fail_order(connection, authorization.order_id, OrderStatus.PENDING, order_error)
    return True


def holds_authorizations(connection: Connection, account: Account, names: frozenset[str], now: datetime) -> bool:
    """Whether the account has proved control of all ``names`` (wildcards with ``*.``) and still may use that."""
    statement = select(_authorizations.identifier_value, _authorizations.is_wildcard).where(
        _authorizations.account_id == account.id,
        _authorizations.directory == account.directory,
        _authorizations.status == AuthorizationStatus.VALID.value,
        _authorizations.expires_at > now,
        _authorizations.identifier_value.in_({name.removeprefix("*.") for name in names}),
    )
    held = {
        f"*.{row.identifier_value}" if row.is_wildcard else row.identifier_value
        for row in connection.execute(statement)
    }
    return bool(names) and names <= held


def delete_expired_authorizations(connection: Connection, now: datetime) -> int:
    """Delete authorizations that have ended, and their challenges; gives how many."""
    ended = select(_authorizations.id).where(_authorizations.expires_at < now)
    connection.execute(delete(acme_challenges).where(_challenges.authorization_id.in_(ended)))
    return connection.execute(delete(acme_authorizations).where(_authorizations.expires_at < now)).rowcount
