"""Issues what a PKCSReq, RenewalReq or UpdateReq asks for (RFC 8894, 3.3.1).

::

    the transaction      the same request again gets the same certificate
    Signers              who signed, and whether that is enough for this message
    Authorizer           whether there may be a certificate: password, Intune, MDM
    Issuance, Approvals  the certificate, or the request that waits, becomes durable with its transaction

So whatever dies in between, and whichever of two nodes the request is sent to, it gets one certificate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection

from cspd.authority.approvals import Approvals
from cspd.authority.interfaces import Issuance
from cspd.authority.uncancelled import Uncancelled
from cspd.authority.values import CertificateRecord, EnrollmentRequest, Issued, Pending
from cspd.clock import Clock
from cspd.refusals import Conflict, NotFound, Refused
from cspd.store.interfaces import Database
from protocols.scep import transaction_rows as rows
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.exchanges import Exchange
from protocols.scep.interfaces import Authorization, RequestForCertificate
from protocols.scep.messages import FailInfo, PKCS10Request
from protocols.scep.replacement import Replacement
from protocols.scep.signers import Signers, may_be_replaced
from protocols.scep.transaction_outcomes import TransactionOutcomes, approval_terms
from protocols.scep.transactions import Transaction, asked_for, client_of, digest_of_request

_MARGIN = timedelta(minutes=5)
"""A transaction ends that much before the approval that it waits for, which knows what was issued meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Granted:
    """A request that may become a certificate."""

    request: RequestForCertificate
    authorization: Authorization
    enrollment: EnrollmentRequest
    transaction: Transaction
    over: tuple[str, int] | None
    """CA and serial number of the signer's certificate, whose transaction is over."""


class Enrollment:
    """Answers requests for certificates."""

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        issuance: Issuance,
        approvals: Approvals,
        signers: Signers,
        outcomes: TransactionOutcomes,
        replacement: Replacement,
        transaction_lifetime: timedelta,
    ) -> None:
        """``transaction_lifetime`` is how long a request that comes again gets the same certificate."""
        self._clock = clock
        self._database = database
        self._issuance = issuance
        self._approvals = approvals
        self._signers = signers
        self._outcomes = outcomes
        self._replacement = replacement
        self._transaction_lifetime = transaction_lifetime
        self._uncancelled = Uncancelled()

    async def drain(self) -> None:
        """Wait until nothing is being issued; for the end of the process."""
        await self._uncancelled.drain()

    async def certify(self, exchange: Exchange) -> Issued | Pending:
        """The certificate, or that it waits; raises PKIMessageRefused and Refused."""
        assert isinstance(exchange.data, PKCS10Request)
        digest = digest_of_request(exchange.data, exchange.signer, exchange.terms)
        known = await self._find(exchange)
        if known is not None and known.request_digest == digest:
            return await self._outcomes.of(known, exchange.terms)
        try:
            return await self._uncancelled.run(self._begin(exchange, exchange.data, digest, known))
        except (Refused, PKIMessageRefused):
            # The client may have sent it to two of us at one time, and the other has used the password up, say.
            known = await self._find(exchange)
            if known is None or known.request_digest != digest:
                raise
            return await self._outcomes.of(known, exchange.terms)

    async def _find(self, exchange: Exchange) -> Transaction | None:
        endpoint, transaction_id, now = exchange.address.endpoint, exchange.message.transaction_id, self._clock.now()
        return await self._database.read(lambda connection: rows.find(connection, endpoint, transaction_id, now))

    async def _begin(
        self, exchange: Exchange, data: PKCS10Request, digest: str, known: Transaction | None
    ) -> Issued | Pending:
        terms, message_type = exchange.terms, exchange.message.message_type
        record = await self._signers.check(message_type, exchange.signer, data.csr, terms)
        over = None if record is None else (record.authority_id, record.serial)
        if known is not None and (over is None or (known.authority_id, known.serial) != over):
            raise PKIMessageRefused(FailInfo.BAD_REQUEST, "the transactionID belongs to another request")
        if terms.approval and not isinstance(exchange.signer.public_key(), rsa.RSAPublicKey):
            raise PKIMessageRefused(FailInfo.BAD_ALG, "a request that waits for approval is signed with a key of RSA")
        request = self._request(exchange, data, record)
        authorization = await exchange.place.authorizer.authorize(request)
        granted = _Granted(
            request=request,
            authorization=authorization,
            enrollment=_enrollment(exchange, data, authorization),
            transaction=self._transaction(exchange, data, digest, request.replaces),
            over=over,
        )
        return await self._grant(exchange, granted)

    def _request(
        self, exchange: Exchange, data: PKCS10Request, record: CertificateRecord | None
    ) -> RequestForCertificate:
        is_renewal = record is not None and may_be_replaced(record, data.csr, exchange.terms)
        return RequestForCertificate(
            message_type=exchange.message.message_type,
            transaction_id=exchange.message.transaction_id,
            csr_der=data.csr_der,
            csr=data.csr,
            challenge_password=data.csr.challenge_password,
            signer=exchange.signer,
            replaces=record if is_renewal else None,
            terms=exchange.terms,
            address=exchange.address.peer,
            request_id=exchange.address.request_id,
        )

    def _transaction(
        self, exchange: Exchange, data: PKCS10Request, digest: str, replaces: CertificateRecord | None
    ) -> Transaction:
        now, terms = self._clock.now(), exchange.terms
        lifetime = self._transaction_lifetime
        if terms.approval:
            lifetime = terms.approval_lifetime - min(_MARGIN, terms.approval_lifetime / 10)
        is_replaced = replaces is not None and terms.revoke_replaced
        return Transaction(
            endpoint=exchange.address.endpoint,
            transaction_id=exchange.message.transaction_id,
            client=client_of(exchange.signer),
            request_digest=digest,
            subject_der=data.csr.subject.public_bytes(),
            replaced=(replaces.authority_id, replaces.serial) if replaces is not None and is_replaced else None,
            created_at=now,
            expires_at=now + lifetime,
        )

    async def _grant(self, exchange: Exchange, granted: _Granted) -> Issued | Pending:
        authorizer, authorization = exchange.place.authorizer, granted.authorization
        try:
            if exchange.terms.approval:
                return await self._wait(exchange, granted)
            issued = await self._issue(granted)
        except Refused as refusal:
            if refusal.refusal_code != rows.TAKEN:
                await authorizer.refused(granted.request, authorization, refusal.reason)
            if isinstance(refusal, NotFound):  # of a profile, where badCertId would speak of a certificate
                raise PKIMessageRefused(FailInfo.BAD_REQUEST, refusal.reason, detail=refusal.detail) from refusal
            raise
        await authorizer.issued(granted.request, authorization, issued)
        await self._replacement.finish(granted.transaction)
        return issued

    async def _issue(self, granted: _Granted) -> Issued:
        def recorded(connection: Connection, authority_id: str, serial: int) -> None:
            # First: whoever has lost a race must hear of that, and not of a password that is used up.
            certified = replace(granted.transaction, authority_id=authority_id, serial=serial)
            rows.add(connection, certified, over=granted.over)
            if granted.authorization.recorded is not None:
                granted.authorization.recorded(connection, authority_id, serial)

        issued = await self._issuance.enroll(granted.enrollment, recorded=recorded)
        assert isinstance(issued, Issued)
        return issued

    async def _wait(self, exchange: Exchange, granted: _Granted) -> Issued | Pending:
        """A person has to approve: the request is kept, and the transaction with it."""
        is_kept = False

        def keep(connection: Connection, request_id: str) -> None:
            nonlocal is_kept
            is_kept = True
            rows.add(connection, replace(granted.transaction, request_id=request_id), over=granted.over)
            if granted.authorization.kept_with is not None:
                granted.authorization.kept_with(connection, request_id)

        outcome = await self._approvals.enroll(
            granted.enrollment,
            approval_terms(exchange.terms),
            kept_with=keep,
            transaction=f"{exchange.address.endpoint} {granted.transaction.request_digest}",
        )
        if not is_kept:
            raise Conflict("the transactionID is in use", code=rows.TAKEN)
        return outcome


def _enrollment(exchange: Exchange, data: PKCS10Request, authorization: Authorization) -> EnrollmentRequest:
    requester = exchange.requester(authorization.protocol, authorization.identity)
    asked = asked_for(data, exchange.terms, requester)
    if authorization.subject is not None:
        asked = replace(asked, subject=authorization.subject)
    if authorization.subject_alt_names is not None:
        asked = replace(asked, subject_alt_names=authorization.subject_alt_names)
    return asked


__all__ = ["Enrollment"]
