"""Finalizing an order: from the CSR to the certificate, once (RFC 8555, 7.4).

1. A ready order whose CSR fits moves to processing. That move is durable and carries the CSR: of two finalizes that
   race, one makes it, the other is shown the order.
2. The core issues. The certificate's record names the order (its requester is ``<account URL> order <order id>``).
3. The order moves to valid and gets the serial.

A crash between 1 and 2, or 2 and 3, leaves an order in processing whose lease ends (:mod:`protocols.acme.leases`).
Recovery first looks for a certificate that names the order and completes it with that one; only if there is none it
issues. So nothing is lost, and nothing is issued twice unless a process stands still for longer than the lease and then
goes on; then both certificates are on record under the order, and an audit event says so.

A refusal of the core ends the order (processing does not go back to ready in RFC 8555); the names and the account key
are checked before step 1, so a client that merely sent the wrong CSR may try again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authority.interfaces import Issuance
from cspd.authority.values import EnrollmentRequest, Issued, Pending, Requester
from cspd.clock import Clock
from cspd.refusals import Refused, Unavailable
from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.authentication import SignedByAccount
from protocols.acme.background import Background
from protocols.acme.csr import RequestedCertificate, public_key_sha256, read_csr
from protocols.acme.directories import Directories, Directory
from protocols.acme.errors import ACMEError, ErrorType, Problem, from_refusal
from protocols.acme.jwk import decode_jwk
from protocols.acme.leases import LEASE, KeptLease
from protocols.acme.messages import Finalize
from protocols.acme.objects import Order
from protocols.acme.orders import Orders
from protocols.acme.states import OrderStatus

ANSWER_WITHIN = timedelta(seconds=20)
"""How long the client waits; then it is told that the order is processing, and polls."""


class Finalization:
    """Finalizes orders, and recovers those whose finalization broke off."""

    _log = Logger()

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        reactor: IReactorTime,
        background: Background,
        orders: Orders,
        issuance: Issuance,
        audit: AuditLog,
        owner: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._reactor = reactor
        self._background = background
        self._orders = orders
        self._issuance = issuance
        self._audit = audit
        self._owner = owner

    async def finalize(
        self, directory: Directory, signed: SignedByAccount, id: str, message: Finalize, requester: Requester
    ) -> Order:
        """The order after issuance: valid, or still processing when that takes long.

        The same CSR sent again gives the order as it is. Raises orderNotReady, badCSR, and what the core refuses.
        """
        order = await self._orders.get(directory, signed, id)
        if _was_finalized_with(order, message.csr_der):
            return order
        _require_ready(order)
        requested = read_csr(message.csr_der, order.identifiers)
        if public_key_sha256(decode_jwk(dict(signed.account.key)).public_key_der) == requested.public_key_sha256:
            raise ACMEError(ErrorType.BAD_CSR, "the certificate's key must not be the account's (RFC 8555, 11.1)")
        now = self._clock.now()
        if not await self._database.write(
            lambda connection: repository.begin_processing(
                connection, id, message.csr_der, owner=self._owner, lease_until=now + LEASE, now=now
            )
        ):
            order = await self._orders.get(directory, signed, id)
            if _was_finalized_with(order, message.csr_der):
                return order
            raise _not_ready(order)
        issuing = self._background.shield(
            self._issue(directory, order, requested, replace(requester, identity=requester_identity(directory, order))),
            f"issuance for order {id}",
        )
        try:
            await issuing.addTimeout(ANSWER_WITHIN.total_seconds(), self._reactor)
        except DeferredTimeout:
            self._log.warn("issuance for order {id} takes long", id=id)
        return await self._orders.get(directory, signed, id)

    async def recover(self, directories: Directories) -> None:
        """Pursue orders in processing that nobody pursues any more."""
        now = self._clock.now()
        for order in await self._database.read(lambda connection: repository.abandoned_orders(connection, now)):
            try:
                await self._recover(directories, order)
            except (ACMEError, Refused) as error:
                self._log.warn("order {id} was not issued: {reason}", id=order.id, reason=str(error))

    async def _recover(self, directories: Directories, order: Order) -> None:
        now = self._clock.now()
        if not await self._database.write(
            lambda connection: repository.lease_processing_order(
                connection, order.id, owner=self._owner, lease_until=now + LEASE, now=now
            )
        ):
            return
        try:
            directory = await directories.with_key(order.directory)
            requested = read_csr(order.csr_der or b"", order.identifiers)
        except (ACMEError, Refused) as error:
            await self._fail(order, error.problem if isinstance(error, ACMEError) else from_refusal(error).problem)
            raise
        found = await self._database.read(
            lambda connection: repository.find_certificate_of_order(
                connection, directory.authority.id, requested.public_key_sha256, order.id
            )
        )
        if found is not None:
            serial, not_after = found
            self._log.info("order {id} completed with the certificate it already has", id=order.id)
            await self._database.write(
                lambda connection: repository.complete_order(connection, order.id, serial=serial, expires_at=not_after)
            )
            return
        requester = Requester(
            protocol="acme", identity=requester_identity(directory, order), request_id=f"recovery-{order.id}"
        )
        await self._issue(directory, order, requested, requester)

    async def _issue(
        self, directory: Directory, order: Order, requested: RequestedCertificate, requester: Requester
    ) -> None:
        request = EnrollmentRequest(
            ca=directory.ca,
            profile=directory.profile,
            requester=requester,
            csr_der=requested.csr_der,
            subject=requested.subject,
            subject_alt_names=requested.subject_alt_names,
            not_before=order.not_before,
            not_after=order.not_after,
        )
        try:
            async with KeptLease(self._reactor, lambda: self._renew_lease(order)):
                outcome = await self._issuance.enroll(request)
        except Unavailable as unavailable:
            await self._postpone(order, unavailable)
            return
        except Refused as refusal:
            error = from_refusal(refusal)
            await self._fail(order, error.problem)
            raise error from refusal
        except Exception:
            # What is unknown may have happened after the signature: the order ends, and nobody tries again.
            await self._fail(order, Problem(type=ErrorType.SERVER_INTERNAL, detail="internal error"))
            raise
        if isinstance(outcome, Pending):
            error = ACMEError(ErrorType.UNAUTHORIZED, "certificates of this profile need an approval; ACME has none")
            await self._fail(order, error.problem)
            raise error
        await self._complete(order, outcome)

    async def _renew_lease(self, order: Order) -> None:
        until = self._clock.now() + LEASE
        await self._database.write(
            lambda connection: repository.renew_order_lease(connection, order.id, owner=self._owner, lease_until=until)
        )

    async def _complete(self, order: Order, issued: Issued) -> None:
        if await self._database.write(
            lambda connection: repository.complete_order(
                connection, order.id, serial=issued.serial, expires_at=issued.not_after
            )
        ):
            return
        self._log.critical(
            "order {id} ended before its certificate {serial:x} came; revoke it if nobody has it",
            id=order.id,
            serial=issued.serial,
        )
        await self._audit.record(
            AuditEvent(
                event="acme-certificate-without-order",
                actor="acme:server",
                outcome=Outcome.FAILED,
                fields={"order": order.id, "serial": f"{issued.serial:x}"},
            )
        )

    async def _postpone(self, order: Order, unavailable: Unavailable) -> None:
        """Leave the order in processing until the core may be back; one that has expired ends."""
        now = self._clock.now()
        if order.expires_at <= now:
            await self._fail(order, from_refusal(unavailable).problem)
            return
        self._log.warn("issuance for order {id} waits: {reason}", id=order.id, reason=unavailable.reason)
        await self._database.write(
            lambda connection: repository.postpone_order(
                connection, order.id, owner=self._owner, until=now + unavailable.retry_after
            )
        )

    async def _fail(self, order: Order, problem: Problem) -> None:
        await self._database.write(
            lambda connection: repository.fail_order(connection, order.id, OrderStatus.PROCESSING, problem.to_json())
        )


def requester_identity(directory: Directory, order: Order) -> str:
    """How a certificate's record names the account and the order; recovery finds it by that."""
    return f"{directory.urls.account(order.account_id)} order {order.id}"


def _was_finalized_with(order: Order, csr_der: bytes) -> bool:
    return order.status in (OrderStatus.PROCESSING, OrderStatus.VALID) and order.csr_der == csr_der


def _require_ready(order: Order) -> None:
    if order.status is not OrderStatus.READY:
        raise _not_ready(order)


def _not_ready(order: Order) -> ACMEError:
    return ACMEError(ErrorType.ORDER_NOT_READY, f"the order is {order.status.value}, not ready")
