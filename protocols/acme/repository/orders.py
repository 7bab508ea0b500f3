"""Orders in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, or_, select, update

from cspd.store.tables import certificates
from protocols.acme.objects import Authorization, Order, StoredProblem
from protocols.acme.repository.moves import move_order
from protocols.acme.repository.rows import one_order, order_of
from protocols.acme.states import (
    OrderStatus,
    require_move,
)
from protocols.acme.tables import acme_authorizations, acme_challenges, acme_orders

_orders = acme_orders.c


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
    return one_order(connection, select(acme_orders).where(_orders.directory == directory, _orders.id == id))


def find_order_of_certificate(connection: Connection, directory: str, serial: int) -> Order | None:
    """The order of a directory that ended in the certificate with that serial."""
    return one_order(connection, select(acme_orders).where(_orders.directory == directory, _orders.serial == serial))


def begin_processing(
    connection: Connection, id: str, csr_der: bytes, *, owner: str, lease_until: datetime, now: datetime
) -> bool:
    """Move a ready, unexpired order to processing, with all that recovery needs; False if it was not ready."""
    require_move(OrderStatus.READY, OrderStatus.PROCESSING)
    statement = move_order(id, OrderStatus.READY, OrderStatus.PROCESSING).where(_orders.expires_at > now)
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


def renew_order_lease(connection: Connection, id: str, *, owner: str, lease_until: datetime) -> None:
    """Keep an order in processing for longer, if it is ours."""
    connection.execute(
        update(acme_orders)
        .where(_orders.id == id, _orders.status == OrderStatus.PROCESSING.value, _orders.lease_owner == owner)
        .values(lease_until=lease_until)
    )


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
    return tuple(order_of(row) for row in connection.execute(statement))


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
    statement = move_order(id, OrderStatus.PROCESSING, OrderStatus.VALID)
    changed = connection.execute(
        statement.values(serial=serial, expires_at=expires_at, lease_owner=None, lease_until=None)
    )
    return changed.rowcount == 1


def fail_order(connection: Connection, id: str, current: OrderStatus, error: StoredProblem) -> bool:
    """Move an order from ``current`` to invalid; False if it was not in ``current``."""
    require_move(current, OrderStatus.INVALID)
    statement = move_order(id, current, OrderStatus.INVALID)
    return connection.execute(statement.values(error=dict(error), lease_owner=None, lease_until=None)).rowcount == 1


def delete_expired_orders(connection: Connection, now: datetime) -> int:
    """Delete orders that have ended; one in processing is left to recovery. Gives how many."""
    return connection.execute(
        delete(acme_orders).where(_orders.expires_at < now, _orders.status != OrderStatus.PROCESSING.value)
    ).rowcount
