"""A key for something that may not come about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twisted.logger import Logger

from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import Refused

_log = Logger()


@asynccontextmanager
async def tentative_key(
    keys: Keys, key_type: KeyType, *, label: str, provider: str | None, decrypts: bool = False
) -> AsyncIterator[KeyReference]:
    """A new key, destroyed again when the block raises."""
    key = await keys.generate(key_type, label=label, provider=provider, decrypts=decrypts)
    try:
        yield key
    except BaseException:
        try:
            await keys.delete(key)
        except Refused as error:
            _log.warn("cannot destroy the unused key {key}: {error}", key=str(key), error=error)
        raise
