"""What comes from directories and from clients of Negotiate: any octets give a value or the codec's own error.

``corpus/directory`` and ``corpus/negotiate`` have what a real Samba and MIT Kerberos sent.
"""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.authentication.pac import sid_of_upn_dns_info
from cspd.authentication.spnego import TokenError, read_token
from cspd.directory.security_descriptors import (
    AUTO_ENROLL,
    ENROLL,
    SecurityDescriptorError,
    decode_security_descriptor,
)
from cspd.directory.security_identifiers import SecurityIdentifierError, decode_sid, encode_sid
from tests.fuzz.mutation import damaged
from tests.fuzz.seeds import corpus

DESCRIPTORS = corpus("directory", "*.sd")
IDENTIFIERS = corpus("directory", "*.sid")
TOKENS = corpus("negotiate", "*.token")


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_descriptors_of_a_real_directory(name: str) -> None:
    descriptor = decode_security_descriptor(DESCRIPTORS[name])
    assert descriptor.entries
    everybody = {entry.sid for entry in descriptor.entries}
    assert descriptor.allows(ENROLL, everybody) in (True, False)
    assert not descriptor.allows(UUID(int=1), set())


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_identifiers_of_a_real_directory(name: str) -> None:
    assert encode_sid(decode_sid(IDENTIFIERS[name])) == IDENTIFIERS[name]


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_are_read_or_refused_as_their_names_say(name: str) -> None:
    if name.startswith("bad-"):
        with pytest.raises(TokenError):
            read_token(TOKENS[name])
    else:
        said = read_token(TOKENS[name])
        assert (23 in said.encryption_types) is ("rc4" in name)
        assert bool(said.encryption_types) is not name.startswith("negoex")


@given(st.binary(max_size=300) | damaged(tuple(DESCRIPTORS.values())))
def test_any_octets_are_a_descriptor_or_an_error(octets: bytes) -> None:
    with suppress(SecurityDescriptorError):
        descriptor = decode_security_descriptor(octets)
        for right in (ENROLL, AUTO_ENROLL):
            granting = {entry.sid for entry in descriptor.entries if entry.grants}
            if descriptor.allows(right, {entry.sid for entry in descriptor.entries}):
                assert granting


@given(st.binary(max_size=80) | damaged(tuple(IDENTIFIERS.values())))
def test_any_octets_are_an_identifier_or_an_error(octets: bytes) -> None:
    with suppress(SecurityIdentifierError):
        assert encode_sid(decode_sid(octets)) == octets
    sid_of_upn_dns_info(octets)


@given(st.binary(max_size=300) | damaged(tuple(TOKENS.values())))
def test_any_octets_are_a_token_or_an_error(octets: bytes) -> None:
    with suppress(TokenError):
        said = read_token(octets)
        assert not octets.startswith(b"NTLMSSP")
        assert all(isinstance(number, int) for number in said.encryption_types)
