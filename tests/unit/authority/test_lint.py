"""An independent linter (pkilint, RFC 5280) looks at a certificate of every profile with every kind of key."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader
from pkilint.pkix import certificate, extension, name
from pkilint.validation import ValidationFindingSeverity, ValidatorContainer

from cspd.authority.profile_values import ProfileCategory
from tests.support.issuing import House, make_csr, shipped_profiles
from tests.unit.authority.test_profile_matrix import NAMES, SUBJECT, issue

KEYS = {
    "ec-p256": ec.generate_private_key(ec.SECP256R1()),
    "ec-p521": ec.generate_private_key(ec.SECP521R1()),
    "rsa-2048": rsa.generate_private_key(65537, 2048),
}

REMARKS = (ValidationFindingSeverity.INFO, ValidationFindingSeverity.DEBUG)


@cache
def linter() -> ValidatorContainer:
    """What ``lint_pkix_cert`` checks."""
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def findings(found: x509.Certificate) -> set[str]:
    """The codes of what the linter finds, remarks excepted."""
    results = linter().validate(loader.load_certificate(found.public_bytes(Encoding.DER), "certificate").root)
    return {
        description.finding.code
        for result in results
        for description in result.finding_descriptions
        if description.finding.severity not in REMARKS
    }


@pytest.fixture(scope="module")
def house() -> House:
    return House()


@pytest.mark.requirement("R-PRO-018")
@pytest.mark.parametrize("profile_id", sorted(shipped_profiles()))
def test_only_what_the_profile_demands_is_found(profile_id: str, house: House) -> None:
    """The exceptions are listed in the profile, each with its reason; one that is not needed any more fails too."""
    profile = shipped_profiles()[profile_id]
    found = findings(issue(house, profile_id))
    if profile.category is not ProfileCategory.AUTHORITY:
        ca = "root" if profile.category is ProfileCategory.EXTERNAL_SUBORDINATE else "issuing"
        for key in KEYS.values():
            found |= findings(house.certificate(profile_id, ca, csr_der=make_csr(key, SUBJECT, NAMES)))
    assert found == {exception.finding for exception in profile.lint_exceptions}
    assert all(exception.reason for exception in profile.lint_exceptions)


def test_the_linter_finds_what_is_wrong(house: House) -> None:
    """A linter that finds nothing proves nothing."""
    wrong = (
        x509.CertificateBuilder()
        .issuer_name(SUBJECT)
        .subject_name(SUBJECT)
        .public_key(KEYS["ec-p256"].public_key())
        .serial_number(1)
        .not_valid_before(house.clock.now())
        .not_valid_after(house.clock.now())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
        .sign(KEYS["ec-p256"], hashes.SHA256())
    )
    assert findings(wrong) >= {"pkix.basic_constraints_extension_not_critical", "pkix.certificate_skid_ca_missing"}


def test_an_empty_subject_passes_too(house: House) -> None:
    csr_der = make_csr(KEYS["ec-p256"], x509.Name([]), NAMES)
    assert findings(house.certificate("est-digital-signature", csr_der=csr_der)) == set()
