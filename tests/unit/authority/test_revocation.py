"""Revoking, holding, releasing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from cspd.authority.revocation import RevocationService
from cspd.authority.values import (
    CAReference,
    CertificateState,
    CertificateStatus,
    RevocationReason,
    StatusChange,
)
from cspd.refusals import AlreadyRevoked, BadRevocationReason, Conflict, NotFound
from cspd.store.tables import certificates, status_changes
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation, certificate_for, named
from tests.support.clocks import FrozenClock
from tests.support.running import result_of

USUAL = [
    RevocationReason.UNSPECIFIED,
    RevocationReason.KEY_COMPROMISE,
    RevocationReason.AFFILIATION_CHANGED,
    RevocationReason.SUPERSEDED,
    RevocationReason.CESSATION_OF_OPERATION,
    RevocationReason.PRIVILEGE_WITHDRAWN,
]


@pytest.mark.parametrize("reason", USUAL)
def test_a_certificate_is_revoked_in_one_transaction(reason: RevocationReason) -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    here.revoke(issuing, 5, reason)
    expected = CertificateStatus(state=CertificateState.REVOKED, revoked_at=here.clock.now(), reason=reason)
    assert result_of(here.status.status(issuing.id, 5)) == expected
    assert here.changes == [StatusChange(authority_id=issuing.id, serial=5, status=expected)]
    (row,) = result_of(here.database.read(lambda connection: connection.execute(select(status_changes)).all()))
    assert (row.authority_id, row.serial, row.state, row.reason) == (issuing.id, 5, "revoked", reason.value)
    (event,) = here.audited("certificate-revoked")
    assert (event["ca"], event["serial"], event["reason"]) == ("demo~issuing", "5", reason.value)
    assert event["request_id"] == "r-1"


@pytest.mark.parametrize("reason", [RevocationReason.REMOVE_FROM_CRL, RevocationReason.AA_COMPROMISE])
def test_a_reason_that_is_none_for_certificates_is_refused(reason: RevocationReason) -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    with pytest.raises(BadRevocationReason):
        here.revoke(issuing, 5, reason)
    assert here.changes == []


def test_ca_compromise_is_for_certificates_of_cas() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert issuing.certificate is not None
    here.issue(root, 5, der=_end_entity())
    with pytest.raises(BadRevocationReason):
        here.revoke(root, 5, RevocationReason.CA_COMPROMISE)
    here.revoke(root, issuing.certificate.serial_number, RevocationReason.CA_COMPROMISE)


def _end_entity() -> bytes:
    now = FrozenClock().now()
    key = ec.generate_private_key(ec.SECP256R1())
    pem = certificate_for(key, subject=named("x"), not_before=now, not_after=now + timedelta(days=1), ca=None)
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def test_the_allowed_reasons_are_configured() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    here.revocation._allowed_reasons = frozenset({RevocationReason.KEY_COMPROMISE})
    with pytest.raises(BadRevocationReason):
        here.revoke(issuing, 5, RevocationReason.SUPERSEDED)
    with pytest.raises(ValueError, match="removeFromCRL"):
        RevocationService(
            clock=here.clock,
            database=here.database,
            authorities=here.registry,
            audit=here.audit,
            after_change=here.changes.append,
            allowed_reasons=frozenset({RevocationReason.REMOVE_FROM_CRL}),
        )


def test_a_second_revocation_is_refused_and_changes_nothing() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    here.revoke(issuing, 5, RevocationReason.SUPERSEDED)
    before = result_of(here.status.status(issuing.id, 5))
    here.clock.advance(timedelta(hours=1))
    for reason in (RevocationReason.KEY_COMPROMISE, RevocationReason.CERTIFICATE_HOLD):
        with pytest.raises(AlreadyRevoked):
            here.revoke(issuing, 5, reason)
    assert result_of(here.status.status(issuing.id, 5)) == before
    assert len(here.changes) == 1


@pytest.mark.requirement("R-PLAT-152")
def test_a_certificate_is_held_and_released() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    here.revoke(issuing, 5, RevocationReason.CERTIFICATE_HOLD)
    held = result_of(here.status.status(issuing.id, 5))
    assert held is not None
    assert held.state is CertificateState.HELD
    with pytest.raises(AlreadyRevoked):
        here.revoke(issuing, 5, RevocationReason.CERTIFICATE_HOLD)
    assert result_of(here.revocation.unhold(ISSUING, 5, ALICE)) == CertificateStatus(state=CertificateState.GOOD)
    assert result_of(here.status.status(issuing.id, 5)) == CertificateStatus(state=CertificateState.GOOD)
    assert [each.status.state.value for each in here.changes] == ["held", "good"]
    assert here.audited("certificate-held")
    assert here.audited("certificate-unheld") == [{"ca": "demo~issuing", "serial": "5"}]


def test_a_hold_that_becomes_final_keeps_its_date() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    held_at = here.clock.now()
    here.revoke(issuing, 5, RevocationReason.CERTIFICATE_HOLD)
    here.clock.advance(timedelta(days=1))
    here.revoke(issuing, 5, RevocationReason.KEY_COMPROMISE)
    assert result_of(here.status.status(issuing.id, 5)) == CertificateStatus(
        state=CertificateState.REVOKED, revoked_at=held_at, reason=RevocationReason.KEY_COMPROMISE
    )


def test_only_a_held_certificate_is_released() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    with pytest.raises(Conflict):
        result_of(here.revocation.unhold(ISSUING, 5, ALICE))
    here.revoke(issuing, 5)
    with pytest.raises(Conflict):
        result_of(here.revocation.unhold(ISSUING, 5, ALICE))


@pytest.mark.requirement("R-CA-016")
@pytest.mark.parametrize("serial", [6, 0, -1, 1 << 160, 1 << 400])
def test_a_serial_that_the_ca_did_not_issue_is_not_found(serial: int) -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    here.issue(root, 6)
    with pytest.raises(NotFound):
        here.revoke(issuing, serial)
    with pytest.raises(NotFound):
        result_of(here.revocation.unhold(ISSUING, serial, ALICE))
    assert result_of(here.status.status(issuing.id, serial)) is None


def test_an_unknown_ca_is_not_found() -> None:
    here = Installation()
    with pytest.raises(NotFound):
        result_of(here.revocation.unhold(CAReference("demo", "nobody"), 5, ALICE))


def test_a_record_without_signature_cannot_be_revoked() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    result_of(
        here.database.write(
            lambda connection: connection.execute(
                certificates.update().where(certificates.c.serial == 5).values(state="reserved", certificate_der=None)
            )
        )
    )
    with pytest.raises(NotFound):
        here.revoke(issuing, 5)


def test_the_invalidity_date_is_kept_and_not_in_the_future() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)
    with pytest.raises(BadRevocationReason):
        here.revoke(issuing, 5, invalidity_date=here.clock.now() + timedelta(seconds=1))
    moment = here.clock.now() - timedelta(days=3)
    here.revoke(issuing, 5, RevocationReason.KEY_COMPROMISE, invalidity_date=moment)
    query = select(certificates.c.invalidity_date).where(certificates.c.serial == 5)
    assert result_of(here.database.read(lambda connection: connection.execute(query).scalar_one())) == moment


def test_when_the_audit_fails_nothing_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    here.issue(issuing, 5)

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(here.audit, "append", broken)
    with pytest.raises(OSError, match="disk full"):
        here.revoke(issuing, 5)
    status = result_of(here.status.status(issuing.id, 5))
    assert status is not None
    assert status.state is CertificateState.GOOD
    assert here.changes == []


def test_only_the_ca_whose_current_certificate_it_is_is_disabled() -> None:
    here = Installation()
    root, first = here.make_hierarchy()
    assert first.certificate is not None
    result_of(here.renewal.renew(ISSUING, ALICE))
    here.revoke(root, first.certificate.serial_number, RevocationReason.SUPERSEDED)
    result_of(here.registry.refresh())
    assert here.get(ISSUING).state.value == "active"
    assert here.get(ROOT).state.value == "active"
