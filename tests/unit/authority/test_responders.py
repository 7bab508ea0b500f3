"""Responder certificates: what is in them, when they are made and renewed, and who wins a race."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from sqlalchemy import Connection, select
from twisted.internet.defer import Deferred

from cspd.authority.policy.validity import BACKDATED
from cspd.authority.responders import RETRY, Responder, Responders
from cspd.authority.values import Authority, AuthorityKind
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import NotFound, Unavailable
from cspd.store.tables import certificates, ocsp_responders
from cspd.x509.identifiers import subject_key_identifier
from tests.protocols.ocsp.world import World
from tests.support.keys import InlineKeys
from tests.support.running import result_of

T = TypeVar("T")


class SlowKeys(InlineKeys):
    """Keys whose signatures wait until the test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.holding: list[Deferred[None]] | None = None
        self.error: Exception | None = None
        self.generated = 0

    async def generate(
        self, key_type: KeyType, *, label: str, provider: str | None = None, decrypts: bool = False
    ) -> KeyReference:
        self.generated += 1
        if self.error is not None:
            raise self.error
        return await super().generate(key_type, label=label, provider=provider, decrypts=decrypts)

    async def sign(self, reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
        if self.holding is not None:
            gate: Deferred[None] = Deferred()
            self.holding.append(gate)
            await gate
        return await super().sign(reference, work)


def current(responders: Responders, authority: Authority, key_index: int = 0) -> Responder:
    return result_of(responders.current(authority, key_index))


def stored(world: World) -> list[str]:
    with world.database.engine.connect() as connection:
        return [row.id for row in connection.execute(select(ocsp_responders).order_by(ocsp_responders.c.not_after))]


def issued(world: World) -> dict[int, str]:
    with world.database.engine.connect() as connection:
        return {row.serial: row.profile for row in connection.execute(select(certificates))}


def states(world: World) -> list[str]:
    with world.database.engine.connect() as connection:
        return list(connection.execute(select(certificates.c.state)).scalars())


@pytest.mark.requirement("R-PRO-016")
def test_the_certificate_is_as_basic_ocsp_wants_it() -> None:
    """30 days, critical EKU, no-check, AIA and CDP (va.md 5.5), digitalSignature alone (P-2)."""
    world = World()
    authority = replace(world.add_ca(), delta_crl_hours=6)
    responder = current(world.responders, authority)
    certificate = x509.load_der_x509_certificate(responder.certificate_der)
    assert authority.certificate is not None
    certificate.verify_directly_issued_by(authority.certificate)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=30)
    extensions = certificate.extensions
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert (usage.critical, list(usage.value)) == (True, [ExtendedKeyUsageOID.OCSP_SIGNING])
    assert not extensions.get_extension_for_class(x509.OCSPNoCheck).critical
    access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert {each.access_method: each.access_location.value for each in access} == {
        AuthorityInformationAccessOID.OCSP: "http://pki.example/ocsp/demo/issuing",
        AuthorityInformationAccessOID.CA_ISSUERS: f"http://pki.example/crl/demo/issuing/{authority.certificate_id}.cer",
    }
    (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    assert [name.value for name in point.full_name] == ["http://pki.example/crl/demo/issuing/crl.crl"]
    (point,) = extensions.get_extension_for_class(x509.FreshestCRL).value
    assert point.full_name is not None
    assert [name.value for name in point.full_name] == ["http://pki.example/crl/demo/issuing/delta.crl"]
    key_usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert key_usage.critical
    assert key_usage.value.digital_signature
    assert not key_usage.value.key_cert_sign
    assert not key_usage.value.crl_sign
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == (
        subject_key_identifier(authority.certificate.public_key())
    )
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest == (
        subject_key_identifier(certificate.public_key())
    )


@pytest.mark.parametrize(
    ("kind", "ca_key", "ocsp_key", "made"),
    [
        (AuthorityKind.ISSUING, KeyType.EC_P384, KeyType.EC_P256, KeyType.EC_P256),
        (AuthorityKind.ISSUING, KeyType.EC_P256, KeyType.ED25519, KeyType.ED25519),
        (AuthorityKind.ROOT, KeyType.EC_P384, None, KeyType.EC_P384),
    ],
)
@pytest.mark.requirement("R-CA-051")
def test_the_key_type_is_the_chosen_one_or_that_of_a_root(
    kind: AuthorityKind, ca_key: KeyType, ocsp_key: KeyType | None, made: KeyType
) -> None:
    world = World()
    authority = world.add_ca(key_type=ca_key, ocsp_key_type=ocsp_key, kind=kind)
    responder = current(world.responders, authority)
    kinds = {each.reference: each.key_type for each in result_of(world.keys.list())}
    assert kinds[responder.key] is made


def test_the_certificate_is_recorded_with_an_audit_event() -> None:
    world = World()
    authority = world.add_ca()
    responder = current(world.responders, authority)
    serial = x509.load_der_x509_certificate(responder.certificate_der).serial_number
    assert issued(world) == {serial: "basic-ocsp"}
    (event,) = world.audit.events
    assert event.event == "certificate-issued"
    assert event.fields["serial"] == format(serial, "x")
    assert event.fields["ca"] == "demo~issuing"


def test_a_ca_that_records_before_signing_accounts_for_a_lost_signature() -> None:
    keys = SlowKeys()
    world = World(keys=keys)
    authority = replace(world.add_ca(), record_before_signing=True)
    assert authority.key is not None
    ca_key = keys.private_keys.pop(authority.key)
    with pytest.raises(Unavailable):
        current(world.responders, authority)
    assert states(world) == ["reserved"]
    keys.private_keys[authority.key] = ca_key
    world.clock.advance(RETRY)
    current(world.responders, authority)
    assert sorted(states(world)) == ["good", "reserved"]


def test_it_is_made_once_and_shared_by_nodes_and_restarts() -> None:
    world = World()
    authority = world.add_ca()
    responder = current(world.responders, authority)
    assert world.responders.cached(authority, 0) == responder
    assert current(world.responders, authority) is responder
    assert current(world.node(), authority) == responder
    assert len(stored(world)) == 1


def test_callers_at_the_same_time_share_one_making() -> None:
    keys = SlowKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    keys.holding = []
    waiting = [Deferred.fromCoroutine(world.responders.current(authority, 0)) for _ in range(5)]
    results: list[Responder] = []
    for each in waiting:
        each.addCallback(results.append)
    waiting[0].cancel()  # the first client goes away
    waiting[0].addErrback(lambda _: None)
    (gate,) = keys.holding
    gate.callback(None)
    assert len(results) == 4
    assert len(set(results)) == 1
    assert len(stored(world)) == 1


def test_of_two_nodes_one_wins_and_both_answer_with_it() -> None:
    """The loser's certificate was signed, so it is recorded; its key is gone."""
    keys = SlowKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    keys.holding = []
    results: list[Responder] = []
    for node in (world.responders, world.node()):
        Deferred.fromCoroutine(node.current(authority, 0)).addCallback(results.append)
    first, second = keys.holding
    second.callback(None)
    first.callback(None)
    assert len(results) == 2
    assert results[0] == results[1]
    assert stored(world) == [results[0].id]
    assert len(issued(world)) == 2
    assert set(keys.private_keys) == {authority.key, results[0].key}


def test_a_failure_leaves_no_key_and_is_not_repeated_by_every_client() -> None:
    keys = SlowKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    keys.error = Unavailable("the token is gone")
    keys.generated = 0
    for _ in range(3):
        with pytest.raises(Unavailable):
            current(world.responders, authority)
    assert keys.generated == 1
    keys.error = None
    world.clock.advance(RETRY)
    assert current(world.responders, authority).authority_id == authority.id


def test_a_key_whose_certificate_could_not_be_signed_is_deleted() -> None:
    keys = SlowKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    assert authority.key is not None
    del keys.private_keys[authority.key]
    with pytest.raises(Unavailable):
        current(world.responders, authority)
    assert keys.private_keys == {}


@pytest.mark.parametrize("key_index", [1, 7])
def test_a_key_that_the_ca_never_had_has_no_responder(key_index: int) -> None:
    world = World()
    authority = world.add_ca()
    with pytest.raises(NotFound):
        current(world.responders, authority, key_index)


def test_an_expired_ca_certificate_has_no_responder() -> None:
    world = World()
    authority = world.add_ca(days=10)
    world.clock.advance(timedelta(days=10))
    with pytest.raises(NotFound):
        current(world.responders, authority)


def test_it_ends_with_the_ca() -> None:
    world = World()
    authority = world.add_ca(days=10)
    assert authority.certificate is not None
    assert current(world.responders, authority).not_after == authority.certificate.not_valid_after_utc


@pytest.mark.requirement("R-CA-051", "R-PRO-016")
def test_it_is_renewed_with_a_fresh_key_when_a_third_of_its_life_is_left() -> None:
    world = World()
    authority = world.add_ca()
    first = current(world.responders, authority)
    world.clock.advance(timedelta(days=19, hours=23))
    result_of(world.responders.renew())
    assert stored(world) == [first.id]
    world.clock.advance(timedelta(hours=1))
    result_of(world.responders.renew())
    second = current(world.responders, authority)
    assert stored(world) == [first.id, second.id]
    assert second.key != first.key
    assert second.not_after - second.not_before == timedelta(days=30)
    assert world.clock.now() - second.not_before == BACKDATED
    assert first.key in world.keys.private_keys  # other nodes may still sign with it


def test_another_node_goes_over_to_the_renewed_one() -> None:
    world = World()
    authority = world.add_ca()
    other = world.node()
    first = current(other, authority)
    world.clock.advance(timedelta(days=20))
    result_of(world.responders.renew())
    second = current(other, authority)
    assert second != first
    assert second == current(world.responders, authority)


def test_the_key_is_destroyed_after_its_certificate_has_expired() -> None:
    world = World()
    authority = world.add_ca()
    first = current(world.responders, authority)
    world.clock.advance(timedelta(days=20))
    result_of(world.responders.renew())
    world.clock.advance(timedelta(days=10, seconds=1))
    result_of(world.responders.renew())
    assert first.key not in world.keys.private_keys
    assert stored(world) == [current(world.responders, authority).id]
    assert len(issued(world)) == 2


def test_a_responder_that_ends_with_the_ca_is_not_renewed_for_ever() -> None:
    world = World()
    authority = world.add_ca(days=10)
    first = current(world.responders, authority)
    world.clock.advance(timedelta(days=9))
    result_of(world.responders.renew())
    assert stored(world) == [first.id]


def test_one_that_nobody_asked_for_is_not_made_by_the_job() -> None:
    world = World()
    world.add_ca()
    result_of(world.responders.renew())
    assert stored(world) == []


def test_renewal_goes_on_after_a_failure_and_says_so() -> None:
    keys = SlowKeys()
    world = World(keys=keys)
    broken, sound = world.add_ca("broken"), world.add_ca("sound")
    for authority in (broken, sound):
        current(world.responders, authority)
    world.clock.advance(timedelta(days=20))
    assert broken.key is not None
    del keys.private_keys[broken.key]
    with pytest.raises(Unavailable) as caught:
        result_of(world.responders.renew())
    assert caught.value.detail == "demo~broken"
    assert len(stored(world)) == 3


@pytest.mark.parametrize("lost", ["before it expired", "after it expired"])
def test_while_the_store_is_away_the_known_responder_serves_until_it_expires(lost: str) -> None:
    world = World()
    authority = world.add_ca()
    first = current(world.responders, authority)

    async def read(work: Callable[[Connection], T]) -> T:
        raise Unavailable("the database is gone")

    world.database.read = read  # type: ignore[method-assign]
    if lost == "before it expired":
        world.clock.advance(timedelta(days=29))
        assert current(world.responders, authority) == first
    else:
        world.clock.advance(timedelta(days=30))
        with pytest.raises(Unavailable):
            current(world.responders, authority)


def test_after_a_re_key_each_key_has_its_own_responder() -> None:
    world = World()
    old = world.add_ca()
    first = current(world.responders, old)
    new = world.rekey(old)
    assert current(world.responders, new, 0) == first
    second = current(world.responders, new, 1)
    assert second.issuer_certificate_id == new.certificate_id
    certificate = x509.load_der_x509_certificate(second.certificate_der)
    assert new.certificate is not None
    certificate.verify_directly_issued_by(new.certificate)
    (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    assert point.full_name[0].value == "http://pki.example/crl/demo/issuing/crl-1.crl"


def test_both_keys_of_a_re_keyed_ca_are_renewed() -> None:
    world = World()
    new = world.rekey(world.add_ca())
    for key_index in (0, 1):
        current(world.responders, new, key_index)
    world.clock.advance(timedelta(days=20))
    result_of(world.responders.renew())
    assert len(stored(world)) == 4
