"""Enrollment policies over HTTP: paths, who asks, SOAP in and out ([MS-XCEP] 2.1).

::

    POST /wstep/usertoken/policy/TENANT        user name and password in the message
    POST /wstep/kerberos/policy/TENANT         a Kerberos ticket in HTTP, where enrollment has it
    POST /wstep/certificate/policy/TENANT      a TLS client certificate that was issued here, if conf allows it
    POST /wstep/anonymous/policy/TENANT        anybody, if conf allows it
    POST /TENANT_ADPolicyProvider_CEP_UsernamePassword/service.svc/CEP    the same, as Microsoft's service calls them:
    POST /TENANT_ADPolicyProvider_CEP_Kerberos/service.svc/CEP            also without TENANT_ where there is one tenant
    POST /TENANT_ADPolicyProvider_CEP_Certificate/service.svc/CEP
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from twisted.logger import Logger

from cspd.http.message import Request, Response, Route
from cspd.http.soap12 import (
    MEDIA_TYPE,
    FaultCode,
    Message,
    SOAPFault,
    action_not_supported,
    encode_answer,
    read_message,
)
from cspd.refusals import NotFound, Refused
from protocols.wstep import http_answers
from protocols.wstep.audit import RefusalAudit
from protocols.wstep.authentication import Tickets, UserNames
from protocols.wstep.client_certificates import OurCertificates
from protocols.wstep.errors import INTERNAL_REASON, soap_fault
from protocols.wstep.messages import Caller
from protocols.wstep.policy_codec import decode_get_policies, encode_get_policies_response
from protocols.wstep.policy_messages import GET_POLICIES_ACTION, GET_POLICIES_RESPONSE_ACTION
from protocols.wstep.policy_service import PolicyService
from protocols.wstep.ticket_exchange import MAX_HEADERS, answer_with_ticket

MAX_REQUEST = 64 * 1024
_PROVIDER = "ADPolicyProvider_CEP_"

CallerOf = Callable[[Message], Awaitable[Caller | None]]
Handler = Callable[[Request], Awaitable[Response]]


class PolicyEndpoint:
    """The routes of enrollment policies."""

    _log = Logger()

    def __init__(
        self,
        *,
        service: PolicyService,
        user_names: UserNames,
        tickets: Tickets | None,
        certificates: OurCertificates | None,
        anonymous: bool,
        tenants: Collection[str],
        audit: RefusalAudit,
    ) -> None:
        """None, and False: that way is switched off, and its URLs are not served."""
        self._service = service
        self._user_names = user_names
        self._tickets = tickets
        self._certificates = certificates
        self._tenants = frozenset(tenants)
        self._audit = audit
        self._ways: dict[str, Handler] = {"usertoken": self._with_password}
        self._providers: dict[str, Handler] = {"UsernamePassword": self._with_password}
        if tickets is not None:
            self._ways["kerberos"] = self._providers["Kerberos"] = self._with_ticket
        if certificates is not None:
            self._ways["certificate"] = self._providers["Certificate"] = self._with_certificate
        if anonymous:
            self._ways["anonymous"] = self._without_name

    def routes(self) -> Sequence[Route]:
        """The routes of the ways that are switched on."""
        routes = [
            self._route(f"/wstep/{word}/policy/{{tenant}}", handler, with_ticket=word == "kerberos")
            for word, handler in self._ways.items()
        ]
        alias = self._route("/{service}/service.svc/CEP", self._by_alias, with_ticket=self._tickets is not None)
        return [*routes, alias]

    def _route(self, path: str, handler: Handler, *, with_ticket: bool) -> Route:
        return Route(
            methods=("POST",),
            path=path,
            handler=handler,
            max_body_bytes=MAX_REQUEST,
            max_header_bytes=MAX_HEADERS if with_ticket else None,
            refuse=http_answers.too_much,
        )

    async def _by_alias(self, request: Request) -> Response:
        prefix, found, way = request.parameters["service"].rpartition(_PROVIDER)
        handler = self._providers.get(way) if found and (not prefix or prefix.endswith("_")) else None
        if handler is None:
            return http_answers.sentence(404, "there is no such service here")
        return await handler(request)

    def _tenant(self, request: Request) -> str | None:
        """The tenant of a path; None for one that there is not."""
        tenant = request.parameters.get("tenant")
        if tenant is None:
            tenant = request.parameters["service"].rpartition(_PROVIDER)[0].removesuffix("_")
        if not tenant and len(self._tenants) == 1:
            return next(iter(self._tenants))
        return tenant if tenant in self._tenants else None

    async def _with_password(self, request: Request) -> Response:
        async def caller_of(message: Message) -> Caller:
            return await self._user_names.authenticate(
                message.username_token(), domain=None, address=request.peer, request_id=request.request_id
            )

        return await self._answer(request, caller_of)

    async def _with_ticket(self, request: Request) -> Response:
        async def answer(caller: Caller) -> Response:
            async def caller_of(message: Message) -> Caller:
                return caller

            return await self._answer(request, caller_of)

        async def record(refusal: Refused) -> None:
            await self._record(refusal, request, "unknown")

        def fault(refusal: Refused) -> Response:
            return http_answers.fault(soap_fault(refusal, None))

        assert self._tickets is not None  # there is no route without
        return await answer_with_ticket(self._tickets, request, answer=answer, record=record, fault=fault)

    async def _with_certificate(self, request: Request) -> Response:
        async def caller_of(message: Message) -> Caller:
            assert self._certificates is not None  # there is no route without
            return await self._certificates.authenticate(request)

        return await self._answer(request, caller_of)

    async def _without_name(self, request: Request) -> Response:
        async def caller_of(message: Message) -> None:
            return None

        return await self._answer(request, caller_of)

    async def _answer(self, request: Request, caller_of: CallerOf) -> Response:
        """The answer to a message, a fault included."""
        tenant = self._tenant(request)
        if tenant is None:
            return http_answers.sentence(404, "there is no such tenant here")
        if request.content_type != MEDIA_TYPE:
            # Nor may a page of another site make a browser send it, with the ticket of whoever looks at the page.
            return http_answers.sentence(415, f"POST {MEDIA_TYPE}.")
        relates_to: str | None = None
        user = "unknown"
        try:
            message = read_message(request.body)
            relates_to = message.message_id
            if message.action != GET_POLICIES_ACTION:
                raise action_not_supported(message)
            caller = await caller_of(message)
            user = "anybody" if caller is None else caller.name
            asked = decode_get_policies(message.body)
            told = await self._service.get_policies(asked, caller, tenant=tenant)
            body = encode_answer(GET_POLICIES_RESPONSE_ACTION, relates_to, encode_get_policies_response(told))
            return http_answers.message(body)
        except SOAPFault as fault:
            self._log.info(
                "Policy request {request_id} from {address} is no message: {reason}",
                request_id=request.request_id,
                address=request.peer,
                reason=fault.reason,
                event="wstep-policy-fault",
            )
            return http_answers.fault(fault)
        except NotFound as refusal:
            return http_answers.fault(soap_fault(refusal, relates_to))
        except Refused as refusal:
            await self._record(refusal, request, user)
            return http_answers.fault(soap_fault(refusal, relates_to))
        except Exception:
            self._log.failure(
                "Policy request {request_id} failed", event="wstep-policy-failed", request_id=request.request_id
            )
            return http_answers.fault(SOAPFault(FaultCode.RECEIVER, INTERNAL_REASON, relates_to=relates_to))

    async def _record(self, refusal: Refused, request: Request, user: str) -> None:
        await self._audit.record(
            refusal,
            tenant=self._tenant(request) or "unknown",
            ca="policy",
            user=user,
            template=None,
            address=request.peer,
            request_id=request.request_id,
        )
