"""Organizations: the partitions that hold CAs, and who administers them (R-CA-010..016).

The rules are kept here, so that every way in (``cspctl``, the admin API, a page) meets them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.exc import IntegrityError

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.values import AuthorityState, Requester
from cspd.clock import Clock
from cspd.refusals import BadName, Conflict, Forbidden, NotFound
from cspd.store.interfaces import Database
from cspd.store.tables import authorities, organizations

RESERVED_NAMES = frozenset(
    {
        *("acs", "ca", "cas", "crl", "crlagent", "crlresponder", "deploy", "idp", "main", "meteringca", "persistgc"),
        *("pkihub", "pkihubidp", "scheduler", "schema", "schemas", "schemes", "vaagent"),
    }
)
"""Names that no organization may have (R-CA-011)."""

_NAME = re.compile(r"[a-z0-9_-]{3,14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A partition that holds CAs."""

    name: str
    administrators: tuple[str, ...]
    created_at: datetime


class Organizations:
    """Makes organizations and keeps their administrators. Every change is durable and audited when the call returns.

    ``is_tenant`` knows whether a user exists and may manage CAs (R-CA-015); the acting user is ``requester.identity``.
    """

    def __init__(self, *, clock: Clock, database: Database, audit: AuditLog, is_tenant: Callable[[str], bool]) -> None:
        self._clock = clock
        self._database = database
        self._audit = audit
        self._is_tenant = is_tenant

    async def create(self, name: str, requester: Requester) -> Organization:
        """Make an organization whose administrator is the requester (R-CA-011, 012).

        Raises BadName for a name that breaks the rules and Conflict for one that is taken.
        """
        check_name(name)
        organization = Organization(
            name=name, administrators=(requester.identity,), created_at=self._clock.now().replace(microsecond=0)
        )

        def work(connection: Connection) -> None:
            if _find(connection, name) is not None:
                raise Conflict(f"organization {name} exists")
            try:
                connection.execute(
                    organizations.insert().values(
                        name=name,
                        administrators=list(organization.administrators),
                        created_at=organization.created_at,
                    )
                )
            except IntegrityError as error:  # another node was faster
                raise Conflict(f"organization {name} exists") from error
            self._append(connection, "organization-created", name, requester)

        await self._database.write(work)
        return organization

    async def join(self, name: str, requester: Requester) -> Organization:
        """Make the requester an administrator of an existing organization (R-CA-013, A-10); raises NotFound."""

        def work(connection: Connection) -> Organization:
            organization = _require(connection, name, for_update=True)
            if requester.identity in organization.administrators:
                return organization
            joined = _set_administrators(connection, organization, (*organization.administrators, requester.identity))
            self._append(connection, "organization-joined", name, requester)
            return joined

        return await self._database.write(work)

    async def leave(self, name: str, requester: Requester) -> None:
        """Take the requester off the administrators; the organization and its CAs stay (R-CA-014).

        Raises Conflict for the last administrator while there are CAs (A-11), NotFound for one who is no administrator.
        """

        def work(connection: Connection) -> None:
            organization = _require(connection, name, for_update=True)
            if requester.identity not in organization.administrators:
                raise NotFound(f"{requester.identity} is no administrator of {name}")
            remaining = tuple(user for user in organization.administrators if user != requester.identity)
            if not remaining and _has_authorities(connection, name):
                raise Conflict(f"the last administrator cannot leave {name} while it has CAs")
            _set_administrators(connection, organization, remaining)
            self._append(connection, "organization-left", name, requester)

        await self._database.write(work)

    async def add_administrators(self, name: str, users: Iterable[str], requester: Requester) -> Organization:
        """Add registered tenants as administrators (R-CA-015).

        Raises Forbidden unless the requester is one, BadName for a user who is unknown or no tenant.
        """
        added = tuple(users)
        for user in added:
            if not self._is_tenant(user):
                raise BadName(f"no tenant named {user}")

        def work(connection: Connection) -> Organization:
            check_administrator(connection, name, requester)
            organization = _require(connection, name, for_update=True)
            new = tuple(user for user in dict.fromkeys(added) if user not in organization.administrators)
            if not new:
                return organization
            changed = _set_administrators(connection, organization, (*organization.administrators, *new))
            self._append(connection, "organization-administrators-added", name, requester, users=",".join(new))
            return changed

        return await self._database.write(work)

    async def get(self, name: str) -> Organization:
        """The organization of that name; raises NotFound."""
        return await self._database.read(lambda connection: _require(connection, name))

    async def list(self, administrator: str | None = None) -> Sequence[Organization]:
        """All organizations by name, or those that one user administers."""

        def work(connection: Connection) -> Sequence[Organization]:
            rows = connection.execute(select(organizations).order_by(organizations.c.name))
            return tuple(_organization(row) for row in rows)

        found = await self._database.read(work)
        return tuple(each for each in found if administrator is None or administrator in each.administrators)

    def _append(self, connection: Connection, event: str, name: str, requester: Requester, **fields: str) -> None:
        actor = f"{requester.protocol}:{requester.identity}"
        self._audit.append(connection, AuditEvent(event=event, actor=actor, fields={"organization": name, **fields}))


def check_name(name: str) -> None:
    """Raise BadName unless the name may be an organization's (R-CA-011, R-PLAT-014)."""
    if not _NAME.fullmatch(name):
        raise BadName("an organization's name has 3 to 14 of the characters a-z, 0-9, _ and -")
    if name in RESERVED_NAMES:
        raise BadName(f"{name} is reserved")


def check_administrator(connection: Connection, name: str, requester: Requester) -> None:
    """Raise Forbidden unless the requester administers the organization (A-17), NotFound if there is none."""
    if requester.identity not in _require(connection, name).administrators:
        raise Forbidden(f"{requester.identity} is no administrator of {name}")


def _find(connection: Connection, name: str, *, for_update: bool = False) -> Organization | None:
    query = select(organizations).where(organizations.c.name == name)
    row = connection.execute(query.with_for_update(key_share=True) if for_update else query).one_or_none()
    return None if row is None else _organization(row)


def _require(connection: Connection, name: str, *, for_update: bool = False) -> Organization:
    # a change takes the row lock, so that two nodes do not overwrite each other's list of administrators
    organization = _find(connection, name, for_update=for_update)
    if organization is None:
        raise NotFound(f"no organization {name}")
    return organization


def _organization(row: Row[Any]) -> Organization:
    return Organization(name=row.name, administrators=tuple(row.administrators), created_at=row.created_at)


def _set_administrators(
    connection: Connection, organization: Organization, administrators: tuple[str, ...]
) -> Organization:
    connection.execute(
        update(organizations)
        .where(organizations.c.name == organization.name)
        .values(administrators=list(administrators))
    )
    return Organization(name=organization.name, administrators=administrators, created_at=organization.created_at)


def _has_authorities(connection: Connection, name: str) -> bool:
    query = select(func.count()).where(
        authorities.c.organization == name, authorities.c.state != AuthorityState.DELETED.value
    )
    return bool(connection.execute(query).scalar_one())
