"""Issues what an ir, cr, kur or p10cr asks for (RFC 9483, 4.1).

::

    request 1  ->  certificate, row of the transaction, use of the secret: one transaction of the database
    request 2  ->  certificate, its line in the row
    ...            what was refused leaves no trace but its answer

So whatever dies in between, the same message sent again goes on where it stood, and no request gets two certificates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.authentication.secrets import EnrollmentSecret
from cspd.authority.approvals import Approvals, ApprovalTerms, KeptWith
from cspd.authority.interfaces import Issuance, Recorded
from cspd.authority.values import Issued, Pending
from cspd.clock import Clock
from cspd.refusals import Conflict, Forbidden, LimitExceeded, Refused
from cspd.store.interfaces import Database
from cspd.x509.crmf.messages import KeyAgreement, KeyEncipherment
from protocols.cmp import transaction_rows as rows
from protocols.cmp.certificate_answers import CertificateAnswers, Outcome
from protocols.cmp.certificate_requests import AskedFor, CertificateRequests, request_ids
from protocols.cmp.challenges import Challenges, asks_for_challenge, needs_challenge
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.interfaces import Terms
from protocols.cmp.messages import BodyType, CertReqContent
from protocols.cmp.possession import Proof
from protocols.cmp.protection import protection_kind
from protocols.cmp.status import PKIFailureInfo
from protocols.cmp.transactions import CertifiedRequest, Transaction, TransactionState, refusal_of
from protocols.cmp.turns import Answer, Turn
from protocols.cmp.unconfirmed import Unconfirmed

_MARGIN = timedelta(minutes=5)
"""A transaction ends that much before the approval that it waits for, which knows what was issued meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRules:
    """What is for the operator to say."""

    lifetime: timedelta = timedelta(hours=1)
    """How long a transaction that nobody goes on with is kept."""
    limit: int = 10_000
    """Transactions that wait for something; with 0 none is kept, and all certificates count as confirmed."""


class UsesSecrets(Protocol):
    """:class:`cspd.authentication.secrets.EnrollmentSecrets`, as far as it is needed here."""

    def use(self, secret: EnrollmentSecret) -> Recorded:
        """Note the use of a secret with the certificate."""
        ...

    def use_for_request(self, secret: EnrollmentSecret) -> KeptWith:
        """Note the use of a secret with a request that waits."""
        ...


class Certification:
    """Answers requests for certificates."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        issuance: Issuance,
        approvals: Approvals,
        secrets: UsesSecrets,
        requests: CertificateRequests,
        answers: CertificateAnswers,
        challenges: Challenges,
        unconfirmed: Unconfirmed,
        rules: TransactionRules,
    ) -> None:
        self._clock = clock
        self._database = database
        self._issuance = issuance
        self._approvals = approvals
        self._secrets = secrets
        self._requests = requests
        self._answers = answers
        self._challenges = challenges
        self._unconfirmed = unconfirmed
        self._rules = rules

    async def begin(self, turn: Turn, known: Transaction | None) -> Answer:
        """Answer a message; ``known`` is its transaction, if this is not the first time that it comes."""
        _check_sender(turn)
        if needs_challenge(turn):
            return await self._challenges.ask(turn, known)
        ids = request_ids(turn.message.body)
        outcomes = [await self._outcome(turn, cert_req_id, known) for cert_req_id in ids]
        transaction = next((each.transaction for each in outcomes if each.transaction is not None), None)
        if transaction is not None and transaction.state is TransactionState.CONFIRMED:
            await self._unconfirmed.replaced(transaction)
        return await self._answers.answer(turn, turn.message.body.type, outcomes, transaction)

    async def go_on(self, turn: Turn, transaction: Transaction) -> Answer:
        """Answer a popdecr: what was challenged, now that possession is proved."""
        met = await self._challenges.check(turn, transaction)
        is_answered = transaction.state is not TransactionState.CHALLENGED
        return await self.begin(met, transaction if is_answered else None)

    async def _outcome(self, turn: Turn, cert_req_id: int, known: Transaction | None) -> Outcome:
        kept = None if known is None else known.request(cert_req_id)
        if kept is not None:
            return Outcome(cert_req_id=cert_req_id, kept=kept, transaction=known)
        try:
            return await self._certify(turn, cert_req_id)
        except (Refused, PKIMessageRejected) as refusal:
            if isinstance(refusal, Conflict) and refusal.refusal_code == rows.MOVED:
                return await self._answered_meanwhile(turn, cert_req_id)
            self._log.warn(
                "a certificate of CMP message {request_id} was refused: {reason}",
                event="cmp-refused",
                request_id=turn.requester.request_id,
                reason=str(refusal),
                code=refusal_of(refusal)[0].name,
            )
            return Outcome(cert_req_id=cert_req_id, refusal=refusal)

    async def _answered_meanwhile(self, turn: Turn, cert_req_id: int) -> Outcome:
        """The client has sent the message to two of us at one time."""
        found = await self._database.read(lambda connection: rows.find(connection, turn.endpoint, turn.transaction_id))
        is_same = found is not None and (found.request_digest, found.client) == (turn.digest, turn.client)
        kept = found.request(cert_req_id) if found is not None and is_same else None
        if kept is None:
            raise PKIMessageRejected(PKIFailureInfo.TRANSACTION_ID_IN_USE, "the transactionID is in use")
        return Outcome(cert_req_id=cert_req_id, kept=kept, transaction=found)

    async def _certify(self, turn: Turn, cert_req_id: int) -> Outcome:
        asked = await self._requests.read(turn, cert_req_id)
        begun = await self._transaction(turn, asked)
        request = CertifiedRequest(
            cert_req_id=cert_req_id,
            is_encrypted=asked.proof is Proof.BY_CERTIFICATE,
            private_key_der=asked.private_key_der,
        )
        if turn.terms.approval:
            return await self._wait(turn, asked, begun, request)
        issued = await self._issuance.enroll(asked.request, recorded=self._recorded(turn, begun, request))
        assert isinstance(issued, Issued)
        return Outcome(
            cert_req_id=cert_req_id,
            kept=request,
            issued=issued,
            transaction=begun,
        )

    async def _wait(self, turn: Turn, asked: AskedFor, begun: Transaction, request: CertifiedRequest) -> Outcome:
        """A person has to approve: the request is kept, and the transaction with it."""
        if self._rules.limit == 0:
            raise Forbidden("a request that waits needs a transaction, and none is kept here")
        terms = approval_terms(turn.terms)
        waiting = replace(begun, expires_at=begun.created_at + terms.lifetime - min(_MARGIN, terms.lifetime / 10))
        use = None if turn.sender.secret is None else self._secrets.use_for_request(turn.sender.secret)
        is_kept = False

        def keep(connection: Connection, request_id: str) -> None:
            nonlocal is_kept
            is_kept = True
            rows.add(connection, waiting, replace(request, request_id=request_id), turn.met)
            if use is not None:
                use(connection, request_id)

        outcome = await self._approvals.enroll(
            asked.request,
            terms,
            kept_with=keep,
            transaction=f"{turn.endpoint} {turn.transaction_id.hex()} {request.cert_req_id}",
        )
        if not is_kept or not isinstance(outcome, Pending):
            raise Conflict("the transactionID is in use", code=rows.MOVED)
        kept = replace(request, request_id=outcome.request_id)
        return Outcome(cert_req_id=request.cert_req_id, kept=kept, transaction=waiting)

    async def _transaction(self, turn: Turn, asked: AskedFor) -> Transaction:
        """The transaction that the request begins, if it is the first of its message to be granted."""
        now = self._clock.now()
        confirms = self._confirms(turn, asked)
        if confirms and await self._database.read(rows.count_in_progress) >= self._rules.limit:
            raise LimitExceeded("too many transactions wait for their clients", retry_after=turn.terms.confirm_wait)
        confirm_until = now + turn.terms.confirm_wait
        return Transaction(
            endpoint=turn.endpoint,
            transaction_id=turn.transaction_id,
            state=TransactionState.ISSUED if confirms else TransactionState.CONFIRMED,
            body_type=turn.message.body.type,
            profile=turn.terms.profile,
            client=turn.client,
            identity=turn.sender.identity,
            protection=protection_kind(turn.message.header),
            sender_nonce=turn.sender_nonce,
            request_digest=turn.digest,
            implicit_confirm=not confirms,
            requests=(),
            created_at=now,
            expires_at=max(now + self._rules.lifetime, confirm_until),
            confirm_until=confirm_until if confirms else None,
            replaced=asked.replaced if turn.terms.revoke_replaced else None,
            challenged=None if turn.met is None else turn.met.challenged,
        )

    def _confirms(self, turn: Turn, asked: AskedFor) -> bool:
        """Whether the client has to confirm. A certificate that proves possession has to be decrypted first."""
        if self._rules.limit == 0:
            if asked.proof is Proof.BY_CERTIFICATE:
                raise Forbidden("an encrypted certificate has to be confirmed, and no transaction is kept here")
            return False
        granted = turn.asks_implicit_confirm and turn.terms.implicit_confirm
        return not granted or _has_encrypted(turn)

    def _recorded(self, turn: Turn, begun: Transaction, request: CertifiedRequest) -> Recorded | None:
        use = None if turn.sender.secret is None else self._secrets.use(turn.sender.secret)
        if self._rules.limit == 0:
            return use

        def recorded(connection: Connection, authority_id: str, serial: int) -> None:
            rows.add(connection, begun, replace(request, authority_id=authority_id, serial=serial), turn.met)
            if use is not None:
                use(connection, authority_id, serial)

        return recorded


def approval_terms(terms: Terms) -> ApprovalTerms:
    """How clients of a path wait for approval."""
    return ApprovalTerms(retry_after=terms.check_after, lifetime=terms.approval_lifetime)


def _check_sender(turn: Turn) -> None:
    """A certificate that a device was made with is good for its first ones (RFC 9483, 4.1)."""
    if turn.sender.by_vendor and turn.message.body.type is BodyType.KUR:
        raise PKIMessageRejected(
            PKIFailureInfo.NOT_AUTHORIZED, "a kur is signed with the certificate that is to be updated"
        )


def _has_encrypted(turn: Turn) -> bool:
    content = turn.message.body.content
    return isinstance(content, CertReqContent) and any(
        isinstance(each.popo, (KeyEncipherment, KeyAgreement)) and not asks_for_challenge(each)
        for each in content.messages
    )
