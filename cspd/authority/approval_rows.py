"""Kept enrollment requests in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from cspd.authority.request_encoding import decode_request, encode_request
from cspd.authority.values import EnrollmentRequest
from cspd.store.tables import enrollment_requests as table


class RequestState(Enum):
    """Where a kept request stands; from WAITING to APPROVED to ISSUED, or to one of the other ends."""

    WAITING = "waiting"
    APPROVED = "approved"
    ISSUED = "issued"
    DENIED = "denied"
    """By an administrator."""
    REFUSED = "refused"
    """By the pipeline, after it was approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """A request that waits, or did."""

    id: str
    """32 hexadecimal digits."""
    request: EnrollmentRequest
    subject: str
    """As asked for, RFC 4514."""
    names: tuple[str, ...]
    state: RequestState
    received_at: datetime
    expires_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    authority_id: str | None = None
    serial: int | None = None


def columns_of(kept: KeptRequest, digest: str) -> Mapping[str, object]:
    """The row of a new request."""
    requester = kept.request.requester
    return {
        "id": kept.id,
        "digest": digest,
        "ca": str(kept.request.ca),
        "profile": kept.request.profile,
        "protocol": requester.protocol,
        "requester": requester.identity,
        "address": requester.address,
        "subject": kept.subject,
        "names": "\n".join(kept.names),
        "request": encode_request(kept.request),
        "state": kept.state.value,
        "received_at": kept.received_at,
        "expires_at": kept.expires_at,
    }


def find_by_digest(connection: Connection, digest: str, now: datetime) -> KeptRequest | None:
    """The newest request of that digest that has not expired."""
    query = select(table).where(table.c.digest == digest, table.c.expires_at > now)
    row = connection.execute(query.order_by(table.c.received_at.desc()).limit(1)).first()
    return None if row is None else _kept(row)


def find_by_id(connection: Connection, id: str, now: datetime) -> KeptRequest | None:
    """The request of that id, if it has not expired."""
    row = connection.execute(select(table).where(table.c.id == id, table.c.expires_at > now)).first()
    return None if row is None else _kept(row)


def list_requests(
    connection: Connection, state: RequestState | None, limit: int, now: datetime
) -> Sequence[KeptRequest]:
    """Requests that have not expired, the oldest first."""
    query = select(table).where(table.c.expires_at > now).order_by(table.c.received_at, table.c.id).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state.value)
    return [_kept(row) for row in connection.execute(query)]


def count_waiting(connection: Connection, now: datetime) -> int:
    """How many requests wait for a decision."""
    query = select(func.count()).where(table.c.state == RequestState.WAITING.value, table.c.expires_at > now)
    return int(connection.execute(query).scalar_one())


def move(connection: Connection, id: str, before: RequestState, after: RequestState, **values: object) -> bool:
    """Move a request on, with these columns; False if it is not in the state ``before`` any more."""
    changed = connection.execute(
        update(table).where(table.c.id == id, table.c.state == before.value).values(state=after.value, **values)
    )
    return changed.rowcount == 1


def delete_expired(connection: Connection, now: datetime) -> int:
    """Delete the requests whose time is over; returns how many."""
    return connection.execute(delete(table).where(table.c.expires_at <= now)).rowcount


def _kept(row: Row[Any]) -> KeptRequest:
    return KeptRequest(
        id=row.id,
        request=decode_request(row.request),
        subject=row.subject,
        names=tuple(row.names.split("\n")) if row.names else (),
        state=RequestState(row.state),
        received_at=row.received_at,
        expires_at=row.expires_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reason=row.reason,
        authority_id=row.authority_id,
        serial=row.serial,
    )
