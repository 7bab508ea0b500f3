"""Two nodes on one PostgreSQL: requests that wait, and secrets that are used up, when both act at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.authentication.secrets import EnrollmentSecret, EnrollmentSecrets
from cspd.authority.approvals import Approvals, ApprovalTerms, RequestState
from cspd.authority.certificates import Certificates
from cspd.authority.values import EnrollmentRequest, Issued, Pending, Requester
from cspd.keys.encryption import MasterKey
from cspd.refusals import Conflict
from tests.interop.test_authority_postgresql import Nodes
from tests.support.authorities import ALICE, ISSUING, Installation
from tests.support.issuing import make_csr
from tests.support.postgresql import postgresql, postgresql_server

pytestmark = pytest.mark.interop
__all__ = ["postgresql", "postgresql_server"]  # fixtures

TERMS = ApprovalTerms(retry_after=timedelta(minutes=1), lifetime=timedelta(days=7))
CLIENT = Requester(protocol="est", identity="device 7", address="192.0.2.7", request_id="r-1")
AT_ONCE = 4


class Node:
    """Approvals and secrets of one node."""

    def __init__(self, house: Installation, seed: int) -> None:
        self.secrets = EnrollmentSecrets(
            clock=house.clock,
            random=Random(seed),
            database=house.database,
            audit=house.audit,
            master_key=MasterKey(b"m" * 32, Random(seed).randbytes),
        )
        self.certificates = Certificates(house.database)
        self.issuance = house.issuance
        self.approvals = Approvals(
            clock=house.clock,
            random=Random(seed),
            database=house.database,
            authorities=house.registry,
            certificates=self.certificates,
            issuance=house.issuance,
            audit=house.audit,
        )


class Offices:
    """Both nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes, self.run = nodes, nodes.calls.result_of
        nodes.first.make_hierarchy(profiles=("tls-client",))
        self.both = [Node(nodes.first, 1), Node(nodes.second, 2)]

    def secret(self) -> EnrollmentSecret:
        made = self.both[0].secrets.create(purpose="est", identity="device 7", lifetime=timedelta(days=1), by=ALICE)
        return self.run(made).terms  # type: ignore[no-any-return]

    @property
    def serials(self) -> list[int]:
        """Of what EST issued; the hierarchy has a responder's certificate beside it."""
        records = self.run(self.both[0].certificates.list()).records
        return [each.serial for each in records if each.protocol == "est"]

    @property
    def waiting(self) -> list[str]:
        return [each.id for each in self.run(self.both[0].approvals.list())]


@pytest.fixture
def offices(postgresql: str) -> Iterator[Offices]:
    nodes = Nodes(postgresql)
    yield Offices(nodes)
    nodes.stop()


def request_for(name: str) -> EnrollmentRequest:
    csr_der = make_csr(ec.generate_private_key(ec.SECP256R1()), names=[x509.DNSName(name)])
    return EnrollmentRequest(ca=ISSUING, profile="tls-client", requester=CLIENT, csr_der=csr_der)


def test_a_request_waits_at_one_node_and_is_approved_at_the_other(offices: Offices) -> None:
    here, there = offices.both
    order = request_for("a.example")
    waits = offices.run(here.approvals.enroll(order, TERMS))
    assert offices.run(there.approvals.enroll(order, TERMS)) == waits
    issued = offices.run(there.approvals.approve(waits.request_id, ALICE))
    assert offices.run(here.approvals.enroll(order, TERMS)) == issued
    assert offices.run(here.approvals.outcome(waits.request_id, TERMS)) == issued
    assert offices.serials == [issued.serial]


def test_an_impatient_client_of_both_nodes_waits_once(offices: Offices) -> None:
    order = request_for("a.example")
    answers = offices.nodes.at_once(
        *(node.approvals.enroll(order, TERMS) for node in offices.both for _ in range(AT_ONCE))
    )
    assert {type(each) for each in answers} == {Pending}
    assert [{each.request_id for each in answers}] == [set(offices.waiting)]


def test_of_several_administrators_one_decides(offices: Offices) -> None:
    waits = offices.run(offices.both[0].approvals.enroll(request_for("a.example"), TERMS))
    decisions = [node.approvals.approve(waits.request_id, ALICE) for node in offices.both for _ in range(AT_ONCE)]
    answers = offices.nodes.at_once(*decisions, offices.both[1].approvals.deny(waits.request_id, ALICE, "no"))
    refused = [each for each in answers if isinstance(each, Conflict)]
    assert len(refused) == len(answers) - 1
    assert offices.serials == [each.serial for each in answers if isinstance(each, Issued)]


def test_an_approved_request_is_issued_once_whoever_asks(offices: Offices) -> None:
    """As after a node died between the approval and the certificate."""
    here, there = offices.both
    order = request_for("a.example")
    waits = offices.run(here.approvals.enroll(order, TERMS))
    kept = offices.run(here.approvals.find(waits.request_id))
    offices.run(here.approvals._decide(kept.id, RequestState.APPROVED, ALICE, None))
    answers = offices.nodes.at_once(
        *(node.approvals.enroll(order, TERMS) for node in (here, there) for _ in range(AT_ONCE))
    )
    assert {each.serial for each in answers} == set(offices.serials)
    assert len(offices.serials) == 1


def test_a_one_time_secret_keeps_one_request(offices: Offices) -> None:
    secret = offices.secret()
    answers = offices.nodes.at_once(
        *(
            node.approvals.enroll(
                request_for(f"{number}.example"), TERMS, kept_with=node.secrets.use_for_request(secret)
            )
            for node in offices.both
            for number in range(AT_ONCE)
        )
    )
    [waits] = [each for each in answers if isinstance(each, Pending)]
    assert all(isinstance(each, Conflict) for each in answers if each is not waits)
    assert offices.waiting == [waits.request_id]


def test_a_one_time_secret_gives_one_certificate(offices: Offices) -> None:
    secret = offices.secret()
    answers = offices.nodes.at_once(
        *(
            node.issuance.enroll(request_for(f"{number}.example"), recorded=node.secrets.use(secret))
            for node in offices.both
            for number in range(AT_ONCE)
        )
    )
    [issued] = [each for each in answers if isinstance(each, Issued)]
    assert all(isinstance(each, Conflict) for each in answers if each is not issued)
    assert offices.serials == [issued.serial]
