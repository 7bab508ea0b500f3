"""Revokes certificates that were renewed, as superseded, once their successors are durable (R-CEG-067)."""

from __future__ import annotations

from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.authority.interfaces import Authorities, Revocation
from cspd.authority.values import Requester, RevocationReason, RevocationRequest
from cspd.clock import Clock
from cspd.refusals import AlreadyRevoked, NotFound, Refused
from cspd.store.interfaces import Database
from protocols.scep import transaction_rows as rows
from protocols.scep.transactions import Transaction


class Replacement:
    """Revokes, now or by a job."""

    _log = Logger()

    def __init__(self, *, clock: Clock, database: Database, authorities: Authorities, revocation: Revocation) -> None:
        self._clock = clock
        self._database = database
        self._authorities = authorities
        self._revocation = revocation

    async def finish(self, transaction: Transaction) -> None:
        """Revoke what the certificate of a transaction replaces, if anything.

        The successor is the client's already: what does not work now is left to the job, and is no error of its.
        """
        if transaction.replaced is None:
            return
        authority_id, serial = transaction.replaced
        try:
            await self._revoke(authority_id, serial)
            await self._database.write(lambda connection: rows.forget_replaced(connection, transaction))
        except Refused as refusal:
            self._log.error(
                "the replaced certificate {serial} is not revoked: {reason}",
                serial=f"{serial:x}",
                reason=refusal.reason,
            )

    async def run(self) -> None:
        """What was left to do, and the transactions whose time is over: for a job."""
        now = self._clock.now()
        for transaction in await self._database.read(rows.with_replaced):
            await self.finish(transaction)

        def delete(connection: Connection) -> None:
            rows.delete_expired(connection, now)

        await self._database.write(delete)

    async def _revoke(self, authority_id: str, serial: int) -> None:
        try:
            authority = await self._authorities.by_id(authority_id)
            await self._revocation.revoke(
                RevocationRequest(
                    ca=authority.reference,
                    serial=serial,
                    reason=RevocationReason.SUPERSEDED,
                    requester=Requester(protocol="scep", identity="renewal"),
                )
            )
        except AlreadyRevoked:
            return
        except NotFound as refusal:  # the CA is deleted, and so is what it issued
            self._log.warn("certificate {serial} is not revoked: {reason}", serial=f"{serial:x}", reason=refusal.reason)
