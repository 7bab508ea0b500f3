"""Certificates put together from profiles."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from cspd.authority.assembly import Issuer, assemble
from cspd.authority.profiles import load_profiles
from cspd.x509.algorithms import signature_hash
from cspd.x509.identifiers import subject_key_identifier

PROFILES = load_profiles([Path(__file__).parents[3] / "conf" / "profiles"])
KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Root")])
ISSUER = Issuer(
    name=NAME,
    key_identifier=subject_key_identifier(KEY.public_key()),
    crl_url="http://pki.example/crl/demo/root/crl.crl",
    delta_crl_url="http://pki.example/crl/demo/root/delta.crl",
    ocsp_url="http://pki.example/ocsp/demo/root",
    ca_certificate_url="http://pki.example/crl/demo/root/1.cer",
)
NOT_BEFORE = datetime(2026, 11, 24, 12, tzinfo=UTC)


def issue(profile: str, issuer: Issuer | None = ISSUER, subject: x509.Name = NAME, **facts: object) -> x509.Certificate:
    """Assemble and sign under ``profile`` with the one key of this module."""
    builder = assemble(
        PROFILES[profile],
        issuer=issuer,
        subject=subject,
        public_key=KEY.public_key(),
        serial=7,
        not_before=NOT_BEFORE,
        not_after=PROFILES[profile].validity.default.after(NOT_BEFORE),
        **facts,  # type: ignore[arg-type]  # keyword arguments of assemble
    )
    return builder.sign(KEY, signature_hash(KEY.public_key()))


def test_a_root_is_self_signed_and_points_nowhere() -> None:
    certificate = issue("basic-ca-root", issuer=None)
    certificate.verify_directly_issued_by(certificate)
    assert {extension.oid for extension in certificate.extensions} == {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.SubjectKeyIdentifier.oid,
    }


@pytest.mark.requirement("R-PRO-016")
def test_a_responder_certificate_only_signs_ocsp_responses() -> None:
    """P-2: no keyCertSign and no cRLSign, whatever the guide prints."""
    extensions = issue("basic-ocsp").extensions
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usages.critical
    assert list(usages.value) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
    assert extensions.get_extension_for_class(x509.OCSPNoCheck).critical is False
    assert extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    assert extensions.get_extension_for_class(x509.CRLDistributionPoints)
    key_usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert key_usage.digital_signature
    assert not key_usage.key_cert_sign
    assert not key_usage.crl_sign


@pytest.mark.requirement("R-PRO-012")
@pytest.mark.requirement("R-CA-053")
def test_a_certificate_says_where_its_status_is() -> None:
    extensions = issue("tls-client").extensions
    locations = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert [(access.access_method, access.access_location.value) for access in locations] == [
        (AuthorityInformationAccessOID.OCSP, ISSUER.ocsp_url),
        (AuthorityInformationAccessOID.CA_ISSUERS, ISSUER.ca_certificate_url),
    ]
    (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name == [x509.UniformResourceIdentifier(str(ISSUER.crl_url))]
    (delta,) = extensions.get_extension_for_class(x509.FreshestCRL).value
    assert delta.full_name == [x509.UniformResourceIdentifier(str(ISSUER.delta_crl_url))]
    authority_key = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority_key.key_identifier == ISSUER.key_identifier


def test_nothing_points_to_services_that_the_issuer_lacks() -> None:
    extensions = issue("tls-client", issuer=Issuer(name=NAME, key_identifier=bytes(20))).extensions
    assert not {x509.AuthorityInformationAccess.oid, x509.CRLDistributionPoints.oid, x509.FreshestCRL.oid} & {
        extension.oid for extension in extensions
    }


@pytest.mark.parametrize(("subject", "critical"), [(NAME, False), (x509.Name([]), True)])
def test_subject_alt_name_is_critical_without_a_subject(subject: x509.Name, critical: bool) -> None:
    certificate = issue("tls-client", subject=subject, subject_alt_names=[x509.DNSName("a.example")])
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical is critical


def test_an_extension_that_the_profile_writes_cannot_be_given_again() -> None:
    again = x509.Extension(x509.BasicConstraints.oid, True, x509.BasicConstraints(ca=True, path_length=None))
    with pytest.raises(ValueError, match="already been set"):
        issue("tls-client", extensions=[again])
