"""Who a client is (RFC 7030, 3.2.3 and 3.3).

::

    HTTP Basic         a user that somebody knows, or reference number and code of an enrollment secret
    TLS certificate    one of ours, for its own successor; or one of a trusted maker, for a first certificate
    the request        an enrollment secret in it, for clients that have neither of the two
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cspd.authentication.basic import Credentials
from cspd.authentication.certificates import ClientCertificates, TrustAnchors
from cspd.authentication.interfaces import PasswordCheck
from cspd.authentication.secrets import EnrollmentSecret, EnrollmentSecrets
from cspd.authority.approvals import KeptWith
from cspd.authority.interfaces import Authorities, CertificateStore, Recorded
from cspd.authority.values import CertificateRecord, CertificateState
from cspd.clock import Clock
from cspd.refusals import Forbidden, NotFound, Unauthorized
from protocols.est.errors import CREDENTIALS_NEEDED
from protocols.est.messages import Client, Terms

PURPOSE = "est"
"""Of the enrollment secrets that count here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """A client that has shown who it is."""

    name: str
    is_user: bool = False
    """Known by a name and a password of its own, so that nobody else has the same ``name``."""
    recorded: Recorded | None = None
    """For ``recorded`` of issuance: uses up what the client has shown."""
    kept_with: KeptWith | None = None
    """The same for a request that waits."""


class Authentication:
    """Recognizes clients by what the terms of their path allow."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        certificates: CertificateStore,
        users: PasswordCheck,
        secrets: EnrollmentSecrets,
        client_certificates: ClientCertificates,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._certificates = certificates
        self._users = users
        self._secrets = secrets
        self._client_certificates = client_certificates

    async def authenticate(
        self,
        client: Client,
        terms: Terms,
        *,
        renews: CertificateRecord | None = None,
        one_time_password: Callable[[], Credentials | None] = lambda: None,
    ) -> Authenticated:
        """Who a client is; raises Unauthorized, Forbidden, Unavailable.

        A certificate of ours speaks for its own successor alone (``renews``): whoever has one certificate must not get
        others, for other names. ``one_time_password`` reads the request for one, which is done for no client that has
        shown something better; raises what it raises.
        """
        if terms.passwords and client.credentials is not None:
            return await self._by_password(client.credentials, terms)
        if terms.certificate and renews is not None:
            return Authenticated(name=f"certificate {renews.serial:x}")
        untrusted = None
        if terms.trusted is not None and client.certificate_der is not None:
            try:
                return await self._by_certificate(client.certificate_der, client.chain_der, terms.trusted)
            except Unauthorized as error:
                untrusted = error
        if terms.challenge and (password := one_time_password()) is not None:
            return await self._by_request(password, terms)
        raise _refusal(terms, untrusted)

    async def own_certificate(self, client: Client, terms: Terms) -> CertificateRecord:
        """The client's TLS certificate, which has to be a good one of this CA and profile (4.2.2).

        Raises Forbidden for any other, and Unauthorized without one where a password may come with the next attempt.
        """
        if client.certificate_der is None:
            if terms.passwords and client.credentials is None:
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

    async def certificate_of_user(
        self, client: Client, terms: Terms, serial: int
    ) -> tuple[Authenticated, CertificateRecord]:
        """Who the client is, and a certificate of the CA that the client has enrolled as the user that it is now.

        Raises as :meth:`authenticate`, Forbidden for a client that is no user, and NotFound for one of anybody else.
        """
        known = await self.authenticate(client, terms)
        if not known.is_user:
            raise Forbidden("certificates other than the client's own are for users, by name and password")
        nothing = NotFound("you have enrolled no certificate with that serial number here")
        authority = await self._authorities.get(terms.ca)
        try:
            record = await self._certificates.find(authority.id, serial)
        except NotFound as error:
            raise nothing from error
        if (record.protocol, record.requester) != ("est", known.name):
            raise nothing
        return known, record

    async def _by_password(self, credentials: Credentials, terms: Terms) -> Authenticated:
        if terms.secret:
            try:
                return await self._by_secret(credentials, terms)
            except Unauthorized:
                if not terms.basic:
                    raise
        name = (await self._users.check(credentials.user, credentials.password)).name
        return Authenticated(name=name, is_user=True)

    async def _by_secret(self, credentials: Credentials, terms: Terms) -> Authenticated:
        """Where requests wait for approval a used one counts too: the client asks for what it used it for."""
        reference, code = credentials.user, credentials.password
        secret = await self._secrets.check(PURPOSE, reference, code, even_used=terms.approval)
        return self._authenticated_by(secret, terms)

    def _authenticated_by(self, secret: EnrollmentSecret, terms: Terms) -> Authenticated:
        """Whom a secret was made for; raises Forbidden for one of another CA or profile."""
        secret.require(terms.ca, terms.profile)
        return Authenticated(
            name=secret.identity,
            recorded=self._secrets.use(secret),
            kept_with=self._secrets.use_for_request(secret),
        )

    async def _by_request(self, password: Credentials, terms: Terms) -> Authenticated:
        try:
            return await self._by_secret(password, terms)
        except Unauthorized as error:
            if terms.passwords:
                raise
            # A 401 would ask for a password that is of no use.
            raise Forbidden(error.reason, detail=error.detail) from error

    async def _by_certificate(
        self, certificate_der: bytes, chain_der: tuple[bytes, ...], trusted: TrustAnchors
    ) -> Authenticated:
        client = await self._client_certificates.check(certificate_der, chain_der, trusted, self._clock.now())
        certificate = client.certificate
        issuer = certificate.issuer.rfc4514_string()
        return Authenticated(name=client.identity.name or f"certificate {certificate.serial_number:x} of {issuer}")


def _refusal(terms: Terms, untrusted: Unauthorized | None) -> Unauthorized | Forbidden:
    if terms.passwords and untrusted is None:
        return Unauthorized("user name and password are needed", code=CREDENTIALS_NEEDED)
    if untrusted is not None:
        kind = Unauthorized if terms.passwords else Forbidden
        return kind(untrusted.reason, detail=untrusted.detail)
    if terms.challenge:
        return Forbidden("a one-time password is needed, as challengePassword of the request")
    return Forbidden("a certificate gets its successor alone; a first certificate needs another authentication")
