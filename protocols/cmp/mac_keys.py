"""Keys of MACs, derived in threads and kept for the messages that follow (RFC 9810, 5.1.3.1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256

from cspd.keys.threads import SigningPool
from cspd.x509.signatures import Algorithm
from protocols.cmp.algorithm_rules import AlgorithmRules
from protocols.cmp.mac_algorithms import MACKey

KEPT = 256
"""Keys; a client's messages of one transaction have the same parameters mostly, and openssl's always."""


class MACKeys:
    """Derives keys, and remembers those that verified a message."""

    def __init__(self, pool: SigningPool, rules: Mapping[str, AlgorithmRules], *, kept: int = KEPT) -> None:
        """``pool`` runs derivations, which take up to tens of milliseconds each; ``rules`` are by their names."""
        self._pool = pool
        self._rules = rules
        self._limit = kept
        self._kept: OrderedDict[tuple[bytes, Algorithm, str], MACKey] = OrderedDict()

    async def derive(self, secret: bytes, algorithm: Algorithm, rules: str) -> MACKey:
        """The key of a secret for an algorithm that these rules allow.

        Raises what :meth:`AlgorithmRules.read_mac` raises, and Unavailable while too many are waited for.
        """
        known = self._kept.get(_name(secret, algorithm, rules))
        if known is not None:
            return known
        allowed = self._rules[rules].read_mac(algorithm)
        return await self._pool.run(lambda: allowed.derive(secret))

    def keep(self, secret: bytes, key: MACKey, rules: str) -> None:
        """Remember a key that verified a message: what anybody may send must not push those out."""
        name = _name(secret, key.algorithm, rules)
        self._kept[name] = key
        self._kept.move_to_end(name)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)


def _name(secret: bytes, algorithm: Algorithm, rules: str) -> tuple[bytes, Algorithm, str]:
    """With the rules: a key that is known was allowed by them."""
    return sha256(secret).digest(), algorithm, rules
