"""Which unit an issuer signs with, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from cspd.health import Health, HealthState
from cspd.keys.values import KeyDescription, KeyReference, KeyType, PublicKey
from cspd.refusals import Unavailable
from protocols.tsp.interfaces import TimeStampUnits
from protocols.tsp.unit_checks import signs_until
from protocols.tsp.unit_files import UnitFiles
from protocols.tsp.unit_keys import UnitKeys
from protocols.tsp.units import Units
from tests.protocols.tsp.unit_certificates import NOW, UNIT, YEAR, Hierarchy
from tests.support.clocks import FrozenClock
from tests.support.keys import InlineKeys
from tests.support.running import result_of


class TokenKeys(InlineKeys):
    """Keys of a token that may be away."""

    is_away = False

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[KeyReference] = []

    async def public_key(self, reference: KeyReference) -> PublicKey:
        self.asked.append(reference)
        return await super().public_key(reference)

    async def list(self) -> Sequence[KeyDescription]:
        return () if self.is_away else await super().list()


class World:
    """Two issuers whose certificates are in files, and a third that comes and goes with tests."""

    def __init__(self, **period: Any) -> None:
        self.clock = FrozenClock()
        self.timers = Clock()
        self.keys = TokenKeys()
        self.hierarchy = Hierarchy()
        self.key = result_of(self.keys.generate(KeyType.EC_P256, label="tsa"))
        self.certificate = self.certify(self.key, **period)
        self.units = Units(["a", "b"], clock=self.clock)
        self.files = {"a": self.files_of(self.certificate), "b": self.files_of(self.certificate)}

    def certify(self, key: KeyReference, **period: Any) -> x509.Certificate:
        return self.hierarchy.unit(result_of(self.keys.public_key(key)), **period)

    def files_of(self, certificate: x509.Certificate) -> UnitFiles:
        return UnitFiles(certificate, self.hierarchy.chain, signs_until(certificate, self.hierarchy.chain))

    def start(self) -> UnitKeys:
        search = UnitKeys(self.files, keys=self.keys, units=self.units, timers=self.timers)
        search.start()
        return search

    def states(self) -> list[tuple[HealthState, str]]:
        return [(each.state, each.reason) for each in self.units.health()]


def test_units_are_what_the_service_asks() -> None:
    units: TimeStampUnits = Units(["a"], clock=FrozenClock())
    with pytest.raises(Unavailable) as refused:
        units.current("a")
    assert refused.value.detail == "its key has not been looked for yet"
    with pytest.raises(Unavailable):
        units.current("b")


@pytest.mark.requirement("R-TSA-036")
def test_issuers_share_a_certificate_or_have_their_own() -> None:
    world = World()
    for key_type in KeyType:
        result_of(world.keys.generate(key_type, label="not this one"))
    other = result_of(world.keys.generate(KeyType.EC_P256, label="b", provider="token"))
    world.files["c"] = world.files_of(world.certify(other))
    world.start()
    a, b, c = (world.units.current(issuer) for issuer in "abc")
    assert (a.key, b.key, c.key) == (world.key, world.key, other)
    assert a.certificate_der == b.certificate_der == world.certificate.public_bytes(Encoding.DER)
    assert a.chain_der == tuple(each.public_bytes(Encoding.DER) for each in world.hierarchy.chain)
    assert c.public_key == result_of(world.keys.public_key(other))
    assert world.units.current("a") is a
    assert world.states() == [(HealthState.OK, "")] * 3


@pytest.mark.requirement("R-TSA-066")
def test_a_certificate_whose_key_nobody_has_is_told_clearly() -> None:
    world = World()
    result_of(world.keys.delete(world.key))
    another = result_of(world.keys.generate(KeyType.EC_P256, label="another"))
    with capturedLogs() as logs:
        world.start()
        world.timers.pump([1.0] * 200)
    trouble = "no key provider that answers has the key of its certificate, CN=unit"
    assert world.states() == [(HealthState.FAILED, trouble)] * 2
    with pytest.raises(Unavailable) as refused:
        world.units.current("a")
    assert refused.value.detail == trouble
    assert [(event["log_level"].name, event["issuer"], event["trouble"]) for event in logs] == [
        ("error", "a", trouble),
        ("error", "b", trouble),
    ], "once, however often it is looked for"
    assert world.keys.asked.count(another) == 1, "a token is not asked for the same key again and again"


def test_a_token_that_comes_up_later_is_found() -> None:
    world = World()
    world.keys.is_away = True
    world.start()
    world.timers.advance(1)
    with pytest.raises(Unavailable):
        world.units.current("a")
    world.keys.is_away = False
    world.timers.advance(2)
    assert world.units.current("a").key == world.key
    assert world.states() == [(HealthState.OK, "")] * 2
    assert world.timers.getDelayedCalls() == []


def test_a_search_that_breaks_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    async def broken() -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch, capturedLogs() as logs:
        patch.setattr(world.keys, "list", broken)
        world.start()
    assert [event["log_format"] for event in logs] == ["the keys of time-stamp units cannot be looked for"]
    assert world.states()[0][0] is HealthState.FAILED
    result_of(world.units.settled("b"))
    world.timers.advance(1)
    assert world.units.current("b").key == world.key


def test_a_store_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    async def unavailable() -> Any:
        raise Unavailable("no", detail="the store is away")

    monkeypatch.setattr(world.keys, "list", unavailable)
    world.start()
    assert world.states()[0] == (HealthState.FAILED, "its key cannot be looked for: the store is away")


def test_a_stopped_search_ends() -> None:
    world = World()
    world.keys.is_away = True
    search = world.start()
    assert search.stop().called
    assert world.timers.getDelayedCalls() == []


def test_requests_wait_for_the_first_search_only() -> None:
    """After a reload they arrive while the keys are looked for; none is refused for that."""
    world = World()
    first = Deferred.fromCoroutine(world.units.settled("a"))
    given_up = Deferred.fromCoroutine(world.units.settled("a"))
    given_up.addErrback(lambda _: None)
    given_up.cancel()
    assert not first.called
    world.start()
    assert first.called
    result_of(world.units.settled("b"))


def test_no_issuer_waits_for_the_unit_of_another() -> None:
    world = World()
    waiting = Deferred.fromCoroutine(world.units.settled("b"))
    world.units.note("a", "its token is away")
    result_of(world.units.settled("a"))
    result_of(world.units.settled("an issuer that there is not"))
    assert not waiting.called


def test_requests_that_wait_when_the_authority_stops_are_let_go() -> None:
    world = World()
    waiting = Deferred.fromCoroutine(world.units.settled("a"))
    world.units.give_up()
    assert waiting.called
    assert {state for state, _ in world.states()} == {HealthState.FAILED}


@pytest.mark.parametrize("how", ["certificate", "usage period"])
def test_nothing_signs_after_the_end(how: str) -> None:
    end = NOW + timedelta(days=40)
    period = (x509.PrivateKeyUsagePeriod(None, end), False)
    world = World(not_after=end) if how == "certificate" else World(extensions=(*UNIT, period))
    world.start()
    unit = world.units.current("a")
    assert unit.sign_until == end
    assert world.states()[0] == (HealthState.OK, "")
    world.clock.advance(timedelta(days=10))
    assert world.states()[0] == (HealthState.DEGRADED, "its certificate signs until 2027-01-03 12:00 UTC only")
    world.clock.advance(timedelta(days=30, microseconds=-1))
    assert world.units.current("a") is unit
    world.clock.advance(timedelta(microseconds=1))
    with pytest.raises(Unavailable) as refused:
        world.units.current("a")
    assert refused.value.detail == "its certificate signed until 2027-01-03 12:00 UTC"
    assert world.units.health()[0] == Health(
        part="tsp-unit-a", state=HealthState.FAILED, reason="its certificate signed until 2027-01-03 12:00 UTC"
    )


def test_trouble_with_a_successor_shows_and_passes() -> None:
    world = World()
    world.start()
    unit = world.units.current("a")
    world.units.note("a", "the CA says no")
    assert world.states() == [(HealthState.DEGRADED, "the CA says no"), (HealthState.OK, "")]
    assert world.units.current("a") is unit
    world.units.put("a", unit)
    assert world.states()[0] == (HealthState.OK, "")
    world.units.take_away("a", "it was revoked")
    assert world.states()[0] == (HealthState.FAILED, "it was revoked")
    with pytest.raises(Unavailable):
        world.units.current("a")


def test_metrics_tell_the_end_of_each_unit() -> None:
    world = World()
    registry = CollectorRegistry()
    registry.register(world.units)
    assert b"issuer=" not in generate_latest(registry)
    world.start()
    line = f'cspd_tsp_certificate_not_after_seconds{{issuer="a"}} {(NOW + YEAR).timestamp()!r}'
    name, value = line.encode().split(b" ")
    [found] = [each for each in generate_latest(registry).splitlines() if each.startswith(name)]
    assert float(found.split(b" ")[1]) == float(value)
