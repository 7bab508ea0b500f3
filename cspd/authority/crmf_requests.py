"""What a certificate template of CRMF asks for, as a request to issuance (RFC 4211, 5)."""

from __future__ import annotations

from cspd.authority.values import CAReference, EnrollmentRequest, RequestedExtension, Requester
from cspd.refusals import BadExtension, BadPublicKey
from cspd.x509.crmf.messages import CertTemplate
from cspd.x509.extensions import MAX_EXTENSION
from cspd.x509.general_name_encoding import decode_general_names
from cspd.x509.general_names import GeneralNameError

_SUBJECT_ALT_NAME = "2.5.29.17"


def enrollment_request(
    template: CertTemplate, *, ca: CAReference, profile: str, requester: Requester
) -> EnrollmentRequest:
    """The request for the certificate that a template describes.

    The caller has checked the proof of possession. Version, serialNumber, signingAlg, issuer and the unique identifiers
    are the CA's own to choose; a client may only name them, and what it says of them is not looked at.

    Raises :class:`BadPublicKey` for a template without a key, and :class:`BadExtension` for an extension twice, one
    that is too long, or names that cannot be read.
    """
    if template.public_key_der is None:
        raise BadPublicKey("the request names no public key")
    names, extensions = None, []
    seen: set[str] = set()
    for extension in template.extensions or ():
        if extension.extn_id in seen:
            raise BadExtension(f"extension {extension.extn_id} twice")
        seen.add(extension.extn_id)
        if extension.extn_id == _SUBJECT_ALT_NAME:
            try:
                names = decode_general_names(extension.extn_value)
            except GeneralNameError as error:
                raise BadExtension(f"subjectAltName: {error}") from error
        elif len(extension.extn_value) > MAX_EXTENSION:
            raise BadExtension(f"extension {extension.extn_id} has more than {MAX_EXTENSION} octets")
        else:
            extensions.append(
                RequestedExtension(oid=extension.extn_id, critical=extension.critical, value_der=extension.extn_value)
            )
    validity = template.validity
    return EnrollmentRequest(
        ca=ca,
        profile=profile,
        requester=requester,
        public_key_der=template.public_key_der,
        subject=template.subject,
        subject_alt_names=names,
        extensions=tuple(extensions),
        not_before=None if validity is None else validity.not_before,
        not_after=None if validity is None else validity.not_after,
    )
