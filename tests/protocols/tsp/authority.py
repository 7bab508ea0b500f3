"""A timestamping authority in memory: real tokens, and everything around them under the test's control."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred

from cspd.http.message import Request, Response
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import Refused, Unavailable
from protocols.tsp import codec
from protocols.tsp.config import TSPConfig
from protocols.tsp.endpoint import TimeStampEndpoint
from protocols.tsp.hash_algorithms import digest_function
from protocols.tsp.interfaces import LoggedToken, TimeStampUnit
from protocols.tsp.issuing import TokenIssuer, TokenServices
from protocols.tsp.messages import HashAlgorithm, TimeStampReq
from protocols.tsp.request_events import RequestEvents
from protocols.tsp.service import TimeStampService
from tests.protocols.tsp.unit_certificates import Hierarchy
from tests.support.clocks import FrozenClock
from tests.support.keys import InlineKeys
from tests.support.running import result_of
from tests.support.timekeeping import FakeTrustedClock

T = TypeVar("T")

ISSUER = "demo"
POLICY = "1.3.6.1.4.1.32473.1"
DATA = b"what gets a timestamp"
CLOCK = {"poll_interval": "10s", "max_error": "500ms"}


class KnownUnits:
    """Implements :class:`protocols.tsp.interfaces.TimeStampUnits`."""

    def __init__(self) -> None:
        self.known: dict[str, TimeStampUnit] = {}
        self.found_when_settled: dict[str, TimeStampUnit] = {}
        self.sought: list[str] = []
        """The issuers whose units were waited for."""

    def current(self, issuer: str) -> TimeStampUnit:
        if issuer not in self.known:
            raise Unavailable("there is no key and certificate to sign with", detail="taken away by the test")
        return self.known[issuer]

    async def settled(self, issuer: str) -> None:
        self.sought.append(issuer)
        if issuer in self.found_when_settled:
            self.known[issuer] = self.found_when_settled[issuer]


class CountedSerialNumbers:
    """Implements :class:`protocols.tsp.interfaces.SerialNumbers`."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.refusal: Exception | None = None

    async def next(self, octets: int) -> int:
        if self.refusal is not None:
            raise self.refusal
        self.given.append((1 << (8 * octets - 2)) + len(self.given))
        return self.given[-1]


class SteppedGenTimes:
    """Implements :class:`protocols.tsp.interfaces.GenTimes`."""

    def __init__(self) -> None:
        self.last: dict[str, datetime] = {}

    async def next(self, issuer: str, now: datetime) -> datetime:
        last = self.last.get(issuer)
        self.last[issuer] = now if last is None or last < now else last + timedelta(microseconds=1)
        return self.last[issuer]


class RememberedTokens:
    """Implements :class:`protocols.tsp.interfaces.TimestampLog`."""

    def __init__(self) -> None:
        self.tokens: list[LoggedToken] = []
        self.refusal: Refused | None = None

    async def append(self, token: LoggedToken) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.tokens.append(token)


class WatchedKeys(InlineKeys):
    """Keys that wait, fail, or let something happen while they sign, when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.before_signing: Callable[[], None] = lambda: None
        self.held: Deferred[None] | None = None
        """What every signature waits for."""
        self.signatures = 0

    async def sign(self, reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
        if self.held is not None:
            released: Deferred[None] = Deferred()
            self.held.addCallback(lambda _: released.callback(None))
            await released
        self.before_signing()
        self.signatures += 1
        return await super().sign(reference, work)


class Authority:
    """One authority; ``issuers`` are changes to the entry of the one issuer, one mapping for each."""

    def __init__(self, *issuers: dict[str, Any], key_type: KeyType = KeyType.EC_P256, **settings: Any) -> None:
        entries = [issuer_entry(**each) for each in issuers or ({},)]
        self.config = TSPConfig.model_validate({"clock": CLOCK, "issuers": entries, **settings})
        self.wall = FrozenClock()
        self.clock = FakeTrustedClock(self.wall)
        self.hierarchy = Hierarchy()
        self.keys = WatchedKeys()
        self.units = KnownUnits()
        self.serial_numbers = CountedSerialNumbers()
        self.gen_times = SteppedGenTimes()
        self.log = RememberedTokens()
        self.signing_times: list[tuple[str, float]] = []
        self.events = RequestEvents(self.config.issuers, log_requests=self.config.log_requests)
        services = TokenServices(
            clock=self.clock,
            units=self.units,
            keys=self.keys,
            serial_numbers=self.serial_numbers,
            gen_times=self.gen_times,
            log=self.log,
            monotonic=lambda: self.wall.now().timestamp(),
            signed=lambda issuer, seconds: self.signing_times.append((issuer, seconds)),
        )
        self.service = TimeStampService(
            issuers={issuer.id: TokenIssuer(issuer, services) for issuer in self.config.issuers},
            events=self.events,
            limits=codec.RequestLimits(request_octets=self.config.max_request_bytes),
        )
        self.endpoint = TimeStampEndpoint(service=self.service, config=self.config)
        for issuer in self.config.issuers:
            self.units.known[issuer.id] = self.make_unit(key_type)

    def make_unit(self, key_type: KeyType = KeyType.EC_P256) -> TimeStampUnit:
        """A key, and a certificate of the hierarchy for it."""
        key = result_of(self.keys.generate(key_type, label="unit"))
        public_key = result_of(self.keys.public_key(key))
        certificate = self.hierarchy.unit(public_key)
        return TimeStampUnit(
            key=key,
            public_key=public_key,
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=tuple(each.public_bytes(Encoding.DER) for each in self.hierarchy.chain),
            sign_until=self.wall.now() + timedelta(days=1),
        )

    def post(self, body: bytes, *, issuer: str = ISSUER, content_type: str = "application/timestamp-query") -> Response:
        """POST to an issuer."""
        [route] = self.endpoint.routes()
        request = Request(
            method="POST",
            target=f"/tsa/{issuer}".encode(),
            path=f"/tsa/{issuer}",
            query="",
            headers=((b"content-type", content_type.encode()),),
            body=body,
            parameters={"issuer": issuer},
            request_id="r1",
        )
        return result_of(_awaited(route.handler(request)))

    def ask(self, request: TimeStampReq | None = None, *, issuer: str = ISSUER) -> bytes:
        """The TimeStampResp to a request; AssertionError if the answer is none."""
        response = self.post(codec.encode_request(request or request_for()), issuer=issuer)
        assert response.status == 200
        return response.body

    def count(self, outcome: str, issuer: str = ISSUER) -> float:
        """How often the metrics counted an outcome."""
        [counter] = self.events.metrics
        for metric in counter.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total") and sample.labels == {"issuer": issuer, "outcome": outcome}:
                    return sample.value
        raise AssertionError(f"{outcome} is not counted")


async def _awaited(answer: Any) -> Response:
    response: Response = await answer
    return response


def issuer_entry(**changes: Any) -> dict[str, Any]:
    """An entry of ``[[protocols.tsp.issuers]]``; what is not one of its own keys goes to its profile."""
    own = {name: changes.pop(name) for name in ("id", "log_response", "log_tokens") if name in changes}
    profile = {"policy": POLICY, **changes}
    return {"id": ISSUER, "certificate": "tsa.pem", "ca_chain": ["ca.pem"], "profile": profile, **own}


def request_for(data: bytes = DATA, algorithm: HashAlgorithm = HashAlgorithm.SHA256, **fields: Any) -> TimeStampReq:
    """A request for the timestamp of ``data``."""
    return TimeStampReq(codec.message_imprint(algorithm, digest_function(algorithm)(data)), **fields)
