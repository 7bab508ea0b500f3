"""Full CMC over EST (RFC 7030, 4.3; RFC 5272, 5273, 6402): a signed PKIData is answered by a signed PKIResponse.

::

    client -> PKIData in SignedData      read_signed_data, decode_pki_data
              who signed?                Signers.verify: a certificate of this CA, or a key that asks for one
              who is it?                 what EST authenticated, else the certificate, else a shared secret
              each request, each control one CMCStatusInfoV2 by its bodyPartID: success, pending or failed
    client <- PKIResponse in SignedData  by the CA's own key; the issued certificates and their chain beside it

RFC 5272 lets the CA or an RA sign responses; there is no RA here, so the CA's key signs. A request that is not even a
SignedData with a PKIData is refused before: there is nothing to answer it by.

A client that only its own certificate vouches for may renew that certificate (same profile and names, another key if it
likes), as with ``simplereenroll``. Not done: batches, encrypted proof of possession, popLinkWitness (the signature by
the requested key over the identity proof ties the two), AuthenticatedData, changes of names, CRLs.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from random import Random

from cryptography import x509
from twisted.logger import Logger

from cspd.authority.approvals import Approvals, ApprovalTerms, KeptWith
from cspd.authority.interfaces import Authorities, CertificateStore, Issuance, Recorded, Revocation
from cspd.authority.requests import AskedCertificate, read_request
from cspd.authority.values import (
    Authority,
    CAReference,
    Issued,
    Pending,
    Requester,
    RevocationReason,
    RevocationRequest,
)
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.refusals import BadRevocationReason, Forbidden, Malformed, NotFound, Refused
from cspd.x509.cmc.codec import decode_pki_data
from cspd.x509.cmc.messages import (
    PKI_DATA,
    THE_WHOLE_MESSAGE,
    CMCError,
    CMCFailInfo,
    DataReturn,
    GetCert,
    Identification,
    IdentityProofV2,
    PKIData,
    QueryPending,
    RecipientNonce,
    RegInfo,
    RevokeRequest,
    SenderNonce,
    TaggedAttribute,
    TransactionID,
)
from cspd.x509.cms.signed import DEFAULT_LIMIT, open_content_info, read_signed_data
from cspd.x509.cms.values import CMSError, SignedData
from cspd.x509.general_names import subject_alt_names_of
from cspd.x509.names import format_name
from cspd.x509.tlv import DERError
from protocols.est.cmc_errors import CMCFailure, fail_info_of
from protocols.est.cmc_identity import SharedSecrets, proved_identity
from protocols.est.cmc_requests import ReadRequest, read_tagged_request
from protocols.est.cmc_responses import Answer, FullPKIResponse, Responder, values_of
from protocols.est.cmc_signers import Signers, VerifiedSigner

_AT_MOST_ONE = (TransactionID, SenderNonce, RecipientNonce, DataReturn, Identification, IdentityProofV2)
_ASKING = (QueryPending, GetCert, RevokeRequest)
_UNDERSTOOD = (*_AT_MOST_ONE, *_ASKING, RegInfo)
AUTHENTICATED_DATA = "1.2.840.113549.1.9.16.1.2"
"""RFC 5652, 9."""
_log = Logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of a message before it is read, and the terms of the path that it came by."""

    identity: Requester | None = None
    """Whom EST has authenticated and lets enroll for the CA and profile; None if nobody."""
    recorded: Recorded | None = None
    """Uses up what ``identity`` was shown by, with the certificate."""
    kept_with: KeptWith | None = None
    """The same with a request that waits."""
    address: str = ""
    request_id: str = ""
    renewal: bool = True
    """Whether a certificate vouches for its own successor."""
    approval: ApprovalTerms | None = None
    """How requests wait for a person; None where they do not."""

    def named(self, name: str | None) -> Requester | None:
        """The client by a name that its message has proved; None without one."""
        if name is None:
            return None
        return Requester(protocol="est", identity=name, address=self.address, request_id=self.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversation:
    """What the parts of one message have in common."""

    authority: Authority
    profile: str
    signer: VerifiedSigner
    requester: Requester | None
    """None for a client that nobody vouches for; it may only ask for what its key has asked for before."""
    recorded: Recorded | None
    """Uses up the secret that vouches for the client, with the certificate."""
    kept_with: KeptWith | None
    """The same with a request that waits."""
    is_renewal: bool
    """Whether only the certificate that signed vouches for the client."""
    approval: ApprovalTerms | None


class CMCService:
    """Answers full PKI requests."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        keys: Keys,
        authorities: Authorities,
        issuance: Issuance,
        revocation: Revocation,
        certificates: CertificateStore,
        approvals: Approvals,
        secrets: SharedSecrets | None = None,
    ) -> None:
        self._clock = clock
        self._responder = Responder(clock, random, keys)
        self._authorities = authorities
        self._issuance = issuance
        self._revocation = revocation
        self._certificates = certificates
        self._approvals = approvals
        self._secrets = secrets
        self._signers = Signers(clock, certificates)

    async def answer(
        self,
        ca: CAReference,
        profile: str,
        request_der: bytes,
        identity: Requester | None,
        circumstances: Circumstances = Circumstances(),  # frozen
    ) -> bytes:
        """As :meth:`respond`, for who does not need to know whether the response is a good one."""
        known = replace(circumstances, identity=identity)
        return (await self.respond(ca, profile, request_der, known)).response_der

    async def respond(
        self, ca: CAReference, profile: str, request_der: bytes, circumstances: Circumstances
    ) -> FullPKIResponse:
        """Do what a full PKI request asks for; ``request_der`` is a ContentInfo, BER or DER.

        A client that ``circumstances`` have no identity of has to say by its certificate or by a shared secret who it
        is.

        Raises Malformed for what is no full PKI request, NotFound for the CA, Conflict for one that cannot sign, and
        Unavailable. All other refusals are in the response.
        """
        authority = await self._authorities.get(ca)
        signed_data, message = _open(request_der)
        answer = Answer()
        try:
            if signed_data is None:
                raise CMCFailure(CMCFailInfo.BAD_ALG, "AuthenticatedData is not supported")
            await self._process(authority, profile, signed_data, message, circumstances, answer)
        except CMCFailure as failure:
            answer.failed(failure.fail_info, failure.reason, *failure.body_parts)
        except Refused as refusal:
            answer.failed(fail_info_of(refusal), refusal.reason, THE_WHOLE_MESSAGE)
        return await self._responder.respond(authority, message, answer)

    async def _process(
        self,
        authority: Authority,
        profile: str,
        signed_data: SignedData,
        message: PKIData,
        circumstances: Circumstances,
        answer: Answer,
    ) -> None:
        _check_controls(message)
        ca = authority.reference
        requests = {each.body_part_id: read_tagged_request(each, ca, profile) for each in message.req_sequence}
        keys = [each.asked.public_key_der for each in requests.values() if isinstance(each, ReadRequest)]
        keys += await self._keys_of_kept(message)
        signer = await self._signers.verify(signed_data, authority, keys)
        proved = await proved_identity(self._secrets, ca, profile, message)
        name = _name_of(signer) if circumstances.renewal else None
        if proved is not None:
            name = proved.name
        vouches = circumstances if proved is None or circumstances.identity is not None else proved
        conversation = _Conversation(
            authority=authority,
            profile=profile,
            signer=signer,
            requester=circumstances.identity or circumstances.named(name),
            recorded=vouches.recorded,
            kept_with=vouches.kept_with,
            is_renewal=circumstances.identity is None and proved is None and signer.certificate is not None,
            approval=circumstances.approval,
        )
        for body_part_id, request in requests.items():
            await self._do(answer, body_part_id, self._enroll(conversation, body_part_id, request, answer))
        for attribute in message.control_sequence:
            work = self._control(conversation, attribute, answer)
            if work is not None:
                await self._do(answer, attribute.body_part_id, work)
        if not answer.statuses:
            answer.succeeded(THE_WHOLE_MESSAGE)

    async def _do(self, answer: Answer, body_part_id: int, work: Awaitable[None]) -> None:
        """One body part; what goes wrong with it does not touch the others, some of which may be done already."""
        try:
            await work
        except CMCFailure as failure:
            answer.failed(failure.fail_info, failure.reason, body_part_id)
        except Refused as refusal:
            answer.failed(fail_info_of(refusal), refusal.reason, body_part_id)
        except Exception:
            _log.failure("a body part of a full PKI request failed unexpectedly: {part}", part=body_part_id)
            answer.failed(CMCFailInfo.INTERNAL_CA_ERROR, "an internal error", body_part_id)

    async def _enroll(
        self, conversation: _Conversation, body_part_id: int, request: ReadRequest | Refused, answer: Answer
    ) -> None:
        requester = _known(conversation)
        if isinstance(request, Refused):
            raise request
        certificate = conversation.signer.certificate
        request.check_possession(None if certificate is None else certificate.subject)
        if conversation.is_renewal:
            _check_renewal(conversation, request.asked)
        terms, asked = conversation.approval, request.of(requester)
        if terms is None:
            outcome = await self._issuance.enroll(asked, recorded=conversation.recorded)
        else:
            outcome = await self._approvals.enroll(asked, terms, kept_with=conversation.kept_with)
        self._say(outcome, body_part_id, answer)

    def _say(self, outcome: Issued | Pending, body_part_id: int, answer: Answer) -> None:
        if isinstance(outcome, Issued):
            answer.succeeded(body_part_id, outcome.certificate_der, *outcome.chain_der)
            return
        answer.pending(body_part_id, outcome.request_id, self._clock.now() + outcome.retry_after)

    def _control(
        self, conversation: _Conversation, attribute: TaggedAttribute, answer: Answer
    ) -> Awaitable[None] | None:
        match attribute.value:
            case QueryPending() as query:
                return self._query(conversation, attribute.body_part_id, query, answer)
            case GetCert() as asked:
                return self._get_cert(conversation, attribute.body_part_id, asked, answer)
            case RevokeRequest() as asked:
                return self._revoke(conversation, attribute.body_part_id, asked, answer)
        return None

    async def _query(self, conversation: _Conversation, body_part_id: int, query: QueryPending, answer: Answer) -> None:
        """Answered to the client that asked, or to whoever holds the key that is asked for."""
        terms = conversation.approval
        unknown = Malformed("there is no such request")
        if terms is None:
            raise unknown
        try:
            kept = await self._approvals.find(_token(query))
        except NotFound as error:
            raise unknown from error
        request, requester = kept.request, conversation.requester
        is_theirs = requester is not None and (requester.protocol, requester.identity) == (
            request.requester.protocol,
            request.requester.identity,
        )
        if (request.ca, request.profile) != (conversation.authority.reference, conversation.profile) or not (
            is_theirs or read_request(request).public_key_der == conversation.signer.public_key_der
        ):
            raise unknown
        self._say(await self._approvals.outcome(kept.id, terms), body_part_id, answer)

    async def _get_cert(self, conversation: _Conversation, body_part_id: int, asked: GetCert, answer: Answer) -> None:
        _known(conversation)
        if asked.issuer_name != x509.DirectoryName(conversation.authority.subject):
            raise NotFound("this CA has another name")
        record = await self._certificates.find(conversation.authority.id, asked.serial_number)
        if record.certificate_der is None:
            raise NotFound("there is no such certificate")
        answer.succeeded(body_part_id, record.certificate_der)

    async def _revoke(
        self, conversation: _Conversation, body_part_id: int, asked: RevokeRequest, answer: Answer
    ) -> None:
        """Only by a certificate with the same subject: what EST has authenticated says nothing about revocation."""
        requester, signer = _known(conversation), conversation.signer
        if asked.issuer_name != conversation.authority.subject:
            raise NotFound("this CA has another name")
        record = await self._certificates.find(conversation.authority.id, asked.serial_number)
        if signer.record is None or (
            record.serial != signer.record.serial and (not record.subject or record.subject != signer.record.subject)
        ):
            raise Forbidden("a certificate is revoked by its owner only")
        try:
            reason = RevocationReason.from_number(asked.reason)
        except ValueError as error:
            raise BadRevocationReason(str(error)) from error
        await self._revocation.revoke(
            RevocationRequest(
                ca=conversation.authority.reference,
                serial=record.serial,
                reason=reason,
                requester=requester,
                invalidity_date=asked.invalidity_date,
            )
        )
        answer.succeeded(body_part_id)

    async def _keys_of_kept(self, message: PKIData) -> list[bytes]:
        """The keys of the requests that are asked about: one of them may have signed."""
        keys = []
        for query in values_of(message, QueryPending):
            try:
                keys.append(read_request((await self._approvals.find(_token(query))).request).public_key_der)
            except (NotFound, Malformed):
                continue
        return keys


def _open(request_der: bytes) -> tuple[SignedData | None, PKIData]:
    """The signed data and its content; no signed data for AuthenticatedData. Raises Malformed for anything else."""
    try:
        if open_content_info(request_der, limit=DEFAULT_LIMIT)[0] == AUTHENTICATED_DATA:
            return None, PKIData()
        signed_data = read_signed_data(request_der)
        if signed_data.content_type != PKI_DATA or signed_data.content is None:
            raise Malformed("the SignedData has no PKIData")
        return signed_data, decode_pki_data(signed_data.content)
    except (DERError, CMSError, CMCError) as error:
        raise Malformed(f"not a full PKI request: {error}") from error


def _check_controls(message: PKIData) -> None:
    """A control that is not understood ends all (RFC 5272, 6), and so does what no client of EST sends."""
    seen: set[type] = set()
    bad = [each.body_part_id for each in message.cms_sequence]
    bad += [each.body_part_id for each in message.other_msg_sequence]
    for attribute in message.control_sequence:
        kind = type(attribute.value)
        if kind not in _UNDERSTOOD or (kind in seen and kind in _AT_MOST_ONE):
            bad.append(attribute.body_part_id)
        seen.add(kind)
    if bad:
        raise CMCFailure(CMCFailInfo.BAD_REQUEST, "a part of the message is not understood, or there twice", bad)


def _token(query: QueryPending) -> str:
    return query.pend_token[:64].decode("ascii", "replace")


def _name_of(signer: VerifiedSigner) -> str | None:
    return None if signer.certificate is None else format_name(signer.certificate.subject)


def _known(conversation: _Conversation) -> Requester:
    if conversation.requester is None:
        raise CMCFailure(CMCFailInfo.BAD_IDENTITY, "nothing says who the client is")
    return conversation.requester


def _check_renewal(conversation: _Conversation, asked: AskedCertificate) -> None:
    """The same names and the same profile as the certificate that signed (RFC 7030, 4.2.2)."""
    certificate, record = conversation.signer.certificate, conversation.signer.record
    assert certificate is not None
    assert record is not None
    if (
        record.profile != conversation.profile
        or asked.subject != certificate.subject
        or set(asked.subject_alt_names) != set(subject_alt_names_of(certificate))
    ):
        raise Forbidden("a certificate alone lets its owner renew it, with the same names and profile")
