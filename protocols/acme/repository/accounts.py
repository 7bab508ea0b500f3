"""Accounts in the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from protocols.acme.objects import Account, StoredProblem
from protocols.acme.repository.rows import one_account
from protocols.acme.states import (
    AccountStatus,
    AuthorizationStatus,
    OrderStatus,
    require_move,
    sources,
)
from protocols.acme.tables import acme_accounts, acme_authorizations, acme_orders

_accounts, _orders = acme_accounts.c, acme_orders.c
_authorizations = acme_authorizations.c


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
    return one_account(connection, select(acme_accounts).where(_accounts.directory == directory, _accounts.id == id))


def find_account_by_key(connection: Connection, directory: str, thumbprint: str) -> Account | None:
    """The account of a directory with that key."""
    return one_account(
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
            _authorizations.status.in_([status.value for status in sources(AuthorizationStatus.DEACTIVATED)]),
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
