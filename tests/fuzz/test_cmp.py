"""Any bytes: a PKIMessage that means the same when written again, or the codec's own error.

``corpus/cmp`` has what ``openssl cmp`` and its mock server said to each other; ``make.sh`` there makes it.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.cmp import info_types
from protocols.cmp.codec import DecodeError, decode, decode_header, encode
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.header_rules import check_first, check_signer, protection_certificate, require_protection
from protocols.cmp.mac_algorithms import MACPolicy, read_mac_algorithm
from protocols.cmp.messages import (
    CertReqContent,
    InfoTypeAndValue,
    NestedMessageContent,
    PKIMessage,
    RevRepContent,
    RevReqContent,
)
from protocols.cmp.protection import ProtectionKind, protection_kind, verify_mac, verify_message_signature
from tests.protocols.cmp.vectors import BODIES, FULL_HEADER, NOW, SECRET, STRUCTURE, VECTORS

SEEDS = [*VECTORS.values(), *(encode(PKIMessage(FULL_HEADER, body, b"mac", (STRUCTURE,))) for body in BODIES)]
PROTECTED = {decode(vector).protected_part_der for vector in VECTORS.values()}
FEW_ITERATIONS = MACPolicy(min_iterations=1, max_iterations=1000)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with some octets replaced, removed, put in or repeated."""
    octets = bytearray(draw(st.sampled_from(SEEDS)))
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


def _has_crmf(message: PKIMessage) -> bool:
    content = message.body.content
    if isinstance(content, NestedMessageContent):
        return any(map(_has_crmf, content.messages))
    return isinstance(content, CertReqContent | RevReqContent | RevRepContent)


@given(st.binary(max_size=300) | damaged())
def test_bytes_are_a_message_or_an_error(data: bytes) -> None:
    decode_header(data)
    with suppress(DecodeError):
        message = decode(data)
        written = encode(message)
        assert decode(written) == message
        if not _has_crmf(message):
            assert written == data


def _verify(message: PKIMessage) -> None:
    """What the service does before it looks at a message."""
    with suppress(PKIMessageRejected):
        check_first(message, NOW)
    require_protection(message)
    algorithm = message.header.protection_alg
    if algorithm is not None and protection_kind(message.header) is ProtectionKind.MAC:
        verify_mac(message, read_mac_algorithm(algorithm, FEW_ITERATIONS).derive(SECRET))
    else:
        certificate = protection_certificate(message)
        check_signer(message.header, certificate)
        verify_message_signature(message, certificate)


@given(damaged())
def test_a_damaged_message_is_refused(data: bytes) -> None:
    with suppress(DecodeError):
        message = decode(data)
        if message.protected_part_der not in PROTECTED:
            with pytest.raises(PKIMessageRejected):
                _verify(message)
        else:
            with suppress(PKIMessageRejected):
                _verify(message)


@given(st.binary(max_size=200) | damaged())
def test_the_value_of_an_item_is_read_or_an_error(data: bytes) -> None:
    info = InfoTypeAndValue("1.2.3", data)
    for read in (
        info_types.read_confirm_wait_time,
        info_types.read_texts,
        info_types.read_structures,
        info_types.read_one_structure,
        info_types.read_algorithms,
        info_types.read_one_algorithm,
        info_types.read_key_pair_param_req,
        info_types.read_unsupported_oids,
        info_types.read_root_ca_key_update,
        info_types.read_cert_req_template,
        info_types.read_crl_status_list,
    ):
        with suppress(info_types.InfoError):
            read(info)
