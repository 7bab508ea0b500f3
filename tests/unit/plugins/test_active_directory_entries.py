from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.security_descriptors import ENROLL
from cspd.directory.values import AccountKind, EnrollmentFlag, NameFlag, PrivateKeyFlag
from plugins.active_directory import filters
from plugins.active_directory.conversation import Entry
from plugins.active_directory.entries import (
    ACCOUNT_ATTRIBUTES,
    MAX_VALUES,
    SERVICE_ATTRIBUTES,
    TEMPLATE_ATTRIBUTES,
    EntryError,
    MayNotLogOn,
    read_account,
    read_enrollment_service,
    read_group,
    read_template,
)
from tests.unit.directory.security import ALLOWED_OBJECT, descriptor, entry
from tests.unit.plugins.domain_controllers import texts, user

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def account(given: Entry) -> Any:
    return read_account(given, given, domain="example.com", netbios_domain="EXAMPLE", now=NOW)


def test_an_account_without_a_principal_name_has_one_by_its_domain() -> None:
    found = account(user("ws1$", 5, sAMAccountType="805306369", dNSHostName="ws1.example.com"))
    assert found.kind is AccountKind.MACHINE
    assert found.user_principal_name == "ws1$@example.com"
    assert found.group_sids == {"S-1-5-21-1-2-3-5", "S-1-5-21-1-2-3-513", "S-1-1-0", "S-1-5-11"}


@pytest.mark.parametrize("name", ["cn", "sAMAccountName", "objectSid", "objectGUID", "userAccountControl"])
def test_what_an_account_must_have(name: str) -> None:
    whole = user("alice", 1)
    lacking = {key: value for key, value in whole.attributes.items() if key != name.lower()}
    with pytest.raises(EntryError, match=name):
        account(Entry(whole.dn, lacking))


@pytest.mark.parametrize(
    "damaged",
    [
        {"objectSid": b"\x01"},
        {"objectGUID": b"\x01"},
        {"userAccountControl": "x"},
        {"cn": b"\xff"},
        {"cn": ""},
        {"tokenGroups": b"x"},
        {"accountExpires": "9" * 30},
        {"mail": ["a"] * (MAX_VALUES + 1)},
    ],
)
def test_damaged_values_are_an_error(damaged: dict[str, Any]) -> None:
    with pytest.raises(EntryError):
        account(user("alice", 1, **damaged))


def test_accounts_that_expire_today() -> None:
    at = (NOW - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    account(user("alice", 1, accountExpires=str(at + 10)))
    with pytest.raises(MayNotLogOn):
        account(user("alice", 1, accountExpires=str(at)))


def template(**more: Any) -> Entry:
    return Entry("CN=Web,CN=x", texts(**{"cn": "Web", **more}))


def test_a_template_of_version_1_may_have_little() -> None:
    found = read_template(template())
    assert (found.name, found.display_name, found.oid, found.schema_version) == ("Web", "Web", "", 1)
    assert not found.security.allows(ENROLL, {"S-1-1-0"})


def test_what_a_template_says() -> None:
    found = read_template(
        template(
            displayName="Web servers",
            flags="-2147483584",
            msPKI__Cert__Template__OID="1.2.3.4",
            msPKI__Certificate__Name__Flag="-1509949440",
            msPKI__Enrollment__Flag="524320",
            msPKI__Private__Key__Flag="16842753",
            msPKI__RA__Signature="1",
            msPKI__Template__Schema__Version="4",
            msPKI__Template__Minor__Revision="3",
            revision="101",
            msPKI__Minimal__Key__Size="3072",
            msPKI__Certificate__Application__Policy=["1.3.6.1.5.5.7.3.1", "nonsense"],
            pKIExtendedKeyUsage=["1.3.6.1.5.5.7.3.1"],
            pKICriticalExtensions=["2.5.29.15"],
            pKIKeyUsage=b"\xc0\x00",
            pKIExpirationPeriod=b"\x00\x40\x39\x87\x2e\xe1\xfe\xff",
            pKIOverlapPeriod=b"\x00\x80\xa6\x0a\xff\xde\xff\xff",
            pKIDefaultKeySpec="1",
            pKIDefaultCSPs=["2,Second Provider", "1,First, Provider", "no number"],
            msPKI__Supersede__Templates=["Old", "Older"],
            msPKI__RA__Application__Policies="msPKI-Asymmetric-Algorithm`PZPWSTR`ECDSA_P256`"
            "msPKI-Hash-Algorithm`PZPWSTR`SHA256`msPKI-Key-Usage`DWORD`2`",
            nTSecurityDescriptor=descriptor(entry(ALLOWED_OBJECT, "S-1-1-0", right=ENROLL)),
        )
    )
    assert found.is_for_machines
    assert (found.key_spec, found.crypto_providers) == (1, ("First, Provider", "Second Provider"))
    assert (found.key_algorithm, found.hash_algorithm) == ("ECDSA_P256", "SHA256")
    assert found.superseded_templates == ("Old", "Older")
    assert found.name_flags & NameFlag.SUBJECT_REQUIRE_DIRECTORY_PATH
    assert found.name_flags & NameFlag.SUBJECT_ALT_REQUIRE_UPN
    assert EnrollmentFlag.NO_SECURITY_EXTENSION in found.enrollment_flags
    assert PrivateKeyFlag.REQUIRE_PRIVATE_KEY_ARCHIVAL in found.private_key_flags
    assert found.private_key_bits == 0x1010001
    assert (found.schema_version, found.major_revision, found.minor_revision) == (4, 101, 3)
    assert (found.ra_signatures, found.minimal_key_size) == (1, 3072)
    assert found.key_usage == {KeyUsageBit.DIGITAL_SIGNATURE, KeyUsageBit.NON_REPUDIATION}
    assert found.application_policies == ("1.3.6.1.5.5.7.3.1",)
    assert (found.validity, found.renewal_overlap) == (timedelta(days=365), timedelta(days=42))
    assert found.security.allows(ENROLL, {"S-1-1-0"})


@pytest.mark.parametrize(
    ("version", "value"), [("2", "msPKI-Asymmetric-Algorithm`PZPWSTR`RSA`"), ("3", "1.2.3"), ("3", "`"), ("3", "")]
)
def test_a_template_that_says_no_algorithm(version: str, value: str) -> None:
    told = {"msPKI__Template__Schema__Version": version, "msPKI__RA__Application__Policies": value}
    assert read_template(template(**told)).key_algorithm == ""


@pytest.mark.parametrize(
    "damaged",
    [
        {"msPKI__Cert__Template__OID": "1.2.x"},
        {"pKIExpirationPeriod": b"\0"},
        {"nTSecurityDescriptor": b"\0"},
        {"revision": "1.5"},
        {"cn": b"\xff\xfe"},
    ],
)
def test_a_damaged_template_is_an_error(damaged: dict[str, Any]) -> None:
    with pytest.raises(EntryError):
        read_template(template(**damaged))


@given(
    st.dictionaries(
        st.sampled_from([*ACCOUNT_ATTRIBUTES, *TEMPLATE_ATTRIBUTES, *SERVICE_ATTRIBUTES, "nTSecurityDescriptor"]),
        st.lists(st.binary(max_size=30) | st.integers().map(lambda number: str(number).encode()), max_size=3),
    )
)
def test_any_entry_is_a_value_or_an_error(attributes: dict[str, list[bytes]]) -> None:
    found = Entry("CN=x", {name.lower(): tuple(values) for name, values in attributes.items()})
    for read in (account, read_group_here, read_template, read_enrollment_service):
        with suppress(EntryError, MayNotLogOn):
            read(found)


def read_group_here(found: Entry) -> Any:
    return read_group(found, domain="example.com")


@given(st.text(max_size=40))
def test_text_in_a_filter_is_a_value_and_never_more(text: str) -> None:
    written = filters.value(text)
    assert not set(written) & set("*()\0")
    assert "\\" not in written.replace("\\5c", "").replace("\\2a", "").replace("\\28", "").replace("\\29", "").replace(
        "\\00", ""
    )


def test_filters() -> None:
    assert filters.account_by_name("a*)(b") == (
        "(&(sAMAccountName=a\\2a\\29\\28b)(|(sAMAccountType=805306368)(sAMAccountType=805306369)))"
    )
    assert "(objectSid=\\01\\01\\00\\00\\00\\00\\00\\05\\0b\\00\\00\\00)" in filters.account_by_sid("S-1-5-11")
