"""A token as a provider of keys: everything in the token's own signing threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, ObjectClass

from cspd.keys.inspection import KeyHalf, KeyObject, Slot
from cspd.keys.pkcs11 import objects
from cspd.keys.pkcs11.inspection import destroy_objects, read_objects, read_slots
from cspd.keys.pkcs11.keys import TokenEllipticCurvePrivateKey, TokenRSAPrivateKey
from cspd.keys.pkcs11.refusals import UNTOUCHED
from cspd.keys.pkcs11.tokens import Token, TokenSession
from cspd.keys.providers import ProviderHealth
from cspd.keys.threads import SigningPool
from cspd.keys.values import KeyDescription, KeyReference, KeyType, PrivateKey, PublicKey
from cspd.refusals import NotFound, Refused, Unavailable

T = TypeVar("T")

_IDENTIFIER_OCTETS = 16


class TokenKeys:
    """Implements :class:`cspd.keys.providers.Provider` and :class:`cspd.keys.inspection.KeyInspection`.

    The token is the only record of its keys.
    """

    def __init__(self, token: Token, pool: SigningPool, *, random_bytes: Callable[[int], bytes]) -> None:
        """``pool`` has one thread for each session of the token."""
        self.name = token.name
        self.pool = pool
        self._token = token
        self._random_bytes = random_bytes
        self._keys: dict[bytes, TokenRSAPrivateKey | TokenEllipticCurvePrivateKey] = {}

    async def start(self) -> None:
        """Start the threads and log in; :meth:`health` tells whether that worked."""
        self.pool.start()
        await self.check()

    async def stop(self) -> None:
        """Finish the signatures that wait, then close the sessions."""
        with suppress(Unavailable):  # it never started
            await self.pool.run(self._token.close)
        await self.pool.stop()

    async def generate(self, key_type: KeyType, label: str, *, decrypts: bool = False) -> KeyReference:
        """Make a key on the token, which never lets it out."""
        identifier = self._random_bytes(_IDENTIFIER_OCTETS)

        def make(session: TokenSession) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
            session.require_login()
            public = objects.generate_key_pair(
                session.raw, session.mechanisms, key_type, identifier=identifier, label=label, decrypts=decrypts
            )
            return objects.public_key_of(public)

        # Not after a loss in the middle: that may have left one key, and a second with its CKA_ID would be in the way.
        public_key = await self.pool.run(lambda: self._token.run(make, repeat_after=UNTOUCHED))
        self._keep(identifier, public_key)
        return KeyReference(self.name, identifier.hex())

    async def public_key(self, identifier: str) -> PublicKey:
        """The public half, from memory or the token."""
        return (await self._key(identifier)).public_key()

    async def sign(self, identifier: str, work: Callable[[PrivateKey], T]) -> T:
        """Run ``work`` in a signing thread of the token."""
        key = await self._key(identifier)
        return await self.pool.run(lambda: work(key))

    async def delete(self, identifier: str) -> None:
        """Destroy both halves on the token."""
        cka_id = self._parse(identifier)

        def destroy(session: TokenSession) -> None:
            session.find_key(ObjectClass.PRIVATE_KEY, cka_id).destroy()
            for public in objects.find(session.raw, ObjectClass.PUBLIC_KEY, cka_id):
                public.destroy()

        await self.pool.run(lambda: self._token.run(destroy))
        self._keys.pop(cka_id, None)
        self._token.forget(cka_id)

    async def list(self) -> Sequence[KeyDescription]:
        """The keys on the token that have a CKA_ID as we make it, and a type of ours."""

        def describe(session: TokenSession) -> list[KeyDescription]:
            session.require_login()
            descriptions = []
            for private in objects.find(session.raw, ObjectClass.PRIVATE_KEY):
                cka_id = private[Attribute.ID]
                key_type = objects.key_type_of(private) if len(cka_id) == _IDENTIFIER_OCTETS else None
                if key_type is not None:
                    reference = KeyReference(self.name, cka_id.hex())
                    label = private[Attribute.LABEL]
                    descriptions.append(KeyDescription(reference=reference, key_type=key_type, label=label))
            return descriptions

        descriptions = await self.pool.run(lambda: self._token.run(describe))
        return tuple(sorted(descriptions, key=lambda key: (key.label, key.reference.identifier)))

    async def slots(self) -> Sequence[Slot]:
        """See :class:`cspd.keys.inspection.KeyInspection`."""
        return await self.pool.run(lambda: self._token.run(read_slots))

    async def objects(self) -> Sequence[KeyObject]:
        """See :class:`cspd.keys.inspection.KeyInspection`."""
        return await self.pool.run(lambda: self._token.run(partial(read_objects, our_octets=_IDENTIFIER_OCTETS)))

    async def destroy(self, identifier: str) -> Sequence[KeyHalf]:
        """See :class:`cspd.keys.inspection.KeyInspection`."""
        cka_id = bytes.fromhex(identifier)
        # Once begun it is not repeated: the second attempt could not tell what the first one has destroyed.
        halves = await self.pool.run(
            lambda: self._token.run(lambda session: destroy_objects(session, cka_id), repeat_after=UNTOUCHED)
        )
        if not halves:
            raise NotFound(f"no key {self.name}:{identifier}", code="no-such-key")
        self._keys.pop(cka_id, None)
        self._token.forget(cka_id)
        return halves

    async def check(self) -> ProviderHealth:
        """Log in if need be, now, and look for a key."""
        with suppress(Refused):  # health tells
            await self.pool.run(lambda: self._token.run(TokenSession.require_keys))
        return self.health()

    def health(self) -> ProviderHealth:
        """What the last use of the token has shown."""
        problem = self._token.problem
        if problem is None:
            return ProviderHealth(name=self.name, available=True)
        reason = f"{problem.reason} ({problem.detail})" if problem.detail else problem.reason
        return ProviderHealth(name=self.name, available=False, reason=reason)

    async def _key(self, identifier: str) -> TokenRSAPrivateKey | TokenEllipticCurvePrivateKey:
        cka_id = self._parse(identifier)
        key = self._keys.get(cka_id)
        if key is None:

            def read(session: TokenSession) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
                return objects.public_key_of(session.find_key(ObjectClass.PUBLIC_KEY, cka_id))

            try:
                public_key = await self.pool.run(lambda: self._token.run(read))
            except ValueError as error:
                raise Unavailable("the key is of an unknown type", code="key-unreadable", detail=str(error)) from error
            key = self._keep(cka_id, public_key)
        return key

    def _keep(
        self, cka_id: bytes, public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    ) -> TokenRSAPrivateKey | TokenEllipticCurvePrivateKey:
        token = self._token
        token.expect(cka_id)
        key: TokenRSAPrivateKey | TokenEllipticCurvePrivateKey
        if isinstance(public_key, rsa.RSAPublicKey):
            key = TokenRSAPrivateKey(
                public_key,
                lambda request: token.run(lambda s: s.sign(cka_id, request)),
                lambda request: token.run(lambda s: s.decrypt(cka_id, request)),
            )
        else:
            key = TokenEllipticCurvePrivateKey(public_key, lambda request: token.run(lambda s: s.sign(cka_id, request)))
        return self._keys.setdefault(cka_id, key)

    def _parse(self, identifier: str) -> bytes:
        try:
            cka_id = bytes.fromhex(identifier)
        except ValueError:
            cka_id = b""
        if len(cka_id) != _IDENTIFIER_OCTETS:
            raise NotFound(f"no key {self.name}:{identifier}", code="no-such-key")
        return cka_id


__all__ = ["TokenKeys"]
