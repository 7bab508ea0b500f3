"""One certificate of every profile, field by field (R-PRO-018).

The expectations are written here a second time, from the specification's table, so that a slip in a conf file meets an
independent reading.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from cspd.authority.assembly import assemble
from cspd.authority.issuers import issuer_of
from cspd.authority.policy.validity import BACKDATED
from cspd.x509.algorithms import signature_hash
from cspd.x509.identifiers import subject_key_identifier
from tests.support.issuing import URLS, House, common_name, make_csr, shipped_profiles
from tests.unit.authority.test_certificate_types import TYPES

DS, NR, KE, DE, KA, KCS, CRL = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
CODE, MAIL, STAMP, OCSP = (f"1.3.6.1.5.5.7.3.{number}" for number in (3, 4, 8, 9))
LOGON, ANY = "1.3.6.1.4.1.311.20.2.2", "2.5.29.37.0"
REQUESTED = "requested"

Expected = tuple[set[str], list[str] | str | None]

KEY_USES: dict[str, set[str]] = {
    "digital-signature": {DS},
    "digital-signature-key-encipherment": {DS, KE},
    "key-encipherment": {KE},
    "non-repudiation": {DS, NR},
}

EXPECTED: dict[str, Expected] = {
    "basic-ca-root": ({DS, KCS, CRL}, None),
    "basic-ca-subord": ({DS, KCS, CRL}, None),
    "basic-ocsp": ({DS}, [OCSP]),
    "azure-firewall-ca-subord": ({DS, KCS, CRL}, None),
    "tlsproxy-ca-subord": ({DS, KCS, CRL}, [SERVER, CLIENT]),
    **{
        f"{prefix}-{use}": (bits, REQUESTED)
        for prefix in ("wstep", "cmp", "est", "intune", "mdmws", "mdmws-p12", "scep")
        for use, bits in KEY_USES.items()
    },
    "wstep-non-repudiation-key-encipherment": ({DS, NR, KE}, REQUESTED),
    **{
        f"{prefix}-digital-signature-key-encipherment-clientauth": ({DS, KE}, [CLIENT])
        for prefix in ("intune", "mdmws", "mdmws-p12")
    },
    "codesigning-digital-signature": ({DS}, [CODE]),
    "esim-delivery-auth": ({DS}, None),
    "esim-delivery-binding": ({DS}, None),
    "esim-delivery-tls-server": ({DS}, [SERVER]),
    "esim-discovery-auth": ({DS}, None),
    "esim-discovery-tls-server": ({DS}, [SERVER]),
    "mobile-device-p12-digital-signature-client-authentication": ({DS}, [CLIENT]),
    "multiuse-p12-client": ({DS, KA}, [CLIENT]),
    "multiuse-p12-client-server": ({DS, KA}, [CLIENT, SERVER]),
    "multiuse-p12-custom": ({DS, KA}, REQUESTED),
    "multiuse-p12-key-data-encipherment-non-repudiation-client": ({DS, NR, KE, DE}, [CLIENT]),
    # P-6: the guide prints clientAuth alone; the name is followed.
    "multiuse-p12-key-data-encipherment-non-repudiation-client-server": ({DS, NR, KE, DE}, [CLIENT, SERVER]),
    "multiuse-p12-key-encipherment-client": ({DS, KE, KA}, [CLIENT]),
    "multiuse-p12-key-encipherment-client-server": ({DS, KE, KA}, [CLIENT, SERVER]),
    "multiuse-p12-key-encipherment-custom": ({DS, KE, KA}, REQUESTED),
    "multiuse-p12-key-encipherment-non-repudiation-client": ({DS, NR, KE, KA}, [CLIENT]),
    "multiuse-p12-key-encipherment-non-repudiation-client-server": ({DS, NR, KE, KA}, [CLIENT, SERVER]),
    "multiuse-p12-key-encipherment-non-repudiation-custom": ({DS, NR, KE, KA}, REQUESTED),
    "multiuse-p12-key-encipherment-non-repudiation-server": ({DS, NR, KE, KA}, [SERVER]),
    "multiuse-p12-key-encipherment-server": ({DS, KE, KA}, [SERVER]),
    "multiuse-p12-non-repudiation-client": ({DS, NR, KA}, [CLIENT]),
    "multiuse-p12-non-repudiation-client-server": ({DS, NR, KA}, [CLIENT, SERVER]),
    "multiuse-p12-non-repudiation-custom": ({DS, NR, KA}, REQUESTED),
    "multiuse-p12-non-repudiation-server": ({DS, NR, KA}, [SERVER]),
    "multiuse-p12-server": ({DS, KA}, [SERVER]),
    "privatessl-tls-client": ({DS}, [CLIENT]),
    "privatessl-tls-client-server": ({DS}, [CLIENT, SERVER]),
    "privatessl-tls-client-server-data-encipherment": ({DS, DE}, [CLIENT, SERVER]),
    "privatessl-tls-client-server-supply-san": ({DS}, [CLIENT, SERVER]),
    "privatessl-tls-server": ({DS}, [SERVER]),
    "privatessl-tls-server-supply-san": ({DS}, [SERVER]),
    "smime-digital-signature-key-encipherment": ({DS, KE}, [CLIENT, MAIL]),
    "smime-key-encipherment": ({KE}, [MAIL]),
    "smime-non-repudiation": ({DS, NR}, [MAIL]),
    "smartcard-card-authentication": ({DS}, REQUESTED),
    "smartcard-digital-signature": ({DS, NR}, REQUESTED),
    "smartcard-domain-controller": ({DS, KE}, [SERVER, CLIENT]),
    "smartcard-key-management": ({KE}, REQUESTED),
    "smartcard-piv-authentication": ({DS}, [ANY, LOGON, CLIENT]),
    "smartcard-piv-content-signing": ({DS, NR}, REQUESTED),
    "v2g-supply-equipment": ({DS, KA}, [SERVER]),
    "v2g-user-identity": ({DS, NR}, None),
}
GENERIC: dict[str, Expected] = {
    "tls-server": ({DS}, [SERVER]),
    "tls-client": ({DS}, [CLIENT]),
    "tls-client-server": ({DS}, [SERVER, CLIENT]),
    "device": ({DS}, REQUESTED),
    "timestamping": ({DS}, [STAMP]),
    "cmp-key-generation": ({DS}, ["1.3.6.1.5.5.7.3.32"]),
}
POLICIES = {
    "esim-delivery-auth": "2.23.146.1.2.1.4",
    "esim-delivery-binding": "2.23.146.1.2.1.5",
    "esim-delivery-tls-server": "2.23.146.1.2.1.3",
    "esim-discovery-auth": "2.23.146.1.2.1.7",
    "esim-discovery-tls-server": "2.23.146.1.2.1.6",
}
PATH_LENGTHS = {"basic-ca-subord": 0, "tlsproxy-ca-subord": 0, "azure-firewall-ca-subord": 1, "basic-ca-root": None}
WSTEP_EXTENSIONS = {
    *("2.5.29.32", "2.5.29.37", "1.3.6.1.4.1.311.21.10", "1.2.840.113549.1.9.15"),
    *("1.3.6.1.4.1.311.21.7", "1.3.6.1.4.1.311.20.2", "1.3.6.1.4.1.311.25.2"),
}
ASKED_USAGES = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.17"), x509.ObjectIdentifier(CLIENT)])
SUBJECT = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
        x509.NameAttribute(NameOID.COMMON_NAME, "www.example.org"),
    ]
)
NAMES = [x509.DNSName("www.example.org"), x509.RFC822Name("a@example.org")]


@pytest.fixture(scope="module")
def house() -> House:
    """One for all rows: issuing does not change it."""
    return House()


@pytest.fixture(scope="module")
def certificates(house: House) -> dict[str, x509.Certificate]:
    """One certificate of every profile, issued through the pipeline where it may be."""
    return {profile: issue(house, profile) for profile in {**EXPECTED, **GENERIC}}


def issue(house: House, profile_id: str) -> x509.Certificate:
    """Ask for more than any profile grants, to see what comes of it."""
    profile = shipped_profiles()[profile_id]
    if profile.category.value == "authority":
        key = ec.generate_private_key(ec.SECP256R1())
        signer = key if profile_id == "basic-ca-root" else house.keys.private_keys[house.root.key]  # type: ignore[index]  # it has a key
        not_before = house.clock.now() - BACKDATED
        return assemble(
            profile,
            issuer=None if profile_id == "basic-ca-root" else issuer_of(house.root, URLS),
            subject=common_name(profile_id),
            public_key=key.public_key(),
            serial=2**100,
            not_before=not_before,
            not_after=profile.validity.default.after(not_before),
        ).sign(signer, signature_hash(signer.public_key()))  # type: ignore[arg-type]  # SHA-2
    unwanted: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (ASKED_USAGES, False),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False),
    ]
    ca = "root" if profile.issuer.value == "root" else "issuing"
    return house.certificate(profile_id, ca, csr_der=make_csr(house.subscriber_key, SUBJECT, NAMES, unwanted))


@pytest.mark.requirement("R-PRO-001")
def test_every_profile_of_the_specification_is_there() -> None:
    assert len(EXPECTED) == 79
    assert set(shipped_profiles()) == set(EXPECTED) | set(GENERIC) | set(TYPES)


@pytest.mark.requirement("R-PRO-009")
@pytest.mark.requirement("R-PRO-018")
@pytest.mark.parametrize("profile", [*EXPECTED, *GENERIC])
def test_key_usage_is_the_profiles(profile: str, certificates: dict[str, x509.Certificate]) -> None:
    extension = certificates[profile].extensions.get_extension_for_class(x509.KeyUsage)
    assert extension.critical
    assert {bit for bit in (DS, NR, KE, DE, KA, KCS, CRL) if getattr(extension.value, bit)} == {
        **EXPECTED,
        **GENERIC,
    }[profile][0]


@pytest.mark.requirement("R-PRO-010")
@pytest.mark.requirement("R-PRO-018")
@pytest.mark.parametrize("profile", [*EXPECTED, *GENERIC])
def test_extended_key_usage_follows_its_mode(profile: str, certificates: dict[str, x509.Certificate]) -> None:
    expected = {**EXPECTED, **GENERIC}[profile][1]
    extensions = certificates[profile].extensions
    if expected is None:
        with pytest.raises(x509.ExtensionNotFound):
            extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        return
    found = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if expected == REQUESTED:
        assert found.value == ASKED_USAGES
    else:
        assert [usage.dotted_string for usage in found.value] == expected
    assert found.critical == (profile in ("basic-ocsp", "timestamping"))


@pytest.mark.requirement("R-PRO-013")
@pytest.mark.requirement("R-PRO-018")
@pytest.mark.parametrize("profile", [*EXPECTED, *GENERIC])
def test_basic_constraints_are_critical_and_the_profiles(
    profile: str, certificates: dict[str, x509.Certificate]
) -> None:
    extension = certificates[profile].extensions.get_extension_for_class(x509.BasicConstraints)
    assert extension.critical
    assert extension.value == x509.BasicConstraints(ca=profile in PATH_LENGTHS, path_length=PATH_LENGTHS.get(profile))


@pytest.mark.requirement("R-PRO-012")
@pytest.mark.requirement("R-PRO-014")
@pytest.mark.requirement("R-PRO-018")
@pytest.mark.parametrize("profile", [*EXPECTED, *GENERIC])
def test_the_other_extensions_are_exactly_those(profile: str, certificates: dict[str, x509.Certificate]) -> None:
    """Nothing that was asked for beside the profile's list is there, and everything non-critical is."""
    extensions = certificates[profile].extensions
    expected: set[type[x509.ExtensionType]] = {x509.SubjectKeyIdentifier}
    if profile != "basic-ca-root":
        expected |= {x509.AuthorityKeyIdentifier, x509.CRLDistributionPoints, x509.AuthorityInformationAccess}
    if profile == "basic-ocsp":
        expected.add(x509.OCSPNoCheck)
    if not profile.startswith("basic-"):
        expected.add(x509.SubjectAlternativeName)
    if profile in POLICIES:
        expected.add(x509.CertificatePolicies)
        (policy,) = extensions.get_extension_for_class(x509.CertificatePolicies).value
        assert policy.policy_identifier.dotted_string == POLICIES[profile]
    always = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)
    others = [extension for extension in extensions if not isinstance(extension.value, always)]
    assert {type(extension.value) for extension in others} == expected
    assert not any(extension.critical for extension in others)


@pytest.mark.requirement("R-PRO-005")
@pytest.mark.requirement("R-PRO-018")
@pytest.mark.parametrize("profile", EXPECTED)
def test_the_default_lifetime_is_the_profiles(
    profile: str, certificates: dict[str, x509.Certificate], house: House
) -> None:
    certificate = certificates[profile]
    start = house.clock.now() - BACKDATED
    years = {"basic-ca-root": 20, "basic-ca-subord": 10, "v2g-user-identity": 2}.get(profile, 1)
    years = 3 if profile.startswith("esim-") else years
    end = start + timedelta(days=30) if profile == "basic-ocsp" else start.replace(year=start.year + years)
    assert certificate.not_valid_before_utc == start
    assert certificate.not_valid_after_utc == end


@pytest.mark.requirement("R-PRO-017")
@pytest.mark.requirement("R-CA-071")
@pytest.mark.parametrize("profile", [*EXPECTED, *GENERIC])
def test_key_identifiers_link_the_certificates(
    profile: str, certificates: dict[str, x509.Certificate], house: House
) -> None:
    certificate = certificates[profile]
    digest = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert digest == subject_key_identifier(certificate.public_key())  # type: ignore[arg-type]  # a signing key
    if profile == "basic-ca-root":
        return
    signers = {"azure-firewall-ca-subord", "tlsproxy-ca-subord", "basic-ca-subord", "basic-ocsp"}
    issuer = house.root if profile in signers else house.issuing
    assert issuer.certificate is not None
    certificate.verify_directly_issued_by(issuer.certificate)
    issuer_digest = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    authority_key = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority_key.key_identifier == issuer_digest
    locations = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert locations[0].access_method == AuthorityInformationAccessOID.OCSP


def test_windows_enrollment_may_ask_for_seven_extensions() -> None:
    for prefix in ("wstep", "cmp", "est", "scep"):
        assert shipped_profiles()[f"{prefix}-digital-signature"].request_extensions == WSTEP_EXTENSIONS


def test_only_the_p12_profiles_have_server_made_keys() -> None:
    with_p12 = {
        profile.id for profile in shipped_profiles().values() if "p12" in {mode.value for mode in profile.modes}
    }
    assert with_p12 - set(TYPES) == {profile for profile in EXPECTED if "-p12-" in profile}
    assert len(with_p12 - set(TYPES)) == 24


@pytest.mark.requirement("R-PRO-002")
def test_roots_offer_two_profiles_and_issuing_cas_the_subscribers(house: House) -> None:
    assert house.root.profiles == {"azure-firewall-ca-subord", "tlsproxy-ca-subord"}
    assert len(house.issuing.profiles - set(GENERIC) - set(TYPES)) == 74
    assert not {"basic-ca-root", "basic-ca-subord", "basic-ocsp"} & house.issuing.profiles
