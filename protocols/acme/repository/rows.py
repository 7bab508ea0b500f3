"""Rows to objects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, select

from protocols.acme.messages import Identifier
from protocols.acme.objects import Account, Authorization, Challenge, Order
from protocols.acme.states import (
    AccountStatus,
    AuthorizationStatus,
    ChallengeStatus,
    OrderStatus,
)
from protocols.acme.tables import acme_authorizations, acme_challenges

_authorizations, _challenges = acme_authorizations.c, acme_challenges.c


def one_account(connection: Connection, statement: Select[Any]) -> Account | None:
    """The account that the statement finds, if any."""
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


def one_order(connection: Connection, statement: Select[Any]) -> Order | None:
    """The order that the statement finds, if any."""
    row = connection.execute(statement).one_or_none()
    return None if row is None else order_of(row)


def order_of(row: Row[Any]) -> Order:
    """The order in a row."""
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


def authorization_of(connection: Connection, row: Row[Any]) -> Authorization:
    """The authorization in a row, with its challenges."""
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
