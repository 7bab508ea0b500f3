"""http-01: retries, redirects, addresses (no sockets: the HTTP client and the resolver are fakes)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from cspd.dns.messages import AAAA
from cspd.dns.resolver import LookupFailed, NoSuchName
from protocols.acme.challenges.addresses import AddressRules
from protocols.acme.challenges.http01 import HTTP01, REDIRECTS
from protocols.acme.challenges.http_client import Fetch, Fetched, FetchFailed
from protocols.acme.challenges.values import Target, ValidationFailed
from protocols.acme.config import HTTP01Config

TARGET = Target(name="www.example.com", token="token", key_authorization="token.thumbprint")
GOOD = Fetched(200, None, b"token.thumbprint\r\n")
REFUSED = FetchFailed("no connection", may_pass_later=True)
ANYWHERE = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]


class FakeHTTP:
    """Gives the listed outcomes in turn, the last one for ever; a Deferred hangs."""

    def __init__(self, *outcomes: Fetched | Exception | Deferred[Fetched]) -> None:
        self._outcomes = list(outcomes)
        self.fetches: list[Fetch] = []

    async def fetch(self, fetch: Fetch) -> Fetched:
        self.fetches.append(fetch)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Deferred):
            return await outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class FakeResolver:
    """Gives the same addresses for every name."""

    def __init__(self, addresses: Sequence[str] = ("192.0.2.1",), failure: Exception | None = None) -> None:
        self._addresses = [ipaddress.ip_address(address) for address in addresses]
        self._failure = failure
        self.names: list[str] = []

    async def lookup(self, name: str, type: int) -> tuple[bytes, ...]:
        self.names.append(name)
        if self._failure is not None:
            raise self._failure
        version = 6 if type == AAAA else 4
        return tuple(address.packed for address in self._addresses if address.version == version)


class Validation:
    """One running validation."""

    def __init__(
        self,
        http: FakeHTTP,
        resolver: FakeResolver | None = None,
        *,
        allowed: Any = ANYWHERE,
        name: str = "",
        **settings: Any,
    ) -> None:
        self.http = http
        self.clock = Clock()
        self.result: Any = "waits"
        challenge = HTTP01(
            reactor=self.clock,
            client=http,  # type: ignore[arg-type]  # a fake
            resolver=resolver or FakeResolver(),  # type: ignore[arg-type]  # a fake
            rules=AddressRules(allowed),
            configuration=HTTP01Config(**settings),
        )
        target = Target(name=name or TARGET.name, token=TARGET.token, key_authorization=TARGET.key_authorization)
        Deferred.fromCoroutine(challenge.validate(target)).addBoth(self._end)

    def _end(self, result: Any) -> None:
        self.result = result.value if isinstance(result, Failure) else result

    @property
    def error(self) -> str:
        assert isinstance(self.result, ValidationFailed), self.result
        return self.result.type.value


@pytest.mark.requirement("R-CEG-106")
def test_the_document_is_fetched_from_port_80_of_the_name() -> None:
    validation = Validation(FakeHTTP(GOOD))
    assert validation.result is None
    (fetch,) = validation.http.fetches
    assert (str(fetch.address), fetch.port, fetch.host) == ("192.0.2.1", 80, "www.example.com")
    assert fetch.target == "/.well-known/acme-challenge/token"


@pytest.mark.parametrize(
    ("body", "is_good"),
    [
        (b"token.thumbprint", True),
        (b"token.thumbprint \t\r\n\n", True),
        (b" token.thumbprint", False),
        (b"token.thumbprin", False),
        (b"token.thumbprintx", False),
        (b"", False),
        (b"\xff" * 9000, False),
    ],
)
def test_the_body_is_the_key_authorization(body: bytes, is_good: bool) -> None:
    validation = Validation(FakeHTTP(Fetched(200, None, body)))
    assert (validation.result is None) is is_good
    assert is_good or validation.error == "incorrectResponse"


@pytest.mark.requirement("R-CEG-111")
@pytest.mark.parametrize("status", [201, 204, 400, 403, 404, 500, 502])
def test_other_statuses_are_final(status: int) -> None:
    validation = Validation(FakeHTTP(Fetched(status, None, GOOD.body)))
    assert validation.error == "incorrectResponse"
    assert len(validation.http.fetches) == 1


# Retries


@pytest.mark.requirement("R-CEG-110")
@pytest.mark.parametrize(("interval", "moments"), [(0, [0, 1, 3, 5, 7]), (1, [0, 1, 2, 3, 4]), (5, [0, 5, 10, 15, 20])])
@pytest.mark.parametrize("outcome", [REFUSED, Fetched(503, None, b"")], ids=["refused", "503"])
def test_attempts_come_at_these_seconds(interval: int, moments: list[int], outcome: Any) -> None:
    validation = Validation(FakeHTTP(outcome), retry_interval=interval)
    seen = [0.0]
    while validation.result == "waits":
        validation.clock.advance(0.5)
        if len(validation.http.fetches) > len(seen):
            seen.append(validation.clock.seconds())
    assert seen == moments
    assert validation.error == "connection"


@pytest.mark.requirement("R-CEG-111")
@pytest.mark.parametrize("count", [0, 1, 4, 30])
def test_retries_are_counted_without_the_first_attempt(count: int) -> None:
    validation = Validation(FakeHTTP(REFUSED), retry_count=count)
    validation.clock.pump([1] * (2 * count + 2))
    assert len(validation.http.fetches) == count + 1
    assert validation.error == "connection"


def test_a_later_attempt_may_pass() -> None:
    validation = Validation(FakeHTTP(REFUSED, Fetched(503, None, b""), GOOD))
    validation.clock.pump([1, 2])
    assert validation.result is None


def test_a_host_that_hangs_is_left_and_tried_again() -> None:
    hanging: list[Deferred[Fetched]] = [Deferred() for _ in range(2)]
    validation = Validation(FakeHTTP(*hanging, hanging[1]), retry_count=1, attempt_timeout=10)
    validation.clock.advance(9.9)
    assert validation.result == "waits"
    validation.clock.pump([0.1, 1])
    assert len(validation.http.fetches) == 2
    validation.clock.advance(10)
    assert validation.error == "connection"
    assert all(deferred.called for deferred in hanging), "the fetches were cancelled"


# Redirects


@pytest.mark.requirement("R-CEG-107")
@pytest.mark.requirement("R-CEG-109")
@pytest.mark.parametrize("status", sorted(REDIRECTS))
def test_redirects_are_not_followed_by_default(status: int) -> None:
    validation = Validation(FakeHTTP(Fetched(status, b"http://other.example.com/", b""), GOOD))
    assert validation.error == "incorrectResponse"
    assert len(validation.http.fetches) == 1, "no request to the target"


@pytest.mark.requirement("R-CEG-109")
@pytest.mark.parametrize("status", sorted(REDIRECTS))
@pytest.mark.parametrize(
    ("location", "place"),
    [
        (b"http://other.example.com/x?y=1", ("other.example.com", 80, "/x?y=1", None)),
        (b"http://OTHER.example.com", ("other.example.com", 80, "/", None)),
        (b"http://other.example.com:80/x", ("other.example.com", 80, "/x", None)),
        (b"https://other.example.com/x", ("other.example.com", 443, "/x", "other.example.com")),
        (b"/elsewhere", ("www.example.com", 80, "/elsewhere", None)),
        (b"elsewhere", ("www.example.com", 80, "/.well-known/acme-challenge/elsewhere", None)),
        (b"//other.example.com/x", ("other.example.com", 80, "/x", None)),
    ],
)
def test_redirects_are_followed_when_configured(status: int, location: bytes, place: Any) -> None:
    validation = Validation(FakeHTTP(Fetched(status, location, b""), GOOD), follow_redirects=True)
    assert validation.result is None
    fetch = validation.http.fetches[1]
    assert (fetch.host, fetch.port, fetch.target, fetch.tls_name) == place


@pytest.mark.requirement("R-CEG-108")
@pytest.mark.parametrize(("hops", "passes"), [(50, True), (51, False), (60, False)])
def test_fifty_redirects_are_followed(hops: int, passes: bool) -> None:
    redirects = [Fetched(302, b"/again", b"")] * hops
    validation = Validation(FakeHTTP(*redirects, GOOD), follow_redirects=True)
    assert (validation.result is None) is passes
    assert len(validation.http.fetches) == min(hops, 50) + 1


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize(
    "location",
    [
        None, b"", b"ftp://other.example.com/", b"http://192.0.2.9/", b"http://[::1]/", b"http://[", b"http://a:b@c.example/",
        b"http://other.example.com:8080/", b"https://other.example.com:80/", b"http://other.example.com:99999/",
        b"http://other_.example.com/", b"http://other.example.com/\xff", b"http://other.example.com/a b",
        b"http://other.example.com/a\r\nX: y", b"http://other.example.com/" + b"a" * 3000, b"gopher://x/",
        b"javascript:x", b"file:///etc/passwd", b"http://127.1/", b"http://0x7f000001/", b"http://2130706433/",
    ],
)  # fmt: skip
def test_a_redirect_to_a_bad_place_is_not_followed(location: bytes | None) -> None:
    http, resolver = FakeHTTP(Fetched(302, location, b""), GOOD), FakeResolver(failure=NoSuchName("no"))
    validation = Validation(http, resolver, name="localhost", follow_redirects=True)
    assert isinstance(validation.result, ValidationFailed)
    assert len(validation.http.fetches) == 1


def test_a_redirect_is_resolved_and_judged_again() -> None:
    resolver = FakeResolver(["10.0.0.1"])
    loopback = [ipaddress.ip_network("127.0.0.0/8")]
    http = FakeHTTP(Fetched(302, b"http://inside.example.com/", b""), GOOD)
    validation = Validation(http, resolver, allowed=loopback, name="localhost", follow_redirects=True)
    assert validation.error == "connection"
    assert resolver.names == ["inside.example.com"]
    assert len(http.fetches) == 1


# Addresses


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
     "255.255.255.255", "240.0.0.1", "192.0.0.1", "192.0.0.8", "192.88.99.1", "198.18.0.1"],
)  # fmt: skip
def test_special_addresses_are_not_connected_to(address: str) -> None:
    validation = Validation(FakeHTTP(GOOD), FakeResolver([address]), allowed=())
    assert validation.error == "connection"
    assert validation.http.fetches == []


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize(
    "address",
    ["::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1",
     "2002:7f00:1::", "2001:db8::1", "fd00:ec2::254", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::a00:1",
     "fec0::1", "3fff::1", "5f00::1"],
)  # fmt: skip
def test_special_ipv6_addresses_are_not_permitted(address: str) -> None:
    assert not AddressRules(()).permit(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_global_addresses_are_permitted(address: str) -> None:
    assert AddressRules(()).permit(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("network", "address"), [("10.1.0.0/16", "10.1.2.3"), ("10.1.0.0/16", "::ffff:10.1.2.3"), ("::1/128", "::1")]
)
def test_configured_networks_are_permitted(network: str, address: str) -> None:
    assert AddressRules([ipaddress.ip_network(network)]).permit(ipaddress.ip_address(address))


def test_ipv4_comes_first_and_the_next_address_is_tried() -> None:
    http = FakeHTTP(REFUSED, GOOD)
    resolver = FakeResolver(["2001:db8::1", "192.0.2.1", "2001:db8::2"])
    assert Validation(http, resolver, ipv6=True).result is None
    assert [str(fetch.address) for fetch in http.fetches] == ["192.0.2.1", "2001:db8::1"]


def test_ipv6_is_off_by_default() -> None:
    validation = Validation(FakeHTTP(GOOD), FakeResolver(["2001:db8::1"]))
    assert validation.error == "dns"


def test_localhost_is_not_asked_of_a_nameserver() -> None:
    resolver = FakeResolver()
    http = FakeHTTP(GOOD)
    assert Validation(http, resolver, name="localhost").result is None
    assert resolver.names == []
    assert str(http.fetches[0].address) == "127.0.0.1"


def test_another_port_stands_in_the_host_header() -> None:
    http = FakeHTTP(GOOD)
    Validation(http, port=5002)
    assert (http.fetches[0].port, http.fetches[0].host) == (5002, "www.example.com:5002")


@pytest.mark.parametrize(("failure", "attempts"), [(NoSuchName("no"), 1), (LookupFailed("SERVFAIL"), 5)])
def test_dns_trouble_is_a_dns_error(failure: Exception, attempts: int) -> None:
    resolver = FakeResolver(failure=failure)
    validation = Validation(FakeHTTP(GOOD), resolver)
    validation.clock.pump([1] * 10)
    assert validation.error == "dns"
    assert len(resolver.names) == attempts
