"""Any bytes: a pkiMessage that means the same when written again, an envelope that opens, or the codec's own error.

``corpus/scep`` has what ``pki --scep`` of strongSwan said; ``make.py`` there records it.
"""

from __future__ import annotations

from contextlib import suppress

from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.recipients import Password
from protocols.scep.capabilities import decode_capabilities
from protocols.scep.codec import decode
from protocols.scep.decryption import SharedPasswords
from protocols.scep.envelope import open_envelope, seal_envelope
from protocols.scep.errors import DecodeError, PKIMessageRefused
from protocols.scep.message_data import decode_message_data, encode_message_data
from protocols.scep.messages import EnrollmentRequest, MessageType
from protocols.scep.transport import decode_message_parameter
from protocols.scep.verification import verify
from tests.protocols.scep.vectors import (
    RECORDED_RA,
    VECTORS,
    at_once,
    counted,
    ec_key,
    indefinite,
    recorded_ra_key,
)
from tests.support.running import result_of
from tests.support.scep_client import EVERYTHING, certificate_of, csr_of, recipient_key, signer_with

MESSAGES = [*VECTORS.values(), *map(indefinite, VECTORS.values())]
ENVELOPES = [
    *(envelope for vector in VECTORS.values() if (envelope := decode(vector).message.pkcs_pki_envelope)),
    seal_envelope(b"content", Password(b"sesame", 1), ContentCipher.AES_256_GCM, counted),
]
CONTENTS = [csr_of(ec_key(), "device", "sesame"), RECORDED_RA.issuer.public_bytes() * 2]
KEYS = [recipient_key(recorded_ra_key(), RECORDED_RA)]


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of the seeds with some octets replaced, removed, put in or repeated."""
    octets = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(octets) - 1)))
        match draw(st.integers(0, 4)):
            case 0 | 1:
                octets[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 2:
                del octets[at : at + draw(st.integers(1, 3))]
            case 3:
                octets[at:at] = draw(st.binary(min_size=1, max_size=4))
            case _:
                octets[at:at] = octets[at : at + draw(st.integers(1, 40))]
    return bytes(octets)


@given(st.binary(max_size=300) | damaged(MESSAGES))
def test_bytes_are_a_message_or_an_error(data: bytes) -> None:
    with suppress(DecodeError):
        received = decode(data)
        with suppress(PKIMessageRefused):
            verify(received, EVERYTHING)
        signer = signer_with(ec_key(), certificate_of(ec_key(), "device"), hashes.SHA256())
        assert decode(result_of(signer.sign(received.message))).message == received.message


@given(st.binary(max_size=300) | damaged(ENVELOPES))
def test_bytes_are_an_envelope_that_opens_or_an_error(data: bytes) -> None:
    passwords = SharedPasswords([b"sesame"], at_once)
    with suppress(PKIMessageRefused):
        result_of(open_envelope(data, KEYS, EVERYTHING, random_bytes=counted, passwords=passwords))


@given(st.sampled_from(MessageType), st.binary(max_size=300) | damaged([*CONTENTS, *MESSAGES]))
def test_bytes_are_message_data_or_an_error(message_type: MessageType, data: bytes) -> None:
    with suppress(PKIMessageRefused):
        content = decode_message_data(message_type, data)
        assert decode_message_data(message_type, encode_message_data(content)) == content
        if isinstance(content, EnrollmentRequest):
            assert content.csr.public_key_der


@given(st.binary(max_size=100))
def test_bytes_are_capabilities(data: bytes) -> None:
    decode_capabilities(data)


@given(st.text(max_size=100))
def test_text_is_a_message_or_an_error(text: str) -> None:
    with suppress(DecodeError):
        decode_message_parameter(text)
