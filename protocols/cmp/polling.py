"""Answers pollReq (RFC 9483, 4.4): when to ask again, or what the client waits for.

A message that asked for several certificates is answered when all of them are decided.
"""

from __future__ import annotations

from dataclasses import replace

from cspd.authority.approvals import Approvals
from cspd.authority.interfaces import Authorities
from cspd.authority.values import Issued, Pending
from cspd.clock import Clock
from cspd.refusals import Refused, Unavailable
from cspd.store.interfaces import Database
from protocols.cmp import transaction_rows as rows
from protocols.cmp.certificate_answers import CertificateAnswers, Outcome
from protocols.cmp.certification import approval_terms
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.messages import BodyType, PKIBody, PollRep, PollRepContent, PollReqContent
from protocols.cmp.status import PKIFailureInfo
from protocols.cmp.transactions import CertifiedRequest, Transaction, TransactionState, refusal_of
from protocols.cmp.turns import Answer, Turn


class Polling:
    """Answers pollReq."""

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        authorities: Authorities,
        approvals: Approvals,
        answers: CertificateAnswers,
    ) -> None:
        self._clock = clock
        self._database = database
        self._authorities = authorities
        self._approvals = approvals
        self._answers = answers

    async def poll(self, turn: Turn, transaction: Transaction) -> Answer:
        """What has become of the requests that wait."""
        content = turn.message.body.content
        assert isinstance(content, PollReqContent)
        if transaction.state is not TransactionState.WAITING:
            if transaction.request_digest == turn.digest:  # the same question again, whose answer was lost
                return await self._certificates(turn, transaction)
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "nothing is waiting here")
        waiting = {each.cert_req_id for each in transaction.requests if each.waits}
        if not set(content.cert_req_ids) <= waiting:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "pollReq names a request that does not wait")
        outcomes = [await self._outcome(each, turn) for each in transaction.requests]
        requests = tuple([each.kept for each in outcomes if each.kept is not None])
        following = replace(
            self._decided(transaction, requests, turn),
            sender_nonce=turn.sender_nonce,
            request_digest=turn.digest,
        )
        if not await self._database.write(lambda connection: rows.move(connection, transaction, following)):
            raise PKIMessageRejected(PKIFailureInfo.BAD_RECIPIENT_NONCE, "another message has gone on meanwhile")
        if following.state is not TransactionState.WAITING:
            return await self._answers.answer(turn, transaction.body_type, outcomes, following)
        check_after = max(1, round(turn.terms.check_after.total_seconds()))
        replies = tuple(PollRep(each.cert_req_id, check_after) for each in requests if each.waits)
        return Answer(body=PKIBody(BodyType.POLL_REP, PollRepContent(replies)))

    async def _outcome(self, request: CertifiedRequest, turn: Turn) -> Outcome:
        if not request.waits:
            return Outcome(cert_req_id=request.cert_req_id, kept=request)
        assert request.request_id is not None
        try:
            outcome = await self._approvals.outcome(request.request_id, approval_terms(turn.terms))
        except Unavailable:
            raise
        except Refused as refusal:
            denied = replace(request, refusal=refusal_of(refusal))
            return Outcome(cert_req_id=request.cert_req_id, kept=denied)
        if isinstance(outcome, Pending):
            return Outcome(cert_req_id=request.cert_req_id, kept=request)
        assert isinstance(outcome, Issued)
        authority = await self._authorities.get(turn.terms.ca)
        issued = replace(request, authority_id=authority.id, serial=outcome.serial)
        return Outcome(cert_req_id=request.cert_req_id, kept=issued, issued=outcome)

    def _decided(self, transaction: Transaction, requests: tuple[CertifiedRequest, ...], turn: Turn) -> Transaction:
        """The transaction with what has become of its requests."""
        if any(each.waits for each in requests):  # what is issued meanwhile is found again by its approval
            return transaction
        now = self._clock.now()
        if not any(each.serial is not None for each in requests):
            state = TransactionState.ENDED
        else:
            state = TransactionState.CONFIRMED if transaction.implicit_confirm else TransactionState.ISSUED
        return replace(
            transaction,
            state=state,
            requests=requests,
            confirm_until=now + turn.terms.confirm_wait if state is TransactionState.ISSUED else None,
            expires_at=max(transaction.expires_at, now + turn.terms.confirm_wait),
        )

    async def _certificates(self, turn: Turn, transaction: Transaction) -> Answer:
        outcomes = [Outcome(cert_req_id=each.cert_req_id, kept=each) for each in transaction.requests]
        return await self._answers.answer(turn, transaction.body_type, outcomes, transaction)
