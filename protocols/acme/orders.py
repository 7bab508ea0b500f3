"""Orders (RFC 8555, 7.4): names in, authorizations out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from cspd.clock import Clock
from cspd.refusals import NotFound
from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.authentication import SignedByAccount
from protocols.acme.challenges.values import ChallengeType
from protocols.acme.directories import Directory
from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.identifiers import IdentifierPolicy, normalize_identifiers, split_wildcard
from protocols.acme.json_text import malformed
from protocols.acme.messages import Identifier, NewOrder
from protocols.acme.objects import Authorization, Challenge, Order
from protocols.acme.states import AuthorizationStatus, ChallengeStatus, OrderStatus
from protocols.acme.tokens import Tokens


class Orders:
    """Makes and finds orders."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tokens: Tokens,
        policy: IdentifierPolicy,
        challenge_types: Collection[ChallengeType],
        expiry: timedelta,
        takes_validity: bool,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._policy = policy
        self._challenge_types = challenge_types
        self._expiry = expiry
        self._takes_validity = takes_validity

    async def create(self, directory: Directory, signed: SignedByAccount, message: NewOrder) -> Order:
        """Store an order with an authorization for each identifier.

        Raises malformed, rejectedIdentifier or unsupportedIdentifier, with a subproblem for each bad identifier.
        """
        identifiers = normalize_identifiers(message.identifiers, self._policy)
        self._check_validity(message)
        now = self._clock.now()
        order_id = self._tokens.object_id()
        authorizations = [self._authorization(directory, signed, order_id, identifier) for identifier in identifiers]
        order = Order(
            id=order_id,
            directory=directory.key,
            account_id=signed.account.id,
            status=OrderStatus.PENDING,
            identifiers=identifiers,
            authorization_ids=tuple(authorization.id for authorization in authorizations),
            not_before=message.not_before,
            not_after=message.not_after,
            expires_at=now + self._expiry,
            created_at=now,
        )
        await self._database.write(lambda connection: repository.insert_order(connection, order, authorizations))
        return order

    async def get(self, directory: Directory, signed: SignedByAccount, id: str) -> Order:
        """The account's order as it stands now; raises NotFound, and unauthorized for another account's."""
        order = await self._database.read(lambda connection: repository.find_order(connection, directory.key, id))
        if order is None:
            raise NotFound("no such order")
        if order.account_id != signed.account.id:
            raise ACMEError(ErrorType.UNAUTHORIZED, "the order belongs to another account")
        return order.at(self._clock.now())

    async def delete_expired(self) -> None:
        """Delete what has ended (R-CEG-116)."""
        now = self._clock.now()
        await self._database.write(lambda connection: repository.delete_expired_orders(connection, now))

    def _check_validity(self, message: NewOrder) -> None:
        if message.not_before is None and message.not_after is None:
            return
        if not self._takes_validity:
            raise malformed("notBefore and notAfter cannot be chosen here")
        if message.not_after is not None and message.not_after <= (message.not_before or self._clock.now()):
            raise malformed("notAfter lies before the certificate would begin")

    def _authorization(
        self, directory: Directory, signed: SignedByAccount, order_id: str, identifier: Identifier
    ) -> Authorization:
        name, is_wildcard = split_wildcard(identifier.value)
        id = self._tokens.object_id()
        return Authorization(
            id=id,
            directory=directory.key,
            account_id=signed.account.id,
            order_id=order_id,
            identifier=Identifier(identifier.type, name),
            is_wildcard=is_wildcard,
            status=AuthorizationStatus.PENDING,
            expires_at=self._clock.now() + self._expiry,
            challenges=tuple(
                Challenge(
                    id=self._tokens.object_id(),
                    authorization_id=id,
                    type=challenge_type.name,
                    token=self._tokens.challenge_token(),
                    status=ChallengeStatus.PENDING,
                )
                for challenge_type in self._challenge_types
                if challenge_type.proves_wildcards or not is_wildcard
            ),
        )
