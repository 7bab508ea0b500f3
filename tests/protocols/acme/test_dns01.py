"""dns-01, and the DNS message codec."""

from __future__ import annotations

import struct
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from cspd.dns.messages import (
    CNAME,
    TXT,
    A,
    DNSMessageError,
    Query,
    Record,
    decode_answer,
    encode_query,
    name_of,
    text_strings,
)
from cspd.dns.resolver import (
    AliasLoop,
    LookupFailed,
    NoSuchName,
    Resolver,
    _follow,
    system_nameservers,
)
from protocols.acme.challenges.dns01 import DNS01
from protocols.acme.challenges.values import Target, ValidationFailed
from tests.support.running import result_of

TARGET = Target(name="www.example.com", token="token", key_authorization="token.thumbprint")
QUERY = Query(7, name_of("www.example.com"), TXT)


class FakeResolver:
    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = list(outcomes)
        self.names: list[tuple[str, int]] = []

    async def lookup(self, name: str, type: int) -> tuple[bytes, ...]:
        self.names.append((name, type))
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Deferred):
            await outcome
        if isinstance(outcome, Exception):
            raise outcome
        found: tuple[bytes, ...] = outcome
        return found


def txt(*strings: bytes) -> bytes:
    return b"".join(bytes([len(string)]) + string for string in strings)


def validate(resolver: FakeResolver, seconds: float, timeout: float = 10) -> Any:
    clock, results = Clock(), []
    challenge = DNS01(reactor=clock, resolver=resolver, query_timeout=timeout)  # type: ignore[arg-type]  # a fake
    Deferred.fromCoroutine(challenge.validate(TARGET)).addBoth(results.append)
    clock.pump([0.5] * int(seconds * 2))
    if not results:
        return "waits"
    return results[0].value if isinstance(results[0], Failure) else results[0]


def digest() -> bytes:
    import base64
    import hashlib

    return base64.urlsafe_b64encode(hashlib.sha256(b"token.thumbprint").digest()).rstrip(b"=")


@pytest.mark.parametrize(
    "records",
    [(txt(digest()),), (txt(b"other"), txt(digest())), (txt(digest()[:10], digest()[10:]),), (txt(b"", digest()),)],
)
def test_the_digest_in_any_txt_record_is_the_proof(records: tuple[bytes, ...]) -> None:
    resolver = FakeResolver(records)
    assert validate(resolver, 0) is None
    assert resolver.names == [("_acme-challenge.www.example.com", TXT)]


@pytest.mark.requirement("R-CEG-112")
@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ((), "incorrectResponse"),
        ((txt(b"wrong"),), "incorrectResponse"),
        ((txt(digest(), b"x"),), "incorrectResponse"),
        ((b"\x05abc",), "dns"),
        (NoSuchName("NXDOMAIN"), "dns"),
        (LookupFailed("SERVFAIL"), "dns"),
        (AliasLoop("loop"), "dns"),
        (Deferred(), "dns"),
    ],
)
def test_it_is_tried_for_the_whole_time_and_then_fails(outcome: Any, error: str) -> None:
    assert validate(FakeResolver(outcome), 8.5) == "waits"
    resolver = FakeResolver(Deferred() if isinstance(outcome, Deferred) else outcome)
    failed = validate(resolver, 10)
    assert isinstance(failed, ValidationFailed)
    assert failed.type.value == error
    assert len(resolver.names) == (1 if isinstance(outcome, Deferred) else 10)


def test_a_record_that_appears_in_time_is_found() -> None:
    assert validate(FakeResolver(NoSuchName("no"), (), (txt(digest()),)), 3) is None


# Messages


def message(*records: bytes, id: int = 7, flags: int = 0x8180, name: bytes = b"\3www\7example\3com\0", type: int = TXT,
            questions: int = 1, answers: int | None = None) -> bytes:  # fmt: skip
    header = struct.pack("!6H", id, flags, questions, len(records) if answers is None else answers, 0, 0)
    return header + name + struct.pack("!2H", type, 1) + b"".join(records)


def record(
    data: bytes, *, name: bytes = b"\xc0\x0c", type: int = TXT, class_: int = 1, length: int | None = None
) -> bytes:
    return name + struct.pack("!2HIH", type, class_, 60, len(data) if length is None else length) + data


def test_a_query_has_the_bytes_of_rfc_1035() -> None:
    assert encode_query(QUERY) == b"\0\7\1\0\0\1\0\0\0\0\0\0\3www\7example\3com\0\0\x10\0\1"


def test_an_answer_is_read() -> None:
    octets = message(record(txt(b"a")), record(b"\3WWW\7example\3org\0", type=CNAME), record(b"x", class_=3))
    answer = decode_answer(octets, QUERY)
    assert answer.records == (
        Record(QUERY.name, TXT, b"\1a"),
        Record(QUERY.name, CNAME, b"\3WWW\7example\3org\0", name_of("www.example.org")),
    )


def test_case_does_not_matter() -> None:
    assert decode_answer(message(name=b"\3wWw\7eXample\3COM\0"), QUERY).records == ()


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize(
    "octets",
    [
        b"",
        message(id=8),
        message(flags=0x0180),
        message(questions=0),
        message(questions=2),
        message(name=b"\4evil\7example\3com\0"),
        message(type=A),
        message(record(b"abc", length=9)),
        message(record(b"abc", name=b"\xc0\xff")),
        message(record(b"abc", name=b"\xc0\x21")),
        message(record(b"abc", name=b"\x40a\0")),
        message(record(b"abc"), answers=2),
        message(record(b"abc"), answers=60000),
        message(record(b"\xc0\x2d", type=CNAME)),
        message(record(b"\x3f" + b"a" * 63 + b"\xc0\x0c", name=(b"\x3f" + b"a" * 63) * 4 + b"\0")),
        message()[:-1],
    ],
    ids=range(16),
)
def test_what_is_no_answer_to_the_query_is_refused(octets: bytes) -> None:
    with pytest.raises(DNSMessageError):
        decode_answer(octets, QUERY)


@given(st.binary(max_size=120), st.binary(max_size=60))
def test_any_octets_are_an_answer_or_an_error(junk: bytes, tail: bytes) -> None:
    for octets in (junk, message(answers=2) + junk, message(record(tail, type=CNAME)) + junk):
        try:
            answer = decode_answer(octets, QUERY)
        except DNSMessageError:
            continue
        for found in answer.records:
            with suppress(DNSMessageError):
                text_strings(found.data)


@pytest.mark.parametrize("text", ["", ".", "a..b", "a" * 64, ".".join(["a" * 60] * 5), "b\u00fccher.example"])
def test_what_is_no_name_is_not_asked(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # UnicodeEncodeError is one
        name_of(text)


# Aliases


def alias(name: str, target: str) -> Record:
    return Record(name_of(name), CNAME, b"", name_of(target))


def test_aliases_are_followed_within_an_answer() -> None:
    records = [
        alias("a.example", "b.example"),
        alias("b.example", "c.example"),
        Record(name_of("c.example"), TXT, b"x"),
    ]
    assert _follow(records, name_of("a.example"), TXT, {name_of("a.example")}) == (name_of("c.example"), (b"x",))


@pytest.mark.parametrize(
    "records",
    [
        [alias("a.example", "a.example")],
        [alias("a.example", "b.example"), alias("b.example", "a.example")],
        [alias(f"{n}.example", f"{n + 1}.example") for n in range(20)] + [alias("a.example", "0.example")],
    ],
)
def test_a_circle_of_aliases_ends(records: list[Record]) -> None:
    with pytest.raises(AliasLoop):
        _follow(records, name_of("a.example"), TXT, {name_of("a.example")})


def test_records_of_other_names_are_no_answer() -> None:
    """A nameserver that adds what nobody asked for."""
    records = [Record(name_of("evil.example"), TXT, b"x")]
    assert _follow(records, name_of("a.example"), TXT, set()) == (name_of("a.example"), ())


# resolv.conf


@pytest.mark.requirement("R-CEG-113")
def test_the_nameservers_of_resolv_conf_are_read(tmp_path: Any) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# x\nsearch example.com\nnameserver 192.0.2.1\nnameserver\t2001:db8::1  \nnameserver bad\noptions x\n"
    )
    assert system_nameservers(path) == (("192.0.2.1", 53), ("2001:db8::1", 53))
    path.write_text("")
    assert system_nameservers(path) == (("127.0.0.1", 53),)
    assert system_nameservers(tmp_path / "none") == (("127.0.0.1", 53),)


def test_a_name_that_dns_cannot_hold_is_not_asked() -> None:
    resolver = Resolver(reactor=None, random=Random(1), nameservers=lambda: [("192.0.2.1", 53)])
    with pytest.raises(NoSuchName):
        result_of(resolver.lookup("a" * 64, TXT))


def test_a_query_that_is_cancelled_while_it_connects_says_just_that() -> None:
    """A truncated answer is asked for again by TCP; the time of the challenge may end before that is connected."""
    resolver = Resolver(reactor=MemoryReactorClock(), random=Random(1), nameservers=lambda: [("192.0.2.1", 53)])
    ended: list[Any] = []
    asking = Deferred.fromCoroutine(resolver._by_tcp(("192.0.2.1", 53), QUERY))
    asking.addBoth(ended.append)

    asking.cancel()

    assert ended[0].type is CancelledError


def test_a_machine_without_free_ports_is_a_failed_look_up() -> None:
    """And may have some again at the next try."""

    class Exhausted(MemoryReactorClock):
        def listenUDP(self, *arguments: Any, **options: Any) -> Any:
            raise CannotListenError("", 0, OSError("too many open files"))

    resolver = Resolver(reactor=Exhausted(), random=Random(1), nameservers=lambda: [("192.0.2.1", 53)])
    with pytest.raises(LookupFailed, match="cannot be reached"):
        result_of(resolver.lookup("www.example.com", TXT))
