"""The codec alone: what it accepts, what it refuses, and that it agrees with other implementations."""

from __future__ import annotations

import pytest
from asn1crypto import ocsp as asn1_ocsp
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from cspd.x509 import tlv
from protocols.ocsp import codec
from protocols.ocsp.messages import NONCE, CertID, Extension, OCSPRequest, SingleRequest
from tests.protocols.ocsp.world import World, request_for

SHA1_DER = tlv.sequence(tlv.object_identifier("1.3.14.3.2.26"), tlv.NULL)

oids = st.builds(
    lambda first, second, rest: ".".join(map(str, (first, second, *rest))),
    st.integers(0, 2),
    st.integers(0, 39),
    st.lists(st.integers(0, 2**40), max_size=5),
)
extensions = st.lists(
    st.builds(Extension, oids, st.just(value=False), st.binary(max_size=200)), max_size=4, unique_by=lambda e: e.extn_id
).map(tuple)
algorithms = st.sampled_from(sorted(codec.HASH_ALGORITHMS)) | oids.map(
    lambda oid: tlv.sequence(tlv.object_identifier(oid), tlv.NULL)
)
cert_ids = st.builds(
    CertID, algorithms, st.binary(max_size=64), st.binary(max_size=64), st.integers(-(2**167), 2**167 - 1)
)
nonces = st.binary(min_size=1, max_size=128).map(codec.nonce_extension)
requests = st.builds(
    OCSPRequest,
    st.lists(st.builds(SingleRequest, cert_ids, extensions), min_size=1, max_size=5).map(tuple),
    st.tuples(st.lists(nonces, max_size=1).map(tuple), extensions).map(lambda both: both[0] + both[1]),
    st.none() | st.binary(max_size=100).map(lambda name: tlv.element(0x82, name)),
    st.none() | st.binary(max_size=100).map(lambda signature: tlv.sequence(tlv.element(tlv.BIT_STRING, signature))),
)


@given(requests)
def test_every_request_survives_encoding(request: OCSPRequest) -> None:
    assert codec.decode_request(codec.encode_request(request)) == request


@given(st.binary(max_size=400))
def test_any_bytes_give_a_request_or_a_request_error(data: bytes) -> None:
    try:
        request = codec.decode_request(data)
    except codec.RequestError:
        return
    assert codec.encode_request(request) == data


@settings(max_examples=400)
@given(requests, st.data())
def test_a_changed_request_is_refused_or_has_exactly_one_encoding(request: OCSPRequest, data: st.DataObject) -> None:
    """What is accepted is DER: nothing is skipped, nothing can be said in two ways."""
    encoded = bytearray(codec.encode_request(request))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        changed = codec.decode_request(bytes(encoded))
    except codec.RequestError:
        return
    assert codec.encode_request(changed) == encoded


@pytest.mark.parametrize("nonce_length", [1, 32, 127, 128])
def test_a_nonce_of_1_to_128_octets_is_read(nonce_length: int) -> None:
    """RFC 9654, 2.1."""
    nonce = bytes(range(nonce_length))
    single = SingleRequest(CertID(SHA1_DER, bytes(20), bytes(20), 1))
    encoded = codec.encode_request(OCSPRequest((single,), (codec.nonce_extension(nonce),)))
    assert codec.decode_request(encoded).nonce == nonce


@pytest.mark.parametrize(
    "algorithm", [hashes.SHA1(), hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
)
def test_requests_of_another_implementation_are_read(algorithm: hashes.HashAlgorithm) -> None:
    authority = World().add_ca()
    encoded = request_for(authority, 2**158 + 7, algorithm=algorithm, nonce=b"0123456789abcdef")
    theirs = ocsp.load_der_ocsp_request(encoded)
    request = codec.decode_request(encoded)
    cert_id = request.request_list[0].req_cert
    assert codec.HASH_ALGORITHMS[cert_id.algorithm_der].value == algorithm.name
    assert cert_id.issuer_name_hash == theirs.issuer_name_hash
    assert cert_id.issuer_key_hash == theirs.issuer_key_hash
    assert cert_id.serial_number == 2**158 + 7
    assert request.nonce == b"0123456789abcdef"
    assert codec.encode_request(request) == encoded


@given(requests)
def test_another_implementation_reads_our_requests(request: OCSPRequest) -> None:
    theirs = asn1_ocsp.OCSPRequest.load(codec.encode_request(request), strict=True)["tbs_request"]
    serials = [single["req_cert"]["serial_number"].native for single in theirs["request_list"]]
    assert serials == [single.req_cert.serial_number for single in request.request_list]
    oids = [extension["extn_id"].dotted for extension in theirs["request_extensions"] or ()]
    assert oids == [extension.extn_id for extension in request.extensions]


def test_the_oid_of_the_nonce_is_ours_alone_in_a_list() -> None:
    """A message with two nonces cannot say which one to repeat."""
    single = SingleRequest(CertID(SHA1_DER, bytes(20), bytes(20), 1))
    twice = (codec.nonce_extension(b"a"), codec.nonce_extension(b"b"))
    with pytest.raises(codec.RequestError, match=f"{NONCE} twice"):
        codec.decode_request(codec.encode_request(OCSPRequest((single,), twice)))


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\x00\x80", 128),
        (b"\xff", -1),
        (b"\x80", -128),
        (b"\xff\x7f", -129),
    ],
)
def test_integers_are_read_and_written(encoded: bytes, value: int) -> None:
    assert tlv.read_integer(encoded, 0, len(encoded)) == value
    assert tlv.integer(value) == bytes((2, len(encoded))) + encoded


@pytest.mark.parametrize("encoded", [b"", b"\x00\x01", b"\x00\x00", b"\xff\x80", b"\xff\xff"])
def test_integers_in_a_longer_form_are_refused(encoded: bytes) -> None:
    with pytest.raises(tlv.DERError):
        tlv.read_integer(encoded, 0, len(encoded))


@given(st.integers(0, 2**24 - 1))
def test_lengths_are_read_as_written(length: int) -> None:
    head = bytes((tlv.OCTET_STRING,)) + tlv.length_of(length)
    assert tlv.read_any(head, 0, len(head) + length) == (tlv.OCTET_STRING, len(head), len(head) + length)
