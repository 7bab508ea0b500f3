"""A client of the Certificate Management Protocol, made from the codec: whatever is to be sent, byte by byte.

client = CMPClient(send, ByMAC("REFERENCE", b"secret"))
ip = client.ask(ir(signed_request(key, "device")))
pki_conf = client.ask(confirmation(ip))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from random import SystemRandom
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from cspd.x509.crmf.encoding import encode_cert_request
from cspd.x509.crmf.messages import (
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Control,
    Extension,
    POPOSigningKey,
    ProofOfPossession,
)
from cspd.x509.general_name_encoding import encode_general_names
from cspd.x509.signatures import Algorithm
from protocols.cmp.codec import assemble, decode, protected_part
from protocols.cmp.general_names import directory_name
from protocols.cmp.limits import Limits
from protocols.cmp.mac_algorithms import MACAlgorithm, PasswordBasedMAC
from protocols.cmp.messages import (
    BodyType,
    CertConfirmContent,
    CertificationRequest,
    CertRepMessage,
    CertReqContent,
    CertStatus,
    ErrorMsgContent,
    InfoTypeAndValue,
    PKIBody,
    PKIHeader,
    PKIMessage,
    PollReqContent,
)
from protocols.cmp.protection import protect_by_mac
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo

MAC = PasswordBasedMAC(b"salt of a client", 500)
ECDSA_SHA256 = Algorithm("1.2.840.10045.4.3.2")
_LIMITS = Limits(message_octets=1 << 22)


@dataclass(frozen=True)
class ByMAC:
    """Protects messages by a secret."""

    reference: str
    secret: bytes
    mac: MACAlgorithm = MAC

    def protect(self, header: PKIHeader, body: PKIBody) -> bytes:
        """The message, DER."""
        named = header if header.sender_kid is not None else replace(header, sender_kid=self.reference.encode())
        return protect_by_mac(named, body, self.mac.derive(self.secret))


@dataclass(frozen=True)
class BySignature:
    """Protects messages by the key of a certificate, ECDSA with SHA-256."""

    key: ec.EllipticCurvePrivateKey
    certificate_der: bytes
    others_der: tuple[bytes, ...] = ()

    def protect(self, header: PKIHeader, body: PKIBody) -> bytes:
        """The message, DER."""
        subject = x509.load_der_x509_certificate(self.certificate_der).subject
        header = replace(header, sender_der=directory_name(subject), protection_alg=ECDSA_SHA256)
        part = protected_part(header, body)
        signature = self.key.sign(part, ec.ECDSA(hashes.SHA256()))
        return assemble(part, signature, (self.certificate_der, *self.others_der))


class CMPClient:
    """One transaction; ``send`` takes and gives DER."""

    def __init__(
        self,
        send: Callable[[bytes], bytes],
        protection: ByMAC | BySignature,
        *,
        now: datetime | None = None,
        transaction_id: bytes | None = None,
    ) -> None:
        self._send = send
        self.protection = protection
        self._now = now
        self.transaction_id = transaction_id or SystemRandom().randbytes(16)
        self.nonce: bytes | None = None
        """The senderNonce of the last answer."""
        self.last = b""
        """What was sent last."""

    def message(self, body: PKIBody, **header: Any) -> bytes:
        """The next message of the transaction, DER."""
        values = {
            "message_time": self._now,
            "transaction_id": self.transaction_id,
            "sender_nonce": SystemRandom().randbytes(16),
            "recip_nonce": self.nonce,
            **header,
        }
        return self.protection.protect(PKIHeader(**values), body)

    def ask(self, body: PKIBody, **header: Any) -> PKIMessage:
        """Send the next message; the answer."""
        return self.send(self.message(body, **header))

    def send(self, message_der: bytes) -> PKIMessage:
        """Send these octets; the answer."""
        self.last = message_der
        answer = decode(self._send(message_der), _LIMITS)
        self.nonce = answer.header.sender_nonce
        return answer

    def again(self) -> PKIMessage:
        """Send the last message once more."""
        return self.send(self.last)


def named(common_name: str) -> x509.Name:
    """A subject."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def template(public_key: Any, name: str = "device", names: Sequence[str] | None = (), **fields: Any) -> CertTemplate:
    """A template for a subject and DNS names; ``names`` None leaves the extension out."""
    extensions: tuple[Extension, ...] | None = None
    if names:
        octets = encode_general_names([x509.DNSName(each) for each in names])
        extensions = (Extension("2.5.29.17", False, octets),)
    key_der = None if public_key is None else public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    values: dict[str, Any] = {
        "subject": named(name),
        "public_key_der": key_der,
        "extensions": extensions,
        **fields,
    }
    return CertTemplate(**values)


def request(
    cert_template: CertTemplate, popo: ProofOfPossession | None, number: int = 0, controls: tuple[Control, ...] = ()
) -> CertReqMsg:
    """A request with any proof."""
    return CertReqMsg(
        cert_req=CertRequest(cert_req_id=number, cert_template=cert_template, controls=controls), popo=popo
    )


def signed_request(
    key: ec.EllipticCurvePrivateKey,
    name: str = "device",
    number: int = 0,
    *,
    controls: tuple[Control, ...] = (),
    **fields: Any,
) -> CertReqMsg:
    """A request that its key signs."""
    asked = CertRequest(cert_req_id=number, cert_template=template(key.public_key(), name, **fields), controls=controls)
    signature = key.sign(encode_cert_request(asked), ec.ECDSA(hashes.SHA256()))
    return CertReqMsg(cert_req=asked, popo=POPOSigningKey(None, ECDSA_SHA256, signature))


def requests(body_type: BodyType, *messages: CertReqMsg) -> PKIBody:
    """ir, cr, kur."""
    return PKIBody(body_type, CertReqContent(messages))


def ir(*messages: CertReqMsg) -> PKIBody:
    """An ir."""
    return requests(BodyType.IR, *messages)


def p10cr(key: ec.EllipticCurvePrivateKey, name: str = "device") -> PKIBody:
    """A p10cr."""
    builder = x509.CertificateSigningRequestBuilder(named(name))
    return PKIBody(BodyType.P10CR, CertificationRequest(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)))


def status_of(certificate_der: bytes, number: int = 0, **fields: Any) -> CertStatus:
    """An acceptance unless told otherwise; the hash is SHA-256."""
    return CertStatus(**{"cert_hash": sha256(certificate_der).digest(), "cert_req_id": number, **fields})


def cert_conf(*statuses: CertStatus) -> PKIBody:
    """A certConf."""
    return PKIBody(BodyType.CERT_CONF, CertConfirmContent(statuses))


def confirmation(answer: PKIMessage) -> PKIBody:
    """The certConf that accepts all certificates of an answer."""
    content = answer.body.content
    assert isinstance(content, CertRepMessage)
    return cert_conf(
        *(
            status_of(each.certified_key_pair.certificate_der, each.cert_req_id)
            for each in content.response
            if each.certified_key_pair is not None
        )
    )


def poll_req(*numbers: int) -> PKIBody:
    """A pollReq."""
    return PKIBody(BodyType.POLL_REQ, PollReqContent(numbers))


def error() -> PKIBody:
    """An error of a client."""
    return PKIBody(BodyType.ERROR, ErrorMsgContent(PKIStatusInfo(PKIStatus.REJECTION, ("I give up",))))


def certificates(answer: PKIMessage) -> list[bytes]:
    """The certificates in an ip, cp or kup, DER."""
    content = answer.body.content
    assert isinstance(content, CertRepMessage), said(answer)
    return [each.certified_key_pair.certificate_der for each in content.response if each.certified_key_pair is not None]


def certificate(answer: PKIMessage) -> x509.Certificate:
    """The only certificate in an ip, cp or kup."""
    [only] = certificates(answer)
    return x509.load_der_x509_certificate(only)


def statuses(answer: PKIMessage) -> list[PKIStatus]:
    """How each request ended."""
    content = answer.body.content
    assert isinstance(content, CertRepMessage), said(answer)
    return [each.status.status for each in content.response]


def fail_info(answer: PKIMessage, number: int | None = None) -> PKIFailureInfo:
    """The only bit of an error, or of the response with that certReqId."""
    content = answer.body.content
    if number is None:
        assert isinstance(content, ErrorMsgContent), said(answer)
        info = content.pki_status_info
    else:
        assert isinstance(content, CertRepMessage), said(answer)
        [info] = [each.status for each in content.response if each.cert_req_id == number]
    assert info.status is PKIStatus.REJECTION
    [bit] = info.fail_info
    return bit


def said(answer: PKIMessage) -> str:
    """An answer for a person."""
    return f"{answer.body.type.name}: {answer.body.content}"


def info_of(answer: PKIMessage, info_type: str) -> InfoTypeAndValue | None:
    """An item of generalInfo."""
    return next((each for each in answer.header.general_info if each.info_type == info_type), None)
