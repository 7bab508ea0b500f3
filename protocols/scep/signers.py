"""Who signed a request for a certificate (RFC 8894, 2.3 and 3.3.1).

::

    a certificate that the client made for itself   the request is for the same key
    a certificate of the CA, valid, not revoked     a renewal, or just another request of somebody who is known
    anything else                                   proves nothing, which is enough where requests may be handed on
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authentication.certificates import ClientCertificates
from cspd.authority.interfaces import Authorities
from cspd.authority.values import CertificateRecord
from cspd.clock import Clock
from cspd.x509.certificate_fields import fields_of
from cspd.x509.csr import CertificationRequest
from cspd.x509.general_names import subject_alt_names_of
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.interfaces import Terms
from protocols.scep.messages import FailInfo, MessageType


class Signers:
    """Finds the certificate that a message was signed with among those of the CA."""

    def __init__(self, *, clock: Clock, authorities: Authorities, client_certificates: ClientCertificates) -> None:
        self._clock = clock
        self._authorities = authorities
        self._client_certificates = client_certificates

    async def check(
        self, message_type: MessageType, signer: x509.Certificate, csr: CertificationRequest, terms: Terms
    ) -> CertificateRecord | None:
        """The signer's certificate if the CA of the terms issued it; None for one that the client made for itself.

        Raises :class:`PKIMessageRefused`, Unauthorized for a revoked certificate, and Unavailable.
        """
        signer_der = signer.public_bytes(Encoding.DER)
        fields = fields_of(signer_der)
        is_self_signed = fields.issuer == fields.subject
        record = None if is_self_signed else await self._of_ca(signer_der, terms)
        if record is not None:
            if not record.not_before <= self._clock.now() <= record.not_after:
                raise PKIMessageRefused(
                    FailInfo.BAD_MESSAGE_CHECK, "the certificate that the message is signed with has expired"
                )
        elif fields.subject_public_key_info != csr.public_key_der and not terms.signed_by_others:
            raise PKIMessageRefused(
                FailInfo.BAD_MESSAGE_CHECK,
                "the message is signed with another key than that of its request"
                if is_self_signed
                else "the message is signed with a certificate of another CA",
            )
        if message_type is not MessageType.PKCS_REQ:
            _check_renewal(message_type, record, csr, terms)
        return record

    async def _of_ca(self, signer_der: bytes, terms: Terms) -> CertificateRecord | None:
        """The record of the certificate; None for one of another CA, also if that is one of ours."""
        record = await self._client_certificates.unrevoked(signer_der)
        if record is None:
            return None
        authority = await self._authorities.get(terms.ca)
        return record if record.authority_id == authority.id else None


def may_be_replaced(record: CertificateRecord, csr: CertificationRequest, terms: Terms) -> bool:
    """Whether a request is for the successor of a certificate: the same subject and profile, no other names.

    Without that a certificate of any kind would be good for one of any other kind and name.
    """
    if record.profile != terms.profile or record.certificate_der is None:
        return False
    certificate = x509.load_der_x509_certificate(record.certificate_der)
    names = subject_alt_names_of(certificate)
    return csr.subject == certificate.subject and frozenset(csr.subject_alt_names) <= frozenset(names)


def _check_renewal(
    message_type: MessageType, record: CertificateRecord | None, csr: CertificationRequest, terms: Terms
) -> None:
    if record is None:
        raise PKIMessageRefused(
            FailInfo.BAD_REQUEST, f"a {_NAMES[message_type]} is signed with the certificate that is to be renewed"
        )
    if not may_be_replaced(record, csr, terms):
        raise PKIMessageRefused(
            FailInfo.BAD_REQUEST, "subject, names or profile are not those of the certificate that is to be renewed"
        )


_NAMES = {MessageType.RENEWAL_REQ: "RenewalReq", MessageType.UPDATE_REQ: "UpdateReq"}

__all__ = ["Signers", "may_be_replaced"]
