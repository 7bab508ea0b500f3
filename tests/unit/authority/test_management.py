"""Editing, disabling, revoking and deleting CAs; every forbidden move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from cspd.authority.lifecycle import Move, check_move
from cspd.authority.new_authorities import NewExternalRoot
from cspd.authority.values import AuthorityState, CAReference, CertificateState, RevocationReason
from cspd.refusals import AlreadyRevoked, BadRevocationReason, Conflict, Forbidden, NotFound, Rejected
from cspd.store.tables import authorities
from tests.support.authorities import ALICE, BOB, ISSUING, ROOT, Installation
from tests.support.running import result_of
from tests.unit.authority.test_external import ForeignRoot, pending

ALLOWED_MOVES = {
    (AuthorityState.PENDING_CERTIFICATE, Move.CERTIFY),
    (AuthorityState.PENDING_CERTIFICATE, Move.DELETE),
    (AuthorityState.ACTIVE, Move.CERTIFY),
    (AuthorityState.ACTIVE, Move.DISABLE),
    (AuthorityState.ACTIVE, Move.RENEW),
    (AuthorityState.ACTIVE, Move.DELETE),
    (AuthorityState.DISABLED, Move.ENABLE),
    (AuthorityState.DISABLED, Move.DELETE),
}


@pytest.mark.parametrize("state", AuthorityState)
@pytest.mark.parametrize("move", Move)
def test_only_the_moves_of_the_table_are_allowed(state: AuthorityState, move: Move) -> None:
    if (state, move) in ALLOWED_MOVES:
        check_move(state, move)
    else:
        with pytest.raises(Conflict):
            check_move(state, move)


def test_a_waiting_ca_is_neither_disabled_enabled_renewed_nor_rekeyed() -> None:
    here, _, _ = pending()
    for move in (here.management.disable, here.management.enable, here.renewal.renew, here.renewal.rekey):
        with pytest.raises(Conflict):
            result_of(move(ISSUING, ALICE))
    assert here.get(ISSUING).state is AuthorityState.PENDING_CERTIFICATE


def test_a_disabled_ca_is_neither_disabled_renewed_nor_rekeyed() -> None:
    here = Installation()
    here.make_hierarchy()
    result_of(here.management.disable(ISSUING, ALICE))
    for move in (here.management.disable, here.renewal.renew, here.renewal.rekey):
        with pytest.raises(Conflict):
            result_of(move(ISSUING, ALICE))


def test_an_active_ca_is_not_enabled() -> None:
    here = Installation()
    here.make_hierarchy()
    with pytest.raises(Conflict):
        result_of(here.management.enable(ISSUING, ALICE))


@pytest.mark.requirement("R-CA-045")
def test_a_ca_is_disabled_and_enabled() -> None:
    here = Installation()
    here.make_hierarchy()
    assert result_of(here.management.disable(ISSUING, ALICE)).state is AuthorityState.DISABLED
    assert result_of(here.management.enable(ISSUING, ALICE)).state is AuthorityState.ACTIVE
    assert here.audited("ca-disabled")
    assert here.audited("ca-enabled")


@pytest.mark.requirement("R-CA-040")
def test_profiles_auditors_and_administrators_are_replaced() -> None:
    here = Installation()
    here.make_hierarchy()
    changed = result_of(
        here.management.edit(ISSUING, ALICE, profiles=["tls-client"], administrators=["bob", "bob"], auditors=["carol"])
    )
    assert changed.profiles == {"tls-client"}
    assert changed.administrators == ("bob",)
    assert changed.auditors == ("carol",)
    assert here.audited("ca-changed")[0]["profiles"] == "tls-client"


def test_what_is_not_given_stays() -> None:
    here = Installation()
    _, before = here.make_hierarchy(auditors=("carol",))
    changed = result_of(here.management.edit(ISSUING, ALICE, profiles=["tls-client"]))
    assert (changed.administrators, changed.auditors) == (before.administrators, before.auditors)


@pytest.mark.requirement("R-CA-040")
@pytest.mark.parametrize(
    "fields", [{"profiles": []}, {"administrators": []}, {"profiles": ["azure-firewall-ca-subord"]}]
)
def test_an_edit_that_breaks_a_rule_is_refused(fields: dict[str, Any]) -> None:
    here = Installation()
    _, before = here.make_hierarchy()
    with pytest.raises(Rejected):
        result_of(here.management.edit(ISSUING, ALICE, **fields))
    assert here.get(ISSUING) == before


@pytest.mark.requirement("R-CA-040")
def test_an_external_root_is_read_only() -> None:
    here = Installation()
    here.make_organization()
    new = NewExternalRoot(reference=ROOT, certificate_pem=ForeignRoot(here).pem)
    result_of(here.external.import_root(new, ALICE))
    attempts: list[Callable[[], Any]] = [
        lambda: here.management.edit(ROOT, ALICE, auditors=["bob"]),
        lambda: here.management.disable(ROOT, ALICE),
        lambda: here.renewal.renew(ROOT, ALICE),
        lambda: here.renewal.rekey(ROOT, ALICE),
    ]
    for attempt in attempts:
        with pytest.raises(Conflict):
            result_of(attempt())


@pytest.mark.requirement("R-CA-042")
@pytest.mark.requirement("R-PLAT-154")
def test_a_root_with_subordinates_is_not_deleted() -> None:
    here = Installation()
    here.make_hierarchy()
    with pytest.raises(Conflict):
        result_of(here.management.delete(ROOT, ALICE))
    result_of(here.management.delete(ISSUING, ALICE))
    result_of(here.management.delete(ROOT, ALICE))
    assert result_of(here.registry.list()) == ()
    assert not here.keys.private_keys
    assert [each["ca"] for each in here.audited("ca-deleted")] == ["demo~issuing", "demo~root"]


@pytest.mark.requirement("R-CA-043")
@pytest.mark.requirement("R-PLAT-154")
def test_deleting_touches_only_that_ca() -> None:
    here = Installation()
    here.make_organization("one")
    here.make_organization("two")
    here.make_root(CAReference("one", "root"))
    other = here.make_root(CAReference("two", "root"))
    here.issue(other, 5)
    result_of(here.management.delete(CAReference("one", "root"), ALICE))
    assert here.get(CAReference("two", "root")) == other
    assert result_of(here.status.status(other.id, 5)) is not None
    assert other.key in here.keys.private_keys


def test_an_orphan_is_deleted() -> None:
    """The guide's predecessor lost roots before their subordinates (ATEAM-17445)."""
    here = Installation()
    root, _ = here.make_hierarchy()

    def orphan(connection: Any) -> None:
        connection.execute(
            update(authorities).where(authorities.c.id == root.id).values(state="deleted", deleted_at=here.clock.now())
        )

    result_of(here.database.write(orphan))
    result_of(here.registry.refresh())
    result_of(here.management.delete(ISSUING, ALICE))
    with pytest.raises(NotFound):
        here.get(ISSUING)


def test_a_deleted_ca_is_not_deleted_again() -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    there = Installation(shares=here)
    there.get(ROOT)
    result_of(here.management.delete(ROOT, ALICE))
    for node in (here, there):
        with pytest.raises(NotFound):
            result_of(node.management.delete(ROOT, ALICE))


def test_a_ca_is_revoked_through_its_root_and_disabled() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert issuing.certificate is not None
    changed = result_of(here.management.revoke(ISSUING, RevocationReason.CA_COMPROMISE, ALICE))
    assert changed.state is AuthorityState.DISABLED
    status = result_of(here.status.status(root.id, issuing.certificate.serial_number))
    assert status is not None
    assert (status.state, status.reason) == (CertificateState.REVOKED, RevocationReason.CA_COMPROMISE)
    with pytest.raises(Conflict):
        result_of(here.management.enable(ISSUING, ALICE))
    with pytest.raises(AlreadyRevoked):
        result_of(here.management.revoke(ISSUING, RevocationReason.CA_COMPROMISE, ALICE))


def test_a_ca_on_hold_is_disabled_until_released_and_enabled() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    assert issuing.certificate is not None
    result_of(here.management.revoke(ISSUING, RevocationReason.CERTIFICATE_HOLD, ALICE))
    with pytest.raises(Conflict):
        result_of(here.management.enable(ISSUING, ALICE))
    result_of(here.revocation.unhold(ROOT, issuing.certificate.serial_number, ALICE))
    assert result_of(here.management.enable(ISSUING, ALICE)).state is AuthorityState.ACTIVE


def test_revocation_takes_all_certificates_of_the_ca() -> None:
    here = Installation()
    root, first = here.make_hierarchy()
    second = result_of(here.renewal.rekey(ISSUING, ALICE))
    result_of(here.management.revoke(ISSUING, RevocationReason.CESSATION_OF_OPERATION, ALICE))
    for each in (first, second):
        assert each.certificate is not None
        status = result_of(here.status.status(root.id, each.certificate.serial_number))
        assert status is not None
        assert status.state is CertificateState.REVOKED


def test_a_root_is_not_revoked_and_a_reason_is_checked() -> None:
    here = Installation()
    here.make_hierarchy()
    with pytest.raises(Conflict):
        result_of(here.management.revoke(ROOT, RevocationReason.CA_COMPROMISE, ALICE))
    with pytest.raises(BadRevocationReason):
        result_of(here.management.revoke(ISSUING, RevocationReason.AA_COMPROMISE, ALICE))


def test_strangers_change_nothing() -> None:
    here = Installation()
    here.make_hierarchy()
    attempts: list[Callable[[], Any]] = [
        lambda: here.management.edit(ISSUING, BOB, auditors=["bob"]),
        lambda: here.management.disable(ISSUING, BOB),
        lambda: here.management.delete(ISSUING, BOB),
        lambda: here.management.revoke(ISSUING, RevocationReason.SUPERSEDED, BOB),
        lambda: here.renewal.renew(ISSUING, BOB),
        lambda: here.renewal.rekey(ISSUING, BOB),
    ]
    before = here.get(ISSUING)
    for attempt in attempts:
        with pytest.raises(Forbidden):
            result_of(attempt())
    result_of(here.registry.refresh())
    assert here.get(ISSUING) == before
    assert len(here.keys.private_keys) == 2
