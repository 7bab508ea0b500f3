"""Writes ip, cp and kup: at first, again for a message that comes again, and when an approval was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from cspd.authority.approvals import Approvals
from cspd.authority.chains import issued_of
from cspd.authority.interfaces import Authorities, CertificateStore
from cspd.authority.values import EnrollmentRequest, Issued
from cspd.refusals import NotFound, Refused
from cspd.x509.crmf.messages import EncryptedKey
from cspd.x509.general_names import subject_alt_names_of
from protocols.cmp import info_types
from protocols.cmp.errors import PKIMessageRejected, status_info
from protocols.cmp.interfaces import EncryptedCertificates
from protocols.cmp.messages import (
    BodyType,
    CertifiedKeyPair,
    CertRepMessage,
    CertResponse,
    InfoTypeAndValue,
    PKIBody,
)
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.status import PKIStatus, PKIStatusInfo
from protocols.cmp.transactions import CertifiedRequest, Transaction
from protocols.cmp.turns import Answer, Turn

ANSWERS = {
    BodyType.IR: BodyType.IP,
    BodyType.CR: BodyType.CP,
    BodyType.P10CR: BodyType.CP,
    BodyType.KUR: BodyType.KUP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request: kept, or refused at once."""

    cert_req_id: int
    kept: CertifiedRequest | None = None
    refusal: Refused | PKIMessageRejected | None = None
    issued: Issued | None = None
    """The certificate, where it is at hand."""
    transaction: Transaction | None = None
    """Where it is kept."""


class CertificateAnswers:
    """Makes the answers to requests for certificates."""

    def __init__(
        self,
        *,
        authorities: Authorities,
        certificates: CertificateStore,
        approvals: Approvals,
        encrypted_certificates: EncryptedCertificates,
    ) -> None:
        self._authorities = authorities
        self._certificates = certificates
        self._approvals = approvals
        self._encrypted_certificates = encrypted_certificates

    async def answer(
        self, turn: Turn, begun_by: BodyType, outcomes: Sequence[Outcome], transaction: Transaction | None
    ) -> Answer:
        """The answer to the message of ``turn``, in a transaction that ``begun_by`` began."""
        responses: list[CertResponse] = []
        chain: tuple[bytes, ...] = ()
        for outcome in outcomes:
            response, issuers = await self._response(outcome, turn)
            responses.append(response)
            chain = tuple(dict.fromkeys((*chain, *issuers)))
        # A client that is new here may not know a certificate of ours yet: it gets the root, by the MAC of its secret
        # (RFC 9483, 4.1.1), or to be taken for true where its vendor vouches for it (TS 33.310, 9.2).
        is_new = turn.sender.protection is ProtectionKind.MAC or turn.sender.by_vendor
        ca_pubs = chain[-1:] if is_new and begun_by is BodyType.IR else ()
        body = PKIBody(ANSWERS[begun_by], CertRepMessage(tuple(responses), ca_pubs))
        return Answer(
            body=body,
            general_info=_general_info(transaction, responses),
            extra_certs_der=chain,
            sender_nonce=None if transaction is None else transaction.sender_nonce,
        )

    async def _response(self, outcome: Outcome, turn: Turn) -> tuple[CertResponse, tuple[bytes, ...]]:
        if outcome.refusal is not None:
            return CertResponse(outcome.cert_req_id, _status_info(outcome.refusal)), ()
        kept = outcome.kept
        assert kept is not None
        if kept.refusal is not None:
            return CertResponse(kept.cert_req_id, kept.status_info), ()
        if outcome.issued is None and kept.waits:
            return CertResponse(kept.cert_req_id, PKIStatusInfo(PKIStatus.WAITING, ("waiting for an approval",))), ()
        issued = outcome.issued or await self._issued(kept)
        is_as_asked = issued.names_as_asked
        if is_as_asked is None:
            asked = await self._asked(kept)
            is_as_asked = asked is None or _is_as_asked(asked, issued.certificate_der)
        status = PKIStatusInfo(PKIStatus.ACCEPTED if is_as_asked else PKIStatus.GRANTED_WITH_MODS)
        return CertResponse(kept.cert_req_id, status, await self._pair(kept, issued, turn)), issued.chain_der

    async def _pair(self, kept: CertifiedRequest, issued: Issued, turn: Turn) -> CertifiedKeyPair:
        private_key = EncryptedKey(kept.private_key_der) if kept.private_key_der else None
        if not kept.is_encrypted:
            return CertifiedKeyPair(issued.certificate_der, private_key=private_key)
        pvno = turn.message.header.pvno
        encrypted = await self._encrypted_certificates.encrypt(issued.certificate_der, pvno=pvno)
        return CertifiedKeyPair(encrypted_cert=encrypted)

    async def _issued(self, kept: CertifiedRequest) -> Issued:
        assert kept.authority_id is not None
        assert kept.serial is not None
        record = await self._certificates.find(kept.authority_id, kept.serial)
        authority = await self._authorities.by_id(kept.authority_id)
        return issued_of(authority, record)

    async def _asked(self, kept: CertifiedRequest) -> EnrollmentRequest | None:
        """What was asked for, if an approval has kept it."""
        if kept.request_id is None:
            return None
        try:
            return (await self._approvals.find(kept.request_id)).request
        except NotFound:
            return None


def _status_info(refusal: Refused | PKIMessageRejected) -> PKIStatusInfo:
    return refusal.status_info if isinstance(refusal, PKIMessageRejected) else status_info(refusal)


def _general_info(transaction: Transaction | None, responses: Sequence[CertResponse]) -> tuple[InfoTypeAndValue, ...]:
    """What the client has to know of its confirmation, once it has all of its certificates."""
    if any(each.status.status is PKIStatus.WAITING for each in responses) or not any(
        each.certified_key_pair is not None for each in responses
    ):
        return ()
    assert transaction is not None
    if transaction.confirm_until is None:
        return (info_types.implicit_confirm(),)
    return (info_types.confirm_wait_time(transaction.confirm_until),)


def _is_as_asked(request: EnrollmentRequest, certificate_der: bytes) -> bool:
    """Whether subject and names are those of the request."""
    certificate = x509.load_der_x509_certificate(certificate_der)
    assert request.csr_der is None, "names are only in the request itself"
    subject = x509.Name([]) if request.subject is None else request.subject
    names = subject_alt_names_of(certificate)
    return subject == certificate.subject and set(request.subject_alt_names or ()) == set(names)
