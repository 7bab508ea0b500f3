"""Windows enrollment on an installation in memory, asked by request values through the real router."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from random import Random
from typing import Any, cast
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cspd.authentication.static import StaticUsers
from cspd.authority.certificates import Certificates as CertificateStore
from cspd.authority.values import Authority, CAReference
from cspd.http.channel_bindings import ChannelBindings
from cspd.http.message import Request, Response
from cspd.http.router import Router
from cspd.http.soap import WSSE
from cspd.http.soap12 import ADDRESSING, SOAP_12
from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.names import parse_name
from protocols.wstep.audit import RefusalAudit
from protocols.wstep.authentication import Tickets, UserNames
from protocols.wstep.client_certificates import OurCertificates
from protocols.wstep.codec import AUTHORIZATION, ENROLLMENT, REQUEST_ACTION, TRUST, X509V3
from protocols.wstep.config import WSTEPConfig
from protocols.wstep.endpoint import WSTEPEndpoint
from protocols.wstep.metrics import AnsweredRequests
from protocols.wstep.microsoft import CERTIFICATE_TEMPLATE, encode_certificate_template
from protocols.wstep.places import Places
from protocols.wstep.renewal import Renewals
from protocols.wstep.request_ids import RequestIDs
from protocols.wstep.responses import Responder
from protocols.wstep.service import WSTEPService
from tests.protocols.wstep.directory import DirectoryCheck, MemoryDirectory
from tests.support.authorities import Installation
from tests.support.running import result_of

USER_TOKEN = "/wstep/usertoken/services/demo/demo~issuing"
KERBEROS = "/wstep/kerberos/services/demo/demo~issuing"
CERTIFICATE = "/wstep/certificate/services/demo/demo~issuing"
ISSUE = f"{TRUST}/Issue"
QUERY = f"{ENROLLMENT}/QueryTokenStatus"
TEMPLATE_OID = "1.3.6.1.4.1.311.21.8.1.2.3"
PROFILES = (
    "wstep-digital-signature",
    "wstep-key-encipherment",
    "wstep-digital-signature-key-encipherment",
    "wstep-non-repudiation",
)
ALICE = ("alice", " pass word ")
STATIC = ("demo@corp.example", "secret")
NAMES = {"s": SOAP_12, "a": ADDRESSING, "t": TRUST, "o": WSSE, "w": ENROLLMENT}


def configuration(**service: Any) -> WSTEPConfig:
    """A section with one CA."""
    one = {"ca": "demo~issuing", "enrollment_services": ["CSPD"], **service}
    return WSTEPConfig.model_validate({"users": ["corp", "people"], "services": [one]})


class World:
    """A server, a directory and clients."""

    def __init__(self, *, tickets: Any = None, **service: Any) -> None:
        self.house = house = Installation()
        house.make_hierarchy(profiles=(*PROFILES, "tls-client"))
        self.directory = MemoryDirectory()
        self.key = ec.generate_private_key(ec.SECP256R1())
        certificates = CertificateStore(house.database)
        self.certificates = OurCertificates(
            clock=house.clock,
            authorities=house.registry,
            certificates=certificates,
            cas=[CAReference("demo", "issuing")],
            directories=[self.directory],
        )
        self.request_ids = RequestIDs(clock=house.clock, random=Random(4), database=house.database)
        self.answered = AnsweredRequests()
        self.service = WSTEPService(
            clock=house.clock,
            authorities=house.registry,
            issuance=house.issuance,
            certificates=certificates,
            profiles=house.profiles,
            request_ids=self.request_ids,
            renewals=Renewals(clock=house.clock, certificates=certificates),
            responder=Responder(house.keys),
        )
        endpoint = WSTEPEndpoint(
            service=self.service,
            user_names=UserNames(
                {
                    "corp": DirectoryCheck(self.directory),
                    "people": StaticUsers("people", {STATIC[0]: STATIC[1].encode(), "device": b"other"}),
                }
            ),
            tickets=None if tickets is None else Tickets(tickets, [self.directory]),
            certificates=self.certificates if configuration(**service).terms()[0].certificate_renewal else None,
            places=Places(configuration(**service), tenants=["demo"]),
            audit=RefusalAudit(house.audit),
            answered=self.answered,
            max_message_bytes=256 * 1024,
        )
        self.router = Router(endpoint.routes())

    def csr(
        self,
        *,
        subject: str = "",
        template_oid: str | None = TEMPLATE_OID,
        usage: x509.KeyUsage | None = None,
        names: Sequence[x509.GeneralName] = (),
        attributes: Sequence[tuple[str, bytes]] = (),
        key: Any = None,
    ) -> bytes:
        """A PKCS #10; ``attributes`` by object identifier, DER."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(parse_name(subject))
        if template_oid is not None:
            oid = x509.ObjectIdentifier(CERTIFICATE_TEMPLATE)
            value = x509.UnrecognizedExtension(oid, encode_certificate_template(template_oid, 100, 4))
            builder = builder.add_extension(value, critical=False)
        if usage is not None:
            builder = builder.add_extension(usage, critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        csr_der = builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.DER)
        return with_attributes(csr_der, attributes, key or self.key) if attributes else csr_der

    def post(
        self,
        body: bytes,
        *,
        path: str = USER_TOKEN,
        content_type: str = "application/soap+xml; charset=utf-8",
        authorization: str | None = None,
        certificate: bytes | None = None,
    ) -> Response:
        """The answer to one request."""
        headers = [(b"content-type", content_type.encode())]
        if authorization is not None:
            headers.append((b"authorization", authorization.encode()))
        match = self.router.resolve("POST", path)
        request = Request(
            method="POST",
            target=path.encode(),
            path=path,
            query="",
            headers=tuple(headers),
            body=body,
            parameters=match.parameters,
            channel_bindings=lambda: ChannelBindings(tls_exporter=b"e" * 32),
            is_secure=True,
            peer="192.0.2.9",
            request_id="r-5",
            client_certificate=certificate,
        )
        return result_of(cast(Any, match.route.handler(request)))

    def ask(self, *, path: str = USER_TOKEN, certificate: bytes | None = None, **what: Any) -> Answer:
        """The answer to a message of :func:`message`."""
        return Answer(self.post(message(**what), path=path, certificate=certificate))

    def issue(self, csr_der: bytes | None = None, **what: Any) -> Answer:
        """The answer to a request to issue."""
        return self.ask(token=self.csr() if csr_der is None else csr_der, **what)

    def authority(self) -> Authority:
        """The CA."""
        return result_of(self.house.registry.get(CAReference("demo", "issuing")))

    def events(self, name: str) -> list[Any]:
        """The audit events of that name."""
        return [each for each in self.house.audit.events if each.event == name]


class Answer:
    """An answer, read."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.status = response.status
        assert dict(response.headers)[b"content-type"] == b"application/soap+xml; charset=utf-8", response
        self.root = etree.fromstring(response.body)

    def text(self, path: str) -> str | None:
        """The text at a path, by the prefixes of :data:`NAMES`."""
        found = self.root.find(f".//{path}", NAMES)
        return None if found is None else found.text

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate alone."""
        assert self.status == 200, self.response.body
        text = self.text("t:RequestedSecurityToken/o:BinarySecurityToken")
        assert text is not None
        return x509.load_der_x509_certificate(base64.b64decode(text))

    @property
    def pkcs7(self) -> bytes:
        """The CMC response."""
        text = self.text("t:RequestSecurityTokenResponse/o:BinarySecurityToken")
        assert text is not None
        return base64.b64decode(text)

    @property
    def fault(self) -> tuple[str | None, str | None, str | None]:
        """Code, subcode (both without prefix) and reason."""
        assert self.status == 500, self.response.body
        code, subcode = self.text("s:Code/s:Value"), self.text("s:Subcode/s:Value")
        return (
            code and code.rpartition(":")[2],
            subcode and subcode.rpartition(":")[2],
            self.text("s:Reason/s:Text"),
        )

    @property
    def error_code(self) -> int | None:
        """The HRESULT of the detail, unsigned."""
        text = self.text("w:ErrorCode")
        return None if text is None else int(text) + (1 << 32)


def with_attributes(csr_der: bytes, attributes: Sequence[tuple[str, bytes]], key: Any) -> bytes:
    """The request with more attributes, signed anew by a key on P-256."""
    information = Cursor.over(csr_der).enter(tlv.SEQUENCE).enter(tlv.SEQUENCE)
    fields = [information.element() for _ in range(3)]
    there = list(information.enter(0xA0).elements())
    there += [tlv.sequence(tlv.object_identifier(oid), tlv.element(tlv.SET, value)) for oid, value in attributes]
    signed_der = tlv.sequence(*fields, tlv.element(0xA0, b"".join(sorted(there))))
    signature = key.sign(signed_der, ec.ECDSA(hashes.SHA256()))
    algorithm = tlv.sequence(tlv.object_identifier("1.2.840.10045.4.3.2"))
    return tlv.sequence(signed_der, algorithm, tlv.element(0x03, b"\0" + signature))


def message(
    *,
    user: tuple[str, str] | None = ALICE,
    token: bytes | None = None,
    token_text: str | None = None,
    request_type: str | None = ISSUE,
    request_id: str | None = None,
    context: str = "",
    action: str | None = REQUEST_ACTION,
    header: str = "",
    more: str = "",
    body: str | None = None,
    value_type: str = f"{WSSE}#PKCS7",
) -> bytes:
    """A message as clients send it."""
    security = ""
    if user is not None:
        security = (
            '<o:Security s:mustUnderstand="1"><o:UsernameToken>'
            f"<o:Username>{escape(user[0])}</o:Username><o:Password>{escape(user[1])}</o:Password>"
            "</o:UsernameToken></o:Security>"
        )
    if token is not None:
        token_text = base64.encodebytes(token).decode().replace("\n", "\r\n")
    parts = [
        f"<t:TokenType>{X509V3}</t:TokenType>",
        "" if request_type is None else f"<t:RequestType>{request_type}</t:RequestType>",
        ""
        if token_text is None
        else (
            f'<o:BinarySecurityToken ValueType="{value_type}" EncodingType="{WSSE}#base64binary">'
            f"{token_text}</o:BinarySecurityToken>"
        ),
        "" if not context else f'<c:AdditionalContext xmlns:c="{AUTHORIZATION}">{context}</c:AdditionalContext>',
        '<w:RequestID xsi:nil="true" />' if request_id is None else f"<w:RequestID>{request_id}</w:RequestID>",
    ]
    inner = body
    if inner is None:
        inner = f'<t:RequestSecurityToken PreferredLanguage="de-DE">{"".join(parts)}{more}</t:RequestSecurityToken>'
    addressing = "" if action is None else f'<a:Action s:mustUnderstand="1">\r\n  {action}\r\n</a:Action>'
    return (
        f'<s:Envelope xmlns:s="{SOAP_12}" xmlns:a="{ADDRESSING}" xmlns:o="{WSSE}" xmlns:t="{TRUST}"'
        f' xmlns:w="{ENROLLMENT}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Header>{addressing}'
        "<a:MessageID>urn:uuid:b5d1a601-5091-4a7d-b34b-5204c18b5919</a:MessageID>"
        "<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>"
        f'<a:To s:mustUnderstand="1">https://ca.example.com/</a:To>{security}{header}</s:Header>'
        f"<s:Body>{inner}</s:Body></s:Envelope>"
    ).encode()


def item(name: str, value: str) -> str:
    """One of the AdditionalContext."""
    return f'<c:ContextItem Name="{name}"><c:Value>{value}</c:Value></c:ContextItem>'
