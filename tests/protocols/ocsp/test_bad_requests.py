"""Bad requests, each with the exact answer (RFC 6960, 2.3)."""

from __future__ import annotations

import pytest

from cspd.x509 import tlv
from protocols.ocsp import codec
from protocols.ocsp.config import NoncePolicy, OCSPConfig
from protocols.ocsp.messages import CertID, Extension, OCSPRequest, SingleRequest
from tests.protocols.ocsp.world import World, request_for

MALFORMED = bytes.fromhex("30030a0101")
UNAUTHORIZED = bytes.fromhex("30030a0106")

SHA1_DER = tlv.sequence(tlv.object_identifier("1.3.14.3.2.26"), tlv.NULL)
CERT_ID = CertID(SHA1_DER, bytes(20), bytes(20), 1)
SINGLE = SingleRequest(CERT_ID)
SINGLE_DER = tlv.sequence(codec.encode_cert_id(CERT_ID))
REQUEST_LIST = tlv.sequence(SINGLE_DER)


def tbs(*elements: bytes) -> bytes:
    return tlv.sequence(tlv.sequence(*elements))


def with_nonce(value: bytes) -> bytes:
    return codec.encode_request(OCSPRequest((SINGLE,), (Extension("1.3.6.1.5.5.7.48.1.2", False, value),)))


def with_cert_id(*elements: bytes) -> bytes:
    return tbs(tlv.sequence(tlv.sequence(tlv.sequence(*elements))))


NAME_HASH = KEY_HASH = tlv.element(tlv.OCTET_STRING, bytes(20))
GOOD_TEXT = tbs(REQUEST_LIST)

BAD = {
    "nothing": b"",
    "one octet": b"\x30",
    "text": b"GET / HTTP/1.0\r\n\r\n",
    "an empty sequence": b"\x30\x00",
    "cut short": GOOD_TEXT[:-1],
    "something behind it": GOOD_TEXT + b"\x00",
    "indefinite length": b"\x30\x80" + GOOD_TEXT[2:] + b"\x00\x00",
    "length in a longer form": b"\x30\x81" + GOOD_TEXT[1:],
    "length with a leading zero": b"\x30\x82\x00" + GOOD_TEXT[1:],
    "length of four octets": b"\x30\x84\x00\x00\x00" + GOOD_TEXT[1:],
    "a set instead of a sequence": b"\x31" + GOOD_TEXT[1:],
    "a high tag number": b"\x3f\x1f\x00",
    "no requestList": tbs(),
    "an empty requestList": tbs(tlv.sequence()),
    "version v1 written out": tbs(tlv.element(0xA0, tlv.integer(0)), REQUEST_LIST),
    "version v2": tbs(tlv.element(0xA0, tlv.integer(1)), REQUEST_LIST),
    "an unknown element behind the list": tbs(REQUEST_LIST, tlv.element(0xA3, b"")),
    "an element behind the extensions": tbs(
        REQUEST_LIST,
        tlv.element(0xA2, tlv.sequence(tlv.sequence(tlv.object_identifier("1.2.3"), b"\x04\x00"))),
        b"\x05\x00",
    ),
    "an empty list of extensions": tbs(REQUEST_LIST, tlv.element(0xA2, tlv.sequence())),
    "critical FALSE written out": tbs(
        REQUEST_LIST,
        tlv.element(0xA2, tlv.sequence(tlv.sequence(tlv.object_identifier("1.2.3"), b"\x01\x01\x00", b"\x04\x00"))),
    ),
    "critical as 1": tbs(
        REQUEST_LIST,
        tlv.element(0xA2, tlv.sequence(tlv.sequence(tlv.object_identifier("1.2.3"), b"\x01\x01\x01", b"\x04\x00"))),
    ),
    "an unknown critical extension": codec.encode_request(OCSPRequest((SINGLE,), (Extension("1.2.3", True, b""),))),
    "an unknown critical single extension": codec.encode_request(
        OCSPRequest((SingleRequest(CERT_ID, (Extension("1.2.3", True, b""),)),))
    ),
    "an extension twice": codec.encode_request(OCSPRequest((SINGLE,), (Extension("1.2.3", False, b""),) * 2)),
    "too many extensions": codec.encode_request(
        OCSPRequest((SINGLE,), tuple(Extension(f"1.2.{number}", False, b"") for number in range(17)))
    ),
    "an empty OID": tbs(REQUEST_LIST, tlv.element(0xA2, tlv.sequence(tlv.sequence(b"\x06\x00", b"\x04\x00")))),
    "an OID cut short": tbs(REQUEST_LIST, tlv.element(0xA2, tlv.sequence(tlv.sequence(b"\x06\x01\x80", b"\x04\x00")))),
    "an OID arc with leading zeros": tbs(
        REQUEST_LIST, tlv.element(0xA2, tlv.sequence(tlv.sequence(b"\x06\x03\x2a\x80\x01", b"\x04\x00")))
    ),
    "an OID of 1000 octets": tbs(
        REQUEST_LIST,
        tlv.element(0xA2, tlv.sequence(tlv.sequence(tlv.element(6, b"\xff" * 999 + b"\x01"), b"\x04\x00"))),
    ),
    "an empty nonce": with_nonce(b"\x04\x00"),
    "a nonce of 129 octets": with_nonce(tlv.element(4, bytes(129))),
    "a nonce without its OCTET STRING": with_nonce(b"0123456789abcdef"),
    "a nonce with something behind it": with_nonce(b"\x04\x01a\x00"),
    "a requestorName that is two": tbs(tlv.element(0xA1, b"\x82\x00\x82\x00"), REQUEST_LIST),
    "a requestorName that is none": tbs(tlv.element(0xA1, b""), REQUEST_LIST),
    "a requestorName nested 200 deep": tbs(tlv.element(0xA1, b"\x30\x80" * 200), REQUEST_LIST),
    "a signature that is no sequence": tlv.sequence(tlv.sequence(REQUEST_LIST), tlv.element(0xA0, b"\x04\x00")),
    "a signature with broken DER": tlv.sequence(tlv.sequence(REQUEST_LIST), tlv.element(0xA0, b"\x30\x02\x30\x01")),
    "something behind the signature": tlv.sequence(
        tlv.sequence(REQUEST_LIST), tlv.element(0xA0, tlv.sequence()), b"\x05\x00"
    ),
    "no serialNumber": with_cert_id(SHA1_DER, NAME_HASH, KEY_HASH),
    "an empty serialNumber": with_cert_id(SHA1_DER, NAME_HASH, KEY_HASH, b"\x02\x00"),
    "a serialNumber in a longer form": with_cert_id(SHA1_DER, NAME_HASH, KEY_HASH, b"\x02\x02\x00\x01"),
    "a serialNumber of 22 octets": with_cert_id(SHA1_DER, NAME_HASH, KEY_HASH, tlv.element(2, b"\x01" * 22)),
    "something behind the serialNumber": with_cert_id(SHA1_DER, NAME_HASH, KEY_HASH, tlv.integer(1), b"\x05\x00"),
    "a hash of 65 octets": with_cert_id(SHA1_DER, tlv.element(4, bytes(65)), KEY_HASH, tlv.integer(1)),
    "a hash that is no OCTET STRING": with_cert_id(SHA1_DER, b"\x03\x01\x00", KEY_HASH, tlv.integer(1)),
    "a hash algorithm without OID": with_cert_id(tlv.sequence(tlv.NULL), NAME_HASH, KEY_HASH, tlv.integer(1)),
    "a hash algorithm with two parameters": with_cert_id(
        tlv.sequence(tlv.object_identifier("1.2.3"), tlv.NULL, tlv.NULL), NAME_HASH, KEY_HASH, tlv.integer(1)
    ),
    "101 CertIDs": tbs(tlv.sequence(*[SINGLE_DER] * 101)),
    "longer than allowed": b"\x30\x82\x20\x00" + bytes(8192),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_a_bad_request_is_malformed(body: bytes) -> None:
    """HTTP 200 with malformedRequest, by default; HTTP 400 with http_error on."""
    world = World()
    world.add_ca()
    response = world.post(body)
    assert (response.status, response.body) == (200, MALFORMED)
    assert response.headers == (
        (b"content-type", b"application/ocsp-response"),
        (b"cache-control", b"no-store"),
    )
    world.configure(OCSPConfig(http_error=True))
    assert (world.post(body).status, world.post(body).body) == (400, MALFORMED)


def test_nothing_of_a_bad_request_reaches_keys_or_store() -> None:
    """Cheap things are checked first: no responder is made for garbage."""
    world = World()
    world.add_ca()
    keys_before = len(world.keys.private_keys)
    for body in BAD.values():
        world.post(body)
    assert len(world.keys.private_keys) == keys_before
    assert world.status.asked == 0


@pytest.mark.parametrize(
    "cert_id",
    [
        CERT_ID,
        CertID(tlv.sequence(tlv.object_identifier("1.2.840.113549.2.5"), tlv.NULL), bytes(16), bytes(16), 1),
        CertID(SHA1_DER, b"", b"", 1),
    ],
    ids=["foreign issuer", "MD5", "empty hashes"],
)
def test_an_issuer_that_is_not_ours_is_unauthorized(cert_id: CertID) -> None:
    world = World()
    world.add_ca()
    body = codec.encode_request(OCSPRequest((SingleRequest(cert_id),)))
    response = world.post(body)
    assert (response.status, response.body) == (200, UNAUTHORIZED)
    world.configure(OCSPConfig(http_error=True))
    assert (world.post(body).status, world.post(body).body) == (404, UNAUTHORIZED)


def test_an_unknown_ca_is_unauthorized() -> None:
    world = World()
    authority = world.add_ca()
    assert world.post(request_for(authority, 1), ca="other").body == UNAUTHORIZED


def test_a_missing_nonce_is_malformed_where_conf_requires_one() -> None:
    world = World(OCSPConfig(nonce=NoncePolicy.REQUIRED))
    authority = world.add_ca()
    assert world.post(request_for(authority, 1)).body == MALFORMED
    assert world.post(request_for(authority, 1, nonce=b"n")).body not in (MALFORMED, UNAUTHORIZED)


@pytest.mark.parametrize("content_type", [b"application/octet-stream", b"", b"application/ocsp-response"])
def test_another_content_type_is_415(content_type: bytes) -> None:
    world = World()
    authority = world.add_ca()
    assert world.post(request_for(authority, 1), content_type=content_type).status == 415


@pytest.mark.parametrize("path", ["%", "%%%", "=", "MEI", "not base64 at all!", "%FF%FE", "\u00e9", "M" * 40_000])
def test_a_path_that_is_not_base64_is_malformed(path: str) -> None:
    world = World()
    world.add_ca()
    assert world.get(path).body == MALFORMED
