"""What both endpoints, of enrollment and of policies, answer over HTTP beside their own messages."""

from __future__ import annotations

from typing import Final

from lxml import etree

from cspd.http.message import Response
from cspd.http.soap12 import CONTENT_TYPE, FaultCode, SOAPFault, encode_fault

NO_STORE: Final = (b"cache-control", b"no-store")


def message(body: bytes) -> Response:
    """A SOAP answer."""
    return Response(200, body, (CONTENT_TYPE, NO_STORE))


def fault(told: SOAPFault, action: str | None = None, detail: etree._Element | None = None) -> Response:
    """A SOAP fault; the action of one without is that of WS-Addressing."""
    # SOAP 1.2 would have 400 for a fault of the sender; Windows looks for faults under 500.
    return Response(500, encode_fault(told, action=action, detail=detail), (CONTENT_TYPE, NO_STORE))


def too_much(status: int, reason: str) -> Response:
    """What a request gets that is refused before anybody reads it; for ``Route.refuse``."""
    told = SOAPFault(FaultCode.SENDER if status < 500 else FaultCode.RECEIVER, reason)
    return Response(status, encode_fault(told), (CONTENT_TYPE, NO_STORE))


def challenge(value: bytes) -> Response:
    """401 with a value of ``WWW-Authenticate``."""
    return Response(401, b"", ((b"www-authenticate", value), NO_STORE))


def sentence(status: int, text: str) -> Response:
    """A sentence for people, where there is no service to answer in SOAP."""
    return Response(status, f"{text}\n".encode(), ((b"content-type", b"text/plain; charset=utf-8"), NO_STORE))
