"""Validation in the background: each challenge by one node at a time, resumed when that node dies.

A challenge in processing has a lease while somebody validates it (:mod:`protocols.acme.leases`). A job looks for
processing challenges without a living lease, so a restart (or a crash) costs a client seconds, not its order.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection
from twisted.internet.defer import CancelledError, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from cspd.clock import Clock
from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.background import Background
from protocols.acme.challenges.values import ChallengeType, Target, ValidationFailed
from protocols.acme.errors import ErrorType, Problem
from protocols.acme.identifiers import DNS
from protocols.acme.leases import LEASE, KeptLease
from protocols.acme.messages import Identifier
from protocols.acme.objects import Account, Authorization, Challenge

WAITING = 10
"""Challenges that may wait for each that is validated; more stay in the store until the job looks there again."""


class Validation:
    """Validates challenges."""

    _log = Logger()

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        reactor: IReactorTime,
        background: Background,
        challenge_types: Collection[ChallengeType],
        owner: str,
        lifetime: timedelta,
        max_concurrent: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._reactor = reactor
        self._background = background
        self._types = {challenge_type.name: challenge_type for challenge_type in challenge_types}
        self._owner = owner
        self._lifetime = lifetime
        self._places = DeferredSemaphore(max_concurrent)
        self._most = (1 + WAITING) * max_concurrent
        self._running: set[str] = set()

    def begin(self, directory: str, challenge_id: str) -> None:
        """Validate a challenge that is in processing; returns at once.

        When too many wait already, nothing happens now: without a lease the challenge is one that :meth:`resume` finds.
        """
        if challenge_id not in self._running and len(self._running) < self._most:
            self._running.add(challenge_id)
            self._background.start(self._run(directory, challenge_id), f"validation of challenge {challenge_id}")

    async def resume(self) -> None:
        """Begin what nobody validates any more."""
        now = self._clock.now()
        for directory, challenge_id in await self._database.read(
            lambda connection: repository.abandoned_challenges(connection, now)
        ):
            self.begin(directory, challenge_id)

    async def _run(self, directory: str, challenge_id: str) -> None:
        try:
            await self._places.acquire()
            try:
                if await self._take_lease(challenge_id):
                    await self._validate(directory, challenge_id)
            finally:
                self._places.release()
        finally:
            self._running.discard(challenge_id)

    async def _validate(self, directory: str, challenge_id: str) -> None:
        found = await self._database.read(lambda connection: _find(connection, directory, challenge_id))
        if found is None:
            return  # deleted meanwhile
        account, authorization, challenge = found
        try:
            async with KeptLease(self._reactor, lambda: self._take_lease(challenge_id)):
                problem = await self._outcome(account, authorization, challenge)
        except CancelledError:  # the process stops: another one may go on at once
            await self._database.write(
                lambda connection: repository.release_challenge(connection, challenge_id, self._owner)
            )
            raise
        await self._record(authorization, challenge, problem)

    async def _outcome(self, account: Account, authorization: Authorization, challenge: Challenge) -> Problem | None:
        name = authorization.identifier.value
        identifier = Identifier(DNS, f"*.{name}" if authorization.is_wildcard else name)
        target = Target(name=name, token=challenge.token, key_authorization=f"{challenge.token}.{account.thumbprint}")
        try:
            await self._types[challenge.type].validate(target)
        except ValidationFailed as failed:
            self._log.info(
                "{challenge} for {identifier} failed: {reason}",
                challenge=challenge.type,
                identifier=identifier.value,
                reason=failed.detail,
            )
            return Problem(type=failed.type, detail=failed.detail, identifier=identifier)
        except CancelledError:
            raise
        except Exception:
            self._log.failure("validation of challenge {id}", id=challenge.id)
            return Problem(type=ErrorType.SERVER_INTERNAL, detail="internal error", identifier=identifier)
        self._log.info("{challenge} for {identifier} passed", challenge=challenge.type, identifier=identifier.value)
        return None

    async def _record(self, authorization: Authorization, challenge: Challenge, problem: Problem | None) -> None:
        now = self._clock.now()
        if problem is None:
            await self._database.write(
                lambda connection: repository.challenge_succeeded(
                    connection, authorization, challenge.id, now=now, expires_at=now + self._lifetime
                )
            )
            return
        order_problem = Problem(
            type=problem.type, detail="an authorization of the order failed", subproblems=(problem,)
        )
        await self._database.write(
            lambda connection: repository.challenge_failed(
                connection,
                authorization,
                challenge.id,
                now=now,
                error=problem.to_json(),
                order_error=order_problem.to_json(),
            )
        )

    async def _take_lease(self, challenge_id: str) -> bool:
        now = self._clock.now()
        return await self._database.write(
            lambda connection: repository.lease_challenge(
                connection, challenge_id, owner=self._owner, lease_until=now + LEASE, now=now
            )
        )


def _find(connection: Connection, directory: str, challenge_id: str) -> tuple[Account, Authorization, Challenge] | None:
    found = repository.find_challenge(connection, directory, challenge_id)
    if found is None:
        return None
    authorization, challenge = found
    account = repository.find_account(connection, directory, authorization.account_id)
    return None if account is None else (account, authorization, challenge)
