"""Keys of MACs, derived in threads and kept for the messages that follow (RFC 9810, 5.1.3.1)."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from cspd.keys.threads import SigningPool
from cspd.x509.signatures import Algorithm
from protocols.cmp.mac_algorithms import MACAlgorithm, MACKey

KEPT = 256
"""Keys; a client's messages of one transaction have the same parameters mostly, and openssl's always."""


class MACKeys:
    """Derives keys, and remembers those that verified a message."""

    def __init__(self, pool: SigningPool, *, kept: int = KEPT) -> None:
        """``pool`` runs derivations, which take up to tens of milliseconds each."""
        self._pool = pool
        self._limit = kept
        self._kept: OrderedDict[tuple[bytes, Algorithm], MACKey] = OrderedDict()

    async def derive(self, secret: bytes, algorithm: MACAlgorithm) -> MACKey:
        """The key of a secret; raises Unavailable while too many are waited for."""
        known = self._kept.get(_name(secret, algorithm.algorithm))
        if known is not None:
            return known
        return await self._pool.run(lambda: algorithm.derive(secret))

    def keep(self, secret: bytes, key: MACKey) -> None:
        """Remember a key that verified a message: what anybody may send must not push those out."""
        name = _name(secret, key.algorithm)
        self._kept[name] = key
        self._kept.move_to_end(name)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)


def _name(secret: bytes, algorithm: Algorithm) -> tuple[bytes, Algorithm]:
    return sha256(secret).digest(), algorithm
