"""Bad requests, each with the bit that answers it (RFC 3161, 2.4.1 and 2.4.2)."""

from __future__ import annotations

from cspd.x509 import tlv
from protocols.tsp.codec import encode_extensions, message_imprint
from protocols.tsp.messages import Extension, HashAlgorithm, PKIFailureInfo

VERSION = tlv.integer(1)
IMPRINT = message_imprint(HashAlgorithm.SHA256, bytes(range(32))).encoded
SHA256_OID = tlv.object_identifier("2.16.840.1.101.3.4.2.1")
SHA256_DER = tlv.sequence(SHA256_OID)
HASH = tlv.element(tlv.OCTET_STRING, bytes(32))
POLICY = tlv.object_identifier("1.2.3.4")
NONCE = tlv.integer(12345)
GOOD = tlv.sequence(VERSION, IMPRINT, POLICY, NONCE, tlv.TRUE)


def request(*fields: bytes) -> bytes:
    """A TimeStampReq of version 1 with a good imprint and these fields behind it."""
    return tlv.sequence(VERSION, IMPRINT, *fields)


def with_version(version: bytes) -> bytes:
    return tlv.sequence(version, IMPRINT)


def with_imprint(*fields: bytes) -> bytes:
    return tlv.sequence(VERSION, tlv.sequence(*fields))


def with_extensions(*extensions: Extension) -> bytes:
    return request(encode_extensions(extensions, 0xA0))


def with_extension(*fields: bytes) -> bytes:
    return request(tlv.element(0xA0, tlv.sequence(*fields)))


BAD_DATA_FORMAT = {
    "nothing": b"",
    "one octet": b"\x30",
    "text": b"POST /tsa/demo HTTP/1.0\r\n\r\n",
    "an empty sequence": b"\x30\x00",
    "cut short": GOOD[:-1],
    "something behind it": GOOD + b"\x00",
    "twice": GOOD + GOOD,
    "indefinite length": b"\x30\x80" + GOOD[2:] + b"\x00\x00",
    "indefinite length inside": b"\x30\x80" + VERSION + IMPRINT + b"\x00\x00",
    "length in a longer form": b"\x30\x81" + GOOD[1:],
    "length with a leading zero": b"\x30\x82\x00" + GOOD[1:],
    "length of four octets": b"\x30\x84\x00\x00\x00" + GOOD[1:],
    "a set instead of a sequence": b"\x31" + GOOD[1:],
    "a high tag number": b"\x3f\x1f\x00",
    "no version": tlv.sequence(IMPRINT),
    "an empty version": with_version(b"\x02\x00"),
    "version 1 in a longer form": with_version(b"\x02\x02\x00\x01"),
    "version as an OCTET STRING": with_version(b"\x04\x01\x01"),
    "no messageImprint": tlv.sequence(VERSION),
    "an empty messageImprint": with_imprint(),
    "an imprint without hashedMessage": with_imprint(SHA256_DER),
    "an imprint without hashAlgorithm": with_imprint(HASH),
    "an imprint of 31 octets": with_imprint(SHA256_DER, tlv.element(tlv.OCTET_STRING, bytes(31))),
    "an imprint of 33 octets": with_imprint(SHA256_DER, tlv.element(tlv.OCTET_STRING, bytes(33))),
    "an empty imprint": with_imprint(SHA256_DER, b"\x04\x00"),
    "a SHA-1 imprint under SHA-256": with_imprint(SHA256_DER, tlv.element(tlv.OCTET_STRING, bytes(20))),
    "an imprint in pieces": with_imprint(SHA256_DER, b"\x24\x24\x04\x10" + bytes(16) + b"\x04\x10" + bytes(16)),
    "an imprint that is a BIT STRING": with_imprint(SHA256_DER, tlv.element(tlv.BIT_STRING, bytes(33))),
    "something behind the imprint": with_imprint(SHA256_DER, HASH, tlv.NULL),
    "something behind the imprint of an unknown algorithm": with_imprint(
        tlv.sequence(tlv.object_identifier("1.2.3")), HASH, tlv.NULL
    ),
    "a hash algorithm without OID": with_imprint(tlv.sequence(tlv.NULL), HASH),
    "a hash algorithm with two parameters": with_imprint(tlv.sequence(SHA256_OID, tlv.NULL, tlv.NULL), HASH),
    "hash parameters nested 200 deep": with_imprint(tlv.sequence(SHA256_OID, b"\x30\x80" * 200), HASH),
    "hash parameters cut short": with_imprint(tlv.sequence(SHA256_OID, b"\x30\x02\x30\x01"), HASH),
    "a hash algorithm of 1000 octets": with_imprint(tlv.sequence(tlv.element(6, b"\xff" * 999 + b"\x01")), HASH),
    "an empty policy": request(b"\x06\x00"),
    "a policy cut short": request(b"\x06\x01\x80"),
    "a policy arc with leading zeros": request(b"\x06\x03\x2a\x80\x01"),
    "a policy of 1000 octets": request(tlv.element(6, b"\xff" * 999 + b"\x01")),
    "two policies": request(POLICY, POLICY),
    "nonce before policy": request(NONCE, POLICY),
    "an empty nonce": request(b"\x02\x00"),
    "a nonce in a longer form": request(b"\x02\x02\x00\x01"),
    "a negative nonce in a longer form": request(b"\x02\x02\xff\x80"),
    "a nonce of 65 octets": request(tlv.element(tlv.INTEGER, b"\x01" * 65)),
    "two nonces": request(NONCE, NONCE),
    "certReq FALSE written out": request(b"\x01\x01\x00"),
    "certReq as 1": request(b"\x01\x01\x01"),
    "certReq of two octets": request(b"\x01\x02\xff\xff"),
    "certReq before nonce": request(tlv.TRUE, NONCE),
    "an unknown element at the end": request(tlv.element(0xA1, b"")),
    "NULL at the end": request(tlv.NULL),
    "an empty list of extensions": request(b"\xa0\x00"),
    "extensions with an explicit tag": request(
        tlv.element(0xA0, tlv.sequence(tlv.sequence(tlv.object_identifier("1.2.3"), b"\x04\x00")))
    ),
    "an element behind the extensions": request(encode_extensions((Extension("1.2.3", False, b""),), 0xA0), tlv.NULL),
    "an extension without a value": with_extension(tlv.object_identifier("1.2.3")),
    "an extension without OID": with_extension(b"\x04\x00"),
    "an extension with something behind it": with_extension(tlv.object_identifier("1.2.3"), b"\x04\x00", tlv.NULL),
    "critical FALSE written out": with_extension(tlv.object_identifier("1.2.3"), b"\x01\x01\x00", b"\x04\x00"),
    "critical as 1": with_extension(tlv.object_identifier("1.2.3"), b"\x01\x01\x01", b"\x04\x00"),
    "an extension twice": with_extensions(Extension("1.2.3", False, b""), Extension("1.2.3", False, b"")),
    "too many extensions": with_extensions(*(Extension(f"1.2.{number}", False, b"") for number in range(17))),
    "8193 octets": b"\x30\x82\x1f\xfd" + bytes(8189),
}
BAD_REQUEST = {
    "version 0": with_version(tlv.integer(0)),
    "version 2": with_version(tlv.integer(2)),
    "version -1": with_version(tlv.integer(-1)),
    "version of 5000 octets": with_version(tlv.element(tlv.INTEGER, b"\x01" * 5000)),
    "version 2 and nothing else": tlv.sequence(tlv.integer(2)),
}
UNACCEPTED_EXTENSION = {
    "an unknown critical extension": with_extensions(Extension("1.2.3", True, b"\x05\x00")),
    "an unknown extension that is not critical": with_extensions(Extension("1.2.3", False, b"\x05\x00")),
}

BAD: dict[str, tuple[bytes, PKIFailureInfo]] = {
    name: (data, fail_info)
    for fail_info, requests in (
        (PKIFailureInfo.BAD_DATA_FORMAT, BAD_DATA_FORMAT),
        (PKIFailureInfo.BAD_REQUEST, BAD_REQUEST),
        (PKIFailureInfo.UNACCEPTED_EXTENSION, UNACCEPTED_EXTENSION),
    )
    for name, data in requests.items()
}
"""All of them: what decoding alone refuses, whatever the issuer."""
