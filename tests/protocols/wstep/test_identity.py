"""Whose names a certificate has: the account's, whatever the request says."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from cspd.directory.values import Account, CertificateTemplate, NameFlag
from cspd.refusals import BadName
from cspd.x509.general_names import describe
from cspd.x509.names import format_name, parse_name
from protocols.wstep import identity
from protocols.wstep.identity import CertificateNames, NameRules, names_for
from protocols.wstep.microsoft import SID_URI, user_principal_name
from tests.protocols.wstep.accounts import ALICE, CONTROLLER, MACHINE, MACHINE_TEMPLATE, template

NO_RULES = NameRules()
NOTHING = CertificateNames(x509.Name([]), ())
SUPPLIED = template(NameFlag.ENROLLEE_SUPPLIES_SUBJECT)
COMMON_NAME = NameFlag.SUBJECT_REQUIRE_COMMON_NAME
FOREIGN = CertificateNames(
    parse_name("CN=Administrator,CN=Users,DC=example,DC=com"),
    (
        user_principal_name("administrator@example.com"),
        x509.DNSName("dc1.example.com"),
        x509.RFC822Name("administrator@example.com"),
        x509.UniformResourceIdentifier(SID_URI + "S-1-5-21-1-2-3-500"),
    ),
)


def named(
    account: Account,
    by: CertificateTemplate,
    supplied: CertificateNames = NOTHING,
    *,
    is_mapped: bool = False,
    rules: NameRules = NO_RULES,
    previous: CertificateNames | None = None,
) -> tuple[str, list[str]]:
    """The subject, and the other names without the SID, which always comes last."""
    names = names_for(account, by, supplied, is_mapped=is_mapped, rules=rules, previous=previous)
    *others, sid = map(describe, names.subject_alt_names)
    assert sid == f"URI:tag:microsoft.com,2022-09-14:sid:{account.sid}"
    return format_name(names.subject), others


@pytest.mark.parametrize(
    ("account", "flags", "subject", "others"),
    [
        (ALICE, COMMON_NAME, "CN=Alice Adams", []),
        (ALICE, NameFlag.SUBJECT_REQUIRE_DIRECTORY_PATH, "CN=Alice Adams,OU=Staff,DC=example,DC=com", []),
        (MACHINE, COMMON_NAME, "CN=WS1", []),
        (MACHINE, NameFlag.SUBJECT_REQUIRE_DNS_AS_CN, "CN=ws1.example.com", []),
        (ALICE, NameFlag.SUBJECT_ALT_REQUIRE_UPN, "", ["UPN:alice@example.com"]),
        (ALICE, COMMON_NAME | NameFlag.SUBJECT_ALT_REQUIRE_EMAIL, "CN=Alice Adams", ["email:alice.adams@example.com"]),
        (MACHINE, NameFlag.SUBJECT_ALT_REQUIRE_DNS, "", ["DNS:ws1.example.com"]),
        (MACHINE, NameFlag.SUBJECT_ALT_REQUIRE_SPN, "", ["UPN:WS1$@example.com"]),
        (CONTROLLER, NameFlag.SUBJECT_ALT_REQUIRE_DOMAIN_DNS, "", ["DNS:example.com"]),
        (
            CONTROLLER,
            NameFlag.SUBJECT_ALT_REQUIRE_DIRECTORY_GUID,
            "",
            ["otherName:1.3.6.1.4.1.311.25.1:04103322110055447766" + "8899aabbccddee00"],
        ),
        (
            ALICE,
            COMMON_NAME | NameFlag.SUBJECT_REQUIRE_EMAIL | NameFlag.SUBJECT_ALT_REQUIRE_UPN,
            "CN=Alice Adams",
            ["UPN:alice@example.com"],
        ),
    ],
)
@pytest.mark.requirement("R-CEGI-034")
@pytest.mark.requirement("R-CEGI-035")
def test_names_are_built_from_the_directory_and_never_from_the_request(
    account: Account, flags: NameFlag, subject: str, others: list[str]
) -> None:
    """The same whether the request has no names or those of an administrator."""
    for supplied in (NOTHING, FOREIGN):
        assert named(account, template(flags), supplied) == (subject, others)


@pytest.mark.requirement("R-CEGI-034")
@pytest.mark.parametrize(
    ("account", "flags", "code"),
    [
        (ALICE, NameFlag.SUBJECT_REQUIRE_DNS_AS_CN, identity.LACKS_DNS_NAME),
        (ALICE, NameFlag.SUBJECT_ALT_REQUIRE_DNS, identity.LACKS_DNS_NAME),
        (replace(MACHINE, dns_host_name="a_b"), NameFlag.SUBJECT_ALT_REQUIRE_DNS, identity.LACKS_DNS_NAME),
        (replace(ALICE, mail=None), NameFlag.SUBJECT_ALT_REQUIRE_EMAIL, identity.LACKS_MAIL),
        (replace(ALICE, mail="x"), NameFlag.SUBJECT_ALT_REQUIRE_EMAIL, identity.LACKS_MAIL),
        (replace(ALICE, user_principal_name="a\n"), NameFlag.SUBJECT_ALT_REQUIRE_UPN, identity.LACKS_PRINCIPAL_NAME),
        (MACHINE, NameFlag.SUBJECT_ALT_REQUIRE_DOMAIN_DNS, identity.FOREIGN_NAME),
        (ALICE, NameFlag(0), identity.NAME_FORMAT),
        (replace(ALICE, common_name="x" * 65), COMMON_NAME, identity.BAD_SUBJECT),
    ],
)
def test_an_account_that_lacks_a_name_is_refused(account: Account, flags: NameFlag, code: str) -> None:
    with pytest.raises(BadName) as refused:
        named(account, template(flags), FOREIGN)
    assert refused.value.refusal_code == code


@pytest.mark.requirement("R-CEG-139")
@pytest.mark.requirement("R-CEGI-032")
def test_the_subject_of_a_mapped_template_is_a_common_name() -> None:
    assert named(ALICE, template(COMMON_NAME), is_mapped=True)[0] == "CN=Alice Adams"
    assert named(MACHINE, template(COMMON_NAME), is_mapped=True)[0] == "CN=WS1"
    assert named(MACHINE, MACHINE_TEMPLATE, is_mapped=True)[0] == "CN=ws1.example.com"
    for flags in (NameFlag.SUBJECT_REQUIRE_DIRECTORY_PATH, NameFlag.SUBJECT_ALT_REQUIRE_UPN):
        with pytest.raises(BadName) as refused:
            named(ALICE, template(flags), is_mapped=True)
        assert refused.value.refusal_code == identity.NAME_FORMAT


@pytest.mark.requirement("R-CEG-141")
@pytest.mark.requirement("R-CEGI-041")
def test_the_parent_is_appended_once() -> None:
    rules = NameRules(parent=parse_name("ou=Devices, o=My Company, c=US"))
    expected = "CN=Alice Adams,OU=Devices,O=My Company,C=US"
    assert named(ALICE, template(COMMON_NAME), rules=rules)[0] == expected
    supplied = CertificateNames(parse_name("CN=alice,OU=Devices,O=My Company,C=US"), ())
    assert named(ALICE, SUPPLIED, supplied, rules=rules)[0] == "CN=alice,OU=Devices,O=My Company,C=US"
    assert named(ALICE, template(COMMON_NAME), rules=NameRules(parent=x509.Name([])))[0] == "CN=Alice Adams"
    assert named(ALICE, template(NameFlag.SUBJECT_ALT_REQUIRE_UPN), rules=rules)[0] == ""


@pytest.mark.requirement("R-CEGI-033")
def test_names_that_a_request_supplies_are_used() -> None:
    supplied = CertificateNames(
        parse_name("CN=ws1.example.com,OU=Lab,O=Example,C=US"),
        (
            x509.DNSName("WS1.example.com"),
            user_principal_name("ws1$@EXAMPLE.com"),
            x509.UniformResourceIdentifier(SID_URI + MACHINE.sid),
        ),
    )
    assert named(MACHINE, SUPPLIED, supplied) == (
        "CN=ws1.example.com,OU=Lab,O=Example,C=US",
        ["DNS:WS1.example.com", "UPN:ws1$@EXAMPLE.com"],
    )
    for text in ("CN=WS1", "CN=ws1$", "CN=ws1$@example.com"):
        assert named(MACHINE, SUPPLIED, CertificateNames(parse_name(text), ()))[0] == text
    mail = CertificateNames(x509.Name([]), (x509.RFC822Name("Alice.Adams@example.com"),))
    assert named(ALICE, SUPPLIED, mail)[1] == ["email:Alice.Adams@example.com"]


@pytest.mark.requirement("R-CEGI-033")
@pytest.mark.parametrize(
    ("subject", "names", "code"),
    [
        ("", [user_principal_name("administrator@example.com")], identity.FOREIGN_NAME),
        ("", [x509.UniformResourceIdentifier(SID_URI + "S-1-5-21-1-2-3-500")], identity.FOREIGN_NAME),
        ("", [x509.UniformResourceIdentifier(SID_URI.upper() + "S-1-5-21-1-2-3-500")], identity.FOREIGN_NAME),
        ("", [x509.UniformResourceIdentifier("https://example.com/alice")], identity.FOREIGN_NAME),
        ("", [x509.DNSName("dc1.example.com")], identity.FOREIGN_NAME),
        ("", [x509.DNSName("*.example.com")], identity.FOREIGN_NAME),
        ("", [x509.RFC822Name("boss@example.com")], identity.FOREIGN_NAME),
        ("", [x509.IPAddress(ip_address("192.0.2.1"))], identity.FOREIGN_NAME),
        ("", [x509.DirectoryName(parse_name("CN=Administrator"))], identity.FOREIGN_NAME),
        ("", [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.25.1"), b"\x04\x00")], identity.FOREIGN_NAME),
        ("", [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.2.2"), b"\x04\x00")], identity.FOREIGN_NAME),
        ("", [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x04\x00")], identity.BAD_SUBJECT),
        ("", [x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))], identity.BAD_SUBJECT),
        ("CN=Administrator", [], identity.FOREIGN_NAME),
        ("CN=dc1.example.com", [], identity.FOREIGN_NAME),
        ("CN=administrator@example.com", [], identity.FOREIGN_NAME),
        ("CN=alice,CN=Administrator", [], identity.FOREIGN_NAME),
        ("UID=administrator", [], identity.FOREIGN_NAME),
        ("CN=alice,T=Boss", [], identity.BAD_SUBJECT),
        ("CN=alice,I=A", [], identity.BAD_SUBJECT),
        ("E=alice.adams@example.com,CN=alice", [], identity.BAD_SUBJECT),
        ("", [], identity.NAME_FORMAT),
    ],
)
def test_names_of_others_are_refused(subject: str, names: list[x509.GeneralName], code: str) -> None:
    with pytest.raises(BadName) as refused:
        named(ALICE, SUPPLIED, CertificateNames(parse_name(subject), tuple(names)))
    assert refused.value.refusal_code == code


def test_hosts_of_a_zone_that_conf_leaves_to_its_requests() -> None:
    rules = NameRules(dns_zones=("web.example.com",))
    names = (x509.DNSName("www.web.example.com"), x509.DNSName("*.web.example.com"))
    supplied = CertificateNames(parse_name("CN=www.web.example.com"), names)
    assert named(ALICE, SUPPLIED, supplied, rules=rules)[1] == ["DNS:www.web.example.com", "DNS:*.web.example.com"]
    for host in ("web.example.com", "xweb.example.com", "www.example.com", "a.web.example.com.evil.test"):
        with pytest.raises(BadName):
            named(ALICE, SUPPLIED, CertificateNames(x509.Name([]), (x509.DNSName(host),)), rules=rules)


def test_a_renewal_may_keep_the_names_of_its_certificate() -> None:
    by = template(NameFlag.ENROLLEE_SUPPLIES_SUBJECT | NameFlag.OLD_CERT_SUPPLIES_SUBJECT_AND_ALT_NAME)
    old = CertificateNames(
        parse_name("CN=www.example.com,O=Example"),
        (x509.DNSName("www.example.com"), x509.UniformResourceIdentifier(SID_URI + ALICE.sid)),
    )
    assert named(ALICE, by, FOREIGN, previous=old) == ("CN=www.example.com,O=Example", ["DNS:www.example.com"])
    with pytest.raises(BadName):
        named(ALICE, by, old)
    with pytest.raises(BadName):  # of somebody else, or of one whose names are others now
        named(MACHINE, by, NOTHING, previous=old)
    built = template(COMMON_NAME)
    assert named(ALICE, built, NOTHING, previous=old) == ("CN=Alice Adams", [])


FLAGS = st.lists(st.sampled_from(list(NameFlag)), max_size=6).map(lambda flags: NameFlag(sum(set(flags))))


@given(FLAGS, st.sampled_from([ALICE, MACHINE, CONTROLLER]), st.booleans(), st.integers(0, 15))
def test_no_template_gives_anybody_the_names_of_another(
    flags: NameFlag, account: Account, is_mapped: bool, chosen: int
) -> None:
    """Names of an administrator, any of them, with any template: refused, or not in the certificate."""
    asked = tuple(name for at, name in enumerate(FOREIGN.subject_alt_names) if chosen >> at & 1)
    supplied = CertificateNames(FOREIGN.subject if chosen & 1 else x509.Name([]), asked)
    try:
        names = names_for(account, template(flags), supplied, is_mapped=is_mapped, rules=NameRules())
    except BadName:
        return
    own = account.dns_host_name
    for name in names.subject_alt_names:
        assert "administrator" not in describe(name).lower()
        assert describe(name) != f"URI:{SID_URI}S-1-5-21-1-2-3-500"
        assert not isinstance(name, x509.DNSName) or name.value in (own, "example.com")
    assert "Administrator" not in format_name(names.subject)
