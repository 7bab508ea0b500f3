from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.directory.values import EnrollmentFlag
from cspd.x509 import extensions as checked
from protocols.wstep import microsoft
from protocols.wstep.extensions import SMIME_CAPABILITIES, extensions_for
from tests.protocols.wstep.accounts import ALICE, csr, key_usage, template

EKU, KEY_USAGE = "2.5.29.37", "2.5.29.15"
CAPABILITIES = bytes.fromhex("300c300a06082a864886f70d0307")


def test_everything_that_a_certificate_gets() -> None:
    request = csr(extensions=[(SMIME_CAPABILITIES, CAPABILITIES)], key_usage=key_usage("digital_signature"))
    given = {each.oid: each for each in extensions_for(ALICE, template(), request)}
    assert set(given) == {
        KEY_USAGE,
        SMIME_CAPABILITIES,
        EKU,
        microsoft.APPLICATION_POLICIES,
        microsoft.CERTIFICATE_TEMPLATE,
        microsoft.NTDS_CA_SECURITY,
    }
    assert given[SMIME_CAPABILITIES].value_der == CAPABILITIES
    for each in given.values():  # as the core reads them
        checked.requested(each.oid, each.value_der, critical=each.critical)


def test_the_template_by_its_identifier_or_its_name() -> None:
    given = {each.oid: each.value_der for each in extensions_for(ALICE, template(), csr())}
    expected = microsoft.encode_certificate_template("1.3.6.1.4.1.311.21.8.1.2.3", 100, 4)
    assert given[microsoft.CERTIFICATE_TEMPLATE] == expected
    given = {each.oid: each.value_der for each in extensions_for(ALICE, template(schema_version=1), csr())}
    assert given[microsoft.CERTIFICATE_TEMPLATE_NAME] == microsoft.encode_template_name("Staff")


def test_a_request_does_not_choose_what_its_certificate_is_for() -> None:
    """CVE-2024-49019: application policies in a request for a template of version 1."""
    logon = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SMARTCARD_LOGON]).public_bytes()
    request = csr(
        extensions=[
            (EKU, logon),
            (microsoft.APPLICATION_POLICIES, microsoft.encode_application_policies(["1.3.6.1.4.1.311.20.2.2"])),
            (microsoft.NTDS_CA_SECURITY, microsoft.encode_security_identifier("S-1-5-21-1-2-3-500")),
            (microsoft.CERTIFICATE_TEMPLATE_NAME, microsoft.encode_template_name("Administrator")),
        ]
    )
    for schema_version in (1, 2):
        by = template(schema_version=schema_version, extended_key_usage=("1.3.6.1.5.5.7.3.1",))
        given = {each.oid: each.value_der for each in extensions_for(ALICE, by, request)}
        expected = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]).public_bytes()
        assert given[EKU] == expected
        policies = microsoft.encode_application_policies(["1.3.6.1.5.5.7.3.1"])
        assert given[microsoft.APPLICATION_POLICIES] == policies
        assert given[microsoft.NTDS_CA_SECURITY] == microsoft.encode_security_identifier(ALICE.sid)
        assert microsoft.encode_template_name("Administrator") not in given.values()


def test_application_policies_of_the_template_go_before_its_extended_key_usage() -> None:
    by = template(application_policies=("1.3.6.1.5.5.7.3.4",), extended_key_usage=("1.3.6.1.5.5.7.3.2",))
    given = {each.oid: each.value_der for each in extensions_for(ALICE, by, csr())}
    assert given[EKU] == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]).public_bytes()


def test_a_template_without_usages_gives_none_and_not_those_of_the_request() -> None:
    logon = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]).public_bytes()
    given = extensions_for(ALICE, template(extended_key_usage=()), csr(extensions=[(EKU, logon)]))
    assert EKU not in {each.oid for each in given}


def test_the_sid_is_there_whatever_the_template_says() -> None:
    """ESC9: without it a domain controller maps a certificate by names that may have become another's."""
    by = template(enrollment_flags=EnrollmentFlag.NO_SECURITY_EXTENSION)
    assert microsoft.NTDS_CA_SECURITY in {each.oid for each in extensions_for(ALICE, by, csr())}


def test_extended_key_usage_is_critical_where_the_template_says_so() -> None:
    for critical in ((), (EKU,)):
        (eku,) = [
            each for each in extensions_for(ALICE, template(critical_extensions=critical), csr()) if each.oid == EKU
        ]
        assert eku.critical is bool(critical)
