"""Messages that must not become certificates; each is made for a world and a device of it."""

from __future__ import annotations

from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from cspd.x509 import tlv
from cspd.x509.cms.recipients import KeyTransport
from cspd.x509.cms.values import SIGNING_TIME
from protocols.scep.codec import MESSAGE_TYPE, SENDER_NONCE, TRANSACTION_ID, decode
from protocols.scep.messages import MessageType, PKIMessage, PKIStatus
from tests.protocols.scep.world import PASSWORD, World, rsa_key
from tests.support.authorities import ISSUING, ROOT
from tests.support.cms_dialects import PRINTABLE_STRING, Dialect, attribute, certification_request, name, text
from tests.support.running import result_of
from tests.support.scep_client import ScepClient, certificate_of, csr_of, name_of, signer_with

Made = Callable[[World, ScepClient], bytes]
SUBJECT = name(("2.5.4.3", tlv.UTF8_STRING, "device"))
CHALLENGE = attribute("1.2.840.113549.1.9.7", text(PRINTABLE_STRING, PASSWORD))
_QUERY = "operation=PKIOperation&message="
ATTRIBUTES: Mapping[str, bytes] = {
    MESSAGE_TYPE: text(PRINTABLE_STRING, "19"),
    TRANSACTION_ID: text(PRINTABLE_STRING, "T1"),
    SENDER_NONCE: tlv.element(tlv.OCTET_STRING, bytes(16)),
}


def signed_only(**attributes: bytes | None) -> bytes:
    """A message without envelope, some of whose attributes are others, or missing."""
    given = {**ATTRIBUTES, **{_OIDS[each]: value for each, value in attributes.items()}}
    present = {oid: value for oid, value in given.items() if value is not None}
    return Dialect().signed(b"", present, rsa_key(1), certificate_of(rsa_key(1), "device"))


_OIDS = {"message_type": MESSAGE_TYPE, "transaction_id": TRANSACTION_ID, "sender_nonce": SENDER_NONCE}


def changed_signature(world: World, device: ScepClient) -> bytes:
    """One bit of it."""
    return _changed(device.enrollment(world.csr()), -1)


def changed_content(world: World, device: ScepClient) -> bytes:
    """One bit of the envelope, which so is not what the digest in the signed attributes is of."""
    message_der = device.enrollment(world.csr())
    envelope = decode(message_der).message.pkcs_pki_envelope
    assert envelope is not None
    return message_der.replace(envelope, _changed(envelope, -1))


def changed_attribute(world: World, device: ScepClient) -> bytes:
    """Another transactionID than the signed one."""
    return device.enrollment(world.csr()).replace(device.transaction_id.encode(), device.transaction_id[::-1].encode())


def for_another_key(world: World, device: ScepClient) -> bytes:
    """Enveloped for somebody's certificate."""
    return _enveloped_for(certificate_of(rsa_key(3), "somebody"), world, device)


def for_another_certificate(world: World, device: ScepClient) -> bytes:
    """Enveloped for a certificate of the RA's key and issuer, with another serial number."""
    issuer = world.house.keys.private_keys[world.house.get(ISSUING).key]
    now = world.house.clock.now()
    builder = x509.CertificateBuilder().subject_name(name_of("RA")).issuer_name(world.authority.certificate.issuer)
    builder = builder.serial_number(4711).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.public_key(rsa_key(0).public_key())
    return _enveloped_for(builder.sign(cast(Any, issuer), hashes.SHA256()), world, device)


def in_dialect(**values: Any) -> Made:
    """A PKCSReq with algorithms of another time."""

    def make(world: World, device: ScepClient) -> bytes:
        dialect = Dialect(**values)
        envelope = dialect.enveloped(world.csr(), device.ra_certificate)
        return dialect.signed(envelope, ATTRIBUTES, rsa_key(1), device.certificate)

    return make


def request_signed_with(digest: str) -> Made:
    """A request whose own signature is of another time."""

    def make(world: World, device: ScepClient) -> bytes:
        return device.enrollment(certification_request(SUBJECT, [CHALLENGE], rsa_key(1), digest))

    return make


def short_key(world: World, device: ScepClient) -> bytes:
    """RSA of 1024 bits, for the message and its request."""
    key = rsa.generate_private_key(65537, 1024)
    other = replace(device, key=key, certificate=certificate_of(key, "device"))
    return other.enrollment(csr_of(key, "device", PASSWORD))


def another_key(world: World, device: ScepClient) -> bytes:
    """Signed with a key that is not the one of the request."""
    other = replace(device, key=rsa_key(2), certificate=certificate_of(rsa_key(2), "device"))
    return other.enrollment(world.csr())


def certificate_of_somebody(world: World, device: ScepClient) -> bytes:
    """Signed with a certificate of a CA that is not here."""
    certificate = certificate_of(rsa_key(2), "device", issuer=(name_of("a CA"), rsa_key(3)))
    return replace(device, key=rsa_key(2), certificate=certificate).enrollment(world.csr())


def certificate_of_the_root(world: World, device: ScepClient) -> bytes:
    """Signed with a certificate of another CA that is here."""
    root = world.house.get(ROOT)
    assert root.key is not None
    issuer = (root.subject, cast(Any, world.house.keys.private_keys[root.key]))
    certificate = certificate_of(rsa_key(2), "device", issuer=issuer)
    return replace(device, key=rsa_key(2), certificate=certificate).enrollment(world.csr())


def renewal_without_certificate(world: World, device: ScepClient) -> bytes:
    """A RenewalReq signed with a certificate that the device made for itself."""
    return device.enrollment(world.csr(), MessageType.RENEWAL_REQ)


def update_without_certificate(world: World, device: ScepClient) -> bytes:
    """The same as an UpdateReq."""
    return device.enrollment(world.csr(), MessageType.UPDATE_REQ)


def answer(world: World, device: ScepClient) -> bytes:
    """A CertRep."""
    message = PKIMessage(
        message_type=MessageType.CERT_REP,
        transaction_id="T1",
        sender_nonce=bytes(16),
        recipient_nonce=bytes(16),
        pki_status=PKIStatus.PENDING,
    )
    return result_of(signer_with(device.key, device.certificate, device.digest).sign(message))


def signed_with(attributes: Mapping[str, bytes], world: World, number: int) -> bytes:
    """A good PKCSReq of the device with that key, with these attributes."""
    envelope = Dialect().enveloped(world.csr(key=number), world.authority.certificate)
    return Dialect().signed(envelope, attributes, rsa_key(number), certificate_of(rsa_key(number), "device"))


def signed_at(moment: datetime, world: World) -> bytes:
    """The same, with a signingTime."""
    return signed_with({**ATTRIBUTES, SIGNING_TIME: tlv.time(moment)}, world, 1)


IN_QUERIES: Mapping[str, Callable[[bytes], str]] = {
    "all escaped": lambda message: f"{_QUERY}{quote(b64encode(message), safe='')}",
    "the plus bare": lambda message: f"{_QUERY}{b64encode(message).decode()}",
    "the plus as a blank": lambda message: f"{_QUERY}{b64encode(message).decode().replace('+', '%20')}",
    "lines": lambda message: f"{_QUERY}{quote(encodebytes(message), safe='')}",
    "base64url": lambda message: f"{_QUERY}{quote(urlsafe_b64encode(message), safe='')}",
    "no padding": lambda message: f"{_QUERY}{quote(b64encode(message).rstrip(b'='), safe='')}",
}
"""How messages stand in queries: as the RFC has it, and as sscep, jSCEP, macOS, routers and micromdm write them."""


def issuer_name(world: World) -> bytes:
    """The issuing CA's, DER."""
    return world.house.get(ISSUING).subject.public_bytes()


def _enveloped_for(certificate: x509.Certificate, world: World, device: ScepClient) -> bytes:
    public_key = certificate.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    return device.send(MessageType.PKCS_REQ, world.csr(), KeyTransport(public_key, certificate))


def _changed(octets: bytes, at: int) -> bytes:
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)
