"""Authorizations (RFC 8555, 7.5) and their challenges, as clients see them."""

from __future__ import annotations

from sqlalchemy import Connection

from cspd.clock import Clock
from cspd.refusals import NotFound
from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.authentication import SignedByAccount
from protocols.acme.directories import Directory
from protocols.acme.errors import ACMEError, ErrorType, Problem
from protocols.acme.json_text import malformed
from protocols.acme.objects import Authorization, Challenge
from protocols.acme.states import AuthorizationStatus, ChallengeStatus, sources
from protocols.acme.validation import Validation

_DEACTIVATED = Problem(type=ErrorType.UNAUTHORIZED, detail="an authorization of the order was deactivated").to_json()


class Authorizations:
    """Finds and deactivates authorizations, and begins challenges."""

    def __init__(self, *, database: Database, clock: Clock, validation: Validation) -> None:
        self._database = database
        self._clock = clock
        self._validation = validation

    async def get(self, directory: Directory, signed: SignedByAccount, id: str) -> Authorization:
        """The account's authorization as it stands now; raises NotFound, and unauthorized for another account's."""
        found = await self._database.read(
            lambda connection: repository.find_authorization(connection, directory.key, id)
        )
        if found is None:
            raise NotFound("no such authorization")
        _require_owner(found, signed)
        return found.at(self._clock.now())

    async def deactivate(self, directory: Directory, signed: SignedByAccount, id: str) -> Authorization:
        """Give up an authorization (RFC 8555, 7.5.2); raises as :meth:`get`, and malformed when it has ended."""
        authorization = await self.get(directory, signed, id)
        if authorization.status is AuthorizationStatus.DEACTIVATED:
            return authorization
        if authorization.status not in sources(AuthorizationStatus.DEACTIVATED):
            raise malformed(f"the authorization is {authorization.status.value}")
        await self._database.write(
            lambda connection: repository.deactivate_authorization(connection, authorization, _DEACTIVATED)
        )
        return await self.get(directory, signed, id)

    async def get_challenge(
        self, directory: Directory, signed: SignedByAccount, id: str
    ) -> tuple[Authorization, Challenge]:
        """The challenge and its authorization; raises NotFound, and unauthorized for another account's."""
        found = await self._database.read(lambda connection: repository.find_challenge(connection, directory.key, id))
        if found is None:
            raise NotFound("no such challenge")
        authorization, challenge = found
        _require_owner(authorization, signed)
        return authorization.at(self._clock.now()), challenge

    async def begin_challenge(
        self, directory: Directory, signed: SignedByAccount, id: str
    ) -> tuple[Authorization, Challenge]:
        """The client is ready: validation begins (RFC 8555, 7.5.1). Asked again, the challenge is as it is.

        Raises as :meth:`get_challenge`, and malformed for an authorization that has ended.
        """
        authorization, challenge = await self.get_challenge(directory, signed, id)
        if challenge.status is not ChallengeStatus.PENDING or authorization.status is AuthorizationStatus.VALID:
            return authorization, challenge
        if authorization.status is not AuthorizationStatus.PENDING:
            raise malformed(f"the authorization is {authorization.status.value}")

        def begin(connection: Connection) -> bool:
            return repository.begin_challenge(connection, id)

        if await self._database.write(begin):
            self._validation.begin(directory.key, id)
        return await self.get_challenge(directory, signed, id)

    async def delete_expired(self) -> None:
        """Delete what has ended (R-CEG-115)."""
        now = self._clock.now()
        await self._database.write(lambda connection: repository.delete_expired_authorizations(connection, now))


def _require_owner(authorization: Authorization, signed: SignedByAccount) -> None:
    if authorization.account_id != signed.account.id:
        raise ACMEError(ErrorType.UNAUTHORIZED, "the authorization belongs to another account")
