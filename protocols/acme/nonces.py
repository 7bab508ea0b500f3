"""Replay nonces (RFC 8555, 6.5): made without a record, valid on every node and after a restart, used once.

A nonce is its time of making and random octets, sealed with an HMAC whose key all nodes share. Making one costs no
write. Using one records it until it would have ended anyway, so a second use finds the record, whichever node it
comes to.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from random import Random

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from cspd.clock import Clock
from cspd.store.interfaces import Database
from cspd.store.tables import shared_secrets
from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.json_text import decode_base64url, encode_base64url
from protocols.acme.tables import acme_used_nonces

SECRET_NAME = "acme-nonce"  # noqa: S105  # the name of a secret
_TIME_OCTETS = 5
_OPEN_OCTETS = 16
_SEAL_OCTETS = 16
_SKEW = timedelta(seconds=60)
"""How far the clocks of two nodes may be apart."""


class Nonces:
    """Makes and uses nonces."""

    def __init__(self, *, database: Database, clock: Clock, random: Random, lifetime: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._lifetime = lifetime
        self._key: bytes | None = None

    async def make(self) -> str:
        """A fresh nonce. Waits for the store only the first time."""
        key = self._key or await self._load_key()
        seconds = int(self._clock.now().timestamp())
        opened = seconds.to_bytes(_TIME_OCTETS) + self._random.randbytes(_OPEN_OCTETS - _TIME_OCTETS)
        return encode_base64url(opened + _seal(key, opened))

    async def use(self, nonce: str | None) -> None:
        """Use up a nonce; durable when it returns. Raises badNonce for a foreign, old or used one."""
        key = self._key or await self._load_key()
        if nonce is None:
            raise _bad_nonce("the request has no nonce")
        octets = decode_base64url(nonce, "nonce")
        opened, seal = octets[:_OPEN_OCTETS], octets[_OPEN_OCTETS:]
        if len(octets) != _OPEN_OCTETS + _SEAL_OCTETS or not hmac.compare_digest(seal, _seal(key, opened)):
            raise _bad_nonce("the nonce was not made by this server")
        made_at = datetime.fromtimestamp(int.from_bytes(opened[:_TIME_OCTETS]), UTC)
        now = self._clock.now()
        if not made_at - _SKEW <= now <= made_at + self._lifetime:
            raise _bad_nonce("the nonce is too old")
        # The record must outlive the nonce on the node whose clock is behind.
        record = {"nonce": encode_base64url(opened), "expires_at": made_at + self._lifetime + 2 * _SKEW}
        try:
            await self._database.write(lambda connection: connection.execute(insert(acme_used_nonces), record))
        except IntegrityError as error:
            raise _bad_nonce("the nonce was used before") from error

    async def delete_expired(self) -> None:
        """Forget used nonces that have ended."""
        now = self._clock.now()
        await self._database.write(
            lambda connection: connection.execute(delete(acme_used_nonces).where(acme_used_nonces.c.expires_at < now))
        )

    async def _load_key(self) -> bytes:
        """The key that all nodes share; the first one makes it."""
        candidate = {"name": SECRET_NAME, "value": self._random.randbytes(32), "created_at": self._clock.now()}

        def find_or_make(connection: Connection) -> bytes:
            if (found := _find_key(connection)) is not None:
                return found
            connection.execute(insert(shared_secrets), candidate)
            return bytes(candidate["value"])  # type: ignore[call-overload,no-any-return]  # a mixed mapping

        key = await self._database.read(_find_key)
        if key is None:
            try:
                key = await self._database.write(find_or_make)
            except IntegrityError:  # another node was first
                key = await self._database.read(_find_key)
                assert key is not None, "the shared key that stopped ours from being stored"
        self._key = key
        return key


def _find_key(connection: Connection) -> bytes | None:
    value: bytes | None = connection.scalar(select(shared_secrets.c.value).where(shared_secrets.c.name == SECRET_NAME))
    return value


def _seal(key: bytes, opened: bytes) -> bytes:
    return hmac.digest(key, opened, hashlib.sha256)[:_SEAL_OCTETS]


def _bad_nonce(detail: str) -> ACMEError:
    return ACMEError(ErrorType.BAD_NONCE, detail)
