"""The operations as an application of spyne: one call, in a thread, from XML to XML; and the WSDL.

Faults are not spyne's to write: what refuses a call is left in its :class:`Call` for the endpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from spyne import Application, Boolean, Fault, Service, rpc
from spyne.error import ValidationError
from spyne.interface.wsdl import Wsdl11
from spyne.protocol.soap import Soap11
from spyne.server.wsgi import WsgiApplication

from cspd.http.soap import ReadBefore
from cspd.refusals import Refused
from protocols.mdm.codec import decode_values, encode_values
from protocols.mdm.messages import OPERATIONS, Caller, Operation
from protocols.mdm.soap_types import NAMESPACE, SOAPTypes

CALL_KEY = "cspd.mdm.call"
"""Where the environment of a call has its :class:`Call`."""
SERVICE_NAME = "AdminService"
_TRANSPORT = "http://schemas.xmlsoap.org/soap/http"
_ANY_URL = "https://mdm.invalid/"

InReactor = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
"""Runs a coroutine where our services live, and gives its result here (:class:`cspd.http.wsgi.ReactorCalls`)."""


@dataclass(slots=True)
class Call:
    """One call of a caller who was authenticated."""

    caller: Caller
    refusal: Refused | None = None
    failure: Exception | None = field(default=None, repr=False)
    """What nobody expected."""


class _Soap11(ReadBefore, Soap11):  # type: ignore[misc]  # spyne has no types
    """SOAP 1.1 from an envelope that was read."""

    def __init__(self) -> None:
        super().__init__(validator="soft")
        self._from_unicode_handlers[Boolean] = _boolean


def _boolean(kind: Any, text: str) -> bool:
    """As XML Schema has it; spyne takes anything else for false."""
    if text.strip() not in ("true", "false", "1", "0"):
        raise ValidationError(text)
    return text.strip() in ("true", "1")


def build_application(answer: Callable[[Any, Caller], Coroutine[Any, Any, Any]], in_reactor: InReactor) -> Any:
    """The WSGI application; ``answer`` is that of :class:`protocols.mdm.service.MDMService`."""
    # It logs the messages that it does not like, passwords and all, and every refusal with a traceback.
    logging.getLogger("spyne").setLevel(logging.CRITICAL + 1)
    return WsgiApplication(_application(answer, in_reactor))


def build_wsdl(url: str) -> bytes:
    """The WSDL 1.1 of the service at ``url``, which has no character that XML escapes."""
    return _wsdl_of_any_url().replace(_ANY_URL.encode(), url.encode())


@cache
def _wsdl_of_any_url() -> bytes:
    async def nothing(message: Any, caller: Caller) -> Any:
        raise NotImplementedError

    application = _application(nothing, lambda work: None)
    application.transport = _TRANSPORT
    document = Wsdl11(application.interface)
    document.build_interface_document(_ANY_URL)
    wsdl: bytes = document.get_interface_document()
    return wsdl


def _application(answer: Callable[[Any, Caller], Coroutine[Any, Any, Any]], in_reactor: InReactor) -> Any:
    types = SOAPTypes()
    methods = {each.name: _method(each, types, answer, in_reactor) for each in OPERATIONS}
    service = type(SERVICE_NAME, (Service,), methods)
    return Application([service], tns=NAMESPACE, name=SERVICE_NAME, in_protocol=_Soap11(), out_protocol=_Soap11())


def _method(
    operation: Operation,
    types: SOAPTypes,
    answer: Callable[[Any, Caller], Coroutine[Any, Any, Any]],
    in_reactor: InReactor,
) -> Any:
    response = types.of_message(operation.answer)
    # spyne has no type without members.
    request = (types.of_message(operation.request),) if fields(operation.request) else ()

    def answer_call(ctx: Any, message: Any = None) -> Any:
        call: Call = ctx.transport.req_env[CALL_KEY]
        try:
            decoded = decode_values(operation, {} if message is None else types.values_of(message))
            values = encode_values(in_reactor(lambda: answer(decoded, call.caller)))
            return types.instance_of(response, values)
        except Refused as refusal:
            call.refusal = refusal
        except Exception as failure:
            call.failure = failure
        raise Fault

    def answer_empty(ctx: Any) -> Any:
        return answer_call(ctx)

    def answer_message(ctx: Any, message: Any) -> Any:
        return answer_call(ctx, message)

    method = answer_message if request else answer_empty  # spyne looks at the signature
    method.__name__ = operation.name
    method.__doc__ = operation.request.__doc__
    return rpc(
        *request,
        _returns=response,
        _body_style="bare",
        _in_message_name=operation.name,
        _out_message_name=f"{operation.name}Response",
    )(method)
