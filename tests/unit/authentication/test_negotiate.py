from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from cspd.authentication import negotiate
from cspd.authentication.negotiate import AnotherLeg, Negotiated, Negotiation, NotAccepted
from cspd.directory.values import Principal
from cspd.refusals import Unauthorized, Unavailable
from tests.support.running import result_of
from tests.unit.authentication.spnego_tokens import KERBEROS, NEGOEX, NTLM, NTLM_TOKEN, init, kerberos, response

T = TypeVar("T")
ALICE = Principal(name="alice@EXAMPLE.COM", sid="S-1-5-21-1-2-3-1000")


class FakeExchange:
    """Is complete with the first token that has a ticket in it."""

    def __init__(self, acceptor: FakeAcceptor) -> None:
        self._acceptor = acceptor
        self.is_complete = False

    def step(self, token: bytes) -> bytes | None:
        self._acceptor.tokens.append(token)
        if self._acceptor.refuses:
            raise NotAccepted(self._acceptor.refuses)
        self.is_complete = b"cipher" in token or self._acceptor.is_easy
        return self._acceptor.answer

    def principal(self) -> Principal:
        return ALICE


class FakeAcceptor:
    def __init__(self) -> None:
        self.tokens: list[bytes] = []
        self.bindings: list[bytes | None] = []
        self.refuses = ""
        self.answer: bytes | None = b"answer"
        self.is_easy = False

    def begin(self, channel_binding: bytes | None) -> FakeExchange:
        self.bindings.append(channel_binding)
        return FakeExchange(self)


class AtOnce:
    async def run(self, work: Callable[[], T]) -> T:
        return work()


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def acceptor() -> FakeAcceptor:
    return FakeAcceptor()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def negotiation(acceptor: FakeAcceptor, time: Time) -> Negotiation:
    return Negotiation(acceptor, threads=AtOnce(), seconds=time)


def header(token: bytes) -> str:
    return "Negotiate " + base64.b64encode(token).decode()


def authenticate(negotiation: Negotiation, token: bytes, connection: bytes | None = b"1", **more: Any) -> Any:
    return result_of(negotiation.authenticate(header(token), connection=connection, **more))


def test_a_ticket_and_the_servers_own_proof(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    token = init([KERBEROS], kerberos())
    expected = Negotiated(ALICE, b"Negotiate " + base64.b64encode(b"answer"))
    assert authenticate(negotiation, token, channel_binding=b"end") == expected
    assert (acceptor.tokens, acceptor.bindings) == ([token], [b"end"])
    acceptor.answer = None
    assert authenticate(negotiation, kerberos(), connection=None) == Negotiated(ALICE, None)


@pytest.mark.parametrize("scheme", [None, "Basic YTpi", "NTLM TlRMTVNTUAAB", "Negotiate2 YQ==", ""])
def test_without_a_ticket_one_is_asked_for(
    negotiation: Negotiation, acceptor: FakeAcceptor, scheme: str | None
) -> None:
    with pytest.raises(Unauthorized, match=r"^a Kerberos ticket is needed$"):
        result_of(negotiation.authenticate(scheme, connection=b"1"))
    assert not acceptor.bindings


def test_the_schemes_name_in_any_case(negotiation: Negotiation) -> None:
    result_of(negotiation.authenticate(header(kerberos()).replace("Negotiate", "negotiate"), connection=None))


@pytest.mark.requirement("R-CEG-122")
def test_ntlm_never_gets_to_the_library(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    for token in (NTLM_TOKEN, init([NTLM], NTLM_TOKEN), init([KERBEROS], NTLM_TOKEN)):
        with pytest.raises(Unauthorized, match=r"^the Kerberos ticket is not accepted$"):
            authenticate(negotiation, token)
    assert not acceptor.bindings


@pytest.mark.requirement("R-CEG-125")
@pytest.mark.requirement("R-CEGI-025")
@pytest.mark.parametrize("number", [16, 23])
def test_deprecated_algorithms_need_the_switch(acceptor: FakeAcceptor, time: Time, number: int) -> None:
    strict = Negotiation(acceptor, threads=AtOnce(), seconds=time)
    lenient = Negotiation(acceptor, threads=AtOnce(), seconds=time, allow_deprecated=True)
    for token in (kerberos(number, 18), init([KERBEROS], kerberos(18, number))):
        with pytest.raises(Unauthorized) as refused:
            authenticate(strict, token)
        assert str([number]) in refused.value.detail
        assert not acceptor.tokens
        authenticate(lenient, token)
        acceptor.tokens.clear()


@pytest.mark.requirement("R-CEGI-025")
def test_des_is_never_good_and_aes_always(acceptor: FakeAcceptor, time: Time) -> None:
    for allow_deprecated in (False, True):
        negotiation = Negotiation(acceptor, threads=AtOnce(), seconds=time, allow_deprecated=allow_deprecated)
        for number in (17, 18, 19, 20):
            authenticate(negotiation, kerberos(number, number))
        for number in (1, 2, 3, 5, 24, 0, -128):
            with pytest.raises(Unauthorized):
                authenticate(negotiation, kerberos(number, 18))


def test_a_refusal_says_why_in_the_log_alone(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    acceptor.refuses = "clock skew"
    with pytest.raises(Unauthorized, match=r"^the Kerberos ticket is not accepted$") as refused:
        authenticate(negotiation, kerberos())
    assert refused.value.detail == "clock skew"


def test_a_second_leg_belongs_to_its_connection(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    first = init([NEGOEX, KERBEROS], b"NEGOEXTS")
    assert authenticate(negotiation, first) == AnotherLeg(b"Negotiate " + base64.b64encode(b"answer"))
    with pytest.raises(Unauthorized):
        authenticate(negotiation, response(kerberos()), connection=b"2")
    assert isinstance(authenticate(negotiation, response(kerberos())), Negotiated)
    with pytest.raises(Unauthorized):  # over
        authenticate(negotiation, response(kerberos()))
    assert len(acceptor.bindings) == 1


def test_the_ticket_of_a_second_leg_is_looked_at_too(negotiation: Negotiation) -> None:
    authenticate(negotiation, init([NEGOEX, KERBEROS], b"NEGOEXTS"))
    with pytest.raises(Unauthorized):
        authenticate(negotiation, response(kerberos(23)))


def test_a_ticket_that_only_the_library_sees_is_refused(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    """Its algorithm would be unknown."""
    acceptor.is_easy = True
    with pytest.raises(Unauthorized):
        authenticate(negotiation, init([NEGOEX, KERBEROS], b"NEGOEXTS"))


def test_another_attempt_begins_anew(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    authenticate(negotiation, init([NEGOEX, KERBEROS], b"NEGOEXTS"))
    assert isinstance(authenticate(negotiation, kerberos()), Negotiated)
    assert len(acceptor.bindings) == 2


def test_without_a_connection_there_is_one_leg(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    with pytest.raises(Unauthorized):
        authenticate(negotiation, init([NEGOEX, KERBEROS], b"NEGOEXTS"), connection=None)
    acceptor.answer = None
    with pytest.raises(Unauthorized):
        authenticate(negotiation, init([NEGOEX, KERBEROS], b"NEGOEXTS"))


def test_those_who_do_not_go_on_are_forgotten(
    negotiation: Negotiation, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(negotiate, "MAX_UNFINISHED", 2)
    first = init([NEGOEX, KERBEROS], b"NEGOEXTS")
    for connection in (b"1", b"2"):
        authenticate(negotiation, first, connection=connection)
    with pytest.raises(Unavailable):
        authenticate(negotiation, first, connection=b"3")
    time.now = 60.0
    authenticate(negotiation, first, connection=b"3")
    with pytest.raises(Unauthorized):
        authenticate(negotiation, response(kerberos()), connection=b"1")


@pytest.mark.parametrize("encoded", ["", "a", "!!!!", "YQ", "YQ==YQ=="])
def test_what_is_no_base64(negotiation: Negotiation, encoded: str) -> None:
    with pytest.raises(Unauthorized):
        result_of(negotiation.authenticate(f"Negotiate {encoded}", connection=b"1"))


def test_a_header_that_is_too_long(negotiation: Negotiation, acceptor: FakeAcceptor) -> None:
    with pytest.raises(Unauthorized):
        authenticate(negotiation, bytes(64 * 1024 + 1))
    assert not acceptor.bindings
