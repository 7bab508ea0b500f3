"""Opens the JWS of a request: who signed it, and that it was meant for this URL, once (RFC 8555, 6.2 to 6.5)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.directories import Directory
from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.json_text import malformed
from protocols.acme.jwk import JWK, decode_jwk
from protocols.acme.jws import JWS, decode_jws, verify_jws
from protocols.acme.nonces import Nonces
from protocols.acme.objects import Account
from protocols.acme.states import AccountStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedByAccount:
    """A verified request of an account (``kid``)."""

    account: Account
    jws: JWS

    @property
    def payload(self) -> bytes:
        """The verified payload; empty in a POST-as-GET."""
        return self.jws.payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedByKey:
    """A verified request of a bare key (``jwk``)."""

    jwk: JWK
    jws: JWS

    @property
    def payload(self) -> bytes:
        """The verified payload."""
        return self.jws.payload


class Authentication:
    """Verifies requests. A nonce is used up only by a request whose signature verifies."""

    def __init__(self, *, database: Database, nonces: Nonces, algorithms: Collection[str]) -> None:
        self._database = database
        self._nonces = nonces
        self._algorithms = algorithms

    async def by_account(self, directory: Directory, url: str, body: bytes) -> SignedByAccount:
        """A request that only an account can make.

        Raises malformed, badSignatureAlgorithm, accountDoesNotExist, unauthorized (deactivated), badNonce.
        """
        signed = await self.by_either(directory, url, body)
        if isinstance(signed, SignedByKey):
            raise malformed("this request is signed by an account: the protected header has kid, not jwk")
        return signed

    async def by_key(self, directory: Directory, url: str, body: bytes) -> SignedByKey:
        """A request that carries its key: newAccount.

        Raises malformed, badSignatureAlgorithm, badPublicKey, badNonce.
        """
        signed = await self.by_either(directory, url, body)
        if isinstance(signed, SignedByAccount):
            raise malformed("this request carries its key: the protected header has jwk, not kid")
        return signed

    async def by_either(self, directory: Directory, url: str, body: bytes) -> SignedByAccount | SignedByKey:
        """A request that an account or a bare key can make: revokeCert. Raises as the two above."""
        jws = decode_jws(body, algorithms=self._algorithms)
        if jws.header.url != url:
            raise ACMEError(ErrorType.UNAUTHORIZED, "the url in the protected header is not that of the request")
        if jws.header.jwk is not None:
            verify_jws(jws, jws.header.jwk.key)
            await self._nonces.use(jws.header.nonce)
            return SignedByKey(jwk=jws.header.jwk, jws=jws)
        account = await self._account(directory, jws.header.kid or "")
        verify_jws(jws, decode_jwk(dict(account.key)).key)
        await self._nonces.use(jws.header.nonce)
        if account.status is not AccountStatus.VALID:
            raise ACMEError(ErrorType.UNAUTHORIZED, f"the account is {account.status.value}", status=401)
        return SignedByAccount(account=account, jws=jws)

    def inner(self, outer: JWS) -> JWS:
        """The verified JWS inside a key change (RFC 8555, 7.3.5); raises as :meth:`by_key`."""
        jws = decode_jws(outer.payload, algorithms=self._algorithms, is_inner=True)
        if jws.header.jwk is None:
            raise malformed("the inner JWS carries the new key: its protected header has jwk, not kid")
        if jws.header.url != outer.header.url:
            raise malformed("the url of the inner JWS differs from that of the outer")
        verify_jws(jws, jws.header.jwk.key)
        return jws

    async def _account(self, directory: Directory, kid: str) -> Account:
        id = directory.urls.account_id(kid)
        account = None
        if id is not None:
            account = await self._database.read(
                lambda connection: repository.find_account(connection, directory.key, id)
            )
        if account is None:
            raise ACMEError(ErrorType.ACCOUNT_DOES_NOT_EXIST, "kid is not the URL of an account of this directory")
        return account
