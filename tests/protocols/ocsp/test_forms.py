"""Reading by form gives what reading element by element gives, for any octets."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ocsp import codec, forms
from protocols.ocsp.forms import MAX_FORMS, RequestDecoder
from protocols.ocsp.messages import CertID, OCSPRequest, SingleRequest
from tests.protocols.ocsp.test_codec import SHA1_DER, cert_ids, nonces, requests

LIMITS = codec.RequestLimits()


def request(serial_number: int, nonce: bytes, *, name_hash: bytes = bytes(20)) -> bytes:
    cert_id = CertID(SHA1_DER, name_hash, bytes(range(20)), serial_number)
    return codec.encode_request(OCSPRequest((SingleRequest(cert_id),), (codec.nonce_extension(nonce),)))


def outcome(decode: object, data: bytes) -> object:
    try:
        decoded: OCSPRequest = decode(data)  # type: ignore[operator]
    except codec.RequestError as error:
        return str(error)
    # ``encoded`` does not count in comparisons of CertIDs, and it is what the answer repeats.
    return decoded, [single.req_cert.encoded for single in decoded.request_list]


@st.composite
def changed(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A request with one CertID and a nonce, and the same with some octets changed, or one more or less."""
    single = st.builds(SingleRequest, cert_ids)
    data = codec.encode_request(
        draw(requests | st.builds(lambda one, nonce: OCSPRequest((one,), (nonce,)), single, nonces))
    )
    octets = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    return data, bytes(octets) + draw(st.sampled_from([b"", b"\x00"])) if draw(st.booleans()) else bytes(octets[:-1])


@given(changed())
def test_a_request_like_an_earlier_one_is_read_as_any_other(pair: tuple[bytes, bytes]) -> None:
    decoder = RequestDecoder(LIMITS)
    for data in pair:
        assert outcome(decoder.decode, data) == outcome(codec.decode_request, data)


def test_each_octet_counts() -> None:
    decoder = RequestDecoder(LIMITS)
    data = request(1 << 152, bytes(range(32)))
    decoder.decode(data)
    for at, octet in enumerate(data):
        for other in {0x00, 0x7F, 0x80, 0xFF, octet ^ 0x01} - {octet}:
            damaged = data[:at] + bytes((other,)) + data[at + 1 :]
            assert outcome(decoder.decode, damaged) == outcome(codec.decode_request, damaged)


@given(st.integers(1, 2**159 - 1), st.binary(min_size=1, max_size=128), st.data())
def test_another_serial_number_and_nonce(serial_number: int, nonce: bytes, data: st.DataObject) -> None:
    decoder = RequestDecoder(LIMITS)
    decoder.decode(request(serial_number, nonce))
    octets = (serial_number.bit_length() + 8) // 8
    other = bytearray(request(serial_number, data.draw(st.binary(min_size=len(nonce), max_size=len(nonce)))))
    at = other.index(serial_number.to_bytes(octets, "big"), 30)
    other[at : at + octets] = data.draw(st.binary(min_size=octets, max_size=octets))  # not always the shortest form
    assert outcome(decoder.decode, bytes(other)) == outcome(codec.decode_request, bytes(other))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """The codec's decoder, counted."""
    counted = Mock(side_effect=codec.decode_request)
    monkeypatch.setattr(forms.codec, "decode_request", counted)
    return counted


def test_only_the_first_of_a_form_is_read_element_by_element(read: Mock) -> None:
    decoder = RequestDecoder(LIMITS)
    for issuer in (b"a", b"b"):
        for serial_number in (1 << 152, (1 << 152) + 7):
            decoded = decoder.decode(request(serial_number, serial_number.to_bytes(32, "big"), name_hash=issuer * 20))
            assert decoded.request_list[0].req_cert.serial_number == serial_number
            assert decoded.nonce == serial_number.to_bytes(32, "big")
    assert read.call_count == 2


def test_what_has_no_nonce_or_more_than_that_has_no_form(read: Mock) -> None:
    decoder = RequestDecoder(LIMITS)
    plain = codec.decode_request(request(1 << 152, bytes(32)))
    read.reset_mock()
    others = (
        replace(plain, extensions=()),
        replace(plain, request_list=plain.request_list * 2),
        replace(plain, requestor_name_der=b"\x82\x01a"),
        replace(plain, signature_der=b"\x30\x00"),
    )
    for other in others:
        for _ in range(2):
            assert decoder.decode(codec.encode_request(other)) == other
    assert read.call_count == 2 * len(others)


def test_forms_are_bounded() -> None:
    decoder = RequestDecoder(LIMITS)
    for number in range(MAX_FORMS + 5):
        decoder.decode(request(7, b"nonce", name_hash=number.to_bytes(2, "big") * 10))
    assert len(decoder._forms) == 5
