"""Transactions: what is remembered of a request for a certificate (RFC 8894, 3.2.1.1).

::

    PKCSReq                 the row becomes durable with the certificate, or with the request that waits for approval
    the same PKCSReq again  is answered by the row: the same certificate, not a second one (R-CEG-071)
    CertPoll                finds the request by the row

The client makes up the transactionID, often as a hash of its key. So it says nothing about who asks: a row belongs to
the key that signed, and to the path that it came to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.request_encoding import digest_of
from cspd.authority.requests import requested_extensions
from cspd.authority.values import EnrollmentRequest, Requester
from cspd.x509.certificate_fields import fields_of
from protocols.scep.interfaces import Terms
from protocols.scep.messages import PKCS10Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A row."""

    endpoint: str
    transaction_id: str
    client: str
    request_digest: str
    subject_der: bytes
    created_at: datetime
    expires_at: datetime
    request_id: str | None = None
    """Of the approval, where one is needed."""
    authority_id: str | None = None
    serial: int | None = None
    """Of the certificate, when there is one."""
    replaced: tuple[str, int] | None = None
    """CA and serial number of the certificate that is to be revoked once there is another."""


def endpoint_of(place: str, *names: str) -> str:
    """What stands for a path: the form of the path, and the names in it."""
    return sha256("\0".join((place, *names)).encode()).hexdigest()


def client_of(signer: x509.Certificate) -> str:
    """What stands for a client: its key, for the certificate around it may be made anew for each message."""
    return sha256(fields_of(signer.public_bytes(Encoding.DER)).subject_public_key_info).hexdigest()


def asked_for(request: PKCS10Request, terms: Terms, requester: Requester) -> EnrollmentRequest:
    """What a certification request, whose signature is verified, asks for; its challengePassword is left behind."""
    csr = request.csr
    return EnrollmentRequest(
        ca=terms.ca,
        profile=terms.profile,
        requester=requester,
        public_key_der=csr.public_key_der,
        subject=csr.subject,
        subject_alt_names=csr.subject_alt_names,
        extensions=requested_extensions(csr.extensions),
    )


def digest_of_request(request: PKCS10Request, signer: x509.Certificate, terms: Terms) -> str:
    """What two transmissions of one request have in common.

    Clients that try again may encrypt and sign again, the certification request too, make another certificate of the
    same key, and call a RenewalReq a PKCSReq; a certificate that somebody issued is the same one.
    """
    signer_der = signer.public_bytes(Encoding.DER)
    fields = fields_of(signer_der)
    is_made_by_client = fields.issuer == fields.subject
    stands_for_signer = client_of(signer) if is_made_by_client else sha256(signer_der).hexdigest()
    nobody = Requester(protocol="scep", identity=stands_for_signer)
    return digest_of(asked_for(request, terms, nobody))


__all__ = ["Transaction", "asked_for", "client_of", "digest_of_request", "endpoint_of"]
