"""From a message to what it asks for: one :class:`AskedFor` for each request in an ir, cr, kur or p10cr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.crmf_requests import enrollment_request
from cspd.authority.interfaces import Authorities, CertificateStore
from cspd.authority.profile_values import Profile, ProfileCategory
from cspd.authority.requests import read_request, with_proof_checked
from cspd.authority.values import CertificateRecord, CertificateState, EnrollmentRequest
from cspd.keys.values import PrivateKey
from cspd.refusals import Forbidden, NotFound
from cspd.x509.crmf.messages import CertReqMsg
from cspd.x509.general_names import subject_alt_names_of
from protocols.cmp.algorithm_rules import AlgorithmRules
from protocols.cmp.ca_certificates import check_may_certify_authorities
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.interfaces import CentralKeys
from protocols.cmp.messages import BodyType, CertificationRequest, CertReqContent, PKIBody
from protocols.cmp.possession import Possession, Proof
from protocols.cmp.requested_names import (
    certificate_of,
    check_old_cert_id,
    check_same,
    check_within,
    old_cert_id,
)
from protocols.cmp.status import PKIFailureInfo
from protocols.cmp.turns import Turn

P10CR_ID = -1
"""certReqId of the answer to a p10cr (RFC 9483, 4.1.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFor:
    """A request that is ready to be issued."""

    request: EnrollmentRequest
    proof: Proof = Proof.GIVEN
    private_key_der: bytes = b""
    """The EnvelopedData with the key that was made; empty without one."""
    replaced: tuple[str, int] | None = None
    """CA and serial number of the certificate that a kur updates."""


def request_ids(body: PKIBody) -> tuple[int, ...]:
    """The certReqIds of a message, in its order; raises ``badRequest`` for one that is there twice or negative."""
    if not isinstance(body.content, CertReqContent):
        return (P10CR_ID,)
    ids = tuple(message.cert_req.cert_req_id for message in body.content.messages)
    if len(set(ids)) != len(ids) or min(ids) < 0:
        raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "certReqId must be different numbers from 0 on")
    return ids


class CertificateRequests:
    """Reads requests and checks what CMP itself asks of them; what policy asks of them is for issuance."""

    def __init__(
        self,
        *,
        authorities: Authorities,
        certificates: CertificateStore,
        possession: Possession,
        central_keys: CentralKeys,
        rules: Mapping[str, AlgorithmRules],
        profiles: Mapping[str, Profile],
    ) -> None:
        self._authorities = authorities
        self._certificates = certificates
        self._possession = possession
        self._central_keys = central_keys
        self._rules = rules
        self._profiles = profiles

    async def read(self, turn: Turn, cert_req_id: int) -> AskedFor:
        """One request of a message.

        Raises refusals and :class:`protocols.cmp.errors.PKIMessageRejected`, which are of this request alone.
        """
        profile = self._profiles.get(turn.terms.profile)
        if profile is not None and profile.category is ProfileCategory.EXTERNAL_SUBORDINATE:
            is_vouched_for = turn.registration_authority is not None
            check_may_certify_authorities(turn.sender, turn.terms, is_vouched_for=is_vouched_for)
        asked = await self._read(turn, cert_req_id)
        self._rules[turn.terms.rules].check_requested_key(read_request(asked.request).public_key)
        return asked

    async def _read(self, turn: Turn, cert_req_id: int) -> AskedFor:
        content = turn.message.body.content
        if isinstance(content, CertificationRequest):
            terms = turn.terms
            request = with_proof_checked(
                EnrollmentRequest(ca=terms.ca, profile=terms.profile, requester=turn.requester, csr_der=content.der)
            )
            self._check_names(request, turn)
            return AskedFor(request=request)
        assert isinstance(content, CertReqContent)
        [message] = [each for each in content.messages if each.cert_req.cert_req_id == cert_req_id]
        if turn.message.body.type is BodyType.KUR:
            return await self._update(message, turn)
        asked = await self._asked(message, turn)
        self._check_names(asked.request, turn)
        return asked

    async def _asked(self, message: CertReqMsg, turn: Turn) -> AskedFor:
        proof = await self._possession.check(
            message,
            turn.sender,
            turn.terms,
            is_vouched_for=turn.registration_authority is not None,
            is_challenge_met=turn.met is not None,
            pvno=turn.message.header.pvno,
        )
        template, private_key_der = message.cert_req.cert_template, b""
        if proof is Proof.KEY_MADE_HERE:
            if turn.terms.approval:
                raise Forbidden("a key cannot wait for an approval: it is not kept")
            key = await self._central_keys.generate(template, turn.terms)
            private_key_der = (await self._central_keys.encrypt(key, turn.sender, turn.terms)).der
            template = replace(template, public_key_der=_public_key_der(key))
        request = enrollment_request(template, ca=turn.terms.ca, profile=turn.terms.profile, requester=turn.requester)
        return AskedFor(request=request, proof=proof, private_key_der=private_key_der)

    async def _update(self, message: CertReqMsg, turn: Turn) -> AskedFor:
        """A kur (RFC 9483, 4.1.3): the certificate that signs it is updated, or which a registration authority says."""
        record = await self._to_update(message, turn)
        certificate = certificate_of(record)
        if record.profile != turn.terms.profile:
            raise Forbidden("a certificate is updated by its own profile alone")
        # What the key signed has to stay as it is; a subject that the client left out is filled in behind that.
        asked = await self._asked(message, turn)
        request = asked.request
        if request.subject is None:
            request = replace(request, subject=certificate.subject)
        if request.subject_alt_names is None:
            request = replace(request, subject_alt_names=subject_alt_names_of(certificate))
        check_same(read_request(request), certificate)
        return replace(asked, request=request, replaced=(record.authority_id, record.serial))

    async def _to_update(self, message: CertReqMsg, turn: Turn) -> CertificateRecord:
        authority = await self._authorities.get(turn.terms.ca)
        named = old_cert_id(message)
        record = turn.sender.record
        if turn.sender.is_registration_authority and named is not None:
            try:
                record = await self._certificates.find(authority.id, named.serial_number)
            except NotFound as error:
                raise PKIMessageRejected(PKIFailureInfo.BAD_CERT_ID, "oldCertId names no certificate here") from error
        if record is None or record.authority_id != authority.id:
            raise PKIMessageRejected(
                PKIFailureInfo.BAD_CERT_ID, "a kur is signed with the certificate of this CA that is to be updated"
            )
        check_old_cert_id(named, certificate_of(record))
        if record.status.state is not CertificateState.GOOD:
            raise PKIMessageRejected(PKIFailureInfo.CERT_REVOKED, "the certificate is revoked or held")
        return record

    def _check_names(self, request: EnrollmentRequest, turn: Turn) -> None:
        sender = turn.sender
        if sender.is_registration_authority or sender.by_vendor or sender.certificate is None:
            return
        check_within(read_request(request), sender.certificate)


def _public_key_der(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
