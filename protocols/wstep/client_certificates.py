"""Clients that ask for policies, and renew, with a certificate of ours, by TLS."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cryptography import x509

from cspd.authentication.certificates import METHOD, require_good
from cspd.authority.interfaces import Authorities, CertificateStore
from cspd.authority.values import CAReference, CertificateRecord
from cspd.clock import Clock
from cspd.directory.interfaces import Directory
from cspd.directory.values import Principal
from cspd.http.message import Request
from cspd.refusals import NotFound, Refused, Unauthorized, Unavailable
from protocols.wstep.messages import Caller, StaticUser
from protocols.wstep.microsoft import SID_URI
from protocols.wstep.renewal import PROTOCOL

CERTIFICATE_NEEDED = "a certificate of a CA that is served here is needed"
"""The reason of every Unauthorized for a certificate."""


class OurCertificates:
    """Recognizes callers by the certificates that they were issued here."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        certificates: CertificateStore,
        cas: Collection[CAReference],
        directories: Sequence[Directory],
    ) -> None:
        """``cas`` are those whose certificates count; ``directories`` are asked in this order."""
        self._clock = clock
        self._authorities = authorities
        self._certificates = certificates
        self._cas = frozenset(cas)
        self._directories = tuple(directories)

    async def account(self, request: Request, ca: CAReference) -> Caller:
        """The account that sent a request, by a certificate of that one CA; for renewals.

        Raises as :meth:`authenticate` does, and Unauthorized for a static user: nobody could say whether it still is
        one, while a directory is asked each time whether an account may log on.
        """
        caller = await self.authenticate(request, cas=(ca,))
        if isinstance(caller.who, StaticUser):
            raise _refused("the certificate of a static user")
        return caller

    async def authenticate(self, request: Request, *, cas: Collection[CAReference] | None = None) -> Caller:
        """Who sent a request; TLS has proved that the key is the client's. ``cas``: only these of the CAs count.

        Raises Unauthorized for no certificate, one of others, one that is not good any more, and one of an account
        that may not log on; and Unavailable.
        """
        if request.client_certificate is None:
            raise Unauthorized(CERTIFICATE_NEEDED, detail="no certificate in TLS")
        try:
            record = await self._certificates.find_by_der(request.client_certificate)
            authority = await self._authorities.by_id(record.authority_id)
        except NotFound as error:
            raise _refused("a certificate of another CA") from error
        if record.protocol != PROTOCOL or authority.reference not in self._cas.intersection(
            self._cas if cas is None else cas
        ):
            raise _refused("a certificate of another CA or protocol")
        require_good(record)
        if not record.not_before <= self._clock.now() < record.not_after:
            raise _refused("a certificate that has expired, or is not valid yet")
        sid = _sid(x509.load_der_x509_certificate(request.client_certificate))
        if sid is None:
            who = StaticUser(name=record.requester, method=METHOD)
            return Caller(who=who, address=request.peer, request_id=request.request_id)
        return await self._account(record, sid, request)

    async def _account(self, record: CertificateRecord, sid: str, request: Request) -> Caller:
        # As Account.__str__ has it: a directory knows a domain by its NetBIOS name, too, and the account by its SID.
        domain, _, name = record.requester.partition("\\")
        refusal: Refused = _refused("a certificate of an account, and no directory")
        for directory in self._directories:
            try:
                account = await directory.account_of(Principal(name=f"{name}@{domain}", sid=sid))
            except Unauthorized as error:
                if not isinstance(refusal, Unavailable):
                    refusal = _refused(error.detail)
            except Unavailable as error:
                refusal = error
            else:
                return Caller(who=account, directory=directory, address=request.peer, request_id=request.request_id)
        raise refusal


def _sid(certificate: x509.Certificate) -> str | None:
    """The SID that we wrote into the certificate of an account; None in that of a static user."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return next((uri.removeprefix(SID_URI) for uri in uris if uri.startswith(SID_URI)), None)


def _refused(detail: str) -> Unauthorized:
    return Unauthorized(CERTIFICATE_NEEDED, detail=detail)
