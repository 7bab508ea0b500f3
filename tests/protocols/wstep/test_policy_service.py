from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.directory.security_descriptors import AUTO_ENROLL, ENROLL, AccessControlEntry, SecurityDescriptor
from cspd.directory.values import Account, EnrollmentFlag
from cspd.refusals import NotFound
from protocols.wstep.messages import Caller
from protocols.wstep.policy_changes import CLOCK_SKEW, Changes
from protocols.wstep.policy_codec import encode_get_policies_response
from protocols.wstep.policy_conf import conf_template, mapped_name, template_oid
from protocols.wstep.policy_messages import Client, GetPolicies, GetPoliciesResponse, RequestFilter
from tests.protocols.wstep.accounts import ALICE, MACHINE, STAFF, granted, template
from tests.protocols.wstep.policies import (
    ISSUING,
    OTHER,
    STATIC,
    Server,
    StubDirectory,
    enrollment_service,
    issuing_ca,
    policy_service,
)
from tests.protocols.wstep.policy_schema import validate
from tests.support.authorities import shipped_profiles
from tests.support.clocks import FrozenClock

ASK = GetPolicies(client=Client())


def get(
    server: Server, message: GetPolicies = ASK, who: Account | Caller | None = ALICE, *, tenant: str = "demo"
) -> GetPoliciesResponse:
    answer: GetPoliciesResponse = server.get(message, who, tenant)
    validate(encode_get_policies_response(answer))
    return answer


def permissions(answer: GetPoliciesResponse) -> dict[str, tuple[bool, bool]]:
    return {
        policy.attributes.common_name: (
            policy.attributes.permission.enroll,
            policy.attributes.permission.auto_enroll,
        )
        for policy in answer.response.policies
    }


def access(*entries: tuple[str, UUID | None, bool]) -> SecurityDescriptor:
    return SecurityDescriptor(
        tuple(
            AccessControlEntry(sid=sid, grants=grants, mask=0x100, object_type=right) for sid, right, grants in entries
        )
    )


@pytest.mark.requirement("R-CEGI-046")
def test_policies_of_a_directory() -> None:
    directory = StubDirectory([template(name="Staff")], [enrollment_service("Staff")])
    answer = get(policy_service(directory, next_update_hours=3))
    assert directory.asked == ["example.com"]
    assert permissions(answer) == {"Staff": (True, False)}
    assert answer.response.policy_friendly_name == "Example"
    assert answer.response.next_update_hours == 3
    assert answer.response.policies_not_changed is False
    (ca,) = answer.cas
    assert (ca.certificate_der, ca.enroll_permission, ca.ca_reference_id) == (ISSUING.der, True, 0)
    assert [(uri.client_authentication, uri.uri, uri.priority, uri.renewal_only) for uri in ca.uris] == [
        (4, "https://ca.example.com:443/wstep/usertoken/services/demo/demo~issuing", 1, False),
        (2, "https://ca.example.com:443/wstep/kerberos/services/demo/demo~issuing", 1, False),
    ]


@pytest.mark.requirement("R-CEGI-045")
def test_access_lists_decide_what_is_told() -> None:
    templates = [
        template(name="Enroll", security=access((STAFF, ENROLL, True))),
        template(name="Both", security=access((STAFF, ENROLL, True), (STAFF, AUTO_ENROLL, True))),
        template(name="Auto", security=access((STAFF, AUTO_ENROLL, True))),
        template(name="All", security=access((STAFF, None, True))),
        template(name="Denied", security=access((ALICE.sid, ENROLL, False), (STAFF, ENROLL, True))),
        template(name="Others", security=access((MACHINE.sid, None, True))),
        template(name="Nobody", security=access()),
    ]
    service = policy_service(StubDirectory(templates, [enrollment_service(*(each.name for each in templates))]))
    assert permissions(get(service)) == {
        "Enroll": (True, False),
        "Both": (True, True),
        "Auto": (False, True),
        "All": (True, True),
    }
    assert permissions(get(service, who=MACHINE)) == {"Others": (True, True)}


def test_only_what_a_ca_of_ours_lists_is_told() -> None:
    templates = [template(name=name) for name in ("First", "Second", "Third", "Nowhere")]
    services = [
        enrollment_service("First", "Second"),
        enrollment_service("Second", "Third", name="Named", ca_certificates_der=()),
        enrollment_service("Nowhere", name="Foreign", ca_certificates_der=(b"foreign",)),
    ]
    cas = [issuing_ca(), issuing_ca("other", OTHER.der, services=["NAMED"])]
    answer = get(policy_service(StubDirectory(templates, services), cas))
    told = {policy.attributes.common_name: policy.cas for policy in answer.response.policies}
    assert told == {"First": (0,), "Second": (0, 1), "Third": (1,)}
    assert [ca.certificate_der for ca in answer.cas] == [ISSUING.der, OTHER.der]


def test_a_ca_tells_who_may_not_enroll_there() -> None:
    services = [enrollment_service("Staff", security=granted(MACHINE.sid))]
    answer = get(policy_service(StubDirectory([template()], services)))
    assert [ca.enroll_permission for ca in answer.cas] == [False]


def test_what_would_be_refused_is_not_told() -> None:
    templates = [
        template(name="Pending", enrollment_flags=EnrollmentFlag.PEND_ALL_REQUESTS),
        template(name="Signed", ra_signatures=1),
        template(name="Odd", key_usage=frozenset()),
        template(name="Mapped", key_usage=frozenset()),
    ]
    directory = StubDirectory(templates, [enrollment_service(*(each.name for each in templates))])
    assert permissions(get(policy_service(directory))) == {}
    mapped = issuing_ca(MAPPED="wstep-digital-signature", Pending="wstep-digital-signature")
    assert permissions(get(policy_service(directory, [mapped]))) == {"Mapped": (True, False)}


def test_nothing_for_a_client_is_nil_and_no_fault() -> None:
    answer = get(policy_service(StubDirectory([], [])))
    assert (answer.response.policies, answer.cas, answer.oids) == ((), (), ())
    assert answer.response.policies_not_changed is False


def wanted(**more: Any) -> GetPolicies:
    return GetPolicies(client=Client(), request_filter=RequestFilter(**more))


def test_filters_by_object_identifier() -> None:
    templates = [template(name="One", oid="1.2.1"), template(name="Two", oid="1.2.2")]
    service = policy_service(StubDirectory(templates, [enrollment_service("One", "Two")]))
    assert set(permissions(get(service, wanted(policy_oids=("1.2.2", "1.2.9"))))) == {"Two"}
    assert set(permissions(get(service, wanted(policy_oids=None)))) == {"One", "Two"}
    nothing = get(service, wanted(policy_oids=("1.2.9",)))
    assert (nothing.response.policies, nothing.cas) == ((), ())


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({}, {"Old", "New"}),
        ({"client_version": 0, "server_version": 0}, {"Old", "New"}),
        ({"client_version": -3}, {"Old", "New"}),
        ({"client_version": 4}, {"Old"}),
        ({"client_version": 5}, {"Old", "New"}),
        ({"server_version": 3}, {"Old"}),
        ({"server_version": 4}, {"Old", "New"}),
        ({"client_version": 5, "server_version": 3}, {"Old"}),
        ({"client_version": 1 << 30, "server_version": 1 << 30}, {"Old", "New"}),
    ],
)
def test_filters_by_version(versions: dict[str, int], expected: set[str]) -> None:
    templates = [template(name="Old"), template(name="New", oid="1.2.2", private_key_bits=0x0504_0010)]
    service = policy_service(StubDirectory(templates, [enrollment_service("Old", "New")]))
    assert set(permissions(get(service, wanted(**versions)))) == expected


def test_what_has_not_changed_is_not_told_again() -> None:
    clock = FrozenClock()
    directory = StubDirectory([template(name="Staff")], [enrollment_service("Staff")])
    service = policy_service(directory, clock=clock)

    def ask(last_update: datetime | None) -> bool | None:
        message = GetPolicies(client=Client(last_update=last_update))
        answer = get(service, message)
        if answer.response.policies_not_changed:
            assert (answer.response.policies, answer.cas, answer.oids) == ((), (), ())
            assert answer.response.policy_friendly_name == "Example"
        else:
            assert answer.response.policies
        return answer.response.policies_not_changed

    assert ask(clock.now()) is False  # never seen by this process
    clock.advance(timedelta(hours=1))
    told = clock.now()
    clock.advance(timedelta(hours=8))
    assert ask(told) is True
    assert ask(None) is False
    assert ask(datetime(1, 1, 1, tzinfo=UTC)) is False
    assert ask(clock.now() + timedelta(days=1)) is False  # of no clock that we could believe
    directory.told_templates = [replace(template(name="Staff"), minor_revision=5)]
    assert ask(clock.now()) is False
    assert ask(clock.now()) is False  # too near to the change for two clocks
    clock.advance(timedelta(hours=1))
    assert ask(clock.now()) is True
    directory.told_templates = []
    message = GetPolicies(client=Client(last_update=clock.now()))
    assert get(service, message).response.policies_not_changed is False


def test_what_another_is_told_is_not_what_this_one_has() -> None:
    clock = FrozenClock()
    directory = StubDirectory(
        [template(security=access((STAFF, None, True), (MACHINE.sid, None, True)))], [enrollment_service("Staff")]
    )
    service = policy_service(directory, clock=clock)
    get(service)
    clock.advance(timedelta(hours=1))
    message = GetPolicies(client=Client(last_update=clock.now()))
    assert get(service, message).response.policies_not_changed is True
    assert get(service, message, MACHINE).response.policies_not_changed is False
    filtered = replace(message, request_filter=RequestFilter(client_version=9))
    assert get(service, filtered).response.policies_not_changed is False


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=1), st.integers(0, 400)), max_size=30))
def test_unchanged_is_never_said_of_what_is_new(asked: list[tuple[str, bytes, int]]) -> None:
    changes = Changes(limit=2)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    last: dict[str, tuple[bytes, datetime]] = {}
    for key, digest, minutes in asked:
        now += timedelta(minutes=minutes)
        known, when = last.get(key, (None, None))
        if not changes.is_unchanged(key, digest, last_update=when, now=now):
            last[key] = digest, now
            continue
        assert known == digest


def test_changes_are_forgotten_beyond_the_limit() -> None:
    changes = Changes(limit=1)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    later = now + CLOCK_SKEW
    assert not changes.is_unchanged("a", b"1", last_update=None, now=now)
    assert changes.is_unchanged("a", b"1", last_update=later, now=later)
    changes.is_unchanged("b", b"1", last_update=None, now=later)
    assert not changes.is_unchanged("a", b"1", last_update=later, now=later)


def test_policy_ids_stay() -> None:
    directory = StubDirectory([template()], [enrollment_service("Staff")])

    def policy_id(service: Server, who: Account = ALICE) -> str:
        found = get(service, who=who).response.policy_id
        assert re.fullmatch(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}", found)
        return found

    assert policy_id(policy_service(directory)) == policy_id(policy_service(directory))
    elsewhere = replace(ALICE, domain="other.example")
    ids = {
        policy_id(policy_service(directory)),
        policy_id(policy_service(directory), elsewhere),
        policy_id(policy_service(directory, server="https://test.example.com")),
        get(policy_service(), who=STATIC).response.policy_id,
    }
    assert len(ids) == 4
    chosen = UUID("083c7011-1d0a-4855-885d-ac945184658c")
    assert policy_id(policy_service(directory, ids={"demo": chosen})) == f"{{{str(chosen).upper()}}}"


def test_other_tenants_have_none() -> None:
    with pytest.raises(NotFound):
        get(policy_service(), tenant="other")
    with pytest.raises(NotFound):
        get(policy_service(cas=()))


def test_templates_of_conf() -> None:
    profiles = shipped_profiles()
    cas = [
        issuing_ca(People="wstep-digital-signature", Machines="wstep-key-encipherment"),
        issuing_ca("other", OTHER.der, people="wstep-digital-signature", Machines="wstep-digital-signature"),
    ]
    directory = StubDirectory()
    answer = get(policy_service(directory, cas, profiles=profiles), who=STATIC)
    assert directory.asked == []
    assert permissions(answer) == {"Machines": (True, True), "People": (True, True)}
    assert {policy.attributes.common_name: policy.cas for policy in answer.response.policies} == {
        "Machines": (0,),
        "People": (0, 1),
    }
    people = next(each for each in answer.response.policies if each.attributes.common_name == "People")
    assert people.attributes.certificate_validity.validity_period_seconds == 31_536_000
    assert people.attributes.certificate_validity.renewal_period_seconds == 3_628_800
    assert people.attributes.private_key_attributes.minimal_key_length == 2048
    oid = next(each for each in answer.oids if each.oid_reference_id == people.policy_oid_reference)
    assert oid.value == template_oid("people")
    nobody = get(policy_service(directory, cas, profiles=profiles), who=None)
    assert permissions(nobody) == permissions(answer)


def test_a_template_of_conf_says_what_its_profile_does() -> None:
    profile = shipped_profiles()["wstep-digital-signature-key-encipherment"]
    found = conf_template("Both", profile)
    assert found.key_usage == profile.key_usage
    assert (found.schema_version, found.minimal_key_size, found.key_algorithm) == (2, 2048, "")
    only_ec = replace(profile, key_types=frozenset(kind for kind in profile.key_types if "ec-" in kind.value))
    found = conf_template("Both", only_ec)
    assert (found.schema_version, found.minimal_key_size, found.key_algorithm) == (3, 256, "ECDSA_P256")


def test_object_identifiers_of_conf_stay() -> None:
    assert template_oid("User") == template_oid("USER")
    assert template_oid("User") == "1.3.6.1.4.1.311.21.8.5355502.6336904.5261445.5792148.3770635.48"
    assert template_oid("User") != template_oid("Machine")
    numbers = template_oid("User").removeprefix("1.3.6.1.4.1.311.21.8.").split(".")
    assert len(numbers) == 6
    assert all(int(number) < 1 << 24 for number in numbers)
    assert mapped_name(template_oid("user"), ["Machine", "User"]) == "User"
    assert mapped_name("1.2.3", ["Machine", "User"]) is None
