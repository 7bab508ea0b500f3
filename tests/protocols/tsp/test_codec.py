"""The codec alone: what it accepts, what it refuses, and that it agrees with other implementations."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asn1crypto import algos, tsp
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509 import tlv
from protocols.tsp import codec
from protocols.tsp.codec import RequestError, RequestLimits, decode_request, encode_request
from protocols.tsp.errors import STATUS_STRINGS
from protocols.tsp.hash_algorithms import DIGEST_OCTETS, HASH_ALGORITHMS
from protocols.tsp.messages import (
    Extension,
    HashAlgorithm,
    MessageImprint,
    PKIFailureInfo,
    PKIStatus,
    PKIStatusInfo,
    TimeStampReq,
)
from tests.protocols.tsp.bad_requests import BAD, GOOD, IMPRINT, request, with_extensions, with_imprint

oids = st.builds(
    lambda first, second, rest: ".".join(map(str, (first, second, *rest))),
    st.integers(0, 2),
    st.integers(0, 39),
    st.lists(st.integers(0, 2**40), max_size=5),
)
known_imprints = st.sampled_from(sorted(HASH_ALGORITHMS)).flatmap(
    lambda algorithm_der: st.tuples(
        st.just(algorithm_der),
        st.binary(
            min_size=DIGEST_OCTETS[HASH_ALGORITHMS[algorithm_der]],
            max_size=DIGEST_OCTETS[HASH_ALGORITHMS[algorithm_der]],
        ),
    )
)
unknown_imprints = st.tuples(
    oids.map(lambda oid: tlv.sequence(tlv.object_identifier("1.3.6.1.4.1" + oid[1:]), tlv.NULL)),
    st.binary(max_size=200),
)
imprints = (known_imprints | unknown_imprints).map(
    lambda pair: MessageImprint(*pair, tlv.sequence(pair[0], tlv.element(tlv.OCTET_STRING, pair[1])))
)
requests = st.builds(
    TimeStampReq,
    imprints,
    st.none() | oids,
    st.none() | st.integers(-(2**511), 2**511 - 1),
    st.booleans(),
    st.lists(
        st.builds(Extension, oids, st.booleans(), st.binary(max_size=200)), max_size=4, unique_by=lambda e: e.extn_id
    ).map(tuple),
)


def name_of(fail_info: PKIFailureInfo) -> str:
    """The name that asn1crypto gives a bit."""
    return {PKIFailureInfo.UNACCEPTED_EXTENSION: "unaccepted_extensions"}.get(fail_info, fail_info.name.lower())


class Everything:
    """Recognises every extension."""

    def __contains__(self, extn_id: object) -> bool:
        return True


@given(requests)
def test_what_is_encoded_is_decoded(message: TimeStampReq) -> None:
    assert decode_request(encode_request(message), recognized_extensions=Everything()) == message


@given(requests)
def test_asn1crypto_reads_the_same(message: TimeStampReq) -> None:
    data = encode_request(message)
    other = tsp.TimeStampReq.load(data, strict=True)
    assert other["version"].native == "v1"
    assert other["message_imprint"].dump() == message.message_imprint.encoded
    assert other["message_imprint"]["hashed_message"].native == message.message_imprint.hashed_message
    assert (other["req_policy"].dotted if message.req_policy else None) == message.req_policy
    assert other["nonce"].native == message.nonce
    assert other["cert_req"].native == message.cert_req
    assert [
        (each["extn_id"].dotted, each["critical"].native, bytes(each["extn_value"]))
        for each in (other["extensions"] if message.extensions else ())
    ] == [(each.extn_id, each.critical, each.extn_value) for each in message.extensions]


@pytest.mark.requirement("R-TSA-034")
@pytest.mark.parametrize(("data", "fail_info"), BAD.values(), ids=BAD.keys())
def test_a_bad_request_is_refused_with_its_bit(data: bytes, fail_info: PKIFailureInfo) -> None:
    """And what is answered is a well-formed rejection that another implementation reads."""
    with pytest.raises(RequestError) as caught:
        decode_request(data)
    assert caught.value.fail_info is fail_info
    status = tsp.PKIStatusInfo.load(_status_info(codec.REJECTIONS[caught.value.fail_info]), strict=True)
    assert status["status"].native == "rejection"
    assert status["fail_info"].native == {name_of(fail_info)}


def _status_info(response_der: bytes) -> bytes:
    """The PKIStatusInfo of a response that has nothing else: asn1crypto wants a token in a TimeStampResp."""
    start, end = tlv.read_only(response_der, 0, len(response_der), tlv.SEQUENCE)
    tlv.read_only(response_der, start, end, tlv.SEQUENCE)
    return response_der[start:end]


def test_the_good_request_next_to_the_bad_ones_is_good() -> None:
    assert decode_request(GOOD) == TimeStampReq(
        codec.message_imprint(HashAlgorithm.SHA256, bytes(range(32))), "1.2.3.4", 12345, cert_req=True
    )


@pytest.mark.parametrize("nonce", [0, 1, -1, 127, 128, 2**64 - 1, -(2**63), 2**511 - 1, -(2**511)])
def test_a_nonce_is_any_integer_of_64_octets(nonce: int) -> None:
    """RFC 3161 says INTEGER; clients that fill octets at random send negative ones as well."""
    assert decode_request(request(tlv.integer(nonce))).nonce == nonce


def test_limits_are_the_callers() -> None:
    data = request(tlv.integer(2**63))
    assert decode_request(data, RequestLimits(request_octets=len(data), nonce_octets=9)).nonce == 2**63
    with pytest.raises(RequestError):
        decode_request(data, RequestLimits(request_octets=len(data) - 1))
    with pytest.raises(RequestError):
        decode_request(data, RequestLimits(nonce_octets=8))


@pytest.mark.parametrize("algorithm", HashAlgorithm)
@pytest.mark.parametrize("parameters", [b"", tlv.NULL], ids=["absent", "NULL"])
def test_an_imprint_comes_back_to_the_octet(algorithm: HashAlgorithm, parameters: bytes) -> None:
    oid = tlv.object_identifier(algos.DigestAlgorithmId.unmap(algorithm.value.replace("-", "_")))
    algorithm_der = tlv.sequence(oid, parameters)
    hashed = bytes(range(DIGEST_OCTETS[algorithm]))
    imprint = decode_request(with_imprint(algorithm_der, tlv.element(tlv.OCTET_STRING, hashed))).message_imprint
    assert (imprint.algorithm_der, imprint.hashed_message) == (algorithm_der, hashed)
    assert imprint.encoded == tlv.sequence(algorithm_der, tlv.element(tlv.OCTET_STRING, hashed))
    assert HASH_ALGORITHMS[imprint.algorithm_der] is algorithm


@pytest.mark.parametrize(
    "algorithm_der",
    [
        tlv.sequence(tlv.object_identifier("1.2.840.113549.2.5"), tlv.NULL),
        tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.1"), tlv.integer(256)),
        tlv.sequence(tlv.object_identifier("1.3.36.3.2.1")),
    ],
    ids=["MD5", "SHA-256 with other parameters", "RIPEMD-160"],
)
def test_an_unknown_algorithm_is_for_the_issuer_to_refuse(algorithm_der: bytes) -> None:
    """The request is well formed: the answer is badAlg, which is no matter of decoding."""
    message = decode_request(with_imprint(algorithm_der, tlv.element(tlv.OCTET_STRING, bytes(16))))
    assert message.message_imprint.algorithm_der == algorithm_der
    assert algorithm_der not in HASH_ALGORITHMS


def test_only_recognized_extensions_are_read() -> None:
    known, unknown = Extension("1.2.3", True, b"\x05\x00"), Extension("1.2.4", False, b"\x05\x00")
    assert decode_request(with_extensions(known), recognized_extensions={"1.2.3"}).extensions == (known,)
    with pytest.raises(RequestError) as caught:
        decode_request(with_extensions(known, unknown), recognized_extensions={"1.2.3"})
    assert caught.value.fail_info is PKIFailureInfo.UNACCEPTED_EXTENSION


@pytest.mark.parametrize("fail_info", PKIFailureInfo)
def test_a_rejection_says_why_in_a_bit_and_in_words(fail_info: PKIFailureInfo) -> None:
    status = tsp.PKIStatusInfo.load(_status_info(codec.REJECTIONS[fail_info]), strict=True)
    assert status.native["status"] == "rejection"
    assert status.native["status_string"] == [STATUS_STRINGS[fail_info]]
    assert status.native["fail_info"] == {name_of(fail_info)}
    assert status.dump(force=True) == _status_info(codec.REJECTIONS[fail_info])


@pytest.mark.parametrize(
    ("fail_info", "encoded"),
    [
        (PKIFailureInfo.BAD_ALG, "03020780"),
        (PKIFailureInfo.BAD_DATA_FORMAT, "03020204"),
        (PKIFailureInfo.TIME_NOT_AVAILABLE, "0303010002"),
        (PKIFailureInfo.UNACCEPTED_EXTENSION, "030407000080"),
        (PKIFailureInfo.SYSTEM_FAILURE, "03050600000040"),
    ],
)
def test_the_bits_are_in_der(fail_info: PKIFailureInfo, encoded: str) -> None:
    """Without trailing zeros (X.690, 11.2.2); written down by hand."""
    rejection = codec.encode_rejection(PKIStatusInfo(PKIStatus.REJECTION, "", fail_info))
    assert rejection == tlv.sequence(tlv.sequence(tlv.integer(2), bytes.fromhex(encoded)))


def test_a_text_of_ones_own_is_utf8() -> None:
    rejection = codec.encode_rejection(PKIStatusInfo(PKIStatus.WAITING, "später"))
    assert tsp.PKIStatusInfo.load(_status_info(rejection), strict=True).native == {
        "status": "waiting",
        "status_string": ["später"],
        "fail_info": None,
    }


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 24, 22, 0, 0, tzinfo=UTC), b"20261124220000Z"),
        (datetime(2026, 11, 24, 22, 0, 0, 1, tzinfo=UTC), b"20261124220000.000001Z"),
        (datetime(2026, 11, 24, 22, 0, 10, 120_000, tzinfo=UTC), b"20261124220010.12Z"),
        (datetime(2026, 11, 24, 22, 0, 10, 999_999, tzinfo=UTC), b"20261124220010.999999Z"),
    ],
)
def test_a_fraction_has_no_trailing_zeros(moment: datetime, text: bytes) -> None:
    assert tlv.generalized_time_with_fraction(moment) == tlv.element(tlv.GENERALIZED_TIME, text)


def test_an_error_tells_the_log_more_than_the_client() -> None:
    with pytest.raises(RequestError) as caught:
        decode_request(tlv.sequence(tlv.integer(2), IMPRINT))
    assert caught.value.detail == "version 2"
    assert caught.value.status_string == STATUS_STRINGS[PKIFailureInfo.BAD_REQUEST]
