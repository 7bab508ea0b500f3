"""Who may enroll at a plain SCEP URL: whoever has its password, a one-time challenge, or a certificate to be renewed.

::

    the challengePassword is      and then
    the static one of the CA      the request may become a certificate
    a one-time challenge          the same, once: the certificate and its use are one transaction
    missing                       refused, unless the service is insecure (R-CEG-063)
    anything else                 refused, unless the service is insecure and has no static one

A renewal needs one as everybody does, unless the terms waive it (R-CEG-070); what a renewal is says
:func:`protocols.scep.signers.may_be_replaced`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import ClassVar

from cryptography.x509.oid import NameOID
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.values import Issued
from cspd.refusals import Forbidden, Unauthorized
from cspd.x509.csr import CertificationRequest
from cspd.x509.general_names import text_of
from cspd.x509.names import format_name
from protocols.scep.interfaces import Authorization, RequestForCertificate, Terms
from protocols.scep.one_time_challenges import PURPOSE, read_challenge

STATIC_IDENTITY = "static challenge"
"""Of whoever has the password of the CA."""
NO_IDENTITY = "anybody"
"""Of whoever needs none."""
_SURROUNDINGS = frozenset(
    {
        NameOID.COUNTRY_NAME,
        NameOID.STATE_OR_PROVINCE_NAME,
        NameOID.LOCALITY_NAME,
        NameOID.STREET_ADDRESS,
        NameOID.POSTAL_CODE,
        NameOID.ORGANIZATION_NAME,
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.DOMAIN_COMPONENT,
    }
)
_MISSING = "a challengePassword is needed"
_WRONG = "the challengePassword is wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeRules:
    """What a service takes for a challenge."""

    static: bytes | None = field(default=None, repr=False)
    """The password of the CA; never empty."""
    insecure: bool = False
    """A request without challenge is as good as one with; and, without ``static``, as one with any."""
    one_time: bool = True
    """One-time challenges count."""


class ChallengeAuthorizer:
    """Implements :class:`protocols.scep.interfaces.Authorizer` for one service of one CA."""

    _log: ClassVar[Logger] = Logger()

    def __init__(self, *, rules: ChallengeRules, secrets: EnrollmentSecrets, audit: AuditLog) -> None:
        self._rules = rules
        self._secrets = secrets
        self._audit = audit

    async def authorize(self, request: RequestForCertificate) -> Authorization:
        """See :class:`protocols.scep.interfaces.Authorizer`. Each refusal is audited, never with the challenge."""
        if request.terms.renewal_without_challenge and request.replaces is not None:
            return Authorization(identity=f"certificate {request.signer.serial_number:x}")
        try:
            return await self._by_challenge(request)
        except (Unauthorized, Forbidden) as refusal:
            await self._audit.record(_refused(request, refusal.reason))
            raise

    async def issued(self, request: RequestForCertificate, authorization: Authorization, issued: Issued) -> None:
        """Each certificate that anybody might have got is told (R-CEGI-093)."""
        if authorization.identity == NO_IDENTITY and authorization.recorded is None:
            self._log.warn(
                "SCEP request {request_id} got its certificate without challenge: {ca}/{profile} is insecure",
                event="scep-issued-without-challenge",
                request_id=request.request_id,
                ca=str(request.terms.ca),
                profile=request.terms.profile,
            )

    async def refused(self, request: RequestForCertificate, authorization: Authorization, reason: str) -> None:
        """A one-time challenge whose request was refused is as good as before."""

    async def passwords(self, terms: Terms) -> Sequence[bytes]:
        """The static one: which one-time challenge it was is told by the request in the envelope alone."""
        return () if self._rules.static is None else (self._rules.static,)

    async def _by_challenge(self, request: RequestForCertificate) -> Authorization:
        given = request.challenge_password or ""
        if self._is_static(given):
            return Authorization(identity=STATIC_IDENTITY)
        if self._rules.insecure and (not given or self._rules.static is None):
            return Authorization(identity=NO_IDENTITY)
        if not given:
            raise Unauthorized(_MISSING, code="challenge-missing")
        return await self._by_one_time_challenge(given, request)

    def _is_static(self, given: str) -> bool:
        if self._rules.static is None:
            return False
        # Digests, so that time tells neither the length nor how much of it is right (R-CEG-064).
        digest = sha256(given.encode("utf-8", "surrogatepass")).digest()
        return compare_digest(digest, sha256(self._rules.static).digest())

    async def _by_one_time_challenge(self, given: str, request: RequestForCertificate) -> Authorization:
        challenge = read_challenge(given) if self._rules.one_time else None
        if challenge is None:
            raise Unauthorized(_WRONG, code="challenge-wrong")
        try:
            secret = await self._secrets.check(PURPOSE, challenge.reference, challenge.code)
        except Unauthorized as error:
            raise Unauthorized(_WRONG, code="challenge-wrong", detail=error.detail) from error
        secret.require(request.terms.ca, request.terms.profile, names_of(request.csr))
        return Authorization(
            identity=secret.identity,
            recorded=self._secrets.use(secret),
            kept_with=self._secrets.use_for_request(secret),
        )


def names_of(csr: CertificationRequest) -> frozenset[str]:
    """What a request names: every subjectAltName, and what in the subject is not a place or an organization."""
    subject = {str(each.value) for each in csr.subject if each.oid not in _SURROUNDINGS}
    return frozenset(subject | {text_of(name) for name in csr.subject_alt_names})


def _refused(request: RequestForCertificate, reason: str) -> AuditEvent:
    return AuditEvent(
        event="scep-challenge-refused",
        actor=f"scep:{request.address}",
        outcome=Outcome.REFUSED,
        fields={
            "ca": str(request.terms.ca),
            "profile": request.terms.profile,
            "subject": format_name(request.csr.subject),
            "transaction": request.transaction_id,
            "reason": reason,
            "request_id": request.request_id,
        },
    )
