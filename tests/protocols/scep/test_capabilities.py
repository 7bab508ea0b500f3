"""What GetCACaps says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.capabilities import Capability, capabilities_of, decode_capabilities, encode_capabilities
from tests.protocols.scep.vectors import STRICT

ALWAYS = b"AES\nPOSTPKIOperation\nRenewal\nSHA-256\nSHA-384\nSHA-512\nSCEPStandard\n"


def test_what_is_always_there() -> None:
    assert encode_capabilities(capabilities_of(STRICT)) == ALWAYS


@pytest.mark.parametrize(
    ("capabilities", "word"),
    [
        (capabilities_of(AlgorithmPolicy(allow_sha1=True)), Capability.SHA_1),
        (capabilities_of(AlgorithmPolicy(allow_des3=True)), Capability.DES3),
        (capabilities_of(STRICT, has_next_ca=True), Capability.GET_NEXT_CA_CERT),
        (capabilities_of(STRICT, has_update=True), Capability.UPDATE),
    ],
)
def test_nothing_is_announced_that_is_not_there(capabilities: frozenset[Capability], word: Capability) -> None:
    assert capabilities - decode_capabilities(ALWAYS) == {word}


def test_single_des_has_no_word() -> None:
    assert capabilities_of(AlgorithmPolicy(allow_des=True)) == capabilities_of(STRICT)


@given(st.frozensets(st.sampled_from(Capability)))
def test_what_is_written_is_read(capabilities: frozenset[Capability]) -> None:
    assert decode_capabilities(encode_capabilities(capabilities)) == capabilities


def test_other_words_and_line_ends_are_read() -> None:
    assert decode_capabilities(b"AES\r\n SHA-512 \r\nTeleport\r\n\xff\n") == {Capability.AES, Capability.SHA_512}
