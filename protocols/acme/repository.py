"""Accounts, orders, authorizations and challenges in the database.

All functions take the connection of a work of :class:`cspd.store.interfaces.Database` and leave the commit to it. An
update that moves an object names the state it starts from and tells whether it found it, so racing moves exclude each
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Update, and_, delete, insert, or_, select, update

from cspd.store.tables import certificates
from protocols.acme.messages import Identifier
from protocols.acme.objects import Account, Authorization, Challenge, Order, StoredProblem
from protocols.acme.states import (
    AccountStatus,
    AuthorizationStatus,
    ChallengeStatus,
    OrderStatus,
    require_move,
    sources,
)
from protocols.acme.tables import acme_accounts, acme_authorizations, acme_challenges, acme_orders

_accounts, _orders = acme_accounts.c, acme_orders.c
_authorizations, _challenges = acme_authorizations.c, acme_challenges.c


# Accounts


def insert_account(connection: Connection, account: Account) -> None:
    """Store a new account; raises IntegrityError if its key has one in the directory."""
    connection.execute(
        insert(acme_accounts).values(
            id=account.id,
            directory=account.directory,
            status=account.status.value,
            key=dict(account.key),
            thumbprint=account.thumbprint,
            contact=list(account.contact),
            created_at=account.created_at,
        )
    )


def find_account(connection: Connection, directory: str, id: str) -> Account | None:
    """The account of a directory with that id."""
    return _one_account(connection, select(acme_accounts).where(_accounts.directory == directory, _accounts.id == id))


def find_account_by_key(connection: Connection, directory: str, thumbprint: str) -> Account | None:
    """The account of a directory with that key."""
    return _one_account(
        connection, select(acme_accounts).where(_accounts.directory == directory, _accounts.thumbprint == thumbprint)
    )


def set_contact(connection: Connection, id: str, contact: Sequence[str]) -> None:
    """Replace an account's contacts."""
    connection.execute(update(acme_accounts).where(_accounts.id == id).values(contact=list(contact)))


def set_key(connection: Connection, id: str, old_thumbprint: str, key: dict[str, str], thumbprint: str) -> bool:
    """Replace an account's key; False if ``old_thumbprint`` is not its key any more.

    Raises IntegrityError if the new key has an account in the directory.
    """
    statement = update(acme_accounts).where(
        _accounts.id == id,
        _accounts.thumbprint == old_thumbprint,
        _accounts.status == AccountStatus.VALID.value,
    )
    return connection.execute(statement.values(key=key, thumbprint=thumbprint)).rowcount == 1


def deactivate_account(connection: Connection, id: str, error: StoredProblem) -> bool:
    """Deactivate an account and end what it had under way; False if it was not valid.

    Pending authorizations are deactivated (valid ones too: nobody can use them any more), unfinished orders become
    invalid. An order that is being processed runs to its end.
    """
    require_move(AccountStatus.VALID, AccountStatus.DEACTIVATED)
    changed = connection.execute(
        update(acme_accounts)
        .where(_accounts.id == id, _accounts.status == AccountStatus.VALID.value)
        .values(status=AccountStatus.DEACTIVATED.value)
    )
    if changed.rowcount != 1:
        return False
    connection.execute(
        update(acme_authorizations)
        .where(
            _authorizations.account_id == id,
            _authorizations.status.in_(_values(sources(AuthorizationStatus.DEACTIVATED))),
        )
        .values(status=AuthorizationStatus.DEACTIVATED.value)
    )
    connection.execute(
        update(acme_orders)
        .where(
            _orders.account_id == id,
            _orders.status.in_([OrderStatus.PENDING.value, OrderStatus.READY.value]),
        )
        .values(status=OrderStatus.INVALID.value, error=dict(error))
    )
    return True


# Orders


def insert_order(connection: Connection, order: Order, authorizations: Sequence[Authorization]) -> None:
    """Store a new order with its authorizations and their challenges."""
    connection.execute(
        insert(acme_orders).values(
            id=order.id,
            directory=order.directory,
            account_id=order.account_id,
            status=order.status.value,
            identifiers=[identifier.to_json() for identifier in order.identifiers],
            authorization_ids=list(order.authorization_ids),
            not_before=order.not_before,
            not_after=order.not_after,
            expires_at=order.expires_at,
            created_at=order.created_at,
        )
    )
    connection.execute(
        insert(acme_authorizations),
        [
            {
                "id": authorization.id,
                "directory": authorization.directory,
                "account_id": authorization.account_id,
                "order_id": order.id,
                "identifier_type": authorization.identifier.type,
                "identifier_value": authorization.identifier.value,
                "is_wildcard": authorization.is_wildcard,
                "status": authorization.status.value,
                "expires_at": authorization.expires_at,
                "created_at": order.created_at,
            }
            for authorization in authorizations
        ],
    )
    connection.execute(
        insert(acme_challenges),
        [
            {
                "id": challenge.id,
                "authorization_id": challenge.authorization_id,
                "type": challenge.type,
                "token": challenge.token,
                "status": challenge.status.value,
            }
            for authorization in authorizations
            for challenge in authorization.challenges
        ],
    )


def find_order(connection: Connection, directory: str, id: str) -> Order | None:
    """The order of a directory with that id."""
    return _one_order(connection, select(acme_orders).where(_orders.directory == directory, _orders.id == id))


def find_order_of_certificate(connection: Connection, directory: str, serial: int) -> Order | None:
    """The order of a directory that ended in the certificate with that serial."""
    return _one_order(connection, select(acme_orders).where(_orders.directory == directory, _orders.serial == serial))


def begin_processing(
    connection: Connection, id: str, csr_der: bytes, *, owner: str, lease_until: datetime, now: datetime
) -> bool:
    """Move a ready, unexpired order to processing, with all that recovery needs; False if it was not ready."""
    require_move(OrderStatus.READY, OrderStatus.PROCESSING)
    statement = _move_order(id, OrderStatus.READY, OrderStatus.PROCESSING).where(_orders.expires_at > now)
    changed = connection.execute(statement.values(csr_der=csr_der, lease_owner=owner, lease_until=lease_until))
    return changed.rowcount == 1


def lease_processing_order(
    connection: Connection, id: str, *, owner: str, lease_until: datetime, now: datetime
) -> bool:
    """Take over an order whose issuance nobody pursues any more; False if somebody does."""
    changed = connection.execute(
        update(acme_orders)
        .where(
            _orders.id == id,
            _orders.status == OrderStatus.PROCESSING.value,
            or_(_orders.lease_until.is_(None), _orders.lease_until < now),
        )
        .values(lease_owner=owner, lease_until=lease_until)
    )
    return changed.rowcount == 1


def abandoned_orders(connection: Connection, now: datetime) -> Sequence[Order]:
    """Orders in processing whose lease has ended, oldest first."""
    statement = (
        select(acme_orders)
        .where(
            _orders.status == OrderStatus.PROCESSING.value,
            or_(_orders.lease_until.is_(None), _orders.lease_until < now),
        )
        .order_by(_orders.created_at)
        .limit(100)
    )
    return tuple(_order(row) for row in connection.execute(statement))


def postpone_order(connection: Connection, id: str, *, owner: str, until: datetime) -> None:
    """Let recovery take up a processing order of ours at ``until``."""
    connection.execute(
        update(acme_orders)
        .where(_orders.id == id, _orders.status == OrderStatus.PROCESSING.value, _orders.lease_owner == owner)
        .values(lease_owner=None, lease_until=until)
    )


def find_certificate_of_order(
    connection: Connection, authority_id: str, public_key_sha256: str, order_id: str
) -> tuple[int, datetime] | None:
    """Serial and end of the certificate that the core recorded for an order (see ``finalization``)."""
    row = connection.execute(
        select(certificates.c.serial, certificates.c.not_after).where(
            certificates.c.authority_id == authority_id,
            certificates.c.public_key_sha256 == public_key_sha256,
            certificates.c.requester.endswith(f" order {order_id}", autoescape=True),
            certificates.c.certificate_der.is_not(None),
        )
    ).first()
    return None if row is None else (row.serial, row.not_after)


def complete_order(connection: Connection, id: str, *, serial: int, expires_at: datetime) -> bool:
    """Move a processing order to valid; False if it was not processing."""
    require_move(OrderStatus.PROCESSING, OrderStatus.VALID)
    statement = _move_order(id, OrderStatus.PROCESSING, OrderStatus.VALID)
    changed = connection.execute(
        statement.values(serial=serial, expires_at=expires_at, lease_owner=None, lease_until=None)
    )
    return changed.rowcount == 1


def fail_order(connection: Connection, id: str, current: OrderStatus, error: StoredProblem) -> bool:
    """Move an order from ``current`` to invalid; False if it was not in ``current``."""
    require_move(current, OrderStatus.INVALID)
    statement = _move_order(id, current, OrderStatus.INVALID)
    return connection.execute(statement.values(error=dict(error), lease_owner=None, lease_until=None)).rowcount == 1


def delete_expired_orders(connection: Connection, now: datetime) -> int:
    """Delete orders that have ended; one in processing is left to recovery. Gives how many."""
    return connection.execute(
        delete(acme_orders).where(_orders.expires_at < now, _orders.status != OrderStatus.PROCESSING.value)
    ).rowcount


# Authorizations and challenges


def find_authorization(connection: Connection, directory: str, id: str) -> Authorization | None:
    """The authorization of a directory with that id, and its challenges."""
    row = connection.execute(
        select(acme_authorizations).where(_authorizations.directory == directory, _authorizations.id == id)
    ).one_or_none()
    return None if row is None else _with_challenges(connection, row)


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
    if not _move_authorization(connection, authorization.id, authorization.status, AuthorizationStatus.DEACTIVATED):
        return False
    for current in (OrderStatus.PENDING, OrderStatus.READY):
        fail_order(connection, authorization.order_id, current, error)
    return True


def begin_challenge(connection: Connection, id: str) -> bool:
    """Move a pending challenge to processing; False if it was not pending."""
    return _move_challenge(connection, id, ChallengeStatus.PENDING, ChallengeStatus.PROCESSING)


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
    order = _one_order(connection, select(acme_orders).where(_orders.id == authorization.order_id).with_for_update())
    if not _move_challenge(
        connection, challenge_id, ChallengeStatus.PROCESSING, ChallengeStatus.VALID, validated_at=now
    ):
        return False
    if not _move_authorization(
        connection,
        authorization.id,
        AuthorizationStatus.PENDING,
        AuthorizationStatus.VALID,
        expires_at=expires_at,
    ):
        return True  # deactivated meanwhile: the proof changes nothing
    if order is not None and order.status is OrderStatus.PENDING and _all_valid(connection, order.authorization_ids):
        require_move(OrderStatus.PENDING, OrderStatus.READY)
        connection.execute(_move_order(order.id, OrderStatus.PENDING, OrderStatus.READY))
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
    if not _move_challenge(
        connection,
        challenge_id,
        ChallengeStatus.PROCESSING,
        ChallengeStatus.INVALID,
        validated_at=now,
        error=dict(error),
    ):
        return False
    if _move_authorization(connection, authorization.id, AuthorizationStatus.PENDING, AuthorizationStatus.INVALID):
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


# Rows to objects


def _one_account(connection: Connection, statement: Select[Any]) -> Account | None:
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return Account(
        id=row.id,
        directory=row.directory,
        status=AccountStatus(row.status),
        key=row.key,
        thumbprint=row.thumbprint,
        contact=tuple(row.contact),
        created_at=row.created_at,
    )


def _one_order(connection: Connection, statement: Select[Any]) -> Order | None:
    row = connection.execute(statement).one_or_none()
    return None if row is None else _order(row)


def _order(row: Row[Any]) -> Order:
    return Order(
        id=row.id,
        directory=row.directory,
        account_id=row.account_id,
        status=OrderStatus(row.status),
        identifiers=tuple(Identifier(element["type"], element["value"]) for element in row.identifiers),
        authorization_ids=tuple(row.authorization_ids),
        not_before=row.not_before,
        not_after=row.not_after,
        expires_at=row.expires_at,
        created_at=row.created_at,
        error=row.error,
        csr_der=row.csr_der,
        serial=row.serial,
    )


def _with_challenges(connection: Connection, row: Row[Any]) -> Authorization:
    challenges = connection.execute(
        select(acme_challenges).where(_challenges.authorization_id == row.id).order_by(_challenges.type)
    )
    return Authorization(
        id=row.id,
        directory=row.directory,
        account_id=row.account_id,
        order_id=row.order_id,
        identifier=Identifier(row.identifier_type, row.identifier_value),
        is_wildcard=row.is_wildcard,
        status=AuthorizationStatus(row.status),
        expires_at=row.expires_at,
        challenges=tuple(
            Challenge(
                id=challenge.id,
                authorization_id=challenge.authorization_id,
                type=challenge.type,
                token=challenge.token,
                status=ChallengeStatus(challenge.status),
                validated_at=challenge.validated_at,
                error=challenge.error,
            )
            for challenge in challenges
        ),
    )


# Moves


def _move_order(id: str, current: OrderStatus, following: OrderStatus) -> Update:
    return (
        update(acme_orders)
        .where(and_(_orders.id == id, _orders.status == current.value))
        .values(status=following.value)
    )


def _move_authorization(
    connection: Connection, id: str, current: AuthorizationStatus, following: AuthorizationStatus, **columns: Any
) -> bool:
    require_move(current, following)
    changed = connection.execute(
        update(acme_authorizations)
        .where(_authorizations.id == id, _authorizations.status == current.value)
        .values(status=following.value, **columns)
    )
    return changed.rowcount == 1


def _move_challenge(
    connection: Connection, id: str, current: ChallengeStatus, following: ChallengeStatus, **columns: Any
) -> bool:
    require_move(current, following)
    changed = connection.execute(
        update(acme_challenges)
        .where(_challenges.id == id, _challenges.status == current.value)
        .values(status=following.value, lease_owner=None, lease_until=None, **columns)
    )
    return changed.rowcount == 1


def _all_valid(connection: Connection, authorization_ids: Sequence[str]) -> bool:
    statuses = connection.scalars(select(_authorizations.status).where(_authorizations.id.in_(authorization_ids))).all()
    return len(statuses) == len(authorization_ids) and set(statuses) == {AuthorizationStatus.VALID.value}


def _values(statuses: frozenset[AuthorizationStatus]) -> list[str]:
    return [status.value for status in statuses]
