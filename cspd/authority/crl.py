"""What a CRL contains, read from the store (RFC 5280, 5).

A CA has one full CRL for each of its keys: the certificates that a key signed are revoked by a CRL of the same key. RFC
5280 6.3.3 (f) would allow the new key to sign one CRL for all, but validators look for the CRL's signer in the path of
the certificate, where only the old CA certificate is. The first key's CRL is ``crl.crl``, the next ``crl-1.crl``.

The functions here run in a database thread and do the encoding of entries there too, away from the reactor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    delete,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)

from cspd.authority.change_feed import COMMIT_DELAY, complete_sequence
from cspd.authority.crl_encoding import encode_revoked
from cspd.authority.values import CertificateState, PublishedCRL, RevocationReason
from cspd.refusals import Conflict
from cspd.store.tables import authorities, authority_certificates, certificates, crls, status_changes


@dataclass(frozen=True, slots=True)
class Scope:
    """The certificates that one key of a CA signed."""

    authority_id: str
    key_index: int


@dataclass(frozen=True, slots=True)
class CRLContent:
    """Everything of a CRL but its signature, as one look at the store gave it."""

    number: int
    base_number: int | None
    """Of a delta CRL: the full one that it completes."""
    status_sequence: int
    """No change up to this one is missing; some above it may be contained."""
    entries: tuple[bytes, ...]
    """Encoded."""


@dataclass(frozen=True, slots=True)
class CRLState:
    """How new a stored CRL is."""

    number: int
    this_update: datetime
    next_update: datetime
    status_sequence: int
    entries: int


def read_full(connection: Connection, scope: Scope, *, this_update: datetime, interval: timedelta) -> CRLContent:
    """All certificates of the scope that are revoked or held.

    An expired one leaves after it was on a CRL issued beyond its end (RFC 5280, 3.3): it is kept for one interval
    more, and until there was a CRL after its end, should CRLs have come late.
    """
    number = _next_number(connection, scope)
    sequence = complete_sequence(connection, scope.authority_id, now=this_update)
    query = _revoked(scope)
    newest = _newest_full(connection, scope)
    if newest is not None:
        query = query.where(certificates.c.not_after >= min(this_update - interval, newest))
    return CRLContent(number, None, sequence, _encoded(connection, query, this_update))


def read_delta(
    connection: Connection, scope: Scope, *, this_update: datetime, full: CRLContent | None = None
) -> CRLContent:
    """The changes since the oldest full CRL that relying parties may still use (RFC 5280, 5.2.4).

    ``full`` is what the same look at the store gave for a full CRL to be published with this one: the number is the
    same then, and it is its own base if there is no older one. A certificate that is good again is listed with
    removeFromCRL. Raises Conflict if there is no full CRL to complete.
    """
    number = _next_number(connection, scope)
    sequence = complete_sequence(connection, scope.authority_id, now=this_update)
    base = connection.execute(
        select(crls.c.number, crls.c.status_sequence, crls.c.this_update)
        .where(_in_scope(scope), crls.c.is_delta.is_(False), crls.c.next_update > this_update)
        .order_by(crls.c.number)
        .limit(1)
    ).one_or_none()
    if base is not None:
        base_number, base_sequence, base_update = base
    elif full is not None:
        base_number, base_sequence, base_update = full.number, full.status_sequence, this_update
    else:
        raise Conflict("there is no full CRL for a delta CRL to complete")
    changed = select(status_changes.c.serial).where(
        status_changes.c.authority_id == scope.authority_id,
        or_(
            status_changes.c.sequence > base_sequence,
            status_changes.c.changed_at >= base_update - COMMIT_DELAY,
        ),
    )
    query = _of_scope(scope).where(certificates.c.serial.in_(changed))
    return CRLContent(number, base_number, sequence, _encoded(connection, query, this_update))


def store(connection: Connection, scope: Scope, published: Sequence[PublishedCRL]) -> None:
    """Write signed CRLs that share a number, one of a kind; what nobody needs any more goes.

    Numbers are given here: raises Conflict when another node has published meanwhile, and the caller reads again.
    """
    connection.execute(
        select(authorities.c.id).where(authorities.c.id == scope.authority_id).with_for_update(key_share=True)
    )
    number = _next_number(connection, scope)
    for crl in published:
        if crl.number != number:
            raise Conflict(f"CRL number {crl.number} is taken")
        _store_one(connection, scope, crl)


def _store_one(connection: Connection, scope: Scope, crl: PublishedCRL) -> None:
    connection.execute(
        crls.insert().values(
            authority_id=crl.authority_id,
            key_index=crl.key_index,
            is_delta=crl.is_delta,
            number=crl.number,
            base_number=crl.base_number,
            this_update=crl.this_update,
            next_update=crl.next_update,
            status_sequence=crl.status_sequence,
            entries=crl.entries,
            crl_der=crl.crl_der,
        )
    )
    older = (_in_scope(scope), crls.c.is_delta.is_(crl.is_delta), crls.c.number < crl.number)
    connection.execute(delete(crls).where(*older, or_(crls.c.is_delta, crls.c.next_update <= crl.this_update)))
    # a full CRL that delta CRLs still complete is needed for its number only
    connection.execute(update(crls).where(*older, func.length(crls.c.crl_der) > 0).values(crl_der=b""))


def read_newest(connection: Connection) -> Sequence[tuple[Scope, bool, int]]:
    """Scope, whether delta, and number of the CRLs to be served."""
    query = select(crls.c.authority_id, crls.c.key_index, crls.c.is_delta, func.max(crls.c.number)).group_by(
        crls.c.authority_id, crls.c.key_index, crls.c.is_delta
    )
    return [(Scope(row[0], row[1]), row[2], row[3]) for row in connection.execute(query)]


def read_states(connection: Connection) -> Mapping[tuple[Scope, bool], CRLState]:
    """What is known of the newest CRL of each scope, full (False) and delta (True), without their bytes."""
    columns = (crls.c.authority_id, crls.c.key_index, crls.c.is_delta)
    newest = select(*columns, func.max(crls.c.number).label("number")).group_by(*columns).subquery()
    query = select(
        *columns, crls.c.number, crls.c.this_update, crls.c.next_update, crls.c.status_sequence, crls.c.entries
    ).join(
        newest,
        and_(
            crls.c.number == newest.c.number,
            *(column == newest.c[column.name] for column in columns),
        ),
    )
    return {(Scope(row[0], row[1]), row[2]): CRLState(*row[3:]) for row in connection.execute(query)}


def read_state(connection: Connection, scope: Scope, *, is_delta: bool) -> CRLState | None:
    """What is known of the newest CRL of that kind, without its bytes."""
    row = connection.execute(
        select(crls.c.number, crls.c.this_update, crls.c.next_update, crls.c.status_sequence, crls.c.entries)
        .where(_in_scope(scope), crls.c.is_delta.is_(is_delta))
        .order_by(crls.c.number.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else CRLState(*row)


def read_published(connection: Connection, scope: Scope, *, is_delta: bool) -> PublishedCRL | None:
    """The newest CRL of that kind."""
    query = select(crls).where(_in_scope(scope), crls.c.is_delta.is_(is_delta)).order_by(crls.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return PublishedCRL(
        authority_id=row.authority_id,
        key_index=row.key_index,
        is_delta=row.is_delta,
        number=row.number,
        base_number=row.base_number,
        this_update=row.this_update,
        next_update=row.next_update,
        status_sequence=row.status_sequence,
        entries=row.entries,
        crl_der=row.crl_der,
        entity_tag=sha256(row.crl_der).hexdigest(),
    )


def _in_scope(scope: Scope) -> ColumnElement[bool]:
    return (crls.c.authority_id == scope.authority_id) & (crls.c.key_index == scope.key_index)


def _next_number(connection: Connection, scope: Scope) -> int:
    """Full and delta CRLs of a scope share one sequence, and those made together a number (RFC 5280, 5.2.3)."""
    query = select(func.coalesce(func.max(crls.c.number), 0)).where(_in_scope(scope))
    return int(connection.execute(query).scalar_one()) + 1


_Columns = Select[str, datetime | None, str | None, datetime | None]
_REMOVED = RevocationReason.REMOVE_FROM_CRL.value


def _of_scope(scope: Scope) -> _Columns:
    signers = select(authority_certificates.c.id).where(
        authority_certificates.c.authority_id == scope.authority_id,
        authority_certificates.c.key_index == scope.key_index,
    )
    return select(
        type_coerce(certificates.c.serial, String),  # hexadecimal digits as stored
        certificates.c.revoked_at,
        certificates.c.revocation_reason,
        certificates.c.invalidity_date,
    ).where(
        certificates.c.authority_id == scope.authority_id,
        certificates.c.issuer_certificate_id.in_(signers),
        certificates.c.state != CertificateState.RESERVED.value,
    )


def _revoked(scope: Scope) -> _Columns:
    # the literal is the predicate of the partial index, which a bound parameter would not match
    return _of_scope(scope).where(
        literal_column("certificates.state <> 'good'"),
        certificates.c.state.in_([CertificateState.REVOKED.value, CertificateState.HELD.value]),
    )


def _newest_full(connection: Connection, scope: Scope) -> datetime | None:
    query = select(func.max(crls.c.this_update)).where(_in_scope(scope), crls.c.is_delta.is_(False))
    newest: datetime | None = connection.execute(query).scalar_one()
    return newest


def _encoded(connection: Connection, query: _Columns, this_update: datetime) -> tuple[bytes, ...]:
    """The entries, in any order: an ORDER BY would make SQLite read all certificates of the CA.

    Some rows at a time, for fetching all at once would keep the interpreter from the reactor thread for 0.1 s.
    """
    rows = connection.execute(query, execution_options={"yield_per": 1000})
    return tuple(
        encode_revoked(int(serial, 16), revoked_at, reason, invalidity_date)
        if revoked_at is not None and reason is not None
        # good; only in a delta CRL: released from hold
        else encode_revoked(int(serial, 16), this_update, _REMOVED, None)
        for serial, revoked_at, reason, invalidity_date in rows
    )
