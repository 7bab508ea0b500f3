"""SOAP 1.1 envelopes (W3C note of 8 May 2000): reading one before anybody acts on it, and faults.

What a library for SOAP leaves open is closed here, before it sees a message: a DTD, an envelope of another version, a
body of nothing or of many, header blocks that have to be understood and are not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lxml import etree

from cspd.http.xml import read_xml
from cspd.refusals import Malformed

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SECURITY = f"{{{WSSE}}}Security"
_PASSWORD_TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"  # noqa: S105  # a URI
ENVIRON_KEY = "cspd.envelope"
"""Where a WSGI environment has the :class:`Envelope`, for :class:`ReadBefore`."""
MEDIA_TYPE = b"text/xml; charset=utf-8"


class FaultCode(Enum):
    """Whose fault it is, or what of SOAP itself was wrong (4.4.1)."""

    CLIENT = "Client"
    SERVER = "Server"
    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"


class SOAPFault(Exception):
    """A message that is answered with a fault."""

    def __init__(self, fault_code: FaultCode, reason: str) -> None:
        super().__init__(reason)
        self.fault_code = fault_code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class UsernameToken:
    """Who calls, by WS-Security (UsernameToken Profile 1.1, 3.1)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message that may be worked on."""

    root: etree._Element = field(repr=False)
    header: etree._Element | None = field(repr=False)
    call: etree._Element = field(repr=False)
    """The one element of its body."""

    def username_token(self) -> UsernameToken | None:
        """The user name and password of its header; None without. Raises Malformed for a digest and other oddities."""
        return None if self.header is None else read_username_token(self.header.find(SECURITY))


def read_username_token(security: etree._Element | None) -> UsernameToken | None:
    """The user name and password of a ``wsse:Security``; None without.

    Texts are taken as they are, white space included. Raises Malformed for a digest and other oddities.
    """
    token = None if security is None else security.find(f"{{{WSSE}}}UsernameToken")
    if token is None:
        return None
    users, passwords = token.findall(f"{{{WSSE}}}Username"), token.findall(f"{{{WSSE}}}Password")
    # Of two, whoever looks at the message before or after us may take the other.
    if len(users) != 1 or len(passwords) != 1 or len(users[0]) or len(passwords[0]):
        raise Malformed("a UsernameToken has one Username and one Password")
    user, password = users[0], passwords[0]
    if password.get("Type", _PASSWORD_TEXT) != _PASSWORD_TEXT:
        raise Malformed("the Password of a UsernameToken is PasswordText")
    return UsernameToken(user.text or "", password.text or "")


class ReadBefore:
    """A base for protocols of spyne, before theirs: takes the envelope that was read before the call.

    So spyne parses nothing, and resolves no ``href`` (which it would in a circle, or into nothing).
    """

    def create_in_document(self, ctx: Any, charset: str | None = None) -> None:
        """See ``spyne.protocol.ProtocolBase``."""
        ctx.in_document = (ctx.transport.req_env[ENVIRON_KEY].root, {})


def read_envelope(message: bytes, *, understood: Collection[str] = (SECURITY,)) -> Envelope:
    """The envelope of a SOAP 1.1 message; ``understood`` are the header blocks (``{namespace}name``) that we heed.

    Total: raises SOAPFault, and Malformed for what is not XML.
    """
    root = read_xml(message)
    if root.tag != f"{{{SOAP_11}}}Envelope":
        if etree.QName(root).localname == "Envelope":
            raise SOAPFault(FaultCode.VERSION_MISMATCH, "the message is not one of SOAP 1.1")
        raise SOAPFault(FaultCode.CLIENT, "the message is not a SOAP envelope")
    header = None
    rest = list(root)
    if rest and rest[0].tag == f"{{{SOAP_11}}}Header":
        header = rest.pop(0)
    if not rest or rest[0].tag != f"{{{SOAP_11}}}Body" or len(rest[0]) != 1 or (rest[0].text or "").strip():
        raise SOAPFault(FaultCode.CLIENT, "the Body of the message has not one element")
    for block in () if header is None else header:
        must = block.get(f"{{{SOAP_11}}}mustUnderstand", "0").strip() in ("1", "true")
        if must and block.tag not in understood:
            raise SOAPFault(FaultCode.MUST_UNDERSTAND, f"header block {etree.QName(block).localname[:64]}")
    return Envelope(root, header, rest[0][0])


def encode_fault(fault_code: FaultCode, reason: str, *, code: str, request_id: str) -> bytes:
    """A fault, XML; its detail has the refusal's code for programs and the id that finds it in the log."""
    root = etree.Element(f"{{{SOAP_11}}}Envelope", nsmap={"soap": SOAP_11})
    fault = etree.SubElement(etree.SubElement(root, f"{{{SOAP_11}}}Body"), f"{{{SOAP_11}}}Fault")
    etree.SubElement(fault, "faultcode").text = f"soap:{fault_code.value}"
    etree.SubElement(fault, "faultstring").text = _allowed(reason)
    refusal = etree.SubElement(etree.SubElement(fault, "detail"), "refusal")
    etree.SubElement(refusal, "code").text = code
    etree.SubElement(refusal, "requestId").text = request_id
    encoded: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return encoded


def _allowed(text: str) -> str:
    """Without the characters that XML cannot have."""
    return "".join(character if character.isprintable() else "?" for character in text)
