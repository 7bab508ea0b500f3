"""Any bytes: an OCSPRequest with this one encoding, or the codec's own error.

``corpus/ocsp`` has requests that openssl 3.0 and cryptography 50 wrote, the bad ones of
``tests/protocols/ocsp/test_bad_requests.py``, and whatever a long run finds.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.refusals import Malformed
from cspd.x509 import tlv
from protocols.ocsp.codec import RequestError, decode_request, encode_request
from protocols.ocsp.endpoint import decode_path

CORPUS = {file.name: file.read_bytes() for file in sorted((Path(__file__).parent / "corpus" / "ocsp").glob("*.req"))}


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
        assert encode_request(decode_request(CORPUS[name])) == CORPUS[name]


@given(st.binary(max_size=400) | damaged())
def test_bytes_are_a_request_or_an_error(data: bytes) -> None:
    with suppress(RequestError):
        assert encode_request(decode_request(data)) == data


@given(st.binary(max_size=300))
def test_elements_are_well_formed_or_an_error(data: bytes) -> None:
    with suppress(tlv.DERError):
        tlv.check_well_formed(data, 0, len(data))


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda data: base64.b64encode(data).decode()))
def test_a_path_is_octets_or_an_error(text: str) -> None:
    with suppress(Malformed):
        decode_path(text, 8192)
