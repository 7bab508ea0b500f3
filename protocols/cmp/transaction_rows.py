"""Transactions in the database.

All functions take the connection of a work of :class:`cspd.store.interfaces.Database` and leave the commit to it. An
update that moves a transaction names the state and the answer that it goes on from, and tells whether it found them, so
that of two messages at one time one finds no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cspd.refusals import Conflict
from protocols.cmp.messages import BodyType
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.tables import cmp_transactions as table
from protocols.cmp.transactions import (
    CertifiedRequest,
    Transaction,
    TransactionState,
    decode_certified,
    decode_challenged,
    encode_certified,
    encode_challenged,
    require_move,
)

MOVED = "transaction-moved"
"""Code of the Conflict that tells a request that somebody else has answered it, or its transaction, meanwhile."""

_OVER = (TransactionState.CONFIRMED, TransactionState.ENDED)
_IN_PROGRESS = tuple(state.value for state in TransactionState if state not in _OVER)
_BATCH = 1000

# Built once: building the insertion anew costs more than running it.
_FIND = select(table).where(table.c.endpoint == bindparam("of_endpoint"), table.c.transaction_id == bindparam("of_id"))
_FIND_FOR_UPDATE = _FIND.with_for_update()
_INSERTIONS = {
    name: dialect.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


def find(connection: Connection, endpoint: str, transaction_id: bytes) -> Transaction | None:
    """The transaction of that id."""
    row = connection.execute(_FIND, _key(endpoint, transaction_id)).first()
    return None if row is None else _transaction(row)


def begin(connection: Connection, transaction: Transaction) -> bool:
    """Note a transaction; False if there is one of its id."""
    return connection.execute(_INSERTIONS[connection.dialect.name], _columns(transaction)).rowcount == 1


def add(
    connection: Connection, begun: Transaction, request: CertifiedRequest, challenged: Transaction | None = None
) -> None:
    """Note what became of one request of the message that begins a transaction.

    ``begun`` is the transaction as the first request of the message makes it, out of the ``challenged`` one where the
    client had to prove possession first. Raises Conflict, code :data:`MOVED`, if the id belongs to another message or
    the request is answered.
    """
    first = replace(begun, requests=(request,), state=_state(begun.state, (request,)))
    if challenged is not None and move(connection, challenged, first):
        return
    if begin(connection, first):
        return
    kept = _transaction(connection.execute(_FIND_FOR_UPDATE, _key(begun.endpoint, begun.transaction_id)).one())
    if (
        kept.request_digest != begun.request_digest
        or kept.client != begun.client
        or kept.request(request.cert_req_id) is not None
    ):
        raise Conflict("the transactionID is in use", code=MOVED)
    requests = (*kept.requests, request)
    connection.execute(
        _update(kept.endpoint, kept.transaction_id).values(
            requests=_encoded(requests), state=_state(kept.state, requests).value
        )
    )


def move(connection: Connection, current: Transaction, following: Transaction) -> bool:
    """Make ``current`` ``following``; False unless the row still is ``current`` by its state and senderNonce."""
    require_move(current.state, following.state)
    changed = connection.execute(
        _update(current.endpoint, current.transaction_id)
        .where(table.c.state == current.state.value, table.c.sender_nonce == current.sender_nonce)
        .values(_columns(following))
    )
    return changed.rowcount == 1


def forget_replaced(connection: Connection, transaction: Transaction) -> None:
    """The replaced certificate is revoked."""
    connection.execute(
        _update(transaction.endpoint, transaction.transaction_id).values(
            replaced_authority_id=None, replaced_serial=None
        )
    )


def count_in_progress(connection: Connection) -> int:
    """How many transactions wait for something."""
    query = select(func.count()).select_from(table).where(table.c.state.in_(_IN_PROGRESS))
    return int(connection.execute(query).scalar_one())


def unconfirmed(connection: Connection, now: datetime) -> Sequence[Transaction]:
    """Those whose client had to confirm by now, and those that somebody began to revoke."""
    query = select(table).where(
        or_(
            table.c.state == TransactionState.REVOKING.value,
            (table.c.state == TransactionState.ISSUED.value) & (table.c.confirm_until <= now),
            (table.c.state == TransactionState.WAITING.value) & (table.c.expires_at <= now),
        )
    )
    rows = connection.execute(query.order_by(table.c.expires_at).limit(_BATCH))
    return [_transaction(row) for row in rows]


def with_replaced(connection: Connection) -> Sequence[Transaction]:
    """Those confirmed whose replaced certificate is not revoked yet."""
    query = select(table).where(table.c.state == TransactionState.CONFIRMED.value, table.c.replaced_serial.is_not(None))
    return [_transaction(row) for row in connection.execute(query.limit(_BATCH))]


def delete_expired(connection: Connection, now: datetime) -> int:
    """Delete those that are over, or never got anything, and whose time is over; gives how many."""
    states = [state.value for state in (*_OVER, TransactionState.CHALLENGED)]
    gone = delete(table).where(table.c.expires_at <= now, table.c.state.in_(states), table.c.replaced_serial.is_(None))
    return connection.execute(gone).rowcount


def _key(endpoint: str, transaction_id: bytes) -> dict[str, str]:
    return {"of_endpoint": endpoint, "of_id": transaction_id.hex()}


def _update(endpoint: str, transaction_id: bytes) -> Any:
    return update(table).where(table.c.endpoint == endpoint, table.c.transaction_id == transaction_id.hex())


def _state(state: TransactionState, requests: Sequence[CertifiedRequest]) -> TransactionState:
    return TransactionState.WAITING if any(each.waits for each in requests) else state


def _encoded(requests: Sequence[CertifiedRequest]) -> list[dict[str, Any]]:
    return [encode_certified(each) for each in requests]


def _columns(transaction: Transaction) -> dict[str, Any]:
    authority_id, serial = transaction.replaced or (None, None)
    return {
        "endpoint": transaction.endpoint,
        "transaction_id": transaction.transaction_id.hex(),
        "state": transaction.state.value,
        "body_type": transaction.body_type.name,
        "profile": transaction.profile,
        "client": transaction.client,
        "identity": transaction.identity,
        "protection": transaction.protection.value,
        "sender_nonce": transaction.sender_nonce,
        "request_digest": transaction.request_digest,
        "implicit_confirm": transaction.implicit_confirm,
        "requests": _encoded(transaction.requests),
        "challenged": None if transaction.challenged is None else encode_challenged(transaction.challenged),
        "replaced_authority_id": authority_id,
        "replaced_serial": serial,
        "confirm_until": transaction.confirm_until,
        "created_at": transaction.created_at,
        "expires_at": transaction.expires_at,
    }


def _transaction(row: Row[Any]) -> Transaction:
    return Transaction(
        endpoint=row.endpoint,
        transaction_id=bytes.fromhex(row.transaction_id),
        state=TransactionState(row.state),
        body_type=BodyType[row.body_type],
        profile=row.profile,
        client=row.client,
        identity=row.identity,
        protection=ProtectionKind(row.protection),
        sender_nonce=row.sender_nonce,
        request_digest=row.request_digest,
        implicit_confirm=row.implicit_confirm,
        requests=tuple(decode_certified(each) for each in row.requests),
        created_at=row.created_at,
        expires_at=row.expires_at,
        confirm_until=row.confirm_until,
        challenged=None if row.challenged is None else decode_challenged(row.challenged),
        replaced=None if row.replaced_serial is None else (row.replaced_authority_id, row.replaced_serial),
    )
