"""One certificate of each of the 19 types of an on-premises CA (R-CEG-050, R-CEGI-014).

The table is written here a second time, from the specification: key usage as the bit string that it prints, first bit
digitalSignature. :mod:`tests.unit.authority.test_lint` shows each of these certificates to an independent linter.
"""

from __future__ import annotations

import pytest
from cryptography import x509

from cspd.authority.profile_values import IssuanceMode, ProfileCategory
from tests.support.issuing import House, common_name, make_csr, shipped_profiles

SERVER, CLIENT, LOGON = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.4.1.311.20.2.2"
TYPES: dict[str, tuple[str, set[str]]] = {
    "acme_tls_client": ("101", {CLIENT}),
    "acme_tls_server": ("101", {SERVER}),
    "acme_tls_client_srv": ("101", {SERVER, CLIENT}),
    "ent_mdm_scep_sig": ("1", set()),
    "ent_mdm_scep_enc": ("001", set()),
    "ent_mdm_scep_sig_enc": ("101", set()),
    "ent_mdm_scep_nonrep": ("11", set()),
    "ent_mdm_p12_sig": ("1", set()),
    "ent_mdm_p12_enc": ("001", set()),
    "ent_mdm_p12_sig_enc": ("101", set()),
    "ent_mdm_p12_nonrep": ("11", set()),
    "ent_scep_sig": ("1", set()),
    "ent_scep_enc": ("001", set()),
    "ent_scep_sig_enc": ("101", set()),
    "ent_scep_sig_nonrep": ("11", set()),
    "ent_wstep_sig": ("1", set()),
    "ent_wstep_enc": ("001", set()),
    "ent_wstep_sig_enc": ("101", set()),
    "ent_wstep_sig_nonrep": ("11", set()),
}
BITS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
EVERY_USE = x509.KeyUsage(**dict.fromkeys(BITS, True), encipher_only=False, decipher_only=False)


@pytest.fixture(scope="module")
def house() -> House:
    return House()


def bit_string(usage: x509.KeyUsage) -> str:
    """Named bits without the zeros at the end, as DER has them."""
    return "".join("1" if getattr(usage, bit) else "0" for bit in BITS).rstrip("0")


@pytest.mark.requirement("R-CEG-050")
@pytest.mark.requirement("R-CEGI-014")
@pytest.mark.parametrize("profile", TYPES)
def test_a_type_issues_with_its_key_usage_and_extended_key_usage(profile: str, house: House) -> None:
    """The request has neither: all of it is the type's."""
    extensions = house.certificate(profile).extensions
    key_usage, purposes = TYPES[profile]
    assert bit_string(extensions.get_extension_for_class(x509.KeyUsage).value) == key_usage
    assert extended_key_usage(extensions) == purposes


@pytest.mark.requirement("R-CEGI-115")
@pytest.mark.parametrize("profile", [*TYPES, "intune-digital-signature", "scep-key-encipherment"])
def test_what_a_request_says_of_key_usage_changes_nothing(profile: str, house: House) -> None:
    plain = house.certificate(profile).extensions.get_extension_for_class(x509.KeyUsage)
    csr_der = make_csr(house.subscriber_key, common_name("a.example"), extensions=[(EVERY_USE, True)])
    assert house.certificate(profile, csr_der=csr_der).extensions.get_extension_for_class(x509.KeyUsage) == plain


@pytest.mark.parametrize("profile", TYPES)
def test_what_a_request_says_of_extended_key_usage_changes_nothing(profile: str, house: House) -> None:
    asked = x509.ExtendedKeyUsage([x509.ObjectIdentifier(LOGON)])
    csr_der = make_csr(house.subscriber_key, common_name("a.example"), extensions=[(asked, False)])
    assert extended_key_usage(house.certificate(profile, csr_der=csr_der).extensions) == TYPES[profile][1]


@pytest.mark.requirement("R-CEGI-115")
@pytest.mark.parametrize("use", ["digital-signature-key-encipherment", "digital-signature", "key-encipherment"])
def test_intune_profiles_take_the_extended_key_usage_of_the_request(use: str, house: House) -> None:
    """But the one that is for client authentication alone."""
    asked = x509.ExtendedKeyUsage([x509.ObjectIdentifier(CLIENT), x509.ObjectIdentifier(LOGON)])
    csr_der = make_csr(house.subscriber_key, common_name("a.example"), extensions=[(asked, False)])
    assert extended_key_usage(house.certificate(f"intune-{use}", csr_der=csr_der).extensions) == {CLIENT, LOGON}
    fixed = house.certificate("intune-digital-signature-key-encipherment-clientauth", csr_der=csr_der).extensions
    assert extended_key_usage(fixed) == {CLIENT}


@pytest.mark.requirement("R-CEG-051")
def test_the_types_of_pkcs12_have_server_made_keys_alone() -> None:
    with_p12 = {profile for profile in TYPES if shipped_profiles()[profile].modes == {IssuanceMode.P12}}
    assert with_p12 == {profile for profile in TYPES if "_p12_" in profile}


def test_all_types_are_for_subscribers_of_an_issuing_ca(house: House) -> None:
    assert len(TYPES) == 19
    assert {profile.id for profile in shipped_profiles().values() if profile.group == "certificate-types"} == set(TYPES)
    assert all(shipped_profiles()[profile].category is ProfileCategory.SUBSCRIBER for profile in TYPES)
    assert house.issuing.profiles >= set(TYPES)
    assert not house.root.profiles & set(TYPES)


def extended_key_usage(extensions: x509.Extensions) -> set[str]:
    """Dotted; empty where there is none."""
    try:
        found = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return set()
    return {purpose.dotted_string for purpose in found.value}
