"""Leases of orders and challenges, where it is not about a single one."""

from __future__ import annotations

from sqlalchemy import Connection, update

from protocols.acme.tables import acme_challenges, acme_orders


def end_leases_of_the_dead(connection: Connection, owner: str) -> None:
    """End the leases of all other processes, where the store says that these are dead.

    SQLite serves one process at a time, so whoever comes with another ``owner`` is its successor. On PostgreSQL the
    others may well live, and nothing is done.
    """
    if connection.dialect.name != "sqlite":
        return
    for table in (acme_orders, acme_challenges):
        connection.execute(
            update(table)
            .where(table.c.lease_owner.is_not(None), table.c.lease_owner != owner)
            .values(lease_owner=None, lease_until=None)
        )
