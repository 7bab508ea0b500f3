"""How software keys are kept: encrypted by a data key that is derived from the master secret.

A sealed key is::

    format     1 octet    1
    master     8 octets   names the master secret (derived from it; tells nothing about it)
    nonce     12 octets   random
    content    n octets   AES-256-GCM of the key's PKCS#8 DER (RFC 5958), followed by its tag of 16 octets

The data key and the master's name come from the master secret by HKDF-SHA256 (RFC 5869) with different ``info``. The
associated data are format, master, and the row that the key belongs to (``identifier|key type``), so that nobody who
can write to the table makes one CA sign with the key of another.

The master secret is made by a random generator, not invented by a person: HKDF does not stretch passwords. With one
data key and random nonces GCM is good for 2^32 sealed keys (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MINIMUM_SECRET_OCTETS = 32
_FORMAT = b"\x01"
_MASTER_OCTETS = 8
_NONCE_OCTETS = 12
_TAG_OCTETS = 16
_HEADER_OCTETS = len(_FORMAT) + _MASTER_OCTETS + _NONCE_OCTETS


class WeakMasterSecret(ValueError):
    """The master secret is too short to be random; conf must name a better one."""


class WrongMasterKey(ValueError):
    """The keys in the store were sealed with another master secret than the configured one."""


class DamagedKey(ValueError):
    """A sealed key was changed, cut, moved to another row, or is of a format that this version does not know."""


class MasterKey:
    """Seals and opens software keys; safe to use in any thread."""

    def __init__(self, secret: bytes, random_bytes: Callable[[int], bytes]) -> None:
        """``secret`` has at least 32 octets, for example of ``openssl rand -hex 32``; raises WeakMasterSecret."""
        if len(secret) < MINIMUM_SECRET_OCTETS:
            raise WeakMasterSecret(
                f"the master key has {len(secret)} octets; it needs {MINIMUM_SECRET_OCTETS} or more, made at random, "
                "for example by: openssl rand -hex 32"
            )
        self._data_key = AESGCM(_derive(secret, b"cspd software key encryption", 32))
        self._name = _derive(secret, b"cspd master key name", _MASTER_OCTETS)
        self._random_bytes = random_bytes

    def seal(self, private_key_der: bytes, bound_to: str) -> bytes:
        """The sealed form of a key; ``bound_to`` must be given again to open it."""
        header = _FORMAT + self._name
        nonce = self._random_bytes(_NONCE_OCTETS)
        return header + nonce + self._data_key.encrypt(nonce, private_key_der, header + bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """The PKCS#8 DER of a sealed key; raises WrongMasterKey or DamagedKey."""
        self.check(sealed)
        header = sealed[: len(_FORMAT) + _MASTER_OCTETS]
        nonce, content = sealed[len(header) : _HEADER_OCTETS], sealed[_HEADER_OCTETS:]
        try:
            return self._data_key.decrypt(nonce, content, header + bound_to.encode())
        except InvalidTag as error:
            raise DamagedKey("the sealed key was changed, or belongs to another row") from error

    def check(self, sealed: bytes) -> None:
        """Raise WrongMasterKey or DamagedKey when a look at the header tells that ``sealed`` will not open."""
        if sealed[:1] != _FORMAT or len(sealed) < _HEADER_OCTETS + _TAG_OCTETS:
            raise DamagedKey("the sealed key is cut, or of an unknown format")
        if sealed[1 : 1 + _MASTER_OCTETS] != self._name:
            raise WrongMasterKey("sealed with another master key")


def _derive(secret: bytes, purpose: bytes, octets: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=octets, salt=None, info=purpose).derive(secret)


__all__ = ["DamagedKey", "MasterKey", "WeakMasterSecret", "WrongMasterKey"]
