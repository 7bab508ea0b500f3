"""A challenge is good once, for its digital ID, for a while."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography import x509

from cspd.digital_ids.challenges import NOT_PROVED
from cspd.digital_ids.tables import digital_id_certificates
from cspd.refusals import Conflict, Unauthorized
from cspd.x509.names import format_name
from tests.support.running import result_of
from tests.unit.digital_ids.office import PRODUCT, Office


def is_refused(office: Office, secret: str, digital_id: str = "My Phones", tenant: str = "demo") -> str:
    """What the log hears of a challenge that does not count; clients hear the same of all."""
    with pytest.raises(Unauthorized) as refused:
        result_of(office.digital_ids.challenges.find(tenant, digital_id, secret))
    assert refused.value.reason == NOT_PROVED
    return refused.value.detail


@pytest.mark.requirement("R-CEG-092")
@pytest.mark.requirement("R-CEGI-076")
def test_a_challenge_is_kept_with_its_lifetime_and_what_was_ordered() -> None:
    office = Office()
    new = office.order()
    [row] = office.rows()
    assert row.expires_at == office.house.clock.now() + timedelta(seconds=60)
    assert (row.tenant, row.digital_id) == ("demo", "My Phones")
    found = result_of(office.digital_ids.challenges.find("demo", "My Phones", new.secret))
    assert found == new.challenge
    assert format_name(found.subject) == "CN=Ann Lee,OU=Devices,O=My Company,C=US"


def test_the_names_that_were_ordered_are_kept() -> None:
    office = Office()
    names = (x509.RFC822Name("ann@example.com"), x509.DNSName("phone.example.com"))
    phones = office.digital_ids.get("My Phones")
    new = result_of(
        office.digital_ids.challenges.create(
            tenant="demo",
            digital_id=phones.name,
            subject=phones.subject({"firstname": "A", "lastname": "L"}),
            subject_alt_names=names,
            by=PRODUCT,
        )
    )
    found = result_of(office.digital_ids.challenges.find("demo", "My Phones", new.secret))
    assert found.subject_alt_names == names


def test_the_store_does_not_have_the_challenge_itself() -> None:
    office = Office()
    secret = office.order().secret
    [row] = office.rows()
    assert row.digest == sha256(secret.encode()).hexdigest()
    assert secret not in repr(tuple(row))
    assert secret not in repr(office.house.audit.events)
    assert secret not in repr(office.order())
    assert len(secret) == 24


@pytest.mark.requirement("R-CEG-094")
def test_a_challenge_is_refused_when_its_time_is_over_before_any_clean_up() -> None:
    office = Office()
    secret = office.order().secret
    office.house.clock.advance(timedelta(seconds=59))
    result_of(office.digital_ids.challenges.find("demo", "My Phones", secret))
    office.house.clock.advance(timedelta(seconds=2))
    assert is_refused(office, secret).startswith("challenge expired")
    assert len(office.rows()) == 1


def test_one_that_expires_on_the_way_gives_no_certificate() -> None:
    office = Office()
    use = office.digital_ids.challenges.use(office.order().challenge)
    office.house.clock.advance(timedelta(seconds=60))
    with pytest.raises(Conflict):
        office.enroll(use)
    assert office.rows(digital_id_certificates) == []


@pytest.mark.requirement("R-CEG-095")
def test_a_challenge_is_used_once() -> None:
    office = Office()
    new = office.order()
    issued = office.enroll(office.digital_ids.challenges.use(new.challenge))
    [row] = office.rows(digital_id_certificates)
    assert (row.serial, row.user_id, row.delivery) == (issued.serial, new.challenge.user_id, "scep")
    assert is_refused(office, new.secret).startswith("challenge used")


@pytest.mark.requirement("R-CEG-095")
def test_of_two_devices_with_one_challenge_one_gets_a_certificate() -> None:
    office = Office()
    new = office.order()
    both = [result_of(office.digital_ids.challenges.find("demo", "My Phones", new.secret)) for _ in range(2)]
    office.enroll(office.digital_ids.challenges.use(both[0]))
    with pytest.raises(Conflict) as refused:
        office.enroll(office.digital_ids.challenges.use(both[1]))
    assert refused.value.refusal_code == "challenge-used"
    assert len(office.rows(digital_id_certificates)) == 1


@pytest.mark.requirement("R-CEG-095")
def test_a_challenge_is_for_its_digital_id_and_tenant() -> None:
    office = Office()
    secret = office.order().secret
    assert is_refused(office, secret, digital_id="laptops") == "challenge of demo, My Phones"
    assert is_refused(office, secret, tenant="other") == "challenge of demo, My Phones"


@pytest.mark.parametrize("secret", ["", "A" * 24, "\ud800", "\0", "x" * 100_000])
def test_others_are_unknown(secret: str) -> None:
    office = Office()
    office.order()
    assert is_refused(office, secret) == "unknown challenge"


@pytest.mark.requirement("R-CEG-096")
@pytest.mark.requirement("R-CEGI-078")
def test_the_clean_up_deletes_expired_challenges_and_no_others() -> None:
    office = Office()
    first = office.order()
    office.house.clock.advance(timedelta(seconds=30))
    second = office.order()
    office.house.clock.advance(timedelta(seconds=30))
    [job] = office.digital_ids.jobs()
    assert job.schedule == "0 0 * * * *"
    result_of(job.run())  # type: ignore[arg-type]  # a coroutine
    assert [row.digest for row in office.rows()] == [second.challenge.digest]
    assert is_refused(office, first.secret) == "unknown challenge"
    result_of(office.digital_ids.challenges.find("demo", "My Phones", second.secret))


def test_an_order_is_audited() -> None:
    office = Office()
    office.order()
    event = office.house.audit.events[-1]
    assert (event.event, event.actor) == ("mdm-challenge-created", "mdm:workspace")
    assert event.fields["subject"] == "CN=Ann Lee,OU=Devices,O=My Company,C=US"
