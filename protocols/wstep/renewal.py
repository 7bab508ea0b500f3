"""Whether a certificate may be renewed: ours, good, and of the account that asks ([MS-WCCE] 3.2.1.4.2.1.4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.interfaces import CertificateStore
from cspd.authority.values import Authority, CertificateRecord, CertificateState
from cspd.clock import Clock
from cspd.directory.values import Account
from cspd.refusals import NotFound, Rejected
from protocols.wstep import microsoft
from protocols.wstep.errors import BAD_RENEWAL
from protocols.wstep.identity import CertificateNames
from protocols.wstep.messages import Caller

PROTOCOL = "wstep"
"""Of the records of certificates that are issued here."""


@dataclass(frozen=True, slots=True)
class PreviousCertificate:
    """What a renewal takes over, or is compared with."""

    names: CertificateNames
    public_key_der: bytes
    """SubjectPublicKeyInfo."""


class Renewals:
    """Judges certificates that are to be renewed; that their keys have signed was verified before."""

    def __init__(self, *, clock: Clock, certificates: CertificateStore) -> None:
        self._clock = clock
        self._certificates = certificates

    async def find(self, certificate: x509.Certificate, authority: Authority, caller: Caller) -> PreviousCertificate:
        """A certificate that the caller may renew.

        Raises Rejected with the code :data:`BAD_RENEWAL` for a certificate of another CA or account, and for one that
        is revoked, on hold, expired or not valid yet.
        """
        try:
            record = await self._certificates.find_by_der(certificate.public_bytes(Encoding.DER))
        except NotFound as error:
            raise _refused("was not issued here") from error
        if record.authority_id != authority.id:
            raise _refused("is of another CA")
        if record.status.state is not CertificateState.GOOD:
            raise _refused("is revoked or on hold")
        if not record.not_before <= self._clock.now() < record.not_after:
            raise _refused("has expired, or is not valid yet")
        names = _names(certificate)
        if not _is_of(caller, certificate, names, record):
            raise _refused("is of another account")
        key_der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return PreviousCertificate(names, key_der)


def _names(certificate: x509.Certificate) -> CertificateNames:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return CertificateNames(certificate.subject, ())
    return CertificateNames(certificate.subject, tuple(extension.value))


def _is_of(caller: Caller, certificate: x509.Certificate, names: CertificateNames, record: CertificateRecord) -> bool:
    """By the SID, which no other account ever has; a static user's certificate by what was recorded."""
    if record.protocol != PROTOCOL:  # its names were checked by other rules, or by none
        return False
    if isinstance(caller.who, Account):
        sid = x509.UniformResourceIdentifier(microsoft.SID_URI + caller.who.sid)
        return sid in names.subject_alt_names
    return record.requester == caller.name


def _refused(what: str) -> Rejected:
    return Rejected(f"the certificate that is to be renewed {what}", code=BAD_RENEWAL)
