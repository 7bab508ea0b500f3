"""Requests that wait for an administrator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, select

from cspd.authority.approvals import Approvals, ApprovalTerms, RequestState, expiry_job
from cspd.authority.certificates import Certificates
from cspd.authority.interfaces import Recorded
from cspd.authority.request_encoding import decode_request, digest_of, encode_request
from cspd.authority.values import (
    CAReference,
    EnrollmentRequest,
    Issued,
    Pending,
    RequestedExtension,
    Requester,
)
from cspd.refusals import BadPublicKey, Conflict, Forbidden, NotFound, Unavailable
from cspd.store.tables import enrollment_requests
from tests.support.issuing import REQUESTER, House, common_name, make_csr
from tests.support.running import result_of

TERMS = ApprovalTerms(retry_after=timedelta(minutes=5), lifetime=timedelta(days=7))
ADMINISTRATOR = Requester(protocol="cspctl", identity="root", request_id="r-9")


def node(house: House, seed: int = 3) -> Approvals:
    """One node's approvals on the store of the house."""
    return Approvals(
        clock=house.clock,
        random=Random(seed),
        database=house.database,
        authorities=house.authorities,
        certificates=Certificates(house.database),
        issuance=house.pipeline,
        audit=house.audit,
    )


@pytest.fixture
def house() -> Iterator[House]:
    return House()


def ask(approvals: Approvals, request: EnrollmentRequest) -> Issued | Pending:
    return result_of(approvals.enroll(request, TERMS))


def wait(approvals: Approvals, request: EnrollmentRequest) -> str:
    """Ask for a certificate and be told to wait; gives the id."""
    answer = ask(approvals, request)
    assert isinstance(answer, Pending)
    return answer.request_id


def test_a_request_waits_until_it_is_approved(house: House) -> None:
    approvals, request = node(house), house.request()
    id = wait(approvals, request)
    assert wait(approvals, request) == id, "the same request finds itself"
    issued = result_of(approvals.approve(id, ADMINISTRATOR))
    assert ask(approvals, request) == issued
    assert result_of(approvals.outcome(id, TERMS)) == issued
    assert x509.load_der_x509_certificate(issued.certificate_der).subject == common_name("a.example")
    assert issued.chain_der[0] == house.issuing.certificate_der


def test_another_address_is_the_same_client(house: House) -> None:
    approvals, request = node(house), house.request()
    id = wait(approvals, request)
    elsewhere = replace(request, requester=replace(REQUESTER, address="192.0.2.200", request_id="r-2"))
    assert wait(approvals, elsewhere) == id


def test_another_client_does_not_get_the_certificate(house: House) -> None:
    approvals, request = node(house), house.request()
    result_of(approvals.approve(wait(approvals, request), ADMINISTRATOR))
    stranger = replace(request, requester=replace(REQUESTER, identity="a stranger"))
    assert isinstance(ask(approvals, stranger), Pending)


def test_a_denied_request_hears_the_reason_until_it_expires(house: House) -> None:
    approvals, request = node(house), house.request()
    id = wait(approvals, request)
    result_of(approvals.deny(id, ADMINISTRATOR, "who are you?"))
    for _ in range(2):
        with pytest.raises(Forbidden, match=r"who are you\?"):
            ask(approvals, request)
    house.clock.advance(TERMS.lifetime)
    assert wait(approvals, request) != id


def test_a_decision_is_final(house: House) -> None:
    approvals = node(house)
    id = wait(approvals, house.request())
    result_of(approvals.deny(id, ADMINISTRATOR, "no"))
    with pytest.raises(Conflict, match="decided before"):
        result_of(approvals.approve(id, ADMINISTRATOR))
    with pytest.raises(Conflict, match="decided before"):
        result_of(approvals.deny(id, ADMINISTRATOR, "no"))


def test_what_the_pipeline_refuses_does_not_wait(house: House) -> None:
    approvals = node(house)
    csr_der = make_csr(ec.generate_private_key(ec.SECP192R1()))
    with pytest.raises(BadPublicKey):
        ask(approvals, house.request(csr_der=csr_der))
    assert result_of(approvals.list()) == []
    assert [event.event for event in house.audit.events] == ["certificate-refused"]


class Flaky:
    """Issuance that fails as often as it is told to, and then works."""

    def __init__(self, house: House, *failures: Exception) -> None:
        self._house, self._failures = house, list(failures)

    async def check(self, request: EnrollmentRequest) -> None:
        """Nothing is wrong with it."""

    async def enroll(self, request: EnrollmentRequest, *, recorded: Recorded | None = None) -> Issued:
        """Fail or issue."""
        if self._failures:
            raise self._failures.pop(0)
        return await self._house.pipeline.enroll(request, recorded=recorded)


def flaky_node(house: House, *failures: Exception) -> Approvals:
    approvals = node(house)
    approvals._issuance = Flaky(house, *failures)
    return approvals


def test_an_approval_without_a_certificate_is_made_good_at_the_next_question(house: House) -> None:
    approvals = flaky_node(house, Unavailable("the token is away"))
    request = house.request()
    id = wait(approvals, request)
    with pytest.raises(Unavailable, match="the token is away"):
        result_of(approvals.approve(id, ADMINISTRATOR))
    assert result_of(approvals.find(id)).state is RequestState.APPROVED
    issued = ask(approvals, request)
    assert isinstance(issued, Issued)
    assert result_of(approvals.find(id)).serial == issued.serial


def test_a_refusal_after_the_approval_ends_the_request(house: House) -> None:
    approvals = flaky_node(house, Conflict("CA demo~issuing is disabled", code="ca-not-active"))
    request = house.request()
    id = wait(approvals, request)
    with pytest.raises(Conflict):
        result_of(approvals.approve(id, ADMINISTRATOR))
    with pytest.raises(Forbidden, match="CA demo~issuing is disabled"):
        ask(approvals, request)
    assert "enrollment-request-refused" in {event.event for event in house.audit.events}


def test_two_nodes_do_not_issue_twice(house: House) -> None:
    """The second one finds the row moved on: its certificate is not stored, and it gives out the first one's."""
    first, second = flaky_node(house, Unavailable("later")), node(house, seed=4)
    request = house.request()
    id = wait(first, request)
    with pytest.raises(Unavailable):
        result_of(first.approve(id, ADMINISTRATOR))
    approved = result_of(first.find(id))
    issued = ask(first, request)
    assert result_of(second._issue(approved)) == issued
    page = result_of(Certificates(house.database).list())
    assert [record.serial for record in page.records] == [issued.serial] if isinstance(issued, Issued) else False


def test_what_belongs_to_a_request_is_kept_with_it_once(house: House) -> None:
    approvals, request = node(house), house.request()
    seen: list[str] = []

    def kept_with(connection: Connection, id: str) -> None:
        assert connection.execute(select(enrollment_requests.c.id)).scalars().all() == [id]
        seen.append(id)

    for _ in range(2):
        answer = result_of(approvals.enroll(request, TERMS, kept_with=kept_with))
        assert isinstance(answer, Pending)
    assert seen == [answer.request_id]


def test_a_request_is_not_kept_without_what_belongs_to_it(house: House) -> None:
    approvals = node(house)

    def kept_with(connection: Connection, id: str) -> None:
        raise Conflict("no", code="secret-used")

    for _ in range(2):
        with pytest.raises(Conflict, match="no"):
            result_of(approvals.enroll(house.request(), TERMS, kept_with=kept_with))
    assert result_of(approvals.list()) == []
    assert house.audit.events == []


def test_an_unknown_request_is_not_found(house: House) -> None:
    with pytest.raises(NotFound, match="there is no request 'abc'"):
        result_of(node(house).outcome("abc", TERMS))


def test_the_list_is_full_some_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cspd.authority.approvals.MAX_WAITING", 1)
    approvals = node(house)
    id = wait(approvals, house.request())
    other = house.request(csr_der=make_csr(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(Conflict, match="1 requests wait"):
        ask(approvals, other)
    result_of(approvals.deny(id, ADMINISTRATOR, "no"))
    wait(approvals, other)


def test_expired_requests_are_deleted(house: House) -> None:
    approvals = node(house)
    id = wait(approvals, house.request())
    house.clock.advance(TERMS.lifetime)
    with pytest.raises(NotFound):
        result_of(approvals.find(id))
    result_of(_run(expiry_job(house.clock, house.database)))
    house.clock.advance(-TERMS.lifetime)
    with pytest.raises(NotFound):
        result_of(approvals.find(id))


async def _run(job: Any) -> None:
    await job.run()


def test_each_step_is_audited(house: House) -> None:
    approvals = node(house)
    result_of(approvals.approve(wait(approvals, house.request()), ADMINISTRATOR))
    assert [(event.event, event.actor) for event in house.audit.events] == [
        ("enrollment-request-received", "test:somebody"),
        ("enrollment-request-approved", "cspctl:root"),
        ("certificate-issued", "test:somebody"),
    ]


def test_a_request_survives_its_encoding() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    whole = EnrollmentRequest(
        ca=CAReference("demo", "issuing"),
        profile="device",
        requester=REQUESTER,
        public_key_der=key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        subject=common_name("Gerät"),
        subject_alt_names=(x509.DNSName("a.example"),),
        extensions=(RequestedExtension(oid="2.5.29.37", critical=True, value_der=b"\x30\x00"),),
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2027, 1, 1, tzinfo=UTC),
    )
    bare = EnrollmentRequest(ca=whole.ca, profile="device", requester=REQUESTER, csr_der=b"\x30\x00")
    no_names = replace(whole, subject_alt_names=(), subject=x509.Name([]), extensions=())
    for request in (whole, bare, no_names):
        assert decode_request(encode_request(request)) == request
    assert len({digest_of(request) for request in (whole, bare, no_names)}) == 3
