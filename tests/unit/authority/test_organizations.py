"""Organizations and who administers them."""

from __future__ import annotations

import pytest

from cspd.authority.organizations import RESERVED_NAMES
from cspd.refusals import BadName, Conflict, Forbidden, NotFound
from tests.support.authorities import ALICE, BOB, ROOT, Installation
from tests.support.running import result_of


@pytest.mark.requirement("R-CA-011")
def test_the_creator_becomes_administrator() -> None:
    here = Installation()
    created = result_of(here.organizations.create("demo", ALICE))
    assert created.administrators == ("alice",)
    assert result_of(here.organizations.get("demo")) == created
    assert here.audited("organization-created") == [{"organization": "demo"}]


@pytest.mark.requirement("R-CA-011")
@pytest.mark.requirement("R-CA-012")
@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 15, "Demo", "de mo", "démo", "de.mo", "de/mo", "demo\n", "~~~", *sorted(RESERVED_NAMES)],
)
def test_a_name_that_breaks_the_rules_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        result_of(Installation().organizations.create(name, ALICE))


@pytest.mark.requirement("R-CA-011")
@pytest.mark.parametrize("name", ["abc", "a" * 14, "a_b-9", "---"])
def test_a_name_within_the_rules_is_taken(name: str) -> None:
    assert result_of(Installation().organizations.create(name, ALICE)).name == name


def test_there_are_eighteen_reserved_names() -> None:
    assert len(RESERVED_NAMES) == 18


@pytest.mark.requirement("R-CA-011")
def test_a_taken_name_is_refused() -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(Conflict):
        result_of(here.organizations.create("demo", BOB))


@pytest.mark.requirement("R-CA-013")
def test_joining_makes_an_administrator_and_is_audited() -> None:
    here = Installation()
    here.make_organization()
    assert result_of(here.organizations.join("demo", BOB)).administrators == ("alice", "bob")
    assert result_of(here.organizations.join("demo", BOB)).administrators == ("alice", "bob")
    assert len(here.audited("organization-joined")) == 1


@pytest.mark.requirement("R-CA-013")
def test_joining_an_unknown_organization_fails() -> None:
    with pytest.raises(NotFound):
        result_of(Installation().organizations.join("demo", BOB))


@pytest.mark.requirement("R-CA-014")
def test_an_organization_stays_when_somebody_leaves() -> None:
    here = Installation()
    here.make_hierarchy()
    result_of(here.organizations.join("demo", BOB))
    result_of(here.organizations.leave("demo", ALICE))
    assert result_of(here.organizations.get("demo")).administrators == ("bob",)
    assert len(result_of(here.registry.list("demo"))) == 2


def test_the_last_administrator_cannot_leave_cas_behind() -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    with pytest.raises(Conflict):
        result_of(here.organizations.leave("demo", ALICE))
    result_of(here.management.delete(ROOT, ALICE))
    result_of(here.organizations.leave("demo", ALICE))


def test_only_an_administrator_can_leave() -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(NotFound):
        result_of(here.organizations.leave("demo", BOB))


@pytest.mark.requirement("R-CA-015")
def test_registered_tenants_are_added_as_administrators() -> None:
    here = Installation()
    here.make_organization()
    added = result_of(here.organizations.add_administrators("demo", ["bob", "alice", "bob"], ALICE))
    assert added.administrators == ("alice", "bob")
    assert here.audited("organization-administrators-added") == [{"organization": "demo", "users": "bob"}]


@pytest.mark.requirement("R-CA-015")
def test_unknown_users_are_not_added() -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(BadName):
        result_of(here.organizations.add_administrators("demo", ["bob", "mallory"], ALICE))
    assert result_of(here.organizations.get("demo")).administrators == ("alice",)


def test_only_administrators_add_administrators() -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(Forbidden):
        result_of(here.organizations.add_administrators("demo", ["bob"], BOB))


def test_the_list_is_by_name_and_may_be_of_one_administrator() -> None:
    here = Installation()
    here.make_organization("zeta")
    result_of(here.organizations.create("alpha", BOB))
    assert [each.name for each in result_of(here.organizations.list())] == ["alpha", "zeta"]
    assert [each.name for each in result_of(here.organizations.list("alice"))] == ["zeta"]
