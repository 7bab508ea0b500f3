"""For which names the holder of a certificate may ask for another one (RFC 9483, 4.1.2 and 4.1.3).

A certificate of ours vouches for its own names alone: whoever has one must not get others, for other names. Only a
registration authority, a secret, or a certificate that a device was made with says nothing about names.
"""

from __future__ import annotations

from cryptography import x509

from cspd.authority.requests import AskedCertificate
from cspd.authority.values import CertificateRecord
from cspd.refusals import BadName, Forbidden
from cspd.x509.crmf.messages import CertId, CertReqMsg, OldCertID
from cspd.x509.general_names import subject_alt_names_of
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.status import PKIFailureInfo


def certificate_of(record: CertificateRecord) -> x509.Certificate:
    """The certificate of a record; raises ``badCertId`` for one that was never signed."""
    if record.certificate_der is None:
        raise PKIMessageRejected(PKIFailureInfo.BAD_CERT_ID, "there is no such certificate")
    return x509.load_der_x509_certificate(record.certificate_der)


def check_within(asked: AskedCertificate, certificate: x509.Certificate) -> None:
    """Raise Forbidden for a subject that is another than the certificate's, or for a name that it does not have."""
    names = subject_alt_names_of(certificate)
    if asked.subject != certificate.subject or not set(asked.subject_alt_names) <= set(names):
        raise Forbidden("a certificate vouches for its own subject and names alone")


def check_same(asked: AskedCertificate, certificate: x509.Certificate) -> None:
    """Raise BadName unless subject and subjectAltName are those of the certificate, in any order of the names."""
    if asked.subject != certificate.subject or set(asked.subject_alt_names) != set(subject_alt_names_of(certificate)):
        raise BadName("subject and subjectAltName are not those of the certificate that is to be updated")


def old_cert_id(message: CertReqMsg) -> CertId | None:
    """What the request's oldCertId names, if it has one."""
    return next((each.cert_id for each in message.cert_req.controls if isinstance(each, OldCertID)), None)


def check_old_cert_id(cert_id: CertId | None, certificate: x509.Certificate) -> None:
    """Raise ``badCertId`` unless it names the certificate; a request without one is fine."""
    if cert_id is None:
        return
    if cert_id.serial_number != certificate.serial_number or cert_id.issuer != x509.DirectoryName(certificate.issuer):
        raise PKIMessageRejected(PKIFailureInfo.BAD_CERT_ID, "oldCertId names another certificate")
