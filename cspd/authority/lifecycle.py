"""The states of a CA and the moves between them (ca.md section 6).

    pending-certificate --certify--> active --disable--> disabled --enable--> active
    any state --delete--> deleted (a tombstone)

A CA under an external root is certified again, in state active, to renew it. ``expired`` is read off the certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from sqlalchemy import Connection, select

from cspd.authority.values import Authority, AuthorityState
from cspd.refusals import Conflict, NotFound
from cspd.store.tables import authorities


class Move(Enum):
    """What may be done to a CA; the value says what it is then."""

    CERTIFY = "certified"
    DISABLE = "disabled"
    ENABLE = "enabled"
    RENEW = "renewed"
    DELETE = "deleted"


_FROM: Mapping[Move, frozenset[AuthorityState]] = {
    Move.CERTIFY: frozenset({AuthorityState.PENDING_CERTIFICATE, AuthorityState.ACTIVE}),
    Move.DISABLE: frozenset({AuthorityState.ACTIVE}),
    Move.ENABLE: frozenset({AuthorityState.DISABLED}),
    Move.RENEW: frozenset({AuthorityState.ACTIVE}),
    Move.DELETE: frozenset(AuthorityState) - {AuthorityState.DELETED},
}


def check_move(state: AuthorityState, move: Move) -> None:
    """Raise Conflict unless a CA in that state may make the move."""
    if state not in _FROM[move]:
        raise Conflict(f"a CA that is {state.value} cannot be {move.value}")


def lock(connection: Connection, authority: Authority) -> AuthorityState:
    """The state that the store has now, its row locked until the transaction ends; NotFound for a deleted CA.

    Certificates of the CA can be stored meanwhile (``FOR NO KEY UPDATE`` on PostgreSQL): they only refer to the row.
    """
    query = select(authorities.c.state).where(authorities.c.id == authority.id).with_for_update(key_share=True)
    state = AuthorityState(connection.execute(query).scalar_one())
    if state is AuthorityState.DELETED:
        raise NotFound(f"no CA {authority.reference}")
    return state
