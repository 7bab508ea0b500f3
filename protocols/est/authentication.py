"""Who a client is (RFC 7030, 3.2.3 and 3.3.2)."""

from __future__ import annotations

from cspd.authentication.interfaces import PasswordCheck
from cspd.authority.interfaces import Authorities, CertificateStore
from cspd.authority.values import CertificateRecord, CertificateState
from cspd.clock import Clock
from cspd.refusals import Forbidden, NotFound, Unauthorized
from protocols.est.errors import CREDENTIALS_NEEDED
from protocols.est.messages import Client, Terms


class Authentication:
    """Recognizes clients by what the terms of their path allow."""

    def __init__(
        self, *, clock: Clock, authorities: Authorities, certificates: CertificateStore, users: PasswordCheck
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._certificates = certificates
        self._users = users

    async def authenticate(self, client: Client, terms: Terms, *, renews: CertificateRecord | None = None) -> str:
        """The identity of a client; raises Unauthorized, Forbidden.

        A certificate of ours speaks for its own successor alone (``renews``): whoever has one certificate must not get
        others, for other names.
        """
        if terms.basic and client.credentials is not None:
            credentials = client.credentials
            return (await self._users.check(credentials.user, credentials.password)).name
        if terms.certificate and renews is not None:
            return f"certificate {renews.serial:x}"
        if terms.basic:
            raise Unauthorized("user name and password are needed", code=CREDENTIALS_NEEDED)
        raise Forbidden("a certificate gets its successor alone; a first certificate needs another authentication")

    async def own_certificate(self, client: Client, terms: Terms) -> CertificateRecord:
        """The client's TLS certificate, which has to be a good one of this CA and profile (4.2.2).

        Raises Forbidden for any other, and Unauthorized without one where a password may come with the next attempt.
        """
        if client.certificate_der is None:
            if terms.basic and client.credentials is None:
                raise Unauthorized("user name and password are needed", code=CREDENTIALS_NEEDED)
            raise Forbidden("re-enrollment needs the certificate that is to be replaced as TLS client certificate")
        try:
            record = await self._certificates.find_by_der(client.certificate_der)
        except NotFound as error:
            raise Forbidden("the TLS client certificate was not issued here") from error
        authority = await self._authorities.get(terms.ca)
        if record.authority_id != authority.id or record.profile != terms.profile:
            raise Forbidden("the TLS client certificate is of another CA or profile")
        now = self._clock.now()
        if record.status.state is not CertificateState.GOOD or not record.not_before <= now < record.not_after:
            raise Forbidden("the TLS client certificate is revoked, held or expired")
        return record
