"""The certificate requests of a full PKI request, each read as far as it can be before anybody knows who sends it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cryptography import x509

from cspd.authority.crmf_requests import enrollment_request
from cspd.authority.requests import AskedCertificate, read_request
from cspd.authority.values import CAReference, EnrollmentRequest, Requester
from cspd.refusals import BadProofOfPossession, BadPublicKey, Malformed, Refused
from cspd.x509.cmc.messages import CMCFailInfo, OtherRequest, TaggedCertificationRequest, TaggedRequest
from cspd.x509.crmf.messages import CertReqMsg, POPOSigningKey
from cspd.x509.crmf.possession import ProofOfPossessionError, verify_signature_popo
from cspd.x509.public_keys import PublicKeyError
from protocols.est.cmc_errors import CMCFailure

_NOBODY_YET = Requester(protocol="est", identity="")


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A request that can be understood."""

    request: EnrollmentRequest
    """Of nobody yet."""
    asked: AskedCertificate
    message: CertReqMsg | None
    """Its CRMF, whose proof of possession is still to be verified; None for PKCS#10, whose signature has been."""

    def of(self, requester: Requester) -> EnrollmentRequest:
        """The same, of somebody."""
        return replace(self.request, requester=requester)

    def check_possession(self, sender: x509.Name | None) -> None:
        """Verify the proof of possession; ``sender`` is the name in the certificate that signed the message.

        Raises :class:`CMCFailure` (``popRequired``), BadProofOfPossession, and BadPublicKey.
        """
        if self.message is None:
            return
        if not isinstance(self.message.popo, POPOSigningKey):
            raise CMCFailure(CMCFailInfo.POP_REQUIRED, "the request needs a signature by its key")
        try:
            verify_signature_popo(self.message, sender=None if sender is None else x509.DirectoryName(sender))
        except ProofOfPossessionError as error:
            raise BadProofOfPossession(str(error)) from error
        except PublicKeyError as error:
            raise BadPublicKey(str(error)) from error


def read_tagged_request(tagged: TaggedRequest, ca: CAReference, profile: str) -> ReadRequest | Refused:
    """What a TaggedRequest asks for, or why it cannot be granted whoever asks."""
    try:
        if isinstance(tagged, OtherRequest):
            raise Malformed(f"requests of the type {tagged.request_message_type} are not known")
        if isinstance(tagged, TaggedCertificationRequest):
            request = EnrollmentRequest(
                ca=ca, profile=profile, requester=_NOBODY_YET, csr_der=tagged.certification_request_der
            )
            return ReadRequest(request, read_request(request), None)
        template = tagged.message.cert_req.cert_template
        request = enrollment_request(template, ca=ca, profile=profile, requester=_NOBODY_YET)
        return ReadRequest(request, read_request(request), tagged.message)
    except Refused as refusal:
        return refusal
