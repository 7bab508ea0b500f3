"""SOAP 1.2 messages (W3C, April 2007) with WS-Addressing 1.0: reading one before anybody acts on it, and writing.

::

    read_message(octets)        an envelope without a DTD, one element in its body, no header block that has to be
                                understood and is not; what it wants (``a:Action``), and who sends it (UsernameToken)
    encode_answer, encode_fault an envelope whose header says what it answers (``a:RelatesTo``)

Schemas are not checked: the protocols that speak it ignore what they do not know. Messages are plain lxml, without a
library for SOAP: those that there are for Python know neither ``mustUnderstand`` nor the faults of 1.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from lxml import etree

from cspd.http.soap import SECURITY, WSSE, UsernameToken, read_username_token
from cspd.http.xml import read_xml
from cspd.refusals import Malformed

SOAP_12: Final = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
MEDIA_TYPE: Final = "application/soap+xml"
CONTENT_TYPE: Final = (b"content-type", b"application/soap+xml; charset=utf-8")
ADDRESSING_FAULT: Final = f"{ADDRESSING}/fault"
SOAP_FAULT: Final = f"{ADDRESSING}/soap/fault"
MAX_TEXT: Final = 2048
"""Characters of a header's value."""

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_OUR_ROLES = frozenset({None, "", f"{SOAP_12}/role/next", f"{SOAP_12}/role/ultimateReceiver"})
_UNDERSTOOD = frozenset(
    {SECURITY}
    | {f"{{{ADDRESSING}}}{name}" for name in ("Action", "MessageID", "ReplyTo", "FaultTo", "From", "To", "RelatesTo")}
)
_IN_SECURITY = frozenset({f"{{{WSSE}}}UsernameToken", f"{{{WSU}}}Timestamp"})

QName = tuple[str, str]
"""Namespace and local name."""


class FaultCode(Enum):
    """Whose fault it is, or what of SOAP itself was wrong (SOAP 1.2 part 1, 5.4.6)."""

    SENDER = "Sender"
    RECEIVER = "Receiver"
    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"


INVALID_SECURITY: Final = (WSSE, "InvalidSecurity")
FAILED_AUTHENTICATION: Final = (WSSE, "FailedAuthentication")
UNSUPPORTED_TOKEN: Final = (WSSE, "UnsupportedSecurityToken")
ACTION_NOT_SUPPORTED: Final = (ADDRESSING, "ActionNotSupported")
HEADER_REQUIRED: Final = (ADDRESSING, "MessageAddressingHeaderRequired")
INVALID_HEADER: Final = (ADDRESSING, "InvalidAddressingHeader")


class SOAPFault(Exception):
    """A message that is answered with a fault."""

    def __init__(
        self,
        fault_code: FaultCode,
        reason: str,
        *,
        subcode: QName | None = None,
        not_understood: Sequence[QName] = (),
        relates_to: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.fault_code = fault_code
        self.reason = reason
        self.subcode = subcode
        self.not_understood = tuple(not_understood)
        self.relates_to = relates_to

    @property
    def action(self) -> str:
        """The ``a:Action`` of the fault (WS-Addressing 1.0 SOAP binding, 6)."""
        is_addressing = self.subcode is not None and self.subcode[0] == ADDRESSING
        return ADDRESSING_FAULT if is_addressing else SOAP_FAULT


@dataclass(frozen=True, slots=True)
class Message:
    """A message that may be worked on."""

    action: str
    message_id: str | None
    """What the answer says in ``a:RelatesTo``; None if the sender does not care."""
    security: etree._Element | None = field(repr=False)
    body: etree._Element = field(repr=False)
    """The one element of its Body."""

    def username_token(self) -> UsernameToken | None:
        """The user name and password of its header; None without.

        Raises SOAPFault for a second one, for a password digest, and for tokens and signatures of other kinds, which
        would say of the sender what nobody here verifies.
        """
        if self.security is None:
            return None
        others = [child for child in self.security if child.tag not in _IN_SECURITY]
        if others:
            raise self._refused(UNSUPPORTED_TOKEN, "the only security token that is known is UsernameToken")
        if len(self.security.findall(f"{{{WSSE}}}UsernameToken")) > 1:
            raise self._refused(INVALID_SECURITY, "a message has one UsernameToken at most")
        try:
            return read_username_token(self.security)
        except Malformed as error:
            raise self._refused(UNSUPPORTED_TOKEN, error.reason) from error

    def _refused(self, subcode: QName, reason: str) -> SOAPFault:
        return SOAPFault(FaultCode.SENDER, reason, subcode=subcode, relates_to=self.message_id)


def read_message(octets: bytes) -> Message:
    """Read a message.

    Total: raises SOAPFault, and Malformed for what is not XML.
    """
    root = read_xml(octets)
    if root.tag != f"{{{SOAP_12}}}Envelope":
        if etree.QName(root).localname == "Envelope":
            raise SOAPFault(FaultCode.VERSION_MISMATCH, "the message is not one of SOAP 1.2")
        raise SOAPFault(FaultCode.SENDER, "the message is not a SOAP envelope")
    rest = list(root)
    header = rest.pop(0) if rest and rest[0].tag == f"{{{SOAP_12}}}Header" else None
    blocks = () if header is None else tuple(header)
    message_id = _only(blocks, "MessageID", None)
    _check_understood(blocks, message_id)
    if len(rest) != 1 or rest[0].tag != f"{{{SOAP_12}}}Body" or len(rest[0]) != 1 or (rest[0].text or "").strip():
        raise SOAPFault(FaultCode.SENDER, "the Body of the message has not one element alone", relates_to=message_id)
    action = _only(blocks, "Action", message_id)
    if not action:
        raise SOAPFault(FaultCode.SENDER, "the message has no a:Action", subcode=HEADER_REQUIRED, relates_to=message_id)
    security = [block for block in blocks if block.tag == SECURITY]
    if len(security) > 1:
        raise SOAPFault(
            FaultCode.SENDER, "a message has one Security at most", subcode=INVALID_SECURITY, relates_to=message_id
        )
    return Message(action, message_id, security[0] if security else None, rest[0][0])


def action_not_supported(message: Message) -> SOAPFault:
    """The fault for an action that nobody here performs."""
    reason = f"the action {message.action[:200]} is not supported"
    return SOAPFault(FaultCode.SENDER, reason, subcode=ACTION_NOT_SUPPORTED, relates_to=message.message_id)


def encode_answer(action: str, relates_to: str | None, body: etree._Element) -> bytes:
    """An envelope around an answer, XML."""
    root, header = _envelope()
    _address(header, action, relates_to)
    etree.SubElement(root, f"{{{SOAP_12}}}Body").append(body)
    return _encode(root)


def encode_fault(fault: SOAPFault, *, action: str | None = None, detail: etree._Element | None = None) -> bytes:
    """A fault, XML; ``action`` replaces that of the fault's own kind, ``detail`` goes into ``s:Detail``."""
    root, header = _envelope()
    _address(header, action or fault.action, fault.relates_to)
    for namespace, name in fault.not_understood:
        block = etree.SubElement(header, f"{{{SOAP_12}}}NotUnderstood", nsmap={"q": namespace} if namespace else None)
        block.set("qname", f"q:{name}" if namespace else name)
    if fault.fault_code is FaultCode.VERSION_MISMATCH:
        upgrade = etree.SubElement(header, f"{{{SOAP_12}}}Upgrade")
        etree.SubElement(upgrade, f"{{{SOAP_12}}}SupportedEnvelope", qname="s:Envelope")
    body = etree.SubElement(root, f"{{{SOAP_12}}}Body")
    element = etree.SubElement(body, f"{{{SOAP_12}}}Fault")
    code = etree.SubElement(element, f"{{{SOAP_12}}}Code")
    etree.SubElement(code, f"{{{SOAP_12}}}Value").text = f"s:{fault.fault_code.value}"
    if fault.subcode is not None:
        namespace, name = fault.subcode
        subcode = etree.SubElement(code, f"{{{SOAP_12}}}Subcode")
        # Its text is a QName, so that the prefix has to be declared though no element has it.
        value = etree.SubElement(subcode, f"{{{SOAP_12}}}Value", nsmap={"q": namespace})
        value.text = f"q:{name}"
    text = etree.SubElement(etree.SubElement(element, f"{{{SOAP_12}}}Reason"), f"{{{SOAP_12}}}Text")
    text.set(_XML_LANG, "en-US")
    text.text = allowed_text(fault.reason)
    if detail is not None:
        etree.SubElement(element, f"{{{SOAP_12}}}Detail").append(detail)
    return _encode(root)


def allowed_text(text: str) -> str:
    """Without the characters that XML cannot have."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _only(blocks: Sequence[etree._Element], name: str, message_id: str | None) -> str | None:
    """The text of the one header block of WS-Addressing with this name, without the space around it."""
    found = [block for block in blocks if block.tag == f"{{{ADDRESSING}}}{name}"]
    if not found:
        return None
    text = (found[0].text or "").strip()
    if len(found) > 1 or len(found[0]) or len(text) > MAX_TEXT:
        raise SOAPFault(
            FaultCode.SENDER,
            f"a:{name} stands there twice, or is no text of up to {MAX_TEXT} characters",
            subcode=INVALID_HEADER,
            relates_to=message_id,
        )
    return text


def _check_understood(blocks: Sequence[etree._Element], message_id: str | None) -> None:
    strange = []
    for block in blocks:
        is_for_us = block.get(f"{{{SOAP_12}}}role", "").strip() in _OUR_ROLES
        must = block.get(f"{{{SOAP_12}}}mustUnderstand", "0").strip() in ("1", "true")
        if is_for_us and must and block.tag not in _UNDERSTOOD:
            name = etree.QName(block)
            strange.append((name.namespace or "", name.localname))
    if strange:
        raise SOAPFault(
            FaultCode.MUST_UNDERSTAND,
            "the message has a header block that has to be understood and is not",
            not_understood=strange[:8],
            relates_to=message_id,
        )


def _envelope() -> tuple[etree._Element, etree._Element]:
    root = etree.Element(f"{{{SOAP_12}}}Envelope", nsmap={"s": SOAP_12, "a": ADDRESSING})
    return root, etree.SubElement(root, f"{{{SOAP_12}}}Header")


def _address(header: etree._Element, action: str, relates_to: str | None) -> None:
    block = etree.SubElement(header, f"{{{ADDRESSING}}}Action")
    block.set(f"{{{SOAP_12}}}mustUnderstand", "1")
    block.text = action
    if relates_to is not None:
        etree.SubElement(header, f"{{{ADDRESSING}}}RelatesTo").text = allowed_text(relates_to)


def _encode(root: etree._Element) -> bytes:
    encoded: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return encoded
