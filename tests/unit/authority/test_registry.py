"""The CAs in memory, on one node and on two."""

from __future__ import annotations

import pytest

from cspd.authority.values import AuthorityState, CAReference
from cspd.refusals import NotFound
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation
from tests.support.running import result_of


def test_a_ca_is_found_by_name_and_by_id() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert result_of(here.registry.get(ISSUING)) is result_of(here.registry.by_id(issuing.id))
    assert issuing.chain_der == (root.certificate_der,)
    assert issuing.issuer_id == root.id


@pytest.mark.parametrize("reference", [CAReference("demo", "other"), CAReference("other", "root")])
def test_an_unknown_ca_is_not_found(reference: CAReference) -> None:
    here = Installation()
    here.make_hierarchy()
    with pytest.raises(NotFound):
        result_of(here.registry.get(reference))
    with pytest.raises(NotFound):
        result_of(here.registry.by_id("0" * 32))


@pytest.mark.requirement("R-CA-044")
@pytest.mark.requirement("R-CA-016")
def test_the_list_is_of_one_organization_with_ids_and_kinds() -> None:
    here = Installation()
    here.make_hierarchy()
    here.make_organization("other")
    here.make_root(CAReference("other", "root"))
    listed = result_of(here.registry.list("demo"))
    assert [(each.reference.ca_id, each.kind.value) for each in listed] == [("issuing", "issuing"), ("root", "root")]
    assert len(result_of(here.registry.list())) == 3


@pytest.mark.requirement("R-CA-016")
def test_the_same_id_in_two_organizations_names_two_cas() -> None:
    here = Installation()
    here.make_organization("one")
    here.make_organization("two")
    assert here.make_root(CAReference("one", "root")).id != here.make_root(CAReference("two", "root")).id


def test_another_node_sees_a_change_within_a_second() -> None:
    here = Installation()
    here.make_hierarchy()
    there = Installation(shares=here)
    there.registry.start()
    assert there.get(ISSUING).state is AuthorityState.ACTIVE
    result_of(here.management.disable(ISSUING, ALICE))
    assert there.get(ISSUING).state is AuthorityState.ACTIVE
    there.reactor.advance(1)
    assert there.get(ISSUING).state is AuthorityState.DISABLED


def test_another_node_sees_a_new_and_a_deleted_ca() -> None:
    here = Installation()
    here.make_organization()
    there = Installation(shares=here)
    there.registry.start()
    assert result_of(there.registry.list()) == ()
    here.make_root()
    there.reactor.advance(1)
    there.get(ROOT)
    result_of(here.management.delete(ROOT, ALICE))
    there.reactor.advance(1)
    with pytest.raises(NotFound):
        there.get(ROOT)


def test_certificates_are_parsed_once() -> None:
    here = Installation()
    here.make_hierarchy()
    before = here.get(ISSUING).certificate
    result_of(here.registry.refresh())
    assert here.get(ISSUING).certificate is before
