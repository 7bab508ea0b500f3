"""What the Certificate Management Protocol does with a message, from its octets to those of its answer.

::

    decode
    choose the terms                 by the transaction, or by certProfile
    header_rules                     RFC 9483, 3.1 and 3.5
    Senders.authenticate             RFC 9483, 3.2
    by the body                      certification, confirmation, polling, rr, genm, ...
    AnswerProtection.protect

Whatever is refused on the way is answered by an error with the one bit that says why (RFC 9483, 3.6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.authority.values import Requester
from cspd.clock import Clock
from cspd.refusals import Malformed, Refused
from cspd.store.interfaces import Database
from protocols.cmp import info_types
from protocols.cmp import transaction_rows as rows
from protocols.cmp.answering import answer_header
from protocols.cmp.certificate_answers import ANSWERS
from protocols.cmp.certification import Certification
from protocols.cmp.codec import DecodeError, decode, decode_header
from protocols.cmp.confirmation import PKI_CONFIRM, Confirmation
from protocols.cmp.errors import PKIMessageRejected, status_info
from protocols.cmp.header_rules import (
    FOLLOW_UP_BODIES,
    TRANSACTION_ID_OCTETS,
    HeaderPolicy,
    PreviousAnswer,
    check_first,
    check_follow_up,
    check_unused,
)
from protocols.cmp.interfaces import (
    AnswerProtection,
    ClaimedSender,
    CrossCertification,
    GeneralMessages,
    RevocationRequests,
    Sender,
    Senders,
    Terms,
)
from protocols.cmp.limits import DEFAULT_LIMITS, Limits
from protocols.cmp.messages import (
    BodyType,
    CertReqContent,
    ErrorMsgContent,
    GenMsgContent,
    NestedMessageContent,
    PKIBody,
    PKIHeader,
    PKIMessage,
    RevReqContent,
)
from protocols.cmp.metrics import AnsweredMessages
from protocols.cmp.path_operations import check_operation
from protocols.cmp.polling import Polling
from protocols.cmp.protection import protection_kind
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo
from protocols.cmp.transactions import Transaction, TransactionState, digest_of
from protocols.cmp.turns import Answer, Turn, client_of

NONCE_OCTETS = 16
_SYSTEM_FAILURE = PKIStatusInfo(PKIStatus.REJECTION, ("an internal error",), frozenset({PKIFailureInfo.SYSTEM_FAILURE}))
_OF_ANSWERS = Limits(message_octets=1 << 24, requests=1 << 10)

ChooseProfile = Callable[[Terms, str], Awaitable[Terms]]
"""The terms of another profile at the same path; raises :class:`PKIMessageRejected` where it is not served."""
PolicyOf = Callable[[Terms], Awaitable[HeaderPolicy]]
"""What headers have to be like at a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a message came in, and from whom."""

    terms: Terms
    operation: str = ""
    """The end of the path, without slash (:mod:`protocols.cmp.path_operations`)."""
    peer: str = ""
    request_id: str = ""

    @property
    def endpoint(self) -> str:
        """CA and profile, in the name of which transactionIDs are unique."""
        return f"{self.terms.ca}/{self.terms.profile}"


@dataclass(slots=True)
class _Progress:
    """What is known of a message so far: an answer may have to be made at any time."""

    header: PKIHeader
    terms: Terms
    asked: BodyType | None = None
    sender: Sender | None = None


class CMPService:
    """Answers messages."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        database: Database,
        senders: Senders,
        protection: AnswerProtection,
        certification: Certification,
        confirmation: Confirmation,
        polling: Polling,
        revocation_requests: RevocationRequests,
        general_messages: GeneralMessages,
        cross_certification: CrossCertification,
        policy_of: PolicyOf,
        choose_profile: ChooseProfile,
        answered: AnsweredMessages,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._clock = clock
        self._random = random
        self._database = database
        self._senders = senders
        self._protection = protection
        self._certification = certification
        self._confirmation = confirmation
        self._polling = polling
        self._revocation_requests = revocation_requests
        self._general_messages = general_messages
        self._cross_certification = cross_certification
        self._policy_of = policy_of
        self._choose_profile = choose_profile
        self._answered = answered
        self._limits = limits
        self._begins: Mapping[BodyType, Callable[[Turn], Awaitable[Answer]]] = {
            BodyType.RR: self._revoke,
            BodyType.GENM: self._inform,
            BodyType.CCR: self._cross_certify,
        }

    async def answer(self, request_der: bytes, address: Address) -> bytes:
        """The answer, DER, to the octets that a client sent.

        Raises Malformed where there is not even a header that an error could answer, and the refusals of a CA that
        cannot sign an error: NotFound, Unavailable.
        """
        try:
            message = decode(request_der, self._limits)
        except DecodeError as error:
            header = decode_header(request_der, self._limits)
            if header is None:
                raise Malformed(error.status_string) from error
            progress = _Progress(header, address.terms)
            return await self._say(Answer(body=self._refused(error, address)), progress, self._nonce())
        return await self._message(message, address)

    async def _message(
        self, message: PKIMessage, address: Address, registration_authority: Sender | None = None
    ) -> bytes:
        """The answer to a message, which a registration authority may have nested."""
        progress, nonce = _Progress(message.header, address.terms, message.body.type), self._nonce()
        try:
            if registration_authority is None:
                check_operation(address.operation, message.body)
            if message.body.type is BodyType.NESTED:
                answers = await self._nested(message, address, progress)
                if len(answers) == 1:
                    return answers[0]
                answer = Answer(body=_nested_body(answers))
            else:
                answer = await self._answer(message, address, progress, nonce, registration_authority)
        except (PKIMessageRejected, Refused) as refusal:
            answer = Answer(body=self._refused(refusal, address))
        except Exception:
            self._log.failure("CMP message {request_id} failed", request_id=address.request_id)
            answer = Answer(body=_error(_SYSTEM_FAILURE))
        return await self._say(answer, progress, nonce)

    async def _nested(self, message: PKIMessage, address: Address, progress: _Progress) -> list[bytes]:
        """The answers to what a registration authority has put under its own protection (RFC 9483, 5.2.2)."""
        policy = await self._policy_of(progress.terms)
        if message.header.recip_nonce is None:
            check_first(message, self._clock.now(), policy)
        else:
            self._check_alone(message, policy)
        claimed = await self._database.read(lambda connection: self._senders.look_up(connection, message))
        sender = progress.sender = await self._senders.authenticate(message, progress.terms, claimed)
        if not sender.is_registration_authority:
            raise PKIMessageRejected(
                PKIFailureInfo.NOT_AUTHORIZED, "nested messages are for registration authorities to send"
            )
        assert isinstance(message.body.content, NestedMessageContent)
        return [await self._message(each, address, sender) for each in message.body.content.messages]

    async def _answer(
        self,
        message: PKIMessage,
        address: Address,
        progress: _Progress,
        nonce: bytes,
        registration_authority: Sender | None,
    ) -> Answer:
        digest = digest_of(message)
        transaction, claimed = await self._look_up(message, address)
        is_repeated = transaction is not None and transaction.request_digest == digest
        goes_on = message.body.type in FOLLOW_UP_BODIES
        progress.terms = await self._terms(message.header, address.terms, transaction if goes_on else None)
        policy = await self._policy_of(progress.terms)
        if not goes_on:
            check_first(message, self._clock.now(), policy)
        elif transaction is None or is_repeated:
            self._check_alone(message, policy)
        else:
            previous = PreviousAnswer(transaction.transaction_id, transaction.sender_nonce, transaction.protection)
            check_follow_up(message, self._clock.now(), previous, policy)
        sender = progress.sender = await self._senders.authenticate(
            message, progress.terms, claimed, is_repeated=is_repeated
        )
        is_theirs = transaction is not None and transaction.client == client_of(sender)
        if goes_on and transaction is None:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "there is no such transaction")
        if goes_on and not is_theirs:
            raise PKIMessageRejected(PKIFailureInfo.NOT_AUTHORIZED, "the transaction is another client's")
        if not goes_on:
            check_unused(is_in_use=transaction is not None and not (is_repeated and is_theirs))
        turn = Turn(
            message=message,
            digest=digest,
            endpoint=address.endpoint,
            terms=progress.terms,
            sender=sender,
            registration_authority=sender if sender.is_registration_authority else registration_authority,
            requester=Requester(
                protocol="cmp", identity=sender.identity, address=address.peer, request_id=address.request_id
            ),
            sender_nonce=nonce,
        )
        return await self._by_body(turn, transaction, is_repeated=is_repeated)

    async def _by_body(self, turn: Turn, transaction: Transaction | None, *, is_repeated: bool) -> Answer:
        body_type = turn.message.body.type
        if body_type in ANSWERS:
            if transaction is not None and transaction.state in (TransactionState.REVOKING, TransactionState.ENDED):
                raise PKIMessageRejected(PKIFailureInfo.CERT_REVOKED, "the certificates were not confirmed in time")
            return await self._certification.begin(turn, transaction)
        if transaction is None:
            return await self._begins[body_type](turn)
        if body_type is BodyType.POPDECR:
            return await self._certification.go_on(turn, transaction)
        if body_type is BodyType.POLL_REQ:
            return await self._polling.poll(turn, transaction)
        if is_repeated:
            return Answer(body=PKI_CONFIRM, sender_nonce=transaction.sender_nonce)
        if body_type is BodyType.CERT_CONF:
            return await self._confirmation.confirm(turn, transaction)
        return await self._confirmation.error(turn, transaction)

    async def _revoke(self, turn: Turn) -> Answer:
        _check_enrolled(turn)
        content = turn.message.body.content
        assert isinstance(content, RevReqContent)
        answer = await self._revocation_requests.answer(
            content, turn.sender, turn.terms, request_id=turn.requester.request_id
        )
        return Answer(body=PKIBody(BodyType.RP, answer))

    async def _inform(self, turn: Turn) -> Answer:
        _check_enrolled(turn)
        content = turn.message.body.content
        assert isinstance(content, GenMsgContent)
        items = await self._general_messages.answer(content.items, turn.terms)
        return Answer(body=PKIBody(BodyType.GENP, GenMsgContent(items)))

    async def _cross_certify(self, turn: Turn) -> Answer:
        _check_enrolled(turn)
        content = turn.message.body.content
        assert isinstance(content, CertReqContent)
        answer = await self._cross_certification.answer(
            content, turn.sender, turn.terms, request_id=turn.requester.request_id
        )
        is_granted = any(each.certified_key_pair is not None for each in answer.response)
        # no transaction is kept for it: the certificate counts as confirmed, and who has not got it asks again
        general_info = (info_types.implicit_confirm(),) if is_granted else ()
        return Answer(body=PKIBody(BodyType.CCP, answer), general_info=general_info)

    async def _look_up(self, message: PKIMessage, address: Address) -> tuple[Transaction | None, ClaimedSender]:
        """All that the store knows of a message, in one read: each would cost a way to a thread and back."""

        def look_up(connection: Connection) -> tuple[Transaction | None, ClaimedSender]:
            return (
                self._transaction(connection, message.header, address),
                self._senders.look_up(connection, message),
            )

        return await self._database.read(look_up)

    def _transaction(self, connection: Connection, header: PKIHeader, address: Address) -> Transaction | None:
        transaction_id = header.transaction_id
        if transaction_id is None or len(transaction_id) != TRANSACTION_ID_OCTETS:
            return None
        return rows.find(connection, address.endpoint, transaction_id)

    async def _terms(self, header: PKIHeader, terms: Terms, transaction: Transaction | None) -> Terms:
        """Those of the profile that the transaction has, or else the client names (RFC 9483, 3.1)."""
        if transaction is not None:
            return await self._choose_profile(terms, transaction.profile)
        items = [item for item in header.general_info if item.info_type == info_types.CERT_PROFILE]
        if not items:
            return terms
        try:
            names = {name for item in items for name in info_types.read_texts(item)}
        except info_types.InfoError as error:
            raise PKIMessageRejected(
                PKIFailureInfo.BAD_DATA_FORMAT, "certProfile is malformed", detail=str(error)
            ) from error
        if len(names) != 1:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "one profile can be chosen for a message")
        return await self._choose_profile(terms, names.pop())

    def _check_alone(self, message: PKIMessage, policy: HeaderPolicy) -> None:
        """The rules of a message that goes on, but for what its transaction says."""
        header = message.header
        itself = PreviousAnswer(header.transaction_id or b"", header.recip_nonce or b"", protection_kind(header))
        check_follow_up(message, self._clock.now(), itself, policy)

    def _refused(self, refusal: PKIMessageRejected | Refused, address: Address) -> PKIBody:
        info = refusal.status_info if isinstance(refusal, PKIMessageRejected) else status_info(refusal)
        self._log.warn(
            "CMP message {request_id} from {address} was refused: {reason}",
            event="cmp-refused",
            request_id=address.request_id,
            address=address.peer,
            endpoint=address.endpoint,
            code=" ".join(sorted(bit.name for bit in info.fail_info)),
            reason=" ".join(info.status_string),
            detail=refusal.detail,
        )
        return _error(info)

    async def _say(self, answer: Answer, progress: _Progress, nonce: bytes) -> bytes:
        self._answered.note(progress.asked, answer.body)
        terms, sender = progress.terms, progress.sender
        sender_der, sender_kid = await self._protection.header_names(terms, sender)
        header = answer_header(
            progress.header,
            answer.body,
            sender_der=sender_der,
            sender_nonce=answer.sender_nonce or nonce,
            now=self._clock.now(),
            sender_kid=sender_kid,
            general_info=answer.general_info,
        )
        return await self._protection.protect(
            header, answer.body, terms=terms, sender=sender, extra_certs_der=answer.extra_certs_der
        )

    def _nonce(self) -> bytes:
        return self._random.randbytes(NONCE_OCTETS)


def _check_enrolled(turn: Turn) -> None:
    """A certificate that a device was made with is good for a first one of ours, and nothing else."""
    if turn.sender.by_vendor:
        raise PKIMessageRejected(PKIFailureInfo.NOT_AUTHORIZED, "this certificate is good for ir, cr and p10cr alone")


def _nested_body(answers_der: Sequence[bytes]) -> PKIBody:
    return PKIBody(BodyType.NESTED, NestedMessageContent(tuple(decode(each, _OF_ANSWERS) for each in answers_der)))


def _error(info: PKIStatusInfo) -> PKIBody:
    return PKIBody(BodyType.ERROR, ErrorMsgContent(info))
