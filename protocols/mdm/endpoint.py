"""The web service over HTTP: paths, methods, media types, status codes.

::

    POST /mdm/services/TENANT                          SOAP
    POST /mdm/services/TENANT/AdminServiceV9           SOAP, for products that add the version: V8, V9, V11, or v9
    GET  the same with ?wsdl                           WSDL, for anybody
    POST /mdm/services/TENANT/v11/CreateChallenge      JSON: v8, v9, v11
    GET  /mdm/services/TENANT/openapi.json             OpenAPI, for anybody
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from cspd.authentication.basic import decode_authorization
from cspd.http.message import Request, Response, Route
from cspd.http.soap import MEDIA_TYPE
from cspd.refusals import NotFound, Refused
from protocols.mdm.codec import BY_NAME, decode_json, decode_version, encode_json
from protocols.mdm.errors import CREDENTIALS_NEEDED
from protocols.mdm.messages import MAX_BODY
from protocols.mdm.problems import NO_STORE, internal_problem, problem, refusal_problem, server_problem
from protocols.mdm.service import MDMService
from protocols.mdm.soap_endpoint import SOAPEndpoint

BASE = "/mdm/services/{tenant}"
_JSON = "application/json"


class MDMEndpoint:
    """The routes below ``/mdm/services``."""

    _log = Logger()

    def __init__(
        self,
        service: MDMService,
        soap: SOAPEndpoint,
        *,
        wsdl: Callable[[str], bytes],
        openapi: Callable[[str], bytes],
        public_https: str,
        challenge: tuple[bytes, bytes],
    ) -> None:
        """``wsdl`` and ``openapi`` give the documents of the service at a URL; ``challenge`` asks for a password."""
        self._service = service
        self._soap = soap
        self._wsdl_of = wsdl
        self._openapi_of = openapi
        self._public = public_https
        self._challenge = challenge

    def routes(self) -> Sequence[Route]:
        """Every path."""
        return (
            Route(methods=("GET",), path=BASE, handler=self._wsdl),
            Route(methods=("GET",), path=f"{BASE}/openapi.json", handler=self._openapi),
            Route(methods=("GET",), path=f"{BASE}/{{service}}", handler=self._wsdl),
            Route(methods=("POST",), path=BASE, handler=self._soap.answer, max_body_bytes=MAX_BODY),
            Route(methods=("POST",), path=f"{BASE}/{{service}}", handler=self._soap.answer, max_body_bytes=MAX_BODY),
            Route(
                methods=("POST",),
                path=f"{BASE}/{{version}}/{{operation}}",
                handler=self._json,
                max_body_bytes=MAX_BODY,
                refuse=server_problem,
            ),
        )

    async def _wsdl(self, request: Request) -> Response:
        tenant, service = request.parameters["tenant"], request.parameters.get("service")
        try:
            self._service.check_tenant(tenant)
            if service is not None:
                decode_version(service)
        except Refused as refusal:
            return refusal_problem(refusal, request_id=request.request_id, challenge=self._challenge)
        if request.query.partition("=")[0].lower() != "wsdl":
            return problem(405, "POST a message, or GET ?wsdl", "http", headers=((b"allow", b"POST"),))
        url = self._url(tenant) if service is None else f"{self._url(tenant)}/{service}"
        return Response(200, self._wsdl_of(url), ((b"content-type", MEDIA_TYPE),))

    async def _openapi(self, request: Request) -> Response:
        tenant = request.parameters["tenant"]
        try:
            self._service.check_tenant(tenant)
        except Refused as refusal:
            return refusal_problem(refusal, request_id=request.request_id, challenge=self._challenge)
        return Response(200, self._openapi_of(self._url(tenant)), ((b"content-type", _JSON.encode()),))

    async def _json(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Refused as refusal:
            if refusal.refusal_code != CREDENTIALS_NEEDED:
                self._log.warn(
                    "MDM request {request_id} from {address} to {path} was refused: {reason}",
                    event="mdm-refused",
                    request_id=request.request_id,
                    address=request.peer,
                    path=request.path,
                    code=refusal.refusal_code,
                    reason=refusal.reason,
                    detail=refusal.detail,
                )
            return refusal_problem(refusal, request_id=request.request_id, challenge=self._challenge)
        except Exception:
            self._log.failure("MDM request {request_id} failed", event="mdm-failed", request_id=request.request_id)
            return internal_problem(request.request_id)

    async def _answer(self, request: Request) -> Response:
        caller = await self._service.authenticate(
            decode_authorization(request.header(b"authorization")),
            tenant=request.parameters["tenant"],
            address=request.peer,
            request_id=request.request_id,
        )
        decode_version(request.parameters["version"])
        operation = BY_NAME.get(request.parameters["operation"])
        if operation is None:
            raise NotFound("there is no such operation", code="no-such-operation")
        if request.content_type != _JSON:
            return problem(415, f"POST {_JSON}", "http", request_id=request.request_id)
        answer = await self._service.answer(decode_json(operation, request.body), caller)
        return Response(200, encode_json(answer), ((b"content-type", _JSON.encode()), NO_STORE))

    def _url(self, tenant: str) -> str:
        """Of ours and not of a Host header, which anybody can send."""
        return f"{self._public}{BASE.format(tenant=tenant)}"
