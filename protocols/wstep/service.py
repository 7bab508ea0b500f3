"""Windows enrollment without HTTP and XML: a request of a caller in, a certificate out.

::

    Issue              the token and its signatures           tokens.py
                       the certificate that is renewed        renewal.py
                       template, access, profile, names       decisions.py
                       the certificate                        Issuance.enroll
                       the answer that the CA signs           responses.py
    QueryTokenStatus   what was issued before                 request_ids.py

Every request is answered at once, with a certificate or a refusal (R-CEG-143).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from cspd.authority.interfaces import Authorities, CertificateStore, Issuance
from cspd.authority.profile_values import Profile
from cspd.authority.values import Authority, CertificateState, EnrollmentRequest, Pending, Requester
from cspd.clock import Clock
from cspd.refusals import Conflict, Malformed, NotFound, Rejected
from protocols.wstep.decisions import (
    Decision,
    decide_for_account,
    decide_for_static_user,
    find_template,
)
from protocols.wstep.enrollment_services import services_of
from protocols.wstep.errors import BAD_RENEWAL, NO_SUCH_REQUEST
from protocols.wstep.messages import Caller, IssuedToken, RequestSecurityToken, RequestType, StaticUser, Terms
from protocols.wstep.renewal import PROTOCOL, Renewals
from protocols.wstep.request_ids import RequestIDs
from protocols.wstep.requested_template import TemplateOID, requested_template
from protocols.wstep.responses import Responder
from protocols.wstep.tokens import Token, read_token


class WSTEPService:
    """Answers requests of callers who have been authenticated."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        issuance: Issuance,
        certificates: CertificateStore,
        profiles: Mapping[str, Profile],
        request_ids: RequestIDs,
        renewals: Renewals,
        responder: Responder,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._issuance = issuance
        self._certificates = certificates
        self._profiles = profiles
        self._request_ids = request_ids
        self._renewals = renewals
        self._responder = responder

    async def answer(
        self,
        request: RequestSecurityToken,
        caller: Caller,
        terms: Terms,
        *,
        renewals_only: bool = False,
        note_template: Callable[[str], None] = lambda name: None,
    ) -> IssuedToken:
        """The certificate that a request asks for, a new one or one that was issued before; raises a Refused.

        ``renewals_only``: anything else is Rejected, by the code :data:`BAD_RENEWAL`.
        ``note_template`` hears which template the request is for, as soon as that is known: refusals are audited by it.
        """
        authority = await self._authorities.get(terms.ca)
        if request.request_type is RequestType.QUERY:
            if renewals_only:
                raise _only_renewals()
            return await self._query(request, caller, authority)
        return await self._issue(request, caller, terms, authority, renewals_only, note_template)

    async def _issue(
        self,
        request: RequestSecurityToken,
        caller: Caller,
        terms: Terms,
        authority: Authority,
        renewals_only: bool,
        note_template: Callable[[str], None],
    ) -> IssuedToken:
        if not request.token_der:
            raise Malformed("a request to issue has a BinarySecurityToken")
        token = read_token(request.token_der)
        previous = None
        if renewals_only and token.renews is None:
            raise _only_renewals()
        if token.renews is not None:
            previous = await self._renewals.find(token.renews, authority, caller)
        asked = requested_template(token.csr, name=request.template_name)
        if asked is not None:
            note_template(asked.oid if isinstance(asked, TemplateOID) else asked.name)
        if isinstance(caller.who, StaticUser):
            decision = decide_for_static_user(caller.who, token.csr, asked, terms=terms)
        else:
            assert caller.directory is not None  # an account comes from one
            template = await find_template(caller.directory, caller.who.domain, asked)
            note_template(template.name)
            services = await caller.directory.enrollment_services(domain=caller.who.domain)
            decision = decide_for_account(
                caller.who,
                template,
                services_of(authority.certificate_der, services, terms),
                token.csr,
                previous=previous,
                terms=terms,
            )
        return await self._enroll(token, decision, caller, terms, authority)

    async def _enroll(
        self, token: Token, decision: Decision, caller: Caller, terms: Terms, authority: Authority
    ) -> IssuedToken:
        request_id = await self._request_ids.choose(authority.id)
        issued = await self._issuance.enroll(
            EnrollmentRequest(
                ca=terms.ca,
                profile=decision.profile,
                requester=Requester(
                    protocol=PROTOCOL,
                    identity=caller.name,
                    address=caller.address,
                    request_id=caller.request_id,
                ),
                # Its signature was verified when the token was read.
                public_key_der=token.csr.public_key_der,
                subject=decision.names.subject,
                subject_alt_names=decision.names.subject_alt_names,
                extensions=decision.extensions,
                not_after=self._end(decision.validity, decision.profile, authority),
            ),
            recorded=self._request_ids.recorded(request_id, caller.key),
        )
        if isinstance(issued, Pending):  # no CA of ours makes a request wait
            raise Conflict("the CA issues later, which this protocol is not offered for", code="ca-issues-later")
        response_der = await self._responder.respond(authority, issued.certificate_der)
        return IssuedToken(certificate_der=issued.certificate_der, response_der=response_der, request_id=request_id)

    def _end(self, wanted: timedelta, profile_id: str, authority: Authority) -> datetime | None:
        """The end that a template wants, no later than the profile and the CA let it be (R-CEGI-042)."""
        profile = self._profiles.get(profile_id)
        if not wanted or profile is None or authority.certificate is None or not profile.validity.request_may_choose:
            return None
        now = self._clock.now()
        try:
            end = now + wanted
        except OverflowError:
            return None
        longest = (profile.validity.maximum or profile.validity.default).after(now)
        return min(end, longest, authority.certificate.not_valid_after_utc)

    async def _query(self, request: RequestSecurityToken, caller: Caller, authority: Authority) -> IssuedToken:
        if request.request_id is None:
            raise Malformed("a query has a RequestID")
        known = await self._request_ids.find(authority.id, request.request_id, caller.key)
        record = await self._certificates.find(authority.id, known.serial)
        if record.certificate_der is None or record.status.state is not CertificateState.GOOD:
            raise NotFound("the certificate of that request is not valid any more", code=NO_SUCH_REQUEST)
        return IssuedToken(
            certificate_der=record.certificate_der,
            response_der=await self._responder.respond(authority, record.certificate_der),
            request_id=known.request_id,
        )


def _only_renewals() -> Rejected:
    return Rejected("only renewals are taken here", code=BAD_RENEWAL)
