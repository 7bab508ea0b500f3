"""Answers ccr: certificates for the keys of CAs elsewhere (RFC 9810, 5.3.11, D.6).

The profile of the path has to be one of CA certificates (``external-subordinate``), and whoever asks has to be trusted
with them: a registration authority, or the client of a secret that was made for this very profile. A certificate alone
lets nobody become a CA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cryptography import x509

from cspd.authentication.secrets import EnrollmentSecret
from cspd.authority.crmf_requests import enrollment_request
from cspd.authority.interfaces import Authorities, Issuance, Recorded
from cspd.authority.profile_values import Profile, ProfileCategory
from cspd.authority.values import Authority, Issued, Requester
from cspd.refusals import BadProofOfPossession, BadPublicKey, Forbidden, Refused
from cspd.x509.crmf.messages import CertReqMsg, CertTemplate, RAVerified
from cspd.x509.crmf.possession import ProofOfPossessionError, verify_signature_popo
from cspd.x509.public_keys import PublicKeyError
from protocols.cmp.ca_certificates import check_may_certify_authorities
from protocols.cmp.errors import PKIMessageRejected, status_info
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.messages import CertifiedKeyPair, CertRepMessage, CertReqContent, CertResponse
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo


class UsesSecrets(Protocol):
    """:class:`cspd.authentication.secrets.EnrollmentSecrets`, as far as it is needed here."""

    def use(self, secret: EnrollmentSecret) -> Recorded:
        """Note the use of a secret with the certificate."""
        ...


class CrossCertificationService:
    """Implements :class:`protocols.cmp.interfaces.CrossCertification`."""

    def __init__(
        self, *, authorities: Authorities, issuance: Issuance, profiles: Mapping[str, Profile], secrets: UsesSecrets
    ) -> None:
        self._authorities = authorities
        self._issuance = issuance
        self._profiles = profiles
        self._secrets = secrets

    async def answer(self, content: CertReqContent, sender: Sender, terms: Terms, *, request_id: str) -> CertRepMessage:
        """See :class:`protocols.cmp.interfaces.CrossCertification`."""
        if len(content.messages) != 1:
            raise PKIMessageRejected(PKIFailureInfo.BAD_REQUEST, "a ccr asks for one certificate")
        [message] = content.messages
        cert_req_id = message.cert_req.cert_req_id
        try:
            issued = await self._issue(message, sender, terms, request_id)
        except PKIMessageRejected as rejected:
            return CertRepMessage((CertResponse(cert_req_id, rejected.status_info),))
        except Refused as refusal:
            return CertRepMessage((CertResponse(cert_req_id, status_info(refusal)),))
        certificate = x509.load_der_x509_certificate(issued.certificate_der)
        is_as_asked = _is_as_asked(message.cert_req.cert_template, certificate)
        status = PKIStatusInfo(PKIStatus.ACCEPTED if is_as_asked else PKIStatus.GRANTED_WITH_MODS)
        return CertRepMessage((CertResponse(cert_req_id, status, CertifiedKeyPair(issued.certificate_der)),))

    async def _issue(self, message: CertReqMsg, sender: Sender, terms: Terms, request_id: str) -> Issued:
        authority = await self._authorities.get(terms.ca)
        self._check_profile(authority, terms)
        check_may_certify_authorities(sender, terms)
        template = message.cert_req.cert_template
        _check_issuer(template, authority)
        _check_possession(message, sender)
        request = enrollment_request(
            template,
            ca=terms.ca,
            profile=terms.profile,
            requester=Requester(protocol="cmp", identity=sender.identity, request_id=request_id),
        )
        recorded = None if sender.secret is None else self._secrets.use(sender.secret)
        issued = await self._issuance.enroll(request, recorded=recorded)
        assert isinstance(issued, Issued)
        return issued

    def _check_profile(self, authority: Authority, terms: Terms) -> None:
        profile = self._profiles.get(terms.profile) if terms.profile in authority.profiles else None
        if profile is None or profile.category is not ProfileCategory.EXTERNAL_SUBORDINATE:
            raise Forbidden("the certificates of this path are not those of CAs")
        if terms.approval:
            raise Forbidden("a ccr does not wait for an approval, which this path needs")


def _check_issuer(template: CertTemplate, authority: Authority) -> None:
    """The NULL-DN leaves it to us."""
    if template.issuer is not None and template.issuer.rdns and template.issuer != authority.subject:
        raise PKIMessageRejected(PKIFailureInfo.WRONG_AUTHORITY, "the issuer is not this CA")


def _check_possession(message: CertReqMsg, sender: Sender) -> None:
    """A signature by the key of the CA (D.6), or the word of a registration authority."""
    if isinstance(message.popo, RAVerified) and sender.is_registration_authority:
        return
    name = None if sender.certificate is None else x509.DirectoryName(sender.certificate.subject)
    try:
        verify_signature_popo(message, sender=name)
    except ProofOfPossessionError as error:
        raise BadProofOfPossession(str(error)) from error
    except PublicKeyError as error:
        raise BadPublicKey(str(error)) from error


def _is_as_asked(template: CertTemplate, certificate: x509.Certificate) -> bool:
    """Whether names, validity and extensions are those of the request, as far as it has any."""
    validity = template.validity
    extensions = {each.oid.dotted_string: each.value.public_bytes() for each in certificate.extensions}
    return (
        template.subject in (None, certificate.subject)
        and (
            validity is None
            or (
                validity.not_before in (None, certificate.not_valid_before_utc)
                and validity.not_after in (None, certificate.not_valid_after_utc)
            )
        )
        and all(extensions.get(each.extn_id) == each.extn_value for each in template.extensions or ())
    )
