"""Getting at the key of an envelope, where the private key or the password lives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PrivateKey
from cspd.refusals import NotFound, Unavailable
from cspd.x509.cms.enveloped import PasswordRecipient
from cspd.x509.cms.passwords import unwrap_with_password
from cspd.x509.cms.values import CMSError

T = TypeVar("T")


class KeyDecryption(Protocol):
    """An RSA key that decrypts."""

    async def decrypt(self, encrypted_key: bytes, padding: AsymmetricPadding) -> bytes | None:
        """What was encrypted; anything, or None, when the padding does not fit: the caller treats both alike.

        Raises :class:`cspd.refusals.Unavailable` when the key cannot be used now, whatever the octets are.
        """
        ...


class PasswordDecryption(Protocol):
    """Somebody who knows passwords."""

    async def unwrap(self, recipient: PasswordRecipient) -> bytes | None:
        """The content key; None when no password fits."""
        ...


class InThread(Protocol):
    """Runs work of a tenth of a second outside of the reactor's thread."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        """What the work returns or raises."""
        ...


class StoredKeyDecryption:
    """Implements :class:`KeyDecryption` with one of our keys."""

    def __init__(self, keys: Keys, reference: KeyReference) -> None:
        self._keys = keys
        self._reference = reference

    async def decrypt(self, encrypted_key: bytes, padding: AsymmetricPadding) -> bytes | None:
        """See :class:`KeyDecryption`."""

        def work(key: PrivateKey) -> bytes | None:
            try:
                # OpenSSL gives made-up octets for a padding of PKCS#1 v1.5 that does not fit, always the same ones.
                return cast(rsa.RSAPrivateKey, key).decrypt(encrypted_key, padding)
            except ValueError:
                return None
            except UnsupportedAlgorithm as error:
                raise Unavailable("the key cannot decrypt", detail=f"{self._reference}: {error}") from error

        try:
            return await self._keys.sign(self._reference, work)
        except NotFound as error:  # which is nothing that the client asked for
            raise Unavailable("the key is not there", detail=str(self._reference)) from error


class SharedPasswords:
    """Implements :class:`PasswordDecryption` with passwords that are known."""

    def __init__(self, passwords: Sequence[bytes], in_thread: InThread) -> None:
        """Each password that is tried costs a key derivation; give few."""
        self._passwords = tuple(passwords)
        self._in_thread = in_thread

    async def unwrap(self, recipient: PasswordRecipient) -> bytes | None:
        """See :class:`PasswordDecryption`."""
        return await self._in_thread(lambda: self._first(recipient))

    def _first(self, recipient: PasswordRecipient) -> bytes | None:
        for password in self._passwords:
            try:
                return unwrap_with_password(recipient, password)
            except CMSError:
                continue
        return None


__all__ = ["InThread", "KeyDecryption", "PasswordDecryption", "SharedPasswords", "StoredKeyDecryption"]
