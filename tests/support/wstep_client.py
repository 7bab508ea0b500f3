"""A client of Windows enrollment, made from [MS-WSTEP], WS-Trust 1.3 and SOAP 1.2 alone: nothing of the server is used.

Every answer is checked against the schemas beside this file and against the rules of the document: what it answers,
what it issued, the CMC full PKI response and its signature, or that the fault is whole.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from asn1crypto import cms, core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://www.w3.org/2005/08/addressing"
WST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
WSTEP = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment"
AUTH = "http://schemas.xmlsoap.org/ws/2006/12/authorization"
PASSWORD_TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
X509V3 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
PKCS10, PKCS7 = f"{WSTEP}#PKCS10", f"{WSSE}#PKCS7"
ISSUE, QUERY, KET = f"{WST}/Issue", f"{WSTEP}/QueryTokenStatus", f"{WST}/KET"
ACTION, KET_ACTION = f"{WSTEP}/RST/wstep", f"{WST}/RST/KET"
MEDIA_TYPE = "application/soap+xml; charset=utf-8"

_NAMES = {"s": S, "a": A, "wst": WST, "wsse": WSSE, "wstep": WSTEP}
_DECLARED = f'xmlns:s="{S}" xmlns:a="{A}" xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_PKI_RESPONSE, _STATUS_INFO, _ADDED_ATTRIBUTES = (
    "1.3.6.1.5.5.7.12.3",
    "1.3.6.1.5.5.7.7.1",
    "1.3.6.1.4.1.311.10.10.1",
)
_ISSUED_CERTIFICATE_HASH = "1.3.6.1.4.1.311.21.17"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """A response that issued a certificate, verified."""

    certificate: x509.Certificate
    chain: Sequence[x509.Certificate]
    request_id: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, checked."""

    code: str
    """``Sender`` and so on."""
    subcode: tuple[str, str] | None
    """Namespace and local name."""
    reason: str
    action: str
    error_code: int | None
    """The HRESULT, as people write it: not negative."""
    is_invalid_request: bool | None


def schema(name: str) -> etree.XMLSchema:
    """One of the schemas beside this file, written from the documents."""
    return _schema(name)


@cache
def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(Path(__file__).with_name("microsoft_schemas") / f"{name}.xsd"))


def username_token(user: str, password: str, *, declared_type: str | None = PASSWORD_TEXT) -> str:
    """A ``wsse:Security`` (WS-Security UsernameToken profile 1.0), with the Timestamp that Windows writes."""
    kind = "" if declared_type is None else f" Type={quoteattr(declared_type)}"
    return (
        '<wsse:Security s:mustUnderstand="1"><wsu:Timestamp wsu:Id="_0"><wsu:Created>2026-01-01T00:00:00Z</wsu:Created>'
        "<wsu:Expires>2026-01-01T00:05:00Z</wsu:Expires></wsu:Timestamp>"
        f'<wsse:UsernameToken wsu:Id="_1"><wsse:Username>{escape(user)}</wsse:Username>'
        f"<wsse:Password{kind}>{escape(password)}</wsse:Password></wsse:UsernameToken></wsse:Security>"
    )


def envelope(
    body: str, *, action: str | None = ACTION, message_id: str | None = None, security: str = "", more: str = ""
) -> bytes:
    """A message; ``security`` and ``more`` are header blocks."""
    identifier = message_id or f"urn:uuid:{uuid.uuid4()}"
    wanted = "" if action is None else f'<a:Action s:mustUnderstand="1">{escape(action)}</a:Action>'
    return (
        f"<s:Envelope {_DECLARED}><s:Header>{wanted}<a:MessageID>{escape(identifier)}</a:MessageID>"
        f"<a:ReplyTo><a:Address>{A}/anonymous</a:Address></a:ReplyTo>"
        f'<a:To s:mustUnderstand="1">https://ca.cspd.test/wstep</a:To>{security}{more}</s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def request_security_token(
    token: bytes | None,
    *,
    request_type: str | None = ISSUE,
    value_type: str = PKCS10,
    request_id: str | None = None,
    context: Mapping[str, str] | None = None,
    more: str = "",
) -> str:
    """The body of a request; lines of base64 end as Windows ends them."""
    parts = [f"<TokenType>{X509V3}</TokenType>"]
    if request_type is not None:
        parts.append(f"<RequestType>{escape(request_type)}</RequestType>")
    if token is not None:
        text = base64.encodebytes(token).decode("ascii").replace("\n", "&#xD;\n")
        parts.append(
            f'<wsse:BinarySecurityToken ValueType="{value_type}" EncodingType="{WSSE}#base64binary" wsu:Id="">'
            f"{text}</wsse:BinarySecurityToken>"
        )
    if context:
        items = "".join(
            f"<ac:ContextItem Name={quoteattr(name)}><ac:Value>{escape(value)}</ac:Value></ac:ContextItem>"
            for name, value in context.items()
        )
        parts.append(f'<ac:AdditionalContext xmlns:ac="{AUTH}">{items}</ac:AdditionalContext>')
    nil = ' xsi:nil="true"' if request_id is None else ""
    parts.append(f'<RequestID xmlns="{WSTEP}"{nil}>{escape(request_id or "")}</RequestID>{more}')
    return f'<RequestSecurityToken PreferredLanguage="en-US" xmlns="{WST}">{"".join(parts)}</RequestSecurityToken>'


class WSTEPClient:
    """Talks to one enrollment service, a connection for each message."""

    def __init__(self, url: str, trusted: Path, *, user: str | None = None, password: str = "") -> None:
        """``trusted`` is the PEM of TLS's and the certificates' trust anchor."""
        self.url = url
        self._trusted = trusted
        self._security = "" if user is None else username_token(user, password)

    def post(self, body: bytes, *, headers: Mapping[str, str] | None = None, seconds: float = 60) -> Answer:
        """Send octets, whatever they are."""
        parts = urlsplit(self.url)
        context = ssl.create_default_context(cafile=self._trusted)
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=seconds)
        try:
            connection.request("POST", parts.path, body, {"Content-Type": MEDIA_TYPE, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def enroll(
        self,
        token: bytes,
        *,
        value_type: str = PKCS10,
        context: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Issued:
        """Issue, and verify what comes; AssertionError otherwise."""
        message_id = f"urn:uuid:{uuid.uuid4()}"
        body = request_security_token(token, value_type=value_type, context=context)
        sent = envelope(body, message_id=message_id, security=self._security)
        return self.issued(self.post(sent, headers=headers), message_id)

    def query(self, request_id: str) -> Issued:
        """QueryTokenStatus."""
        message_id = f"urn:uuid:{uuid.uuid4()}"
        body = request_security_token(None, request_type=QUERY, request_id=request_id)
        return self.issued(self.post(envelope(body, message_id=message_id, security=self._security)), message_id)

    def refused(
        self,
        token: bytes | None = None,
        *,
        message: bytes | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """The fault that a request is answered with; AssertionError for anything else."""
        if message is None:
            message = envelope(request_security_token(token) if body is None else body, security=self._security)
        return read_fault(self.post(message, headers=headers))

    def issued(self, answer: Answer, message_id: str) -> Issued:
        """Check a whole answer ([MS-WSTEP] 3.1.4.1.3.4)."""
        assert answer.status == 200, answer.body
        document = _checked(answer)
        assert _text(document, "/s:Envelope/s:Header/a:Action") == f"{WSTEP}/RSTRC/wstep"
        assert _text(document, "/s:Envelope/s:Header/a:RelatesTo") == message_id
        (collection,) = document.xpath("/s:Envelope/s:Body/*", namespaces=_NAMES)
        schema("wstep").assertValid(etree.ElementTree(collection))
        response = "/s:Envelope/s:Body/wst:RequestSecurityTokenResponseCollection/wst:RequestSecurityTokenResponse"
        certificate = x509.load_der_x509_certificate(
            base64.b64decode(
                _text(
                    document, f"{response}/wst:RequestedSecurityToken/wsse:BinarySecurityToken[@ValueType='{X509V3}']"
                )
            )
        )
        full = base64.b64decode(_text(document, f"{response}/wsse:BinarySecurityToken[@ValueType='{PKCS7}']"))
        anchor = x509.load_pem_x509_certificate(self._trusted.read_bytes())
        chain = verified_response(full, certificate, anchor)
        request_id = _text(document, f"{response}/wstep:RequestID")
        assert 1 <= int(request_id) < 2**31
        return Issued(certificate, chain, request_id)


def verified_response(full: bytes, certificate: x509.Certificate, anchor: x509.Certificate) -> list[x509.Certificate]:
    """The chain of a CMC full PKI response ([MS-WSTEP] 3.1.4.1.3.4, [MS-WCCE] 2.2.2.8), all of it verified."""
    signed = cms.ContentInfo.load(full, strict=True)
    assert signed["content_type"].native == "signed_data"
    data = signed["content"]
    assert data["version"].native == "v3"
    encapsulated = data["encap_content_info"]
    assert encapsulated["content_type"].dotted == _PKI_RESPONSE
    content = encapsulated["content"].contents
    certificates = [x509.load_der_x509_certificate(each.dump()) for each in data["certificates"]]
    assert certificate in certificates
    assert anchor in certificates
    chain = [certificate]
    while chain[-1] != anchor:
        issuers = [each for each in certificates if each.subject == chain[-1].issuer]
        assert len(issuers) == 1
        chain[-1].verify_directly_issued_by(issuers[0])
        chain.append(issuers[0])
    assert len(chain) == len(certificates), "a certificate that nobody needs"
    _verify_signer(data, content, chain[1])
    _check_controls(content, certificate)
    return chain[1:]


def _verify_signer(data: cms.SignedData, content: bytes, issuer: x509.Certificate) -> None:
    (info,) = data["signer_infos"]
    identifier = info["sid"]
    if identifier.name == "issuer_and_serial_number":
        assert identifier.chosen["serial_number"].native == issuer.serial_number
    else:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert identifier.chosen.native == found
    attributes = {each["type"].dotted: each["values"] for each in info["signed_attrs"]}
    assert attributes["1.2.840.113549.1.9.3"][0].dotted == _PKI_RESPONSE
    algorithm = getattr(hashes, info["digest_algorithm"]["algorithm"].native.upper())()
    digest = hashlib.new(algorithm.name, content).digest()
    assert attributes["1.2.840.113549.1.9.4"][0].native == digest
    octets = b"\x31" + info["signed_attrs"].dump()[1:]
    key, signature = issuer.public_key(), info["signature"].native
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, octets, padding.PKCS1v15(), algorithm)
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(signature, octets, ec.ECDSA(algorithm))


class _Attribute(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    _fields: ClassVar[list[Any]] = [
        ("number", core.Integer),
        ("type", core.ObjectIdentifier),
        ("values", core.SetOf, {"spec": core.Any}),
    ]


class _Attributes(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Attribute


class _Response(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[Any]] = [("controls", _Attributes), ("messages", core.Sequence), ("others", core.Sequence)]


def _check_controls(content: bytes, certificate: x509.Certificate) -> None:
    response = _Response.load(content, strict=True)
    assert response["messages"].contents == b""
    assert response["others"].contents == b""
    controls = {each["type"].dotted: each["values"] for each in response["controls"]}
    status = controls[_STATUS_INFO].contents
    assert core.Integer.load(core.Sequence.load(status, strict=True).contents).native == 0
    if _ADDED_ATTRIBUTES in controls:
        added = controls[_ADDED_ATTRIBUTES].contents
        digest = hashlib.sha1(certificate.public_bytes(Encoding.DER)).digest()
        assert core.ObjectIdentifier(_ISSUED_CERTIFICATE_HASH).dump() in added
        assert core.OctetString(digest).dump() in added


def read_fault(answer: Answer) -> Fault:
    """Check a fault (SOAP 1.2 part 1, 5.4; [MS-WSTEP] 2.2.4 and 3.1.4.1.3.1)."""
    assert answer.status in (400, 500), (answer.status, answer.body)
    document = _checked(answer)
    (fault,) = document.xpath("/s:Envelope/s:Body/s:Fault", namespaces=_NAMES)
    assert len(document.xpath("/s:Envelope/s:Body/*", namespaces=_NAMES)) == 1
    names = [etree.QName(each).localname for each in fault]
    assert names in (["Code", "Reason"], ["Code", "Reason", "Detail"]), names
    namespace, code = _qname(fault.find(f"{{{S}}}Code/{{{S}}}Value"))
    assert namespace == S
    value = fault.find(f"{{{S}}}Code/{{{S}}}Subcode/{{{S}}}Value")
    text = fault.find(f"{{{S}}}Reason/{{{S}}}Text")
    assert text is not None
    assert text.get("{http://www.w3.org/XML/1998/namespace}lang")
    error_code = is_invalid = None
    detail = fault.find(f"{{{S}}}Detail/{{{WSTEP}}}CertificateEnrollmentWSDetail")
    action = _text(document, "/s:Envelope/s:Header/a:Action")
    if detail is not None:
        schema("wstep").assertValid(etree.ElementTree(detail))
        assert action == f"{WSTEP}/RequestSecurityTokenCertificateEnrollmentWSDetailFault"
        signed = detail.findtext(f"{{{WSTEP}}}ErrorCode")
        error_code = int(signed) & 0xFFFFFFFF if signed else None
        is_invalid = detail.findtext(f"{{{WSTEP}}}InvalidRequest") == "true"
    subcode = None if value is None else _qname(value)
    return Fault(code, subcode, text.text or "", action, error_code, is_invalid)


def _checked(answer: Answer) -> etree._Element:
    """An envelope as the schema of SOAP 1.2 has it."""
    assert answer.headers["content-type"].startswith("application/soap+xml"), answer.headers
    document = etree.fromstring(answer.body)
    schema("soap12").assertValid(etree.ElementTree(document))
    return document


def _qname(element: etree._Element | None) -> tuple[str, str]:
    """The prefix has to be declared where it is used."""
    assert element is not None
    assert element.text is not None
    prefix, _, name = element.text.partition(":")
    return element.nsmap[prefix], name


def _text(document: etree._Element, path: str) -> str:
    found = document.xpath(path, namespaces=_NAMES)
    assert len(found) == 1, f"{path}: {len(found)} times in {etree.tostring(document)!r}"
    return str(found[0].text)
