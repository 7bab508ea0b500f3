"""Any bytes: CertReqMessages that have the same meaning when written again, or the codec's own error."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.crmf.decoding import decode_cert_req_messages
from cspd.x509.crmf.encoding import encode_cert_req_messages
from cspd.x509.crmf.messages import CRMFError
from cspd.x509.crmf.possession import ProofOfPossessionError, verify_signature_popo
from cspd.x509.public_keys import PublicKeyError
from tests.unit.x509.crmf.requests import CONTROLS, CORPUS, FULL_TEMPLATE, PROOFS, message

SEEDS = [*CORPUS.values()] + [
    encode_cert_req_messages((message(FULL_TEMPLATE, popo, CONTROLS[at : at + 4]),)) for at, popo in enumerate(PROOFS)
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with some octets replaced, removed or put in."""
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(octets) - 1))
        match draw(st.integers(0, 2)):
            case 0:
                octets[at] = draw(st.integers(0, 255))
            case 1:
                del octets[at : at + draw(st.integers(1, 3))]
            case _:
                octets[at:at] = draw(st.binary(min_size=1, max_size=4))
        octets = octets or bytearray(1)
    return bytes(octets)


@given(st.binary(max_size=300) | damaged())
def test_bytes_are_messages_or_an_error(data: bytes) -> None:
    with suppress(CRMFError):
        messages = decode_cert_req_messages(data)
        written = encode_cert_req_messages(messages)
        assert decode_cert_req_messages(written) == messages
        for each in messages:
            with suppress(ProofOfPossessionError, PublicKeyError):
                verify_signature_popo(each)
