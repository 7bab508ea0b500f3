"""Any bytes: a TimeStampReq with this one encoding, or the codec's own error; and a report on any would-be token.

``corpus/tsp`` has requests that openssl, rfc3161-client and pyHanko wrote, the bad ones of
``tests/protocols/tsp/bad_requests.py``, and whatever a long run finds.
"""

from __future__ import annotations

import hashlib
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import tsp
from hypothesis import given
from hypothesis import strategies as st

from cspd.keys.values import KeyType
from protocols.tsp.codec import REJECTIONS, RequestError, decode_request, encode_request
from protocols.tsp.evidence import Expectation
from protocols.tsp.hash_algorithms import HASH_ALGORITHMS
from protocols.tsp.messages import Accuracy, PKIFailureInfo
from protocols.tsp.token import TokenProfile
from protocols.tsp.verification import verify
from tests.protocols.tsp.tokens import DATA, PLAIN, POLICY, authority, unit

CORPUS = {file.name: file.read_bytes() for file in sorted((Path(__file__).parent / "corpus" / "tsp").glob("*.tsq"))}

HASHED = hashlib.sha256(DATA).digest()
EVERYTHING = TokenProfile(policy=POLICY, accuracy=Accuracy(1, 2, 3), ordering=True, tsa_name=True, qualified=True)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A request of the corpus with some octets replaced, removed, put in or repeated."""
    octets = bytearray(draw(st.sampled_from(list(CORPUS.values()))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(octets) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                octets[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del octets[at : at + draw(st.integers(1, 3))]
            case 2:
                octets[at:at] = draw(st.binary(min_size=1, max_size=4))
            case _:
                octets[at:at] = octets[at : at + draw(st.integers(1, 40))]
    return bytes(octets)


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_is_read_or_refused_as_its_name_says(name: str) -> None:
    if name.startswith("bad-"):
        with pytest.raises(RequestError):
            decode_request(CORPUS[name])
    else:
        message = decode_request(CORPUS[name])
        assert encode_request(message) == CORPUS[name]
        assert (message.message_imprint.algorithm_der in HASH_ALGORITHMS) == ("rmd160" not in name)
        assert message.cert_req == ("cert" in name or not name.startswith("openssl"))
        assert (message.nonce is None) == ("no-nonce" in name)
        assert (message.req_policy is not None) == ("policy" in name)


@given(st.binary(max_size=400) | damaged())
def test_bytes_are_a_request_or_an_error(data: bytes) -> None:
    with suppress(RequestError):
        assert encode_request(decode_request(data)) == data


@given(damaged())
def test_what_we_read_another_implementation_reads_alike(data: bytes) -> None:
    with suppress(RequestError):
        message = decode_request(data)
        other = tsp.TimeStampReq.load(data, strict=True)
        assert other["message_imprint"].dump() == message.message_imprint.encoded
        assert other["nonce"].native == message.nonce
        assert other["cert_req"].native == message.cert_req


@cache
def _responses() -> tuple[bytes, ...]:
    return (
        unit().response(EVERYTHING),
        unit(KeyType.ED25519).token(PLAIN),
        unit(KeyType.ML_DSA_44).token(PLAIN, cert_req=False),
        REJECTIONS[PKIFailureInfo.BAD_ALG],
    )


@st.composite
def damaged_responses(draw: st.DrawFn) -> bytes:
    octets = bytearray(draw(st.sampled_from(_responses())))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(octets) - 1))
        match draw(st.integers(0, 2)):
            case 0:
                octets[at] = draw(st.integers(0, 255))
            case 1:
                del octets[at : at + draw(st.integers(1, 3))]
            case _:
                octets[at:at] = draw(st.binary(min_size=1, max_size=4))
    return bytes(octets)


@given(st.binary(max_size=300) | damaged_responses())
def test_any_bytes_give_a_report(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography's, on certificates that are odd
        report = verify(data, trust_anchors=[authority().root], expectation=Expectation(hashed_message=HASHED))
    if report.is_valid:
        assert report.tst_info is not None
        assert report.tst_info.message_imprint.hashed_message == HASHED
