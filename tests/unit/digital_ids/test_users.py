"""The same variables address the same user."""

from __future__ import annotations

import pytest

from cspd.authority.values import CertificateState
from cspd.digital_ids.users import name_key
from cspd.digital_ids.values import Delivery
from cspd.refusals import NotFound
from cspd.x509.names import parse_name
from tests.support.running import result_of
from tests.unit.digital_ids.office import ANN, Office


@pytest.mark.requirement("R-CEG-090")
@pytest.mark.requirement("R-CEGI-074")
def test_two_orders_with_the_same_variables_are_for_one_user() -> None:
    office = Office()
    first, second = office.order(), office.order()
    other = office.order(variables={**ANN, "lastname": "Li"})
    assert first.challenge.user_id == second.challenge.user_id != other.challenge.user_id
    assert office.users == [
        "CN=Ann Lee,OU=Devices,O=My Company,C=US",
        "CN=Ann Li,OU=Devices,O=My Company,C=US",
    ]


@pytest.mark.requirement("R-CEG-090")
def test_a_certificate_finds_the_user_of_an_earlier_order() -> None:
    office = Office()
    ordered = office.order()
    subject = office.digital_ids.get("My Phones").subject(ANN)
    issued = office.enroll(office.digital_ids.users.recorded("demo", "My Phones", subject, Delivery.PKCS12))
    user = result_of(office.digital_ids.users.find("demo", subject))
    assert user.id == ordered.challenge.user_id
    [held] = result_of(office.digital_ids.users.certificates(user))
    assert (held.serial, held.delivery, held.state) == (issued.serial, Delivery.PKCS12, CertificateState.GOOD)
    assert held.certificate_der == issued.certificate_der


def test_users_of_another_tenant_are_others() -> None:
    office = Office()
    assert office.order().challenge.user_id != office.order(tenant="other").challenge.user_id
    subject = office.digital_ids.get("My Phones").subject(ANN)
    users = office.digital_ids.users
    issued = office.enroll(users.recorded("demo", "My Phones", subject, Delivery.CSR))
    user = result_of(users.find("demo", subject))
    [held] = result_of(users.certificates(user))
    assert result_of(users.certificate("demo", held.authority_id, issued.serial)) == held
    with pytest.raises(NotFound):
        result_of(users.certificate("other", held.authority_id, issued.serial))
    with pytest.raises(NotFound):
        result_of(users.by_id("other", user.id))


def test_a_certificate_that_is_not_stored_leaves_no_user() -> None:
    office = Office()
    subject = office.digital_ids.get("My Phones").subject(ANN)
    record = office.digital_ids.users.recorded("demo", "My Phones", subject, Delivery.CSR)

    def fails(connection: object, authority_id: str, serial: int) -> None:
        record(connection, authority_id, serial)  # type: ignore[arg-type]  # a Connection
        raise RuntimeError

    with pytest.raises(RuntimeError):
        office.enroll(fails)
    assert office.users == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("cn=Ann Lee,o=X", "CN=ann  LEE, O=x", True),
        ("cn=Stra\u00dfe", "cn=STRASSE", True),
        ("cn=a+ou=b", "ou=b+cn=a", True),
        ("cn=Ann Lee", "cn=AnnLee", False),
        ("cn=a,ou=b", "ou=b,cn=a", False),
        ("cn=a,ou=b", "cn=a+ou=b", False),
        ("cn=a\\,ou\\=b", "cn=a,ou=b", False),
    ],
)
def test_how_names_are_compared(one: str, other: str, same: bool) -> None:
    assert (name_key(parse_name(one)) == name_key(parse_name(other))) is same
