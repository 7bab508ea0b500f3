"""SOAP over HTTP (SOAP 1.1, 6): who calls, the call in a thread, and every fault there is."""

from __future__ import annotations

from twisted.logger import Logger

from cspd.authentication.basic import Credentials, decode_authorization
from cspd.http.message import Request, Response
from cspd.http.soap import (
    ENVIRON_KEY,
    MEDIA_TYPE,
    Envelope,
    FaultCode,
    SOAPFault,
    encode_fault,
    read_envelope,
)
from cspd.http.wsgi import WSGIAdapter
from cspd.refusals import Malformed, NotFound, Refused
from protocols.mdm.codec import BY_NAME, decode_version
from protocols.mdm.errors import (
    CREDENTIALS_NEEDED,
    INTERNAL,
    INTERNAL_REASON,
    answer_to,
)
from protocols.mdm.messages import Caller
from protocols.mdm.problems import NO_STORE, refusal_headers
from protocols.mdm.service import MDMService
from protocols.mdm.soap_application import CALL_KEY, Call
from protocols.mdm.soap_types import NAMESPACE

_CALLS = frozenset(f"{{{NAMESPACE}}}{name}" for name in BY_NAME)


class SOAPEndpoint:
    """Answers posted envelopes."""

    _log = Logger()

    def __init__(self, service: MDMService, adapter: WSGIAdapter, *, challenge: tuple[bytes, bytes]) -> None:
        """``challenge`` is the header of a 401 that asks for a password."""
        self._service = service
        self._adapter = adapter
        self._challenge = challenge

    async def answer(self, request: Request) -> Response:
        """The answer to a message, a fault included."""
        try:
            return await self._answer(request)
        except SOAPFault as fault:
            return _fault(fault.fault_code, fault.reason, "soap", request)
        except Refused as refusal:
            return self._refusal(refusal, request)
        except Exception:
            self._log.failure("SOAP call {request_id} failed", event="mdm-failed", request_id=request.request_id)
            return _fault(FaultCode.SERVER, INTERNAL_REASON, INTERNAL, request)

    async def _answer(self, request: Request) -> Response:
        if request.content_type != "text/xml":
            raise SOAPFault(FaultCode.CLIENT, "POST text/xml, as SOAP 1.1 has it")
        # A password in the header of HTTP is checked before the message is looked at.
        credentials = decode_authorization(request.header(b"authorization"))
        if credentials is not None:
            caller = await self._authenticate(credentials, request)
            envelope = read_envelope(request.body)
        else:
            envelope = read_envelope(request.body)
            token = envelope.username_token()
            credentials = None if token is None else Credentials(user=token.user, password=token.password)
            caller = await self._authenticate(credentials, request)
        service = request.parameters.get("service")
        if service is not None:
            decode_version(service)
        if envelope.call.tag not in _CALLS:
            raise NotFound("there is no such operation", code="no-such-operation")
        return await self._call(request, envelope, caller)

    async def _authenticate(self, credentials: Credentials | None, request: Request) -> Caller:
        return await self._service.authenticate(
            credentials,
            tenant=request.parameters["tenant"],
            address=request.peer,
            request_id=request.request_id,
        )

    async def _call(self, request: Request, envelope: Envelope, caller: Caller) -> Response:
        call = Call(caller)
        response = await self._adapter.answer(request, {ENVIRON_KEY: envelope, CALL_KEY: call})
        if call.refusal is not None:
            raise call.refusal
        if call.failure is not None:
            raise call.failure
        if response.status != 200:
            raise Malformed("the message does not fit the WSDL", code="malformed-message")
        return Response(200, response.body, ((b"content-type", MEDIA_TYPE), NO_STORE))

    def _refusal(self, refusal: Refused, request: Request) -> Response:
        if refusal.refusal_code != CREDENTIALS_NEEDED:
            self._log.warn(
                "SOAP call {request_id} from {address} to {path} was refused: {reason}",
                event="mdm-refused",
                request_id=request.request_id,
                address=request.peer,
                path=request.path,
                code=refusal.refusal_code,
                reason=refusal.reason,
                detail=refusal.detail,
            )
        answer = answer_to(refusal)
        # SOAP has 500 for every fault, and clients that look for a fault elsewhere are few; but they all know 401.
        status = 401 if answer.status == 401 else 500
        headers = refusal_headers(refusal, answer.status, challenge=self._challenge)
        return _fault(answer.fault_code, refusal.reason, refusal.refusal_code, request, status, *headers)


def _fault(
    fault_code: FaultCode,
    reason: str,
    code: str,
    request: Request,
    status: int = 500,
    *headers: tuple[bytes, bytes],
) -> Response:
    body = encode_fault(fault_code, reason, code=code, request_id=request.request_id)
    return Response(status, body, ((b"content-type", MEDIA_TYPE), NO_STORE, *headers))
