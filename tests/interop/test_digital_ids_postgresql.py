"""Two nodes on one PostgreSQL: one challenge gives one certificate, one name is one user, also at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, select

from cspd.authority.values import EnrollmentRequest, Issued
from cspd.digital_ids.assembly import build_digital_ids
from cspd.digital_ids.service import DigitalIDs
from cspd.digital_ids.tables import digital_id_certificates, digital_id_users
from cspd.digital_ids.values import Delivery
from cspd.refusals import Conflict
from tests.interop.test_authority_postgresql import Nodes
from tests.support.authorities import Installation
from tests.support.postgresql import postgresql, postgresql_server
from tests.unit.digital_ids.office import ANN, DUAL, PRODUCT, PROFILES, section

pytestmark = pytest.mark.interop
__all__ = ["postgresql", "postgresql_server"]  # fixtures


@pytest.fixture
def nodes(postgresql: str) -> Iterator[Nodes]:
    nodes = Nodes(postgresql)
    nodes.first.make_hierarchy(profiles=PROFILES)
    yield nodes
    nodes.stop()


def digital_ids_of(node: Installation, seed: int) -> DigitalIDs:
    return build_digital_ids(
        section(),
        clock=node.clock,
        random=Random(seed),
        database=node.database,
        audit=node.audit,
        profiles=node.profiles,
    )


def order(digital_ids: DigitalIDs) -> Any:
    phones = digital_ids.get("My Phones")
    return digital_ids.challenges.create(
        tenant="demo", digital_id=phones.name, subject=phones.subject(ANN), subject_alt_names=(), by=PRODUCT
    )


def enroll(node: Installation, digital_ids: DigitalIDs, recorded: Any) -> Any:
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    request = EnrollmentRequest(
        ca=digital_ids.get("My Phones").ca,
        profile=DUAL,
        requester=PRODUCT,
        public_key_der=public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        subject=digital_ids.get("My Phones").subject(ANN),
        subject_alt_names=(),
    )
    return node.issuance.enroll(request, recorded=recorded)


def count(nodes: Nodes, table: Any) -> int:
    query = select(func.count()).select_from(table)
    return int(nodes.calls.result_of(nodes.first.database.read(lambda connection: connection.execute(query).scalar())))


@pytest.mark.requirement("R-CEG-095")
@pytest.mark.requirement("R-CEGI-012")
def test_of_two_devices_at_two_nodes_one_gets_the_certificate_of_a_challenge(nodes: Nodes) -> None:
    first, second = digital_ids_of(nodes.first, 1), digital_ids_of(nodes.second, 2)
    new = nodes.calls.result_of(order(first))
    found = nodes.calls.result_of(second.challenges.find("demo", "My Phones", new.secret))
    assert found == new.challenge
    outcomes = nodes.at_once(
        enroll(nodes.first, first, first.challenges.use(found)),
        enroll(nodes.second, second, second.challenges.use(found)),
    )
    assert {type(each) for each in outcomes} == {Issued, Conflict}
    assert count(nodes, digital_id_certificates) == 1


@pytest.mark.requirement("R-CEG-090")
@pytest.mark.requirement("R-CEGI-012")
def test_orders_at_two_nodes_at_once_are_for_one_user(nodes: Nodes) -> None:
    first, second = digital_ids_of(nodes.first, 1), digital_ids_of(nodes.second, 2)
    subject = first.get("My Phones").subject(ANN)
    made = nodes.at_once(
        *(order(each) for each in (first, second) * 4),
        enroll(nodes.first, first, first.users.recorded("demo", "My Phones", subject, Delivery.PKCS12)),
        enroll(nodes.second, second, second.users.recorded("demo", "My Phones", subject, Delivery.CSR)),
    )
    assert [each for each in made if isinstance(each, Exception)] == []
    assert count(nodes, digital_id_users) == 1
    user = nodes.calls.result_of(second.users.find("demo", subject))
    assert {each.challenge.user_id for each in made[:8]} == {user.id}
    held = nodes.calls.result_of(first.users.certificates(user))
    assert {each.delivery for each in held} == {Delivery.PKCS12, Delivery.CSR}
