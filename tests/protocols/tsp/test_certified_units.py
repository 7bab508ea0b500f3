"""Units whose certificates our own CA issues: made once over all nodes, renewed, and left behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection, func, select
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from cspd.authority.values import CAReference, EnrollmentRequest, Issued, Pending
from cspd.certified_keys.following import CertifiedKeys, takes_over_at
from cspd.certified_keys.making import CLAIM, KeyCertification
from cspd.health import HealthState
from cspd.keys.config import KeysConfig
from cspd.keys.deployment import Deployment, DeploymentChanged
from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import Unavailable
from cspd.store.tables import certificates
from protocols.tsp.certified_units import GRACE, WORDS, CertifiedUnits, unit_faults, wanted_by
from protocols.tsp.config import CertificationConfig
from protocols.tsp.interfaces import TimeStampUnit
from protocols.tsp.unit_checks import find_faults
from protocols.tsp.unit_tables import RECORDS
from protocols.tsp.units import Units
from tests.support.authorities import ALICE, ISSUING, Installation
from tests.support.running import result_of

CONFIG = CertificationConfig(ca="demo~issuing", subject="CN=TSU,O=Demo")
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


class Node:
    """One node with the issuer ``tsa``; ``installation`` is its core."""

    def __init__(
        self, installation: Installation, config: CertificationConfig = CONFIG, *, name: str = "node", **replaced: Any
    ) -> None:
        self.installation = installation
        self.timers = installation.reactor
        self.clock = installation.clock
        self.units = Units(["tsa"], clock=self.clock)
        self.certified = CertifiedKeys(
            {"tsa": wanted_by(config)},
            clock=self.clock,
            database=installation.database,
            records=RECORDS,
            keys=installation.keys,
            authorities=installation.registry,
            status=installation.status,
            audit=installation.audit,
            certification=KeyCertification(
                clock=self.clock,
                random_bytes=Random(name).randbytes,
                database=installation.database,
                records=RECORDS,
                keys=installation.keys,
                authorities=installation.registry,
                issuance=replaced.get("issuance", installation.issuance),
                audit=installation.audit,
                process=name,
                words=WORDS,
                find_faults=unit_faults,
            ),
            user=CertifiedUnits(self.units),
            timers=self.timers,
            words=WORDS,
            grace=GRACE,
        )
        self.certified.start()

    @property
    def unit(self) -> TimeStampUnit:
        return self.units.current("tsa")

    def tick(self, seconds: int = 1) -> None:
        """Let the node look at the store."""
        self.timers.pump([1.0] * seconds)

    def pass_time(self, span: timedelta) -> None:
        """The clock goes on, and then the node looks."""
        self.clock.advance(span)
        self.tick()

    def renew(self) -> None:
        result_of(self.certified.renew())
        self.tick()

    def health(self) -> tuple[HealthState, str]:
        [health] = self.units.health()
        return health.state, health.reason


def installed(profiles: tuple[str, ...] = ("timestamping",)) -> Installation:
    installation = Installation()
    installation.make_hierarchy(profiles=profiles)
    return installation


def unit_keys(installation: Installation) -> set[KeyReference]:
    return {each.reference for each in result_of(installation.keys.list()) if each.label.startswith("TSA")}


def certificates_made(installation: Installation) -> int:
    query = select(func.count()).select_from(certificates).where(certificates.c.protocol == "tsp")
    return result_of(installation.database.read(lambda connection: connection.execute(query).scalar_one()))


def test_an_issuer_has_its_unit_as_soon_as_it_starts() -> None:
    installation = installed()
    node = Node(installation)
    unit = node.unit
    assert unit.certificate.subject.rfc4514_string() == "CN=TSU,O=Demo"
    chain = [x509.load_der_x509_certificate(der) for der in unit.chain_der]
    assert [each.subject.rfc4514_string() for each in chain] == ["CN=issuing of demo", "CN=root of demo"]
    assert find_faults(unit.certificate, chain, node.clock.now()) == ()
    assert unit.public_key == result_of(installation.keys.public_key(unit.key))
    assert unit.sign_until == unit.certificate.not_valid_after_utc
    assert node.health() == (HealthState.OK, "")
    [event] = [each for each in installation.audit.events if each.event == "time-stamp-unit-made"]
    assert (event.actor, event.fields["key"]) == ("tsp:tsa", str(unit.key))
    [issued] = installation.audited("certificate-issued")
    assert issued["profile"] == "timestamping"


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P384, KeyType.ED25519, KeyType.ML_DSA_44])
def test_key_type_and_place_are_those_of_conf(key_type: KeyType) -> None:
    config = CONFIG.model_copy(update={"key_type": key_type, "keys": "token"})
    installation = installed()
    unit = Node(installation, config).unit
    assert unit.key.provider == "token"
    [made] = [each for each in result_of(installation.keys.list()) if each.reference == unit.key]
    assert (made.key_type, made.label) == (key_type, "TSA tsa")


def test_other_nodes_sign_with_the_same_unit_within_a_second() -> None:
    first = installed()
    one, two = Node(first, name="one"), Node(Installation(shares=first), name="two")
    assert one.unit.key == two.unit.key
    one.clock.advance(YEAR / 2)
    one.renew()
    successor = one.unit.key
    assert two.unit.key != successor
    two.tick()
    assert two.unit.key == successor
    assert certificates_made(first) == 2


class SlowIssuance:
    """The CA's answer comes when the test says so."""

    def __init__(self, installation: Installation) -> None:
        self._issuance = installation.issuance
        self.answers: list[Deferred[None]] = []

    async def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        answer: Deferred[None] = Deferred()
        self.answers.append(answer)
        await answer
        return await self._issuance.enroll(request)


def test_two_nodes_that_start_together_make_one_unit() -> None:
    first = installed()
    slow = SlowIssuance(first)
    one = Node(first, name="one", issuance=slow)
    two = Node(Installation(shares=first), name="two")
    two.tick(3)
    assert (len(slow.answers), len(unit_keys(first))) == (1, 1)
    assert not Deferred.fromCoroutine(two.units.settled("tsa")).called, "requests wait for the unit that is being made"
    slow.answers[0].callback(None)
    two.tick()
    assert one.unit.key == two.unit.key
    assert (certificates_made(first), len(unit_keys(first))) == (1, 1)


class OvertakenDatabase:
    """Something happens between a look at the store and the write that follows it."""

    def __init__(self, database: Any, happens: Callable[[], None]) -> None:
        self._database = database
        self._happens: Callable[[], None] | None = happens
        self.read = database.read

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        if self._happens is not None:
            happens, self._happens = self._happens, None
            happens()
        return await self._database.write(work)


def test_a_node_that_is_overtaken_takes_what_the_other_made() -> None:
    first = installed()
    one = Node(first, name="one")
    first.clock.advance(YEAR / 2)
    overtaken = Installation(shares=first, database=OvertakenDatabase(first.database, one.renew))
    two = Node(overtaken, name="two")
    two.renew()
    assert two.unit.key == one.unit.key
    assert certificates_made(first) == 2


def test_a_maker_that_died_is_replaced_after_its_claim() -> None:
    first = installed()
    now = first.clock.now()
    result_of(first.database.write(lambda c: RECORDS.claim(c, "tsa", owner="dead", now=now, until=now + CLAIM)))
    node = Node(first)
    node.tick()
    with pytest.raises(Unavailable):
        _ = node.unit
    node.pass_time(CLAIM)
    assert node.unit.key in unit_keys(first)


def test_a_maker_whose_claim_ran_out_throws_its_key_away() -> None:
    first = installed()
    slow = SlowIssuance(first)
    one = Node(first, name="one", issuance=slow)
    first.clock.advance(CLAIM)
    two = Node(Installation(shares=first), name="two")
    unit = two.unit
    slow.answers[0].callback(None)
    assert unit_keys(first) == {unit.key}
    one.pass_time(timedelta(seconds=5))
    assert one.unit.key == unit.key
    assert one.health() == (HealthState.OK, "")


def test_renewal_comes_at_half_the_life_and_not_before() -> None:
    node = Node(installed())
    first = node.unit
    node.clock.advance(YEAR / 2 - DAY)
    node.renew()
    assert node.unit is first
    node.clock.advance(DAY)
    node.renew()
    assert node.unit.key != first.key
    assert node.unit.sign_until > first.sign_until


def test_a_key_lifetime_of_conf_counts_instead() -> None:
    node = Node(installed(), CONFIG.model_copy(update={"key_lifetime": 7 * DAY}))
    first = node.unit
    node.clock.advance(7 * DAY - timedelta(seconds=1))
    node.renew()
    assert node.unit is first
    node.clock.advance(timedelta(seconds=1))
    node.renew()
    assert node.unit.key != first.key


def test_a_key_lifetime_longer_than_the_certificate_ends_with_nine_tenths_of_it() -> None:
    installation = installed()
    config = CONFIG.model_copy(update={"key_lifetime": 10 * YEAR})
    Node(installation, config)
    [record] = result_of(installation.database.read(RECORDS.read))
    life = record.not_after - record.created_at
    assert takes_over_at(wanted_by(config), record) == record.not_after - life / 10


def test_the_last_tenth_of_the_life_does_not_wait_for_the_job() -> None:
    node = Node(installed())
    first = node.unit
    node.pass_time(YEAR * 0.89)
    assert node.unit is first
    assert node.health()[0] is HealthState.OK
    node.pass_time(YEAR * 0.02)
    assert node.unit.key != first.key


def test_the_key_of_a_left_unit_is_destroyed_after_the_grace() -> None:
    installation = installed()
    node = Node(installation)
    first = node.unit.key
    node.clock.advance(YEAR / 2)
    node.renew()
    node.clock.advance(GRACE - timedelta(seconds=1))
    node.renew()
    assert first in unit_keys(installation)
    node.clock.advance(timedelta(seconds=1))
    node.renew()
    assert unit_keys(installation) == {node.unit.key}
    [event] = [each for each in installation.audit.events if each.event == "time-stamp-unit-destroyed"]
    assert event.fields["key"] == str(first)
    node.renew()
    assert node.health() == (HealthState.OK, "")


def test_a_key_that_has_gone_already_does_not_stop_the_clearing() -> None:
    installation = installed()
    node = Node(installation)
    first = node.unit.key
    node.clock.advance(YEAR / 2)
    node.renew()
    result_of(installation.keys.delete(first))
    node.clock.advance(GRACE)
    node.renew()
    assert len(result_of(installation.database.read(RECORDS.read))) == 1


def test_a_ca_without_the_profile_is_told_and_tried_again() -> None:
    installation = installed(profiles=("tls-server",))
    with capturedLogs() as logs:
        node = Node(installation)
    trouble = "it gets no certificate: CA demo~issuing has no profile 'timestamping'"
    assert node.health() == (HealthState.FAILED, trouble)
    assert [each["log_format"] for each in logs] == ["{what} {holder} gets no certificate: {reason}"]
    with pytest.raises(Unavailable) as refused:
        _ = node.unit
    assert refused.value.detail == trouble
    result_of(node.units.settled("tsa"))
    assert unit_keys(installation) == set()
    installation.run(installation.management.edit(ISSUING, ALICE, profiles=["timestamping"]))
    node.pass_time(timedelta(seconds=4))
    assert node.health()[0] is HealthState.FAILED
    node.pass_time(timedelta(seconds=1))
    assert node.health() == (HealthState.OK, "")


def test_attempts_become_rarer() -> None:
    installation = installed(profiles=("tls-server",))
    node = Node(installation)
    for _ in range(3600):
        node.pass_time(timedelta(seconds=1))
    assert len(installation.audited("certificate-refused")) == 12, "after 5, 10, 20 ... seconds, at most ten minutes"


def test_a_renewal_that_fails_shows_while_the_unit_signs_on() -> None:
    installation = installed()
    node = Node(installation)
    first = node.unit
    node.clock.advance(YEAR / 2)
    broken = Refusing(installation)
    broken.on = True
    with capturedLogs(), pytest.raises(Unavailable, match="time-stamp units were not renewed") as refused:
        result_of(node.certified.renew())
    assert refused.value.detail == "tsa"
    assert node.unit is first
    assert node.health() == (HealthState.DEGRADED, "it gets no certificate: the HSM is away")
    broken.on = False
    node.renew()
    assert node.unit.key != first.key
    assert node.health() == (HealthState.OK, "")


class Refusing:
    """Key generation that can be switched off."""

    def __init__(self, installation: Installation) -> None:
        self.on = False
        generate = installation.keys.generate

        async def refusing(*arguments: Any, **named: Any) -> KeyReference:
            if self.on:
                raise Unavailable("the HSM is away")
            return await generate(*arguments, **named)

        installation.keys.generate = refusing  # type: ignore[method-assign]  # of this one instance


@pytest.mark.parametrize(
    "change", [{"subject": "CN=Another"}, {"key_type": KeyType.EC_P384}, {"keys": "token"}], ids=str
)
def test_what_conf_changes_makes_a_new_unit_and_the_old_one_signs_until_then(change: dict[str, Any]) -> None:
    installation = installed()
    old = Node(installation).unit
    installation.clock.advance(DAY)
    slow = SlowIssuance(installation)
    node = Node(installation, CONFIG.model_copy(update=change), name="after the reload", issuance=slow)
    assert node.unit.key == old.key
    slow.answers[0].callback(None)
    assert node.unit.key != old.key


def test_nodes_with_different_conf_each_sign_with_their_own() -> None:
    """As while a change is rolled out; they do not replace each other's units in turn."""
    first = installed()
    one = Node(first, name="one")
    two = Node(Installation(shares=first), CONFIG.model_copy(update={"subject": "CN=Another"}), name="two")
    before = one.unit.key, two.unit.key
    one.tick(5)
    two.tick(5)
    assert (one.unit.key, two.unit.key) == before
    assert before[0] != before[1]
    assert certificates_made(first) == 2


def test_a_unit_whose_certificate_was_revoked_signs_no_more() -> None:
    installation = installed()
    node = Node(installation)
    revoked = node.unit
    installation.revoke(installation.get(ISSUING), revoked.certificate.serial_number)
    node.tick()
    assert node.unit.key != revoked.key


def test_the_last_certificate_before_the_end_of_its_ca_is_not_renewed_in_vain() -> None:
    installation = installed()
    ca_end = installation.get(ISSUING).certificate.not_valid_after_utc  # type: ignore[union-attr]
    installation.clock.advance(ca_end - installation.clock.now() - 30 * DAY)
    node = Node(installation)
    unit = node.unit
    assert unit.sign_until == ca_end
    for _ in range(29):
        node.clock.advance(DAY)
        node.renew()
    assert node.unit is unit
    assert node.health()[0] is HealthState.DEGRADED
    assert certificates_made(installation) == 1


def test_a_store_that_is_away_lets_the_unit_sign_on_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    installation = installed()
    node = Node(installation)
    unit = node.unit

    async def away(work: Callable[[Connection], Any]) -> Any:
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(installation.database, "read", away)
    with capturedLogs():
        node.tick(5)
        newcomer = Node(Installation(shares=installation), name="newcomer")
    assert node.unit is unit
    assert newcomer.health() == (
        HealthState.FAILED,
        "its key and certificate cannot be read: the store does not answer",
    )
    node.clock.advance(2 * YEAR)
    with pytest.raises(Unavailable):
        _ = node.unit


def test_a_stop_waits_for_the_unit_that_is_being_made() -> None:
    installation = installed()
    slow = SlowIssuance(installation)
    node = Node(installation, issuance=slow)
    stopped = node.certified.stop()
    assert not stopped.called
    slow.answers[0].callback(None)
    assert stopped.called
    assert node.timers.getDelayedCalls() == []


def test_the_token_with_the_key_of_a_unit_cannot_be_swapped() -> None:
    installation = installed()
    Node(installation, CONFIG.model_copy(update={"keys": "hsm"}))
    keys = KeysConfig.model_validate({"software": {"master_key": {"file": "master.key"}}})
    with pytest.raises(DeploymentChanged, match=r"\[keys.pkcs11.hsm\] is missing, and there are keys in use at hsm"):
        result_of(Deployment(keys, database=installation.database, clock=installation.clock).hold())


def test_a_ca_that_does_not_exist_is_told() -> None:
    installation = installed()
    with capturedLogs():
        node = Node(installation, CONFIG.model_copy(update={"ca": str(CAReference("demo", "none"))}))
    assert node.health()[0] is HealthState.FAILED
    assert unit_keys(installation) == set()
