"""CRLs: what they contain, when they are made, how nodes share them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection, select
from twisted.internet.defer import Deferred

from cspd.authority.values import Authority, CAReference, PublishedCRL, RevocationReason
from cspd.refusals import NotFound, Unavailable
from cspd.store.tables import certificates, crls, status_changes
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation
from tests.support.running import result_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def current(here: Installation, authority: Authority, **which: Any) -> PublishedCRL:
    return result_of(here.publication.current(authority, **which))


def serials(crl: PublishedCRL) -> dict[int, str]:
    """Serial numbers and reasons."""
    found = {}
    for each in x509.load_der_x509_crl(crl.crl_der):
        reasons = [item.value.reason.value for item in each.extensions if isinstance(item.value, x509.CRLReason)]
        found[each.serial_number] = reasons[0] if reasons else "unspecified"
    return found


def scheduled(**fields: Any) -> tuple[Installation, Authority]:
    """An issuing CA that publishes weekly, with certificates 1 to 9."""
    here = Installation()
    _, issuing = here.make_hierarchy(**{"crl_days": 7, **fields})
    for serial in range(1, 10):
        here.issue(issuing, serial)
    return here, issuing


@pytest.mark.requirement("R-CA-050")
@pytest.mark.requirement("R-CA-052")
def test_a_full_crl_has_all_that_is_revoked_or_held() -> None:
    here, issuing = scheduled()
    here.revoke(issuing, 1, RevocationReason.KEY_COMPROMISE, invalidity_date=here.clock.now() - DAY)
    here.revoke(issuing, 2, RevocationReason.UNSPECIFIED)
    here.revoke(issuing, 3, RevocationReason.CERTIFICATE_HOLD)
    here.revoke(issuing, 4, RevocationReason.CERTIFICATE_HOLD)
    result_of(here.revocation.unhold(ISSUING, 4, ALICE))
    published = current(here, issuing)
    assert serials(published) == {1: "keyCompromise", 2: "unspecified", 3: "certificateHold"}
    assert published.entries == 3
    crl = x509.load_der_x509_crl(published.crl_der)
    first = crl.get_revoked_certificate_by_serial_number(1)
    assert first is not None
    dates = first.extensions.get_extension_for_class(x509.InvalidityDate).value
    assert dates.invalidity_date_utc == here.clock.now() - DAY


def test_a_crl_is_signed_and_identified_by_its_ca() -> None:
    here, issuing = scheduled()
    crl = x509.load_der_x509_crl(current(here, issuing).crl_der)
    assert issuing.certificate is not None
    assert crl.issuer == issuing.certificate.subject
    assert crl.is_signature_valid(issuing.certificate.public_key())  # type: ignore[arg-type]
    ski = issuing.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    aki = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert aki.key_identifier == ski.digest
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value == x509.CRLNumber(1)
    assert len(crl.extensions) == 2


def test_next_update_is_the_interval_and_a_tenth() -> None:
    here, issuing = scheduled(crl_days=10)
    crl = current(here, issuing)
    assert crl.this_update == here.clock.now()
    assert crl.next_update == here.clock.now() + 11 * DAY


@pytest.mark.requirement("R-CA-016")
@pytest.mark.requirement("R-CA-052")
def test_a_crl_has_nothing_of_another_ca() -> None:
    here, issuing = scheduled()
    root = here.get(ROOT)
    here.issue(root, 5)
    here.revoke(root, 5)
    here.revoke(issuing, 6)
    assert serials(current(here, issuing)) == {6: "superseded"}
    assert 5 in serials(current(here, root))


def test_an_expired_certificate_leaves_after_one_more_crl() -> None:
    """RFC 5280, 3.3: it stays until it was on a CRL issued beyond its validity."""
    here, issuing = scheduled()
    here.issue(issuing, 20, not_after=here.clock.now() + 10 * DAY)
    here.revoke(issuing, 20)
    result_of(here.publication.publish(issuing))
    here.clock.advance(9 * DAY)
    assert 20 in serials(result_of(here.publication.publish(issuing))[0])
    here.clock.advance(2 * DAY)
    assert 20 in serials(result_of(here.publication.publish(issuing))[0])
    here.clock.advance(2 * DAY)
    assert 20 in serials(result_of(here.publication.publish(issuing))[0])  # an extra CRL; the interval is not over
    here.clock.advance(6 * DAY)
    assert 20 not in serials(result_of(here.publication.publish(issuing))[0])


def test_an_expired_certificate_stays_when_crls_came_late() -> None:
    here, issuing = scheduled()
    here.issue(issuing, 20, not_after=here.clock.now() + DAY)
    here.revoke(issuing, 20)
    result_of(here.publication.publish(issuing))
    here.clock.advance(100 * DAY)
    assert 20 in serials(result_of(here.publication.publish(issuing))[0])
    here.clock.advance(8 * DAY)
    assert 20 not in serials(result_of(here.publication.publish(issuing))[0])


@pytest.mark.requirement("R-CA-050")
def test_the_job_publishes_at_each_interval() -> None:
    here, issuing = scheduled()
    (job,) = here.publication.jobs()
    assert len(job.schedule.split()) == 6
    result_of(job.run())  # type: ignore[arg-type]  # our jobs are coroutines
    assert current(here, issuing).number == 1
    here.clock.advance(7 * DAY - HOUR)
    result_of(here.publication.publish_due())
    assert current(here, issuing).number == 1
    here.clock.advance(HOUR)
    result_of(here.publication.publish_due())
    assert current(here, issuing).number == 2
    published = here.audited("crl-published")
    assert [(each["ca"], each["number"]) for each in published] == [("demo~issuing", 1), ("demo~issuing", 2)]


def test_the_job_publishes_what_a_revocation_missed() -> None:
    here, issuing = scheduled()
    result_of(here.publication.publish_due())
    here.revoke(issuing, 1)
    here.publication.stop()  # before it came to it
    result_of(here.publication.publish_due())
    assert serials(current(here, issuing)) == {1: "superseded"}


def change(here: Installation, authority: Authority, serial: int, sequence: int) -> None:
    """A revocation by a node that dies before it can publish; ``sequence`` is the number that PostgreSQL gave."""

    def work(connection: Connection) -> None:
        now = here.clock.now()
        revoked = {"state": "revoked", "revoked_at": now, "revocation_reason": "superseded"}
        connection.execute(certificates.update().where(certificates.c.serial == serial).values(**revoked))
        connection.execute(
            status_changes.insert().values(
                sequence=sequence, authority_id=authority.id, serial=serial, state="revoked", changed_at=now
            )
        )

    result_of(here.database.write(work))


def test_the_job_publishes_what_was_committed_after_a_later_change() -> None:
    here, issuing = scheduled()
    change(here, issuing, 1, sequence=1)
    change(here, issuing, 2, sequence=3)
    result_of(here.publication.publish_due())
    assert set(serials(current(here, issuing))) == {1, 2}
    change(here, issuing, 3, sequence=2)
    result_of(here.publication.publish_due())
    assert set(serials(current(here, issuing))) == {1, 2, 3}
    assert current(here, issuing).number == 2
    here.clock.advance(HOUR)
    result_of(here.publication.publish_due())
    assert current(here, issuing).number == 2


def test_the_job_gives_up_a_number_that_was_rolled_back() -> None:
    here, issuing = scheduled()
    change(here, issuing, 1, sequence=1)
    change(here, issuing, 2, sequence=3)
    for _ in range(60):
        result_of(here.publication.publish_due())
        here.clock.advance(timedelta(minutes=1))
    assert current(here, issuing).number <= 7
    assert set(serials(current(here, issuing))) == {1, 2}


def test_a_missing_number_does_not_concern_a_ca_whose_changes_are_all_below_it() -> None:
    here, issuing = scheduled()
    root = here.get(ROOT)
    here.issue(root, 20)
    change(here, issuing, 1, sequence=1)
    result_of(here.publication.publish_due())
    change(here, root, 20, sequence=3)
    result_of(here.publication.publish_due())
    assert current(here, issuing).number == 1


def test_without_a_schedule_a_change_committed_after_a_later_one_makes_it_stale() -> None:
    here, issuing = scheduled(crl_days=None)
    here.publication.start()
    change(here, issuing, 1, sequence=1)
    change(here, issuing, 2, sequence=3)
    here.reactor.advance(0.5)
    current(here, issuing)
    here.reactor.advance(0.5)
    assert here.publication.cached(issuing) is not None
    change(here, issuing, 3, sequence=2)
    here.reactor.advance(0.5)
    assert set(serials(current(here, issuing))) == {1, 2, 3}


def test_one_ca_that_cannot_sign_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    here, issuing = scheduled()
    here.make_root(CAReference("demo", "another"), crl_days=7)
    assert issuing.key is not None
    del here.keys.private_keys[issuing.key]
    with pytest.raises(ExceptionGroup):
        result_of(here.publication.publish_due())
    assert current(here, here.get(CAReference("demo", "another"))).number == 1


def test_revocations_of_a_moment_share_one_crl() -> None:
    here, issuing = scheduled()
    current(here, issuing)
    for serial in (1, 2, 3):
        here.revoke(issuing, serial)
        here.reactor.advance(0.1)
    assert current(here, issuing).number == 1
    here.reactor.advance(1)
    crl = current(here, issuing)
    assert crl.number == 2
    assert set(serials(crl)) == {1, 2, 3}
    here.reactor.advance(60)
    assert current(here, issuing).number == 2


class SlowKeys:
    """Signs when told to."""

    def __init__(self, here: Installation) -> None:
        self._keys = here.keys
        self.waiting: list[Deferred[None]] = []

    async def sign(self, reference: Any, work: Callable[[Any], Any]) -> Any:
        signature = await self._keys.sign(reference, work)
        done: Deferred[None] = Deferred()
        self.waiting.append(done)
        await done
        return signature


def test_a_crl_asked_for_while_it_is_made_is_shared() -> None:
    here, issuing = scheduled()
    slow = SlowKeys(here)
    here.crl_issuer._keys = slow  # type: ignore[assignment]
    asked = [Deferred.fromCoroutine(here.publication.current(issuing)) for _ in range(3)]
    assert len(slow.waiting) == 1
    asked[0].cancel()  # the first client leaves; the CRL is made for the others
    asked[0].addErrback(lambda _: None)
    slow.waiting[0].callback(None)
    assert asked[1].result is asked[2].result
    assert len(here.audited("crl-published")) == 1


def test_a_revocation_while_a_crl_is_made_gets_the_next_one() -> None:
    here, issuing = scheduled()
    slow = SlowKeys(here)
    here.crl_issuer._keys = slow  # type: ignore[assignment]
    Deferred.fromCoroutine(here.publication.current(issuing))
    here.revoke(issuing, 1)
    here.reactor.advance(1)
    assert len(slow.waiting) == 1
    slow.waiting[0].callback(None)
    slow.waiting[1].callback(None)
    assert serials(current(here, issuing)) == {1: "superseded"}


def test_stopping_waits_for_what_was_begun() -> None:
    here, issuing = scheduled()
    slow = SlowKeys(here)
    here.crl_issuer._keys = slow  # type: ignore[assignment]
    here.revoke(issuing, 1)
    here.reactor.advance(1)
    stopped = here.publication.stop()
    assert not stopped.called
    slow.waiting[0].callback(None)
    assert stopped.called
    assert not here.reactor.getDelayedCalls()


def test_two_nodes_never_publish_a_number_twice() -> None:
    here, issuing = scheduled()
    there = Installation(shares=here)
    slow = SlowKeys(here)
    here.crl_issuer._keys = slow  # type: ignore[assignment]
    ours = Deferred.fromCoroutine(here.publication.current(issuing))
    here.revoke(issuing, 1)
    theirs = result_of(there.publication.publish(there.get(ISSUING)))[0]
    assert theirs.number == 1
    slow.waiting[0].callback(None)  # number 1 is taken: read again, sign again
    slow.waiting[1].callback(None)
    assert ours.result.number == 2
    assert serials(ours.result) == {1: "superseded"}


def test_another_node_serves_a_new_crl_within_a_second() -> None:
    here, issuing = scheduled()
    there = Installation(shares=here)
    there.publication.start()
    assert current(there, issuing).number == 1
    here.revoke(issuing, 1)
    here.reactor.advance(1)
    there.reactor.advance(1)
    cached = there.publication.cached(issuing)
    assert cached is not None
    assert cached.number == 2


@pytest.mark.requirement("R-CA-050")
def test_without_a_schedule_a_crl_is_made_on_demand_only() -> None:
    here, issuing = scheduled(crl_days=None)
    here.revoke(issuing, 1)
    here.reactor.advance(60)
    result_of(here.publication.publish_due())
    assert not here.audited("crl-published")
    assert serials(current(here, issuing)) == {1: "superseded"}
    assert here.publication.cached(issuing) is not None
    here.revoke(issuing, 2)
    assert here.publication.cached(issuing) is None
    assert set(serials(current(here, issuing))) == {1, 2}
    here.clock.advance(DAY - HOUR)
    assert current(here, issuing).number == 2
    here.clock.advance(HOUR)
    assert current(here, issuing).number == 3


def test_without_a_schedule_a_revocation_elsewhere_makes_it_stale() -> None:
    here, issuing = scheduled(crl_days=None)
    there = Installation(shares=here)
    there.publication.start()
    there.reactor.advance(0.5)
    current(there, issuing)
    assert there.publication.cached(issuing) is not None
    here.revoke(issuing, 1)
    there.reactor.advance(1)
    assert serials(current(there, issuing)) == {1: "superseded"}


def test_the_last_crl_is_served_when_no_new_one_can_be_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    here, issuing = scheduled(crl_days=None)
    first = current(here, issuing)
    here.revoke(issuing, 1)

    async def broken(*_: object) -> None:
        raise Unavailable("no token")

    monkeypatch.setattr(here.keys, "sign", broken)
    assert current(here, issuing) == first
    with pytest.raises(Unavailable):
        current(here, here.get(ROOT))


def test_a_delta_has_the_changes_since_its_base() -> None:
    here, issuing = scheduled(delta_crl_hours=6)
    here.revoke(issuing, 1)
    here.revoke(issuing, 2, RevocationReason.CERTIFICATE_HOLD)
    here.clock.advance(HOUR)
    full = current(here, issuing)
    assert set(serials(full)) == {1, 2}
    freshest = x509.load_der_x509_crl(full.crl_der).extensions.get_extension_for_class(x509.FreshestCRL).value
    assert freshest[0].full_name is not None
    assert freshest[0].full_name[0].value == "http://pki.example/crl/demo/issuing/delta.crl"
    here.clock.advance(HOUR)
    result_of(here.revocation.unhold(ISSUING, 2, ALICE))
    here.revoke(issuing, 3, RevocationReason.KEY_COMPROMISE)
    here.reactor.advance(1)
    delta = current(here, issuing, is_delta=True)
    assert serials(delta) == {2: "removeFromCRL", 3: "keyCompromise"}
    assert (delta.number, delta.base_number) == (2, 1)
    assert delta.next_update == delta.this_update + 6 * HOUR * 1.1
    crl = x509.load_der_x509_crl(delta.crl_der)
    indicator = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert indicator.critical
    assert indicator.value == x509.DeltaCRLIndicator(1)
    full = current(here, issuing)
    assert full.number == 2
    assert set(serials(full)) == {1, 3}


def test_a_large_full_crl_keeps_its_schedule_where_there_are_deltas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cspd.authority.publication.LARGE", 1)
    here, issuing = scheduled(delta_crl_hours=6)
    here.revoke(issuing, 1)
    here.reactor.advance(1)
    assert current(here, issuing).number == 1
    here.revoke(issuing, 2)
    here.reactor.advance(1)
    result_of(here.publication.publish_due())
    assert serials(current(here, issuing)) == {1: "superseded"}
    assert set(serials(current(here, issuing, is_delta=True))) == {1, 2}


def test_a_delta_completes_every_full_crl_that_is_still_valid() -> None:
    here, issuing = scheduled(delta_crl_hours=6)
    current(here, issuing)
    here.clock.advance(HOUR)
    here.revoke(issuing, 1)
    here.clock.advance(7 * DAY - HOUR)
    result_of(here.publication.publish_due())
    here.revoke(issuing, 2)
    here.reactor.advance(1)
    delta = current(here, issuing, is_delta=True)
    assert delta.base_number == 1
    assert set(serials(delta)) == {1, 2}
    here.clock.advance(DAY)
    result_of(here.publication.publish_due())
    delta = current(here, issuing, is_delta=True)
    assert delta.base_number is not None
    assert delta.base_number > 1
    assert set(serials(delta)) == {2}


def test_a_delta_that_is_asked_for_first_brings_its_base() -> None:
    here, issuing = scheduled(delta_crl_hours=6)
    here.revoke(issuing, 1)
    delta = current(here, issuing, is_delta=True)
    assert (delta.number, delta.base_number) == (1, 1)
    assert here.publication.cached(issuing) is not None


def both(here: Installation, authority: Authority) -> tuple[PublishedCRL, PublishedCRL]:
    """The full and the delta CRL that are served; nothing is made."""
    full, delta = (here.publication.cached(authority, is_delta=is_delta) for is_delta in (False, True))
    assert full is not None
    assert delta is not None
    return full, delta


def after_a_revocation(here: Installation, issuing: Authority) -> None:
    here.reactor.advance(1)


def at_once(here: Installation, issuing: Authority) -> None:
    result_of(here.publication.publish(issuing))


def by_the_job(here: Installation, issuing: Authority) -> None:
    here.publication.stop()  # before it came to it
    result_of(here.publication.publish_due())


def because_the_full_one_is_old(here: Installation, issuing: Authority) -> None:
    here.reactor.advance(1)
    here.clock.advance(7 * DAY)
    result_of(here.publication.publish_due())


@pytest.mark.parametrize("make", [after_a_revocation, at_once, by_the_job, because_the_full_one_is_old])
def test_a_full_and_a_delta_made_together_share_number_and_moment(
    make: Callable[[Installation, Authority], None],
) -> None:
    """RFC 5280, 5.2.3; the information is the same: an older full CRL with the delta is the new full one."""
    here, issuing = scheduled(delta_crl_hours=6)
    here.revoke(issuing, 1)
    here.revoke(issuing, 2, RevocationReason.CERTIFICATE_HOLD)
    result_of(here.publication.publish(issuing))
    before, _ = both(here, issuing)
    here.clock.advance(HOUR)
    here.revoke(issuing, 3)
    result_of(here.revocation.unhold(ISSUING, 2, ALICE))
    make(here, issuing)
    full, delta = both(here, issuing)
    assert full.number > before.number
    for field in ("number", "this_update", "status_sequence"):
        assert getattr(full, field) == getattr(delta, field)
    assert x509.load_der_x509_crl(full.crl_der).last_update_utc == x509.load_der_x509_crl(delta.crl_der).last_update_utc
    assert delta.base_number == before.number
    combined = {**serials(before), **serials(delta)}
    assert {serial: reason for serial, reason in combined.items() if reason != "removeFromCRL"} == serials(full)


def test_a_delta_made_alone_has_a_number_of_its_own() -> None:
    here, issuing = scheduled(delta_crl_hours=6)
    result_of(here.publication.publish_due())
    here.clock.advance(6 * HOUR)
    result_of(here.publication.publish_due())
    full, delta = both(here, issuing)
    assert (full.number, delta.number, delta.base_number) == (1, 2, 1)
    here.clock.advance(HOUR)
    result_of(here.publication.publish(issuing))
    assert [each.number for each in both(here, issuing)] == [3, 3]


def test_a_full_and_a_delta_are_stored_both_or_not_at_all() -> None:
    here, issuing = scheduled(delta_crl_hours=6)
    there = Installation(shares=here)
    slow = SlowKeys(here)
    here.crl_issuer._keys = slow  # type: ignore[assignment]
    ours = Deferred.fromCoroutine(here.publication.publish(issuing))
    result_of(there.publication.publish(there.get(ISSUING)))
    slow.waiting[0].callback(None)
    slow.waiting[1].callback(None)
    assert [(crl.number, crl.is_delta) for crl in ours.result] == [(2, False), (2, True)]
    published = [(each["number"], each["delta"]) for each in here.audited("crl-published")]
    assert published == [(1, False), (1, True), (2, False), (2, True)]


def test_each_key_has_its_own_crl() -> None:
    here, before = scheduled()
    after = result_of(here.renewal.rekey(ISSUING, ALICE))
    here.issue(after, 20)
    here.revoke(after, 20)
    here.revoke(after, 1)
    here.reactor.advance(1)
    old, new = current(here, after, key_index=0), current(here, after, key_index=1)
    assert serials(old) == {1: "superseded"}
    assert serials(new) == {20: "superseded"}
    for crl, authority in ((old, before), (new, after)):
        assert authority.certificate is not None
        public_key = authority.certificate.public_key()
        assert x509.load_der_x509_crl(crl.crl_der).is_signature_valid(public_key)  # type: ignore[arg-type]


def test_a_renewed_ca_goes_on_with_its_crl() -> None:
    here, _ = scheduled()
    after = result_of(here.renewal.renew(ISSUING, ALICE))
    here.issue(after, 20)
    here.revoke(after, 20)
    here.revoke(after, 1)
    assert set(serials(current(here, after))) == {1, 20}


def test_a_disabled_ca_still_publishes() -> None:
    here, issuing = scheduled()
    result_of(here.management.disable(ISSUING, ALICE))
    here.revoke(issuing, 1)
    assert serials(current(here, here.get(ISSUING))) == {1: "superseded"}


def test_what_does_not_exist_is_not_found() -> None:
    here, issuing = scheduled()
    for which in ({"key_index": 1}, {"is_delta": True}):
        with pytest.raises(NotFound):
            current(here, issuing, **which)
    assert issuing.certificate is not None
    here.clock.advance(issuing.certificate.not_valid_after_utc - here.clock.now())
    with pytest.raises(NotFound):
        result_of(here.publication.publish(issuing))


def test_only_the_newest_crl_is_kept() -> None:
    here, issuing = scheduled()
    for _ in range(3):
        result_of(here.publication.publish(issuing))
        here.clock.advance(HOUR)
    rows = result_of(here.database.read(lambda connection: connection.execute(select(crls)).all()))
    assert [row.number for row in rows if row.crl_der] == [3]
    here.clock.advance(8 * DAY)
    result_of(here.publication.publish(issuing))
    rows = result_of(here.database.read(lambda connection: connection.execute(select(crls)).all()))
    assert [row.number for row in rows] == [4]
