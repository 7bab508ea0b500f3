"""Windows enrollment over HTTP: paths, who calls, SOAP in and out ([MS-WSTEP] 2.1).

::

    POST /wstep/usertoken/services/TENANT/CA                 user name and password in the message
    POST /wstep/kerberos/services/TENANT/CA                  a Kerberos ticket in HTTP
    POST /ORGANIZATION~CA_CES_UsernamePassword/service.svc/CES    the same two, as AD CS calls them
    POST /ORGANIZATION~CA_CES_Kerberos/service.svc/CES
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lxml import etree
from twisted.logger import Logger

from cspd.authentication.negotiate import MAX_HEADER, NEEDED, SCHEME
from cspd.http.message import Request, Response, Route
from cspd.http.soap12 import (
    CONTENT_TYPE,
    MEDIA_TYPE,
    FaultCode,
    Message,
    SOAPFault,
    encode_answer,
    encode_fault,
    read_message,
)
from cspd.refusals import NotFound, Refused, Unauthorized
from protocols.wstep.audit import RefusalAudit
from protocols.wstep.authentication import Tickets, UserNames
from protocols.wstep.codec import ANSWER_ACTION, FAULT_ACTION, decode_request, encode_issued
from protocols.wstep.errors import INTERNAL_REASON, detail_of, soap_fault
from protocols.wstep.messages import Caller, RequestSecurityToken, Terms
from protocols.wstep.places import Places
from protocols.wstep.service import WSTEPService

_NO_STORE = (b"cache-control", b"no-store")
_MORE_HEADERS = 8 * 1024
"""Octets of the headers beside a ticket."""
_USERNAME, _KERBEROS = "_CES_UsernamePassword", "_CES_Kerberos"


class WSTEPEndpoint:
    """The routes of Windows enrollment."""

    _log = Logger()

    def __init__(
        self,
        *,
        service: WSTEPService,
        user_names: UserNames,
        tickets: Tickets | None,
        places: Places,
        audit: RefusalAudit,
        max_message_bytes: int,
    ) -> None:
        """``tickets`` None: Kerberos is switched off, and its URLs are not served (R-CEG-124)."""
        self._service = service
        self._user_names = user_names
        self._tickets = tickets
        self._places = places
        self._audit = audit
        self._max_message_bytes = max_message_bytes

    def routes(self) -> Sequence[Route]:
        """The routes; any other word in place of ``usertoken`` and ``kerberos`` has none (R-CEG-010)."""
        routes = [
            self._route("/wstep/usertoken/services/{tenant}/{ca}", self._by_user_name),
            self._route("/{service}/service.svc/CES", self._by_alias, with_ticket=self._tickets is not None),
        ]
        if self._tickets is not None:
            routes.append(self._route("/wstep/kerberos/services/{tenant}/{ca}", self._by_ticket, with_ticket=True))
        return routes

    def _route(
        self, path: str, handler: Callable[[Request], Awaitable[Response]], *, with_ticket: bool = False
    ) -> Route:
        return Route(
            methods=("POST",),
            path=path,
            handler=handler,
            max_body_bytes=self._max_message_bytes,
            max_header_bytes=MAX_HEADER + _MORE_HEADERS if with_ticket else None,
            refuse=_too_much,
        )

    async def _by_user_name(self, request: Request) -> Response:
        try:
            terms = self._places.find(request.parameters["tenant"], request.parameters["ca"])
        except NotFound as error:
            return _text(404, error.reason)
        return await self._with_password(request, terms)

    async def _by_ticket(self, request: Request) -> Response:
        try:
            terms = self._places.find(request.parameters["tenant"], request.parameters["ca"])
        except NotFound as error:
            return _text(404, error.reason)
        return await self._with_ticket(request, terms)

    async def _by_alias(self, request: Request) -> Response:
        name = request.parameters["service"]
        if name.endswith(_USERNAME) and (terms := self._places.of_ca(name.removesuffix(_USERNAME))):
            return await self._with_password(request, terms)
        if self._tickets is not None and name.endswith(_KERBEROS):
            terms = self._places.of_ca(name.removesuffix(_KERBEROS))
            if terms is not None:
                return await self._with_ticket(request, terms)
        return _text(404, "there is no such CA here")

    async def _with_password(self, request: Request, terms: Terms) -> Response:
        async def caller_of(message: Message, asked: RequestSecurityToken) -> Caller:
            return await self._user_names.authenticate(
                message.username_token(), domain=asked.domain, address=request.peer, request_id=request.request_id
            )

        return await self._answer(request, terms, caller_of)

    async def _with_ticket(self, request: Request, terms: Terms) -> Response:
        assert self._tickets is not None  # there is no route without
        try:
            caller, proof = await self._tickets.authenticate(request)
        except Unauthorized as refusal:
            if refusal.reason != NEEDED:
                await self._record(refusal, request, terms, "unknown", None)
            return _challenge(SCHEME)
        except Refused as refusal:
            await self._record(refusal, request, terms, "unknown", None)
            return _fault(soap_fault(refusal, None), FAULT_ACTION, detail_of(refusal))
        if caller is None:
            return _challenge(proof or SCHEME)

        async def caller_of(message: Message, asked: RequestSecurityToken) -> Caller:
            return caller

        response = await self._answer(request, terms, caller_of)
        if proof is None:
            return response
        return Response(response.status, response.body, (*response.headers, (b"www-authenticate", proof)))

    async def _answer(
        self,
        request: Request,
        terms: Terms,
        caller_of: Callable[[Message, RequestSecurityToken], Awaitable[Caller]],
    ) -> Response:
        """The answer to a message, a fault included."""
        relates_to: str | None = None
        user, templates = "unknown", [""]
        try:
            message = read_message(request.body)
            relates_to = message.message_id
            if request.content_type != MEDIA_TYPE:
                # Nor may a page of another site make a browser send it, with the ticket of whoever looks at the page.
                return _text(415, f"POST {MEDIA_TYPE}.")
            asked = decode_request(message)
            templates.append(asked.template_name or "")
            user = _said_name(message)
            caller = await caller_of(message, asked)
            user = caller.name
            issued = await self._service.answer(asked, caller, terms, note_template=templates.append)
            body = encode_answer(ANSWER_ACTION, relates_to, encode_issued(issued))
            return Response(200, body, (CONTENT_TYPE, _NO_STORE))
        except SOAPFault as fault:
            self._log.info(
                "Windows enrollment {request_id} from {address} is no message: {reason}",
                request_id=request.request_id,
                address=request.peer,
                reason=fault.reason,
                event="wstep-fault",
            )
            return _fault(fault)
        except Refused as refusal:
            await self._record(refusal, request, terms, user, templates[-1] or None)
            return _fault(soap_fault(refusal, relates_to), FAULT_ACTION, detail_of(refusal))
        except Exception:
            self._log.failure(
                "Windows enrollment {request_id} failed", event="wstep-failed", request_id=request.request_id
            )
            return _fault(SOAPFault(FaultCode.RECEIVER, INTERNAL_REASON, relates_to=relates_to))

    async def _record(self, refusal: Refused, request: Request, terms: Terms, user: str, template: str | None) -> None:
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


def _fault(fault: SOAPFault, action: str | None = None, detail: etree._Element | None = None) -> Response:
    # SOAP 1.2 would have 400 for a fault of the sender; Windows looks for faults under 500.
    return Response(500, encode_fault(fault, action=action, detail=detail), (CONTENT_TYPE, _NO_STORE))


def _too_much(status: int, reason: str) -> Response:
    body = encode_fault(SOAPFault(FaultCode.SENDER if status < 500 else FaultCode.RECEIVER, reason))
    return Response(status, body, (CONTENT_TYPE, _NO_STORE))


def _challenge(value: bytes) -> Response:
    return Response(401, b"", ((b"www-authenticate", value), _NO_STORE))


def _text(status: int, sentence: str) -> Response:
    headers = ((b"content-type", b"text/plain; charset=utf-8"), _NO_STORE)
    return Response(status, f"{sentence}\n".encode(), headers)
