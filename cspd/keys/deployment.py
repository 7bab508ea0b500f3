"""Which token a provider name stands for: fixed as soon as keys there are in use (R-CA-005, R-PLAT-114).

A CA refers to its key as ``provider:identifier``. If ``[keys.pkcs11.hsm]`` became another vendor's token, or went away,
all that refers to ``hsm:...`` would be lost without anybody noticing before the next signature. The store remembers
vendor and token label of each provider; module, PIN, sessions and environment may change at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from sqlalchemy import Column, Connection, delete, insert, select, union

from cspd.clock import Clock
from cspd.keys.config import KeysConfig, TokenConfig
from cspd.keys.software import PROVIDER as SOFTWARE
from cspd.keys.values import KeyReference
from cspd.store.interfaces import Database
from cspd.store.tables import authorities, authority_certificates, metadata, ocsp_responders, shared_secrets

_PREFIX = "keys.pkcs11."


class DeploymentChanged(ValueError):
    """``[keys]`` does not fit the keys that are in use; the text names all differences."""


class Deployment:
    """Holds a configuration to what was deployed."""

    def __init__(self, configuration: KeysConfig, *, database: Database, clock: Clock) -> None:
        self._configuration = configuration
        self._database = database
        self._clock = clock

    async def hold(self) -> None:
        """Compare, and remember what is new or no longer bound by a key in use; raises DeploymentChanged."""
        await self._database.write(self._hold)

    def _hold(self, connection: Connection) -> None:
        used = _providers_in_use(connection)
        remembered = _remembered(connection)
        tokens = self._configuration.pkcs11
        problems = []
        for name in sorted(used):
            is_configured = name in tokens or (name == SOFTWARE and self._configuration.software is not None)
            if not is_configured:
                section = "keys.software" if name == SOFTWARE else f"keys.pkcs11.{name}"
                problems.append(f"[{section}] is missing, and there are keys in use at {name}")
        for name, token in tokens.items():
            deployed = remembered.get(name)
            wanted = _identity(token)
            if deployed == wanted:
                continue
            if deployed is not None and name in used:
                changes = ", ".join(
                    f"{key} was {deployed.get(key)!r}" for key in wanted if deployed.get(key) != wanted[key]
                )
                problems.append(
                    f"[keys.pkcs11.{name}] is another token ({changes}), and there are keys in use at {name}"
                )
                continue
            self._remember(connection, name, wanted)
        if problems:
            raise DeploymentChanged("; ".join(problems))

    def _remember(self, connection: Connection, name: str, identity: Mapping[str, str]) -> None:
        key, value = _PREFIX + name, json.dumps(identity).encode()
        connection.execute(delete(shared_secrets).where(shared_secrets.c.name == key))
        connection.execute(insert(shared_secrets).values(name=key, value=value, created_at=self._clock.now()))


def _identity(token: TokenConfig) -> Mapping[str, str]:
    return {"vendor": token.vendor.value, "token_label": token.token_label}


def _remembered(connection: Connection) -> Mapping[str, Mapping[str, str]]:
    rows = connection.execute(
        select(shared_secrets.c.name, shared_secrets.c.value).where(shared_secrets.c.name.startswith(_PREFIX))
    )
    return {name.removeprefix(_PREFIX): json.loads(value) for name, value in rows}


def _providers_in_use(connection: Connection) -> frozenset[str]:
    """Those that CAs which are not deleted refer to, with their responders and earlier keys, and the protocols."""
    live = authorities.c.deleted_at.is_(None)
    used = union(
        select(authorities.c.key_reference).where(live),
        select(authority_certificates.c.key_reference)
        .join(authorities, authorities.c.id == authority_certificates.c.authority_id)
        .where(live),
        select(ocsp_responders.c.key_reference)
        .join(authorities, authorities.c.id == ocsp_responders.c.authority_id)
        .where(live),
        *(select(column) for column in _columns_of_protocols()),
    )
    references = connection.execute(used).scalars()
    return frozenset(KeyReference.parse(reference).provider for reference in references if reference is not None)


def _columns_of_protocols() -> Iterator[Column[str]]:
    for table in metadata.sorted_tables:
        yield from (column for column in table.columns if column.info.get("key_in_use"))


__all__ = ["Deployment", "DeploymentChanged"]
