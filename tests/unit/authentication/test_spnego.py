from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.authentication.spnego import MAX_TOKEN, NegotiationToken, TokenError, read_token
from tests.unit.authentication.spnego_tokens import (
    KERBEROS,
    MS_KERBEROS,
    NEGOEX,
    NTLM,
    NTLM_TOKEN,
    init,
    kerberos,
    response,
)


@pytest.mark.parametrize(
    ("token", "types"),
    [
        (kerberos(17, 18), {17, 18}),
        (init([KERBEROS], kerberos(18, 18)), {18}),
        (init([MS_KERBEROS, KERBEROS, NTLM], kerberos(18, 23, mechanism=MS_KERBEROS)), {18, 23}),
        (init([KERBEROS], kerberos(23, 23)), {23}),
        (init([KERBEROS], kerberos(3, 18)), {3, 18}),
        (init([KERBEROS], None), set()),
        (init([NEGOEX, KERBEROS], b"NEGOEXTS"), set()),
        (init([NTLM, KERBEROS], NTLM_TOKEN), set()),
    ],
)
def test_what_a_first_token_says(token: bytes, types: set[int]) -> None:
    assert read_token(token) == NegotiationToken(encryption_types=frozenset(types))


def test_what_a_later_token_says() -> None:
    assert read_token(response(kerberos(23, 18))) == NegotiationToken(True, frozenset({18, 23}))
    assert read_token(response(None)) == NegotiationToken(True)


@pytest.mark.requirement("R-CEG-122")
@pytest.mark.parametrize(
    "token",
    [NTLM_TOKEN, init([NTLM], NTLM_TOKEN), init([NTLM], None), init([KERBEROS], NTLM_TOKEN), response(NTLM_TOKEN)],
    ids=["alone", "inside", "offered", "under another name", "later"],
)
def test_ntlm_is_refused_wherever_it_hides(token: bytes) -> None:
    with pytest.raises(TokenError):
        read_token(token)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"\x60",
        kerberos() + b"\0",
        init([], None),
        init([KERBEROS] * 17, None),
        init([KERBEROS], b""),
        init([KERBEROS], kerberos(mechanism=NTLM)),
        kerberos()[:-3],
        kerberos(mechanism="1.3.6.1.5.2.5"),
        bytes(MAX_TOKEN + 1),
        init([KERBEROS], kerberos().replace(b"\x01\x00\x6e", b"\x02\x00\x6e")),
    ],
)
def test_what_is_neither(token: bytes) -> None:
    with pytest.raises(TokenError):
        read_token(token)


@given(st.binary(max_size=200))
def test_any_octets_are_a_token_or_an_error(octets: bytes) -> None:
    for token in (octets, init([KERBEROS], octets), response(octets)):
        with suppress(TokenError):
            read_token(token)
