"""Transactions in the database.

All functions take the connection of a work of :class:`cspd.store.interfaces.Database` and leave the commit to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, Row, and_, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cspd.refusals import Conflict
from protocols.scep.tables import scep_transactions as table
from protocols.scep.transactions import Transaction

TAKEN = "transaction-taken"
"""Code of the Conflict that tells a request that its transactionID has been used meanwhile."""

_BATCH = 1000

# Built once: building a statement anew costs more than running it.
_IS_IT = and_(table.c.endpoint == bindparam("of_endpoint"), table.c.transaction_id == bindparam("of_id"))
_FIND = select(table).where(_IS_IT, table.c.expires_at > bindparam("now"))
_IN_ITS_PLACE = or_(
    table.c.expires_at <= bindparam("now"),
    and_(table.c.authority_id == bindparam("over_authority_id"), table.c.serial == bindparam("over_serial")),
)
_KEY = tuple(table.primary_key.columns.keys())


def _insertion(insertion: postgresql.Insert | sqlite.Insert) -> Executable:
    """Puts a row where there is none, or in the place of one that is over, and changes nothing otherwise."""
    others = {column.name: insertion.excluded[column.name] for column in table.columns if column.name not in _KEY}
    upsert = insertion.on_conflict_do_update(index_elements=_KEY, set_=others, where=_IN_ITS_PLACE)
    return upsert.execution_options(preserve_rowcount=True)


_INSERTIONS = {"postgresql": _insertion(postgresql.insert(table)), "sqlite": _insertion(sqlite.insert(table))}
_NOTE_CERTIFICATE = (
    update(table)
    .where(_IS_IT, table.c.serial.is_(None))
    .values(authority_id=bindparam("new_authority_id"), serial=bindparam("new_serial"))
)
_FORGET_REPLACED = update(table).where(_IS_IT).values(replaced_authority_id=None, replaced_serial=None)
_WITH_REPLACED = select(table).where(table.c.serial.is_not(None), table.c.replaced_serial.is_not(None)).limit(_BATCH)
_DELETE_EXPIRED = delete(table).where(
    table.c.expires_at <= bindparam("now"), or_(table.c.replaced_serial.is_(None), table.c.serial.is_(None))
)


def find(connection: Connection, endpoint: str, transaction_id: str, now: datetime) -> Transaction | None:
    """The transaction of that id, unless its time is over."""
    row = connection.execute(_FIND, {**_key(endpoint, transaction_id), "now": now}).first()
    return None if row is None else _transaction(row)


def add(connection: Connection, begun: Transaction, *, over: tuple[str, int] | None = None) -> None:
    """Keep a transaction; raises Conflict, code :data:`TAKEN`, if there is one of that id.

    Unless its time is over, or it is the one that gave the certificate ``over`` (CA and serial number).
    """
    over_authority_id, over_serial = over or (None, None)
    room = {"now": begun.created_at, "over_authority_id": over_authority_id, "over_serial": over_serial}
    if connection.execute(_INSERTIONS[connection.dialect.name], {**_columns(begun), **room}).rowcount != 1:
        raise Conflict("the transactionID is in use", code=TAKEN)


def note_certificate(connection: Connection, transaction: Transaction, authority_id: str, serial: int) -> None:
    """The request of a transaction that waited was approved and has its certificate."""
    key = _key(transaction.endpoint, transaction.transaction_id)
    connection.execute(_NOTE_CERTIFICATE, {**key, "new_authority_id": authority_id, "new_serial": serial})


def forget_replaced(connection: Connection, transaction: Transaction) -> None:
    """The replaced certificate is revoked."""
    connection.execute(_FORGET_REPLACED, _key(transaction.endpoint, transaction.transaction_id))


def with_replaced(connection: Connection) -> Sequence[Transaction]:
    """Those with a certificate whose predecessor is to be revoked."""
    return [_transaction(row) for row in connection.execute(_WITH_REPLACED)]


def delete_expired(connection: Connection, now: datetime) -> int:
    """Delete those whose time is over, with nothing left to do; gives how many."""
    return connection.execute(_DELETE_EXPIRED, {"now": now}).rowcount


def _key(endpoint: str, transaction_id: str) -> dict[str, Any]:
    return {"of_endpoint": endpoint, "of_id": transaction_id}


def _columns(transaction: Transaction) -> dict[str, Any]:
    replaced_authority_id, replaced_serial = transaction.replaced or (None, None)
    return {
        "endpoint": transaction.endpoint,
        "transaction_id": transaction.transaction_id,
        "client": transaction.client,
        "request_digest": transaction.request_digest,
        "subject": transaction.subject_der,
        "request_id": transaction.request_id,
        "authority_id": transaction.authority_id,
        "serial": transaction.serial,
        "replaced_authority_id": replaced_authority_id,
        "replaced_serial": replaced_serial,
        "created_at": transaction.created_at,
        "expires_at": transaction.expires_at,
    }


def _transaction(row: Row[Any]) -> Transaction:
    return Transaction(
        endpoint=row.endpoint,
        transaction_id=row.transaction_id,
        client=row.client,
        request_digest=row.request_digest,
        subject_der=row.subject,
        request_id=row.request_id,
        authority_id=row.authority_id,
        serial=row.serial,
        replaced=None if row.replaced_serial is None else (row.replaced_authority_id, row.replaced_serial),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
