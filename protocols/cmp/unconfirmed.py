"""Certificates that are to be revoked: not confirmed, not wanted, or replaced.

Their reason is cessationOfOperation: a certificate that its client does not have never began to operate. What a kur
replaces is superseded.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.authority.approvals import Approvals
from cspd.authority.interfaces import Authorities, Revocation
from cspd.authority.values import Requester, RevocationReason, RevocationRequest
from cspd.clock import Clock
from cspd.refusals import AlreadyRevoked, Conflict, NotFound, Refused, Unavailable
from cspd.store.interfaces import Database
from protocols.cmp import transaction_rows as rows
from protocols.cmp.transactions import CertifiedRequest, Transaction, TransactionState


class Unconfirmed:
    """Revokes, now or by a job."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        authorities: Authorities,
        revocation: Revocation,
        approvals: Approvals,
    ) -> None:
        self._clock = clock
        self._database = database
        self._authorities = authorities
        self._revocation = revocation
        self._approvals = approvals

    async def finish(self, transaction: Transaction) -> None:
        """Revoke what a transaction in REVOKING does not want, and move it on. Raises Unavailable."""
        for request in transaction.issued:
            if not request.accepted:
                await self._revoke(
                    request.authority_id, request.serial, RevocationReason.CESSATION_OF_OPERATION, transaction
                )
        keeps = any(request.accepted for request in transaction.issued)
        following = TransactionState.CONFIRMED if keeps else TransactionState.ENDED
        ended = replace(transaction, state=following, replaced=transaction.replaced if keeps else None)
        await self._database.write(lambda connection: rows.move(connection, transaction, ended))
        if keeps:
            await self.replaced(ended)

    async def replaced(self, transaction: Transaction) -> None:
        """Revoke what a confirmed kur replaces.

        The successor is the client's already: what does not work now is left to the job, and is no error of its.
        """
        if transaction.replaced is None:
            return
        authority_id, serial = transaction.replaced
        try:
            await self._revoke(authority_id, serial, RevocationReason.SUPERSEDED, transaction)
            await self._database.write(lambda connection: rows.forget_replaced(connection, transaction))
        except Refused as refusal:
            self._log.error(
                "the replaced certificate {serial} is not revoked: {reason}",
                serial=f"{serial:x}",
                reason=refusal.reason,
            )

    async def run(self) -> None:
        """What is due: for a job."""
        now = self._clock.now()
        for transaction in await self._database.read(lambda connection: rows.unconfirmed(connection, now)):
            await self._expire(transaction)
        for transaction in await self._database.read(rows.with_replaced):
            await self.replaced(transaction)
        await self._database.write(lambda connection: rows.delete_expired(connection, now))

    async def _expire(self, transaction: Transaction) -> None:
        if transaction.state is TransactionState.WAITING:
            requests = await self.give_up(transaction, Requester(protocol="cmp", identity=transaction.identity))
        else:
            requests = transaction.requests
        if transaction.state is not TransactionState.REVOKING:
            unwanted = tuple(replace(each, accepted=False) for each in requests)
            revoking = replace(transaction, state=TransactionState.REVOKING, requests=unwanted)

            def begin(connection: Connection) -> bool:
                return rows.move(connection, transaction, revoking)

            if not await self._database.write(begin):  # the client was quicker
                return
            self._log.info(
                "the certificates of CMP transaction {id} of {identity} were not confirmed in time",
                id=transaction.transaction_id.hex(),
                identity=transaction.identity,
            )
            transaction = revoking
        await self.finish(transaction)

    async def give_up(self, transaction: Transaction, requester: Requester) -> tuple[CertifiedRequest, ...]:
        """The requests of a transaction whose client waits no more: none is issued from now on."""
        for request in transaction.requests:
            if request.waits and request.request_id is not None:
                try:
                    await self._approvals.deny(request.request_id, requester, "the client has given up")
                except (Conflict, NotFound):  # decided meanwhile, or long over
                    continue
        return tuple([await self._given_up(each) for each in transaction.requests])

    async def _given_up(self, request: CertifiedRequest) -> CertifiedRequest:
        """The request with the certificate that nobody has fetched, if there is one."""
        if not request.waits or request.request_id is None:
            return request
        try:
            kept = await self._approvals.find(request.request_id)
        except NotFound:
            return request
        return replace(request, authority_id=kept.authority_id, serial=kept.serial)

    async def _revoke(
        self, authority_id: str | None, serial: int | None, reason: RevocationReason, transaction: Transaction
    ) -> None:
        assert authority_id is not None
        assert serial is not None
        requester = Requester(protocol="cmp", identity=transaction.identity)
        try:
            authority = await self._authorities.by_id(authority_id)
            await self._revocation.revoke(
                RevocationRequest(ca=authority.reference, serial=serial, reason=reason, requester=requester)
            )
        except AlreadyRevoked:
            return
        except Unavailable:
            raise
        except NotFound as refusal:  # the CA is deleted, and so is what it issued
            self._log.warn("certificate {serial:x} is not revoked: {reason}", serial=serial, reason=refusal.reason)
