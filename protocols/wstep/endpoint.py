"""Windows enrollment over HTTP: paths, who calls, SOAP in and out ([MS-WSTEP] 2.1).

::

    POST /wstep/usertoken/services/TENANT/CA                 user name and password in the message
    POST /wstep/kerberos/services/TENANT/CA                  a Kerberos ticket in HTTP
    POST /wstep/certificate/services/TENANT/CA               a TLS client certificate, for renewals, if conf allows it
    POST /ORGANIZATION~CA_CES_UsernamePassword/service.svc/CES    the same, as AD CS calls them
    POST /ORGANIZATION~CA_CES_Kerberos/service.svc/CES
    POST /ORGANIZATION~CA_CES_Certificate/service.svc/CES
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.logger import Logger

from cspd.http.message import Request, Response, Route
from cspd.http.soap12 import (
    MEDIA_TYPE,
    FaultCode,
    Message,
    SOAPFault,
    encode_answer,
    read_message,
)
from cspd.refusals import NotFound, Refused
from protocols.wstep import http_answers
from protocols.wstep.audit import RefusalAudit
from protocols.wstep.authentication import Tickets, UserNames
from protocols.wstep.client_certificates import OurCertificates
from protocols.wstep.codec import ANSWER_ACTION, FAULT_ACTION, decode_request, encode_issued
from protocols.wstep.errors import INTERNAL_REASON, detail_of, soap_fault
from protocols.wstep.messages import Caller, Mode, RequestSecurityToken, Terms
from protocols.wstep.metrics import AnsweredRequests, RequestOutcome, outcome_of
from protocols.wstep.places import Places
from protocols.wstep.service import WSTEPService
from protocols.wstep.ticket_exchange import MAX_HEADERS, answer_with_ticket

_SERVICE = "_CES_"
_NO_CA = "there is no such CA here"

Way = Callable[[Request, Terms], Awaitable[Response]]
CallerOf = Callable[[Message, RequestSecurityToken], Awaitable[Caller]]


class WSTEPEndpoint:
    """The routes of Windows enrollment."""

    _log = Logger()

    def __init__(
        self,
        *,
        service: WSTEPService,
        user_names: UserNames,
        tickets: Tickets | None,
        certificates: OurCertificates | None,
        places: Places,
        audit: RefusalAudit,
        answered: AnsweredRequests,
        max_message_bytes: int,
    ) -> None:
        """None: that way is switched off, and its URLs are not served (R-CEG-124)."""
        self._service = service
        self._user_names = user_names
        self._tickets = tickets
        self._certificates = certificates
        self._places = places
        self._audit = audit
        self._answered = answered
        self._max_message_bytes = max_message_bytes
        self._ways: dict[Mode, Way] = {Mode.USER_NAME: self._with_password}
        self._aliases: dict[str, Way] = {"UsernamePassword": self._with_password}
        if tickets is not None:
            self._ways[Mode.KERBEROS] = self._aliases["Kerberos"] = self._with_ticket
        if certificates is not None:
            self._ways[Mode.CERTIFICATE] = self._aliases["Certificate"] = self._with_certificate

    def routes(self) -> Sequence[Route]:
        """The routes of the ways that are switched on; any other word has none (R-CEG-010)."""
        routes = [
            self._route(
                f"/wstep/{mode}/services/{{tenant}}/{{ca}}", self._by_path(way), with_ticket=mode is Mode.KERBEROS
            )
            for mode, way in self._ways.items()
        ]
        alias = self._route("/{service}/service.svc/CES", self._by_alias, with_ticket=self._tickets is not None)
        return [*routes, alias]

    def _route(self, path: str, handler: Callable[[Request], Awaitable[Response]], *, with_ticket: bool) -> Route:
        return Route(
            methods=("POST",),
            path=path,
            handler=handler,
            max_body_bytes=self._max_message_bytes,
            max_header_bytes=MAX_HEADERS if with_ticket else None,
            refuse=http_answers.too_much,
        )

    def _by_path(self, way: Way) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                terms = self._places.find(request.parameters["tenant"], request.parameters["ca"])
            except NotFound as error:
                return http_answers.sentence(404, error.reason)
            return await way(request, terms)

        return handle

    async def _by_alias(self, request: Request) -> Response:
        ca, _, name = request.parameters["service"].rpartition(_SERVICE)
        way, terms = self._aliases.get(name), self._places.of_ca(ca)
        if way is None or terms is None:
            return http_answers.sentence(404, _NO_CA)
        return await way(request, terms)

    async def _with_password(self, request: Request, terms: Terms) -> Response:
        async def caller_of(message: Message, asked: RequestSecurityToken) -> Caller:
            return await self._user_names.authenticate(
                message.username_token(), domain=asked.domain, address=request.peer, request_id=request.request_id
            )

        return await self._answer(request, terms, Mode.USER_NAME, caller_of)

    async def _with_ticket(self, request: Request, terms: Terms) -> Response:
        async def answer(caller: Caller) -> Response:
            async def caller_of(message: Message, asked: RequestSecurityToken) -> Caller:
                return caller

            return await self._answer(request, terms, Mode.KERBEROS, caller_of)

        async def record(refusal: Refused) -> None:
            await self._record(refusal, request, terms, Mode.KERBEROS, "unknown", None)

        def fault(refusal: Refused) -> Response:
            return http_answers.fault(soap_fault(refusal, None), FAULT_ACTION, detail_of(refusal))

        assert self._tickets is not None  # there is no route without
        return await answer_with_ticket(self._tickets, request, answer=answer, record=record, fault=fault)

    async def _with_certificate(self, request: Request, terms: Terms) -> Response:
        if not terms.certificate_renewal:
            return http_answers.sentence(404, _NO_CA)

        async def caller_of(message: Message, asked: RequestSecurityToken) -> Caller:
            assert self._certificates is not None  # there is no route without
            return await self._certificates.account(request, terms.ca)

        return await self._answer(request, terms, Mode.CERTIFICATE, caller_of)

    async def _answer(self, request: Request, terms: Terms, mode: Mode, caller_of: CallerOf) -> Response:
        """The answer to a message, a fault included."""
        relates_to: str | None = None
        user, templates = "unknown", [""]
        try:
            message = read_message(request.body)
            relates_to = message.message_id
            if request.content_type != MEDIA_TYPE:
                # Nor may a page of another site make a browser send it, with the ticket of whoever looks at the page.
                return http_answers.sentence(415, f"POST {MEDIA_TYPE}.")
            asked = decode_request(message)
            templates.append(asked.template_name or "")
            user = _said_name(message)
            caller = await caller_of(message, asked)
            user = caller.name
            issued = await self._service.answer(
                asked, caller, terms, renewals_only=mode is Mode.CERTIFICATE, note_template=templates.append
            )
            body = encode_answer(ANSWER_ACTION, relates_to, encode_issued(issued))
            self._answered.note(mode, RequestOutcome.ISSUED)
            return http_answers.message(body)
        except SOAPFault as fault:
            self._log.info(
                "Windows enrollment {request_id} from {address} is no message: {reason}",
                request_id=request.request_id,
                address=request.peer,
                reason=fault.reason,
                event="wstep-fault",
            )
            self._answered.note(mode, RequestOutcome.MALFORMED)
            return http_answers.fault(fault)
        except Refused as refusal:
            await self._record(refusal, request, terms, mode, user, templates[-1] or None)
            return http_answers.fault(soap_fault(refusal, relates_to), FAULT_ACTION, detail_of(refusal))
        except Exception:
            self._log.failure(
                "Windows enrollment {request_id} failed", event="wstep-failed", request_id=request.request_id
            )
            self._answered.note(mode, RequestOutcome.FAILED)
            return http_answers.fault(SOAPFault(FaultCode.RECEIVER, INTERNAL_REASON, relates_to=relates_to))

    async def _record(
        self, refusal: Refused, request: Request, terms: Terms, mode: Mode, user: str, template: str | None
    ) -> None:
        self._answered.note(mode, outcome_of(refusal))
        await self._audit.record(
            refusal,
            tenant=request.parameters.get("tenant", terms.ca.organization),
            ca=str(terms.ca),
            user=user,
            template=template,
            address=request.peer,
            request_id=request.request_id,
        )


def _said_name(message: Message) -> str:
    """Who the sender says to be, for the log."""
    token = message.username_token()
    return token.user[:256] if token is not None and token.user else "unknown"
