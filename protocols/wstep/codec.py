"""RequestSecurityToken in, RequestSecurityTokenResponseCollection out ([MS-WSTEP] 3.1.4.1).

What is not named here is ignored, as 3.1.4.1.3.3 has it: so requests are not checked against a schema.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from lxml import etree

from cspd.http.soap import WSSE
from cspd.http.soap12 import FaultCode, Message, SOAPFault, action_not_supported
from cspd.refusals import Malformed
from protocols.wstep.messages import IssuedToken, RequestSecurityToken, RequestType

TRUST: Final = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
ENROLLMENT: Final = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment"
AUTHORIZATION: Final = "http://schemas.xmlsoap.org/ws/2006/12/authorization"
REQUEST_ACTION: Final = f"{ENROLLMENT}/RST/wstep"
ANSWER_ACTION: Final = f"{ENROLLMENT}/RSTRC/wstep"
FAULT_ACTION: Final = f"{ENROLLMENT}/RequestSecurityTokenCertificateEnrollmentWSDetailFault"
KEY_EXCHANGE_ACTION: Final = f"{TRUST}/RST/KET"
X509V3: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
PKCS7: Final = f"{WSSE}#PKCS7"
BASE64: Final = f"{WSSE}#base64binary"
MAX_TOKEN: Final = 128 * 1024
"""Octets of DER."""

INVALID_REQUEST: Final = (TRUST, "InvalidRequest")
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_MAX_CONTEXT = 64
"""Items of AdditionalContext."""


def decode_request(message: Message) -> RequestSecurityToken:
    """What a message asks for; its token is not looked into.

    Raises SOAPFault for what is no request, and Malformed for a token that is not base64.
    """
    if message.action == KEY_EXCHANGE_ACTION:
        raise _invalid(message, "key exchange tokens serve the archival of keys, which is not supported")
    if message.action != REQUEST_ACTION:
        raise action_not_supported(message)
    request = message.body
    if request.tag != f"{{{TRUST}}}RequestSecurityToken":
        raise _invalid(message, "the Body of the message is not a RequestSecurityToken")
    token_type = _text(request, f"{{{TRUST}}}TokenType")
    if token_type is not None and token_type != X509V3:
        raise _invalid(message, "the only TokenType is X509v3")
    context = dict(_context(request))
    return RequestSecurityToken(
        request_type=_request_type(message, _text(request, f"{{{TRUST}}}RequestType")),
        token_der=_token(request),
        request_id=_text(request, f"{{{ENROLLMENT}}}RequestID"),
        template_name=context.get("certificatetemplate"),
        domain=context.get("ccm", "").partition(".")[2] or None,
    )


def encode_issued(issued: IssuedToken) -> etree._Element:
    """The body of an answer that a certificate was issued."""
    collection = etree.Element(
        f"{{{TRUST}}}RequestSecurityTokenResponseCollection",
        nsmap={None: TRUST, "wsse": WSSE, "wstep": ENROLLMENT},
    )
    response = etree.SubElement(collection, f"{{{TRUST}}}RequestSecurityTokenResponse")
    etree.SubElement(response, f"{{{TRUST}}}TokenType").text = X509V3
    disposition = etree.SubElement(response, f"{{{ENROLLMENT}}}DispositionMessage")
    disposition.set(_XML_LANG, "en-US")
    disposition.text = "Issued"
    _binary_token(response, PKCS7, issued.response_der)
    requested = etree.SubElement(response, f"{{{TRUST}}}RequestedSecurityToken")
    _binary_token(requested, X509V3, issued.certificate_der)
    etree.SubElement(response, f"{{{ENROLLMENT}}}RequestID").text = str(issued.request_id)
    return collection


def encode_detail(error_code: int, *, invalid_request: bool, request_id: int | None = None) -> etree._Element:
    """The CertificateEnrollmentWSDetail of a fault ([MS-WSTEP] 3.1.4.1.3.1); ``error_code`` is a signed HRESULT."""
    detail = etree.Element(
        f"{{{ENROLLMENT}}}CertificateEnrollmentWSDetail",
        nsmap={None: ENROLLMENT, "xsi": "http://www.w3.org/2001/XMLSchema-instance"},
    )
    etree.SubElement(detail, f"{{{ENROLLMENT}}}BinaryResponse").set(_XSI_NIL, "true")
    etree.SubElement(detail, f"{{{ENROLLMENT}}}ErrorCode").text = str(error_code)
    etree.SubElement(detail, f"{{{ENROLLMENT}}}InvalidRequest").text = "true" if invalid_request else "false"
    identifier = etree.SubElement(detail, f"{{{ENROLLMENT}}}RequestID")
    if request_id is None:
        identifier.set(_XSI_NIL, "true")
    else:
        identifier.text = str(request_id)
    return detail


def _request_type(message: Message, text: str | None) -> RequestType:
    try:
        return RequestType(text)
    except ValueError:
        raise _invalid(message, "RequestType is Issue (for renewals, too) or QueryTokenStatus") from None


def _text(request: etree._Element, tag: str) -> str | None:
    """The text of a child, without the space around it; None if it is not there, is nil or empty."""
    found = request.findall(tag)
    if len(found) > 1:
        raise Malformed(f"{etree.QName(tag).localname} stands there twice")
    if not found or found[0].get(_XSI_NIL, "false").strip() in ("true", "1"):
        return None
    if len(found[0]):
        raise Malformed(f"{etree.QName(tag).localname} has elements in it")
    return (found[0].text or "").strip() or None


def _token(request: etree._Element) -> bytes:
    """Whatever its ValueType is: Microsoft's own example calls a PKCS #10 a PKCS #7."""
    text = _text(request, f"{{{WSSE}}}BinarySecurityToken")
    if text is None:
        return b""
    if len(text) > 2 * MAX_TOKEN:
        raise Malformed("the BinarySecurityToken is too large")
    try:
        token_der = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("the BinarySecurityToken is not base64") from error
    if len(token_der) > MAX_TOKEN:
        raise Malformed("the BinarySecurityToken is too large")
    return token_der


def _context(request: etree._Element) -> Iterator[tuple[str, str]]:
    """The attributes of the request, by their names in lower case."""
    items = list(request.iterfind(f"{{{AUTHORIZATION}}}AdditionalContext/{{{AUTHORIZATION}}}ContextItem"))
    if len(items) > _MAX_CONTEXT:
        raise Malformed(f"AdditionalContext has more than {_MAX_CONTEXT} items")
    for item in items:
        value = item.find(f"{{{AUTHORIZATION}}}Value")
        text = "" if value is None else (value.text or "").strip()
        if text:
            yield item.get("Name", "").strip().lower(), text[:256]


def _binary_token(parent: etree._Element, value_type: str, token_der: bytes) -> None:
    token = etree.SubElement(parent, f"{{{WSSE}}}BinarySecurityToken")
    token.set("ValueType", value_type)
    token.set("EncodingType", BASE64)
    token.text = base64.b64encode(token_der).decode("ascii")


def _invalid(message: Message, reason: str) -> SOAPFault:
    return SOAPFault(FaultCode.SENDER, reason, subcode=INVALID_REQUEST, relates_to=message.message_id)
