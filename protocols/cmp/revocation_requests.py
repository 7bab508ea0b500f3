"""Answers rr: revoking, holding and releasing certificates (RFC 9483, 4.2 and 5.3.2; RFC 9810, 5.3.9).

Each certificate of a message is a case of its own: what is wrong with one does not touch the others::

    find       the certificate that issuer and serialNumber name
    permit     its holder, by a signature with it; the client of a secret, for what it got itself; a registration
               authority, for all that the CA issued to others
    change     revoke, hold for certificateHold, release for removeFromCRL
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.logger import Logger

from cspd.authority.interfaces import Authorities, CertificateStore, Revocation
from cspd.authority.profile_values import Profile, ProfileCategory
from cspd.authority.values import Authority, CertificateRecord, Requester, RevocationReason, RevocationRequest
from cspd.refusals import Forbidden, NotFound, Refused
from cspd.x509.crmf.messages import CertId, CertTemplate
from protocols.cmp.crl_entry_details import read_crl_entry_details
from protocols.cmp.errors import PKIMessageRejected, status_info
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.messages import RevDetails, RevRepContent, RevReqContent
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo

_ACCEPTED = PKIStatusInfo(PKIStatus.ACCEPTED)


class RevocationRequestsService:
    """Implements :class:`protocols.cmp.interfaces.RevocationRequests`.

    What a secret got is known by the record of the certificate: protocol ``cmp`` and the identity of the secret.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        authorities: Authorities,
        certificates: CertificateStore,
        revocation: Revocation,
        profiles: Mapping[str, Profile],
    ) -> None:
        self._authorities = authorities
        self._certificates = certificates
        self._revocation = revocation
        self._own_profiles = {each.id for each in profiles.values() if each.category is ProfileCategory.AUTHORITY}

    async def answer(self, content: RevReqContent, sender: Sender, terms: Terms, *, request_id: str) -> RevRepContent:
        """See :class:`protocols.cmp.interfaces.RevocationRequests`.

        ``revCerts`` is there if each of the requests names a certificate: it is in the order of the statuses.
        """
        authority = await self._authorities.get(terms.ca)
        requester = Requester(protocol="cmp", identity=sender.identity, request_id=request_id)
        statuses = tuple([await self._status(each, authority, sender, requester) for each in content.details])
        named = [_cert_id(each.cert_details) for each in content.details]
        rev_certs = tuple(each for each in named if each is not None)
        return RevRepContent(statuses, rev_certs if len(rev_certs) == len(named) else ())

    async def _status(
        self, details: RevDetails, authority: Authority, sender: Sender, requester: Requester
    ) -> PKIStatusInfo:
        try:
            await self._change(details, authority, sender, requester)
        except PKIMessageRejected as rejected:
            return rejected.status_info
        except Refused as refusal:
            return status_info(refusal)
        except Exception:  # the edge of one case: those before it are done, and the client has to hear of them
            self._log.failure("a revocation failed unexpectedly")
            failed = frozenset({PKIFailureInfo.SYSTEM_FAILURE})
            return PKIStatusInfo(PKIStatus.REJECTION, ("an internal error",), failed)
        return _ACCEPTED

    async def _change(self, details: RevDetails, authority: Authority, sender: Sender, requester: Requester) -> None:
        template = details.cert_details
        await self._check_issuer(template, authority)
        record = await self._find(template, authority)
        asked = read_crl_entry_details(details.crl_entry_details_der)
        if record.profile in self._own_profiles:
            raise Forbidden("the certificates of authorities here are revoked by their administrators")
        _check_permission(record, sender)
        if asked.reason is RevocationReason.REMOVE_FROM_CRL:
            _check_may_release(sender)
            await self._revocation.unhold(authority.reference, record.serial, requester)
            return
        await self._revocation.revoke(
            RevocationRequest(
                ca=authority.reference,
                serial=record.serial,
                reason=asked.reason,
                requester=requester,
                invalidity_date=asked.invalidity_date,
            )
        )

    async def _check_issuer(self, template: CertTemplate, authority: Authority) -> None:
        if template.issuer is None or template.serial_number is None:
            reason = "a certificate is named by issuer and serialNumber"
            raise PKIMessageRejected(PKIFailureInfo.ADD_INFO_NOT_AVAILABLE, reason)
        if _others(template):
            reason = "of the other fields of certDetails only subject and publicKey may be there"
            raise PKIMessageRejected(PKIFailureInfo.BAD_CERT_TEMPLATE, reason)
        if template.issuer in _names_of(authority):
            return
        if any(template.issuer in _names_of(each) for each in await self._authorities.list()):
            raise PKIMessageRejected(PKIFailureInfo.WRONG_AUTHORITY, "another CA issued the certificate")
        raise NotFound("the issuer is not this CA")

    async def _find(self, template: CertTemplate, authority: Authority) -> CertificateRecord:
        assert template.serial_number is not None
        record = await self._certificates.find(authority.id, template.serial_number)
        if record.certificate_der is None or not _fits(template, record.certificate_der):
            raise NotFound("no such certificate")
        return record


def _cert_id(template: CertTemplate) -> CertId | None:
    if template.issuer is None or template.serial_number is None:
        return None
    return CertId(x509.DirectoryName(template.issuer), template.serial_number)


def _others(template: CertTemplate) -> bool:
    """Whether there is more than names a certificate (RFC 9810, 5.3.9 lets clients tell what they know)."""
    others = (
        template.version,
        template.signing_alg,
        template.validity,
        template.issuer_uid,
        template.subject_uid,
        template.extensions,
    )
    return any(each is not None for each in others)


def _names_of(authority: Authority) -> set[x509.Name]:
    """What the certificates of a CA say about their issuer: an external root may have renamed the CA."""
    earlier = (x509.load_der_x509_certificate(each.certificate_der).subject for each in authority.previous)
    return {authority.subject, *earlier}


def _fits(template: CertTemplate, certificate_der: bytes) -> bool:
    if template.subject is None and template.public_key_der is None:
        return True
    certificate = x509.load_der_x509_certificate(certificate_der)
    public_key_der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return template.subject in (None, certificate.subject) and template.public_key_der in (None, public_key_der)


def _check_permission(record: CertificateRecord, sender: Sender) -> None:
    if sender.is_registration_authority:
        return
    if sender.secret is not None:
        is_theirs = (record.protocol, record.requester) == ("cmp", sender.identity)
    else:
        signed_with = sender.record
        is_theirs = signed_with is not None and (signed_with.authority_id, signed_with.serial) == (
            record.authority_id,
            record.serial,
        )
    if not is_theirs:
        raise Forbidden("a certificate is revoked by its holder or by a registration authority")


def _check_may_release(sender: Sender) -> None:
    """A hold may be an administrator's; who is held must not end it."""
    if not sender.is_registration_authority:
        raise Forbidden("a certificate is taken off hold by a registration authority")
