"""CAs elsewhere, certified by a root here through the pipeline: an ordinary enroll with a profile of its own."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import EnrollmentRequest, Issued, RevocationReason
from cspd.refusals import NotFound
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation, named
from tests.support.running import result_of


def csr() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(named("Firewall CA"))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(("profile", "path_length"), [("azure-firewall-ca-subord", 1), ("tlsproxy-ca-subord", 0)])
def test_a_root_certifies_and_revokes_a_ca_elsewhere(profile: str, path_length: int) -> None:
    here = Installation()
    root, _ = here.make_hierarchy()
    request = EnrollmentRequest(ca=ROOT, profile=profile, requester=ALICE, csr_der=csr())
    issued = result_of(here.issuance.enroll(request))
    assert isinstance(issued, Issued)
    certificate = x509.load_der_x509_certificate(issued.certificate_der)
    assert root.certificate is not None
    certificate.verify_directly_issued_by(root.certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints == x509.BasicConstraints(ca=True, path_length=path_length)
    here.revoke(root, issued.serial, RevocationReason.CA_COMPROMISE)
    crl = x509.load_der_x509_crl(result_of(here.publication.current(root)).crl_der)
    assert [each.serial_number for each in crl] == [issued.serial]
    assert len(result_of(here.registry.list())) == 2


def test_an_issuing_ca_does_not() -> None:
    here = Installation()
    here.make_hierarchy()
    request = EnrollmentRequest(ca=ISSUING, profile="tlsproxy-ca-subord", requester=ALICE, csr_der=csr())
    with pytest.raises(NotFound):
        result_of(here.issuance.enroll(request))


def test_certificates_after_a_rekey_are_on_the_crl_they_point_to() -> None:
    here = Installation()
    here.make_hierarchy(crl_days=7)
    result_of(here.renewal.rekey(ISSUING, ALICE))
    request = EnrollmentRequest(ca=ISSUING, profile="privatessl-tls-server", requester=ALICE, csr_der=csr())
    issued = result_of(here.issuance.enroll(request))
    assert isinstance(issued, Issued)
    certificate = x509.load_der_x509_certificate(issued.certificate_der)
    (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    assert point.full_name[0].value == "http://pki.example/crl/demo/issuing/crl-1.crl"
    authority = here.get(ISSUING)
    here.revoke(authority, issued.serial)
    new, old = (
        x509.load_der_x509_crl(result_of(here.publication.current(authority, key_index=index)).crl_der)
        for index in (1, 0)
    )
    assert [each.serial_number for each in new] == [issued.serial]
    assert len(old) == 0
