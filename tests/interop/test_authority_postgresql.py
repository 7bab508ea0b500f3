"""Two nodes on one PostgreSQL: CAs, revocation, status and CRLs when both act at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, create_engine
from twisted.internet.defer import Deferred, DeferredList

from cspd.authority.values import (
    Authority,
    AuthorityState,
    CertificateState,
    EnrollmentRequest,
    PublishedCRL,
    RevocationReason,
    RevocationRequest,
)
from cspd.refusals import AlreadyRevoked, Conflict
from cspd.store import schema
from cspd.store.database import open_database
from cspd.store.tables import certificates, status_changes
from tests.support.authorities import ALICE, ISSUING, Installation, new_root
from tests.support.issuing import make_csr
from tests.support.postgresql import postgresql, postgresql_server
from tests.support.threads import CallQueue

pytestmark = pytest.mark.interop
__all__ = ["postgresql", "postgresql_server"]  # fixtures


class Nodes:
    """Two nodes, and what runs their coroutines."""

    def __init__(self, url: str) -> None:
        schema.upgrade(url)
        self.calls = CallQueue()
        self.url = url
        self.databases = [open_database(url, reactor=self.calls) for _ in range(2)]
        for database in self.databases:
            database.start()
        self.first = Installation(database=self.databases[0], run=self.calls.result_of)
        self.second = Installation(shares=self.first, database=self.databases[1], run=self.calls.result_of)

    def stop(self) -> None:
        for database in self.databases:
            self.calls.result_of(database.stop())

    def at_once(self, *works: Any) -> list[Any]:
        """Results and failures' exceptions of coroutines that run at the same time."""
        begun = DeferredList([Deferred.fromCoroutine(work) for work in works], consumeErrors=True)
        return [result if success else result.value for success, result in self.calls.result_of(begun)]

    def poll(self, node: Installation) -> None:
        """One turn of the node's status polling, to its end."""
        self.calls.result_of(node.status._poll())


@pytest.fixture
def nodes(postgresql: str) -> Iterator[Nodes]:
    nodes = Nodes(postgresql)
    yield nodes
    nodes.stop()


def serials(crl: PublishedCRL) -> set[int]:
    return {each.serial_number for each in x509.load_der_x509_crl(crl.crl_der)}


def request(serial: int, reason: RevocationReason = RevocationReason.SUPERSEDED) -> RevocationRequest:
    return RevocationRequest(ca=ISSUING, serial=serial, reason=reason, requester=ALICE)


def revoke_by_a_dying_node(connection: Connection, authority: Authority, serial: int, now: datetime) -> None:
    """What a revocation writes; nobody will publish it."""
    connection.execute(
        certificates.update()
        .where(certificates.c.serial == serial)
        .values(state="revoked", revoked_at=now, revocation_reason="superseded")
    )
    connection.execute(
        status_changes.insert().values(authority_id=authority.id, serial=serial, state="revoked", changed_at=now)
    )


def test_the_whole_life_of_a_ca(nodes: Nodes) -> None:
    here, there, run = nodes.first, nodes.second, nodes.calls.result_of
    _, issuing = here.make_hierarchy(crl_days=7, delta_crl_hours=6)
    nodes.poll(there)
    for serial in (5, 6):
        here.issue(issuing, serial)
    status = run(there.status.status(issuing.id, 5))
    assert status is not None
    assert status.state is CertificateState.GOOD
    here.revoke(issuing, 5)
    here.revoke(issuing, 6, RevocationReason.CERTIFICATE_HOLD)
    nodes.poll(there)
    cached = there.status.cached(issuing.id, 5)
    assert cached is not None
    assert cached.state is CertificateState.REVOKED
    full = x509.load_der_x509_crl(run(there.publication.current(there.get(ISSUING))).crl_der)
    assert {each.serial_number for each in full} == {5, 6}
    run(here.revocation.unhold(ISSUING, 6, ALICE))
    delta = run(there.publication.current(there.get(ISSUING), is_delta=True))
    assert {each.serial_number for each in x509.load_der_x509_crl(delta.crl_der)} == {5, 6}
    run(here.renewal.rekey(ISSUING, ALICE))
    run(there.registry._poll())
    assert there.get(ISSUING).key_index == 1
    run(there.management.delete(ISSUING, ALICE))


def test_of_two_nodes_that_make_the_same_ca_one_does(nodes: Nodes) -> None:
    nodes.first.make_organization()
    results = nodes.at_once(
        *(node.creation.create_root(new_root(), ALICE) for node in (nodes.first, nodes.second) for _ in range(4))
    )
    assert sum(isinstance(result, Conflict) for result in results) == 7
    assert len(nodes.first.keys.private_keys) == 1


def test_of_two_nodes_that_revoke_the_same_certificate_one_does(nodes: Nodes) -> None:
    _, issuing = nodes.first.make_hierarchy()
    nodes.first.issue(issuing, 5)
    results = nodes.at_once(
        *(node.revocation.revoke(request(5)) for node in (nodes.first, nodes.second) for _ in range(8))
    )
    assert sum(isinstance(result, AlreadyRevoked) for result in results) == 15
    assert len(nodes.first.audited("certificate-revoked")) == 1


def test_a_ca_that_another_node_disabled_issues_nothing_here(nodes: Nodes) -> None:
    here, there, run = nodes.first, nodes.second, nodes.calls.result_of
    here.make_hierarchy()
    assert there.get(ISSUING).state is AuthorityState.ACTIVE  # and remains so in this node's memory until it polls
    key = ec.generate_private_key(ec.SECP256R1())
    order = EnrollmentRequest(
        ca=ISSUING,
        profile="tls-server",
        requester=ALICE,
        csr_der=make_csr(key, names=[x509.DNSName("a.example")]),
    )
    assert run(there.issuance.enroll(order))
    run(here.management.disable(ISSUING, ALICE))
    with pytest.raises(Conflict):
        run(there.issuance.enroll(order))


def test_crl_numbers_of_two_nodes_never_repeat(nodes: Nodes) -> None:
    _, issuing = nodes.first.make_hierarchy(crl_days=7)
    theirs = nodes.second.get(ISSUING)
    for _ in range(10):
        nodes.at_once(nodes.first.publication.publish(issuing), nodes.second.publication.publish(theirs))
    numbers = [each["number"] for each in nodes.first.audited("crl-published")]
    assert sorted(numbers) == list(range(1, 21))


def test_full_and_delta_crls_of_two_nodes_share_their_numbers_in_pairs(nodes: Nodes) -> None:
    here = nodes.first
    _, issuing = here.make_hierarchy(crl_days=7, delta_crl_hours=6)
    theirs = nodes.second.get(ISSUING)
    for serial in range(5, 15):
        here.issue(issuing, serial)
        results = nodes.at_once(
            here.publication.publish(issuing),
            nodes.second.publication.publish(theirs),
            here.revocation.revoke(request(serial)),
        )
        for full, delta in results[:2]:
            assert (full.number, full.this_update) == (delta.number, delta.this_update)
            assert full.status_sequence == delta.status_sequence
            assert serials(full) == serials(delta)  # all changes are younger than the delta's base
    published = [(each["number"], each["delta"]) for each in here.audited("crl-published")]
    assert sorted(published) == [(number, is_delta) for number in range(1, 21) for is_delta in (False, True)]


def test_a_change_committed_after_a_later_one_is_not_missed(nodes: Nodes) -> None:
    """The sequence number is given at the insert and seen at the commit."""
    here, there, run = nodes.first, nodes.second, nodes.calls.result_of
    _, issuing = here.make_hierarchy()
    for serial in (5, 6):
        here.issue(issuing, serial)
    nodes.poll(there)
    for serial in (5, 6):
        run(there.status.status(issuing.id, serial))
    engine = create_engine(nodes.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        revoke_by_a_dying_node(connection, issuing, 5, here.clock.now())
        here.revoke(issuing, 6)
        nodes.poll(there)
        states = [there.status.cached(issuing.id, serial) for serial in (5, 6)]
        assert [state.state.value for state in states if state] == ["good", "revoked"]
    nodes.poll(there)
    late = there.status.cached(issuing.id, 5)
    assert late is not None
    assert late.state is CertificateState.REVOKED
    engine.dispose()


def test_the_job_publishes_a_change_that_was_committed_while_a_crl_without_it_was_signed(nodes: Nodes) -> None:
    here, there, run = nodes.first, nodes.second, nodes.calls.result_of
    _, issuing = here.make_hierarchy(crl_days=7)
    for serial in (5, 6):
        here.issue(issuing, serial)
    engine = create_engine(nodes.url.replace("postgresql:", "postgresql+psycopg:"))
    keys = there.keys

    class CommittingKeys:
        async def sign(self, reference: Any, work: Any) -> Any:
            there.crl_issuer._keys = keys
            transaction.commit()
            return await keys.sign(reference, work)

    there.crl_issuer._keys = CommittingKeys()  # type: ignore[assignment]
    with engine.connect() as connection:
        transaction = connection.begin()
        revoke_by_a_dying_node(connection, issuing, 5, here.clock.now())
        here.revoke(issuing, 6)
        run(there.publication.publish_due())
    assert serials(run(there.publication.current(issuing))) == {6}
    run(here.publication.publish_due())
    run(there.publication._poll())
    crl = run(there.publication.current(issuing))
    assert (crl.number, serials(crl)) == (2, {5, 6})
    run(here.publication.publish_due())
    run(there.publication._poll())
    assert run(there.publication.current(issuing)).number == 2
    engine.dispose()
