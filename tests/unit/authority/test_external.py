"""External roots, and CAs here that they sign."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.new_authorities import ImportedRoot, NewExternalRoot
from cspd.authority.values import Authority, AuthorityKind, AuthorityState, CAReference
from cspd.refusals import BadPublicKey, BadValidity, Conflict, Forbidden, Malformed, Refused, Rejected
from tests.support.authorities import (
    ALICE,
    BOB,
    ISSUING,
    ROOT,
    Installation,
    certificate_for,
    named,
    new_issuing,
)
from tests.support.running import result_of

NAME = named("Offline Root")


class ForeignRoot:
    """A root somewhere else."""

    def __init__(self, here: Installation) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.not_before = here.clock.now() - timedelta(days=1)
        self.not_after = self.not_before + timedelta(days=1000)
        self.pem = self.root()

    def root(self, **fields: Any) -> str:
        values: dict[str, Any] = {"not_before": self.not_before, "not_after": self.not_after, "subject": NAME}
        return certificate_for(self.key, **{**values, **fields})

    def sign(self, csr: x509.CertificateSigningRequest, **fields: Any) -> str:
        values: dict[str, Any] = {
            "subject": csr.subject,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "issuer": (NAME, self.key),
            "public_key": csr.public_key(),
        }
        return certificate_for(self.key, **{**values, **fields})


def changed(pem: str, octets: bytes, instead: bytes) -> str:
    """The certificate with some octets of its DER replaced."""
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    assert octets in der
    text = base64.encodebytes(der.replace(octets, instead)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def imported(here: Installation, pem: str) -> ImportedRoot:
    return result_of(here.external.import_root(NewExternalRoot(reference=ROOT, certificate_pem=pem), ALICE))


def pending() -> tuple[Installation, ForeignRoot, x509.CertificateSigningRequest]:
    """An installation with a CA that waits, the root it waits for, and the CSR."""
    here = Installation()
    here.make_organization()
    root = ForeignRoot(here)
    imported(here, root.pem)
    here.make_issuing()
    csr = x509.load_der_x509_csr(result_of(here.external.request(ISSUING, ALICE)))
    return here, root, csr


def upload(here: Installation, pem: str) -> Authority:
    return result_of(here.external.upload(ISSUING, pem, ALICE))


@pytest.mark.requirement("R-CA-021")
def test_a_root_is_imported_from_pem() -> None:
    here = Installation()
    here.make_organization()
    found = imported(here, ForeignRoot(here).pem)
    assert found.warnings == ()
    assert found.authority.kind is AuthorityKind.EXTERNAL_ROOT
    assert found.authority.subject == NAME
    assert found.authority.key is None
    assert [each["ca"] for each in here.audited("ca-imported")] == ["demo~root"]


def test_a_root_without_key_usage_is_taken() -> None:
    here = Installation()
    here.make_organization()
    assert imported(here, ForeignRoot(here).root(key_usage=None)).warnings == ()


def test_an_expired_root_is_taken_with_a_warning() -> None:
    here = Installation()
    here.make_organization()
    (warning,) = imported(here, ForeignRoot(here).root(not_after=here.clock.now())).warnings
    assert "expired" in warning


@pytest.mark.requirement("R-CA-021")
@pytest.mark.parametrize("what", ["der", "nothing", "garbage", "two", "a key", "long", "not ascii", "v10", "bits"])
def test_only_one_pem_certificate_is_taken(what: str) -> None:
    here = Installation()
    here.make_organization()
    pem = ForeignRoot(here).pem
    texts = {
        "der": x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER).decode("latin-1"),
        "nothing": "",
        "garbage": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "two": pem * 2,
        "a key": pem.replace("CERTIFICATE", "PRIVATE KEY"),
        "long": pem + " " * 70_000,
        "not ascii": pem + "é",
        "v10": changed(pem, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"),
        "bits": changed(pem, b"\x0c\x0cOffline Root", b"\x03\x0c\x00ffline Root"),
    }
    with pytest.raises(Malformed):
        imported(here, texts[what])


@pytest.mark.parametrize(
    "fields",
    [
        {"ca": False},
        {"ca": None},
        {"key_usage": (False, True)},
        {"issuer": (named("Somebody"), None)},
        {"issuer": (NAME, ec.generate_private_key(ec.SECP256R1()))},
    ],
    ids=["cA FALSE", "no basicConstraints", "no keyCertSign", "other issuer", "other signer"],
)
def test_what_is_not_a_root_is_not_imported(fields: dict[str, Any]) -> None:
    here = Installation()
    here.make_organization()
    root = ForeignRoot(here)
    if "issuer" in fields:
        name, key = fields["issuer"]
        fields = {"issuer": (name, key or root.key)}
    with pytest.raises(Rejected):
        imported(here, root.root(**fields))


@pytest.mark.requirement("R-CA-023")
def test_a_ca_under_an_external_root_waits_and_asks() -> None:
    here, _, csr = pending()
    waiting = here.get(ISSUING)
    assert waiting.state is AuthorityState.PENDING_CERTIFICATE
    assert waiting.certificate is None
    assert waiting.subject == csr.subject == named("issuing of demo")
    assert csr.is_signature_valid
    assert csr.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.requirement("R-CA-023")
def test_the_uploaded_certificate_activates_it() -> None:
    here, root, csr = pending()
    active = upload(here, root.sign(csr))
    assert active.state is AuthorityState.ACTIVE
    assert active.certificate is not None
    assert active.chain_der == (here.get(ROOT).certificate_der,)
    assert len(here.audited("ca-certificate-uploaded")) == 1


def test_uploading_again_renews_the_same_key() -> None:
    here, root, csr = pending()
    first = upload(here, root.sign(csr))
    second = upload(here, root.sign(csr, not_after=root.not_after - timedelta(days=1)))
    assert second.certificate_id != first.certificate_id
    assert [each.id for each in second.previous] == [first.certificate_id]
    assert second.key_index == 0


@pytest.mark.requirement("R-CA-023")
@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"public_key": ec.generate_private_key(ec.SECP256R1()).public_key()}, BadPublicKey),
        ({"ca": False}, Rejected),
        ({"ca": None}, Rejected),
        ({"key_usage": None}, Rejected),
        ({"key_usage": (False, True)}, Rejected),
        ({"key_usage": (True, False)}, Rejected),
        ({"subject": x509.Name([])}, Rejected),
        ({"issuer": (NAME, ec.generate_private_key(ec.SECP256R1()))}, Rejected),
        ({"issuer": (named("Offline Root 2"), None)}, Rejected),
        ({"not_before": timedelta(days=-1)}, BadValidity),
        ({"not_after": timedelta(days=1)}, BadValidity),
        ({"not_after": timedelta(days=-999)}, BadValidity),
    ],
    ids=[
        *("another key", "cA FALSE", "no basicConstraints", "no keyUsage", "no keyCertSign", "no cRLSign"),
        *("empty subject", "another signer", "another issuer", "begins before the root", "ends after the root"),
        "expired",
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(fields: dict[str, Any], refusal: type[Refused]) -> None:
    here, root, csr = pending()
    if "not_before" in fields:
        fields = {"not_before": root.not_before + fields["not_before"]}
    if "not_after" in fields:
        fields = {"not_after": root.not_after + fields["not_after"]}
    if "issuer" in fields:
        name, key = fields["issuer"]
        fields = {"issuer": (name, key or root.key)}
    with pytest.raises(refusal) as raised:
        upload(here, root.sign(csr, **fields))
    assert raised.value.refusal_code == "bad-field.certificate"
    assert here.get(ISSUING).state is AuthorityState.PENDING_CERTIFICATE


def test_an_end_is_not_chosen_for_an_external_root() -> None:
    here, _, _ = pending()
    with pytest.raises(Rejected):
        here.make_issuing(CAReference("demo", "second"), not_after=here.clock.now() + timedelta(days=9))


def test_a_disabled_ca_takes_no_certificate() -> None:
    here, root, csr = pending()
    upload(here, root.sign(csr))
    result_of(here.management.disable(ISSUING, ALICE))
    with pytest.raises(Conflict):
        upload(here, root.sign(csr))


def test_a_ca_under_a_root_here_neither_asks_nor_takes() -> None:
    here = Installation()
    here.make_hierarchy()
    for reference in (ROOT, ISSUING):
        with pytest.raises(Conflict):
            result_of(here.external.request(reference, ALICE))
        with pytest.raises(Conflict):
            result_of(here.external.upload(reference, ForeignRoot(here).pem, ALICE))


def test_strangers_may_not() -> None:
    here, root, csr = pending()
    with pytest.raises(Forbidden):
        result_of(here.external.upload(ISSUING, root.sign(csr), BOB))
    with pytest.raises(Forbidden):
        result_of(here.external.request(ISSUING, BOB))
    with pytest.raises(Forbidden):
        result_of(here.creation.create_issuing(new_issuing(CAReference("demo", "more")), BOB))
    new = NewExternalRoot(reference=CAReference("demo", "root2"), certificate_pem=root.pem)
    with pytest.raises(Forbidden):
        result_of(here.external.import_root(new, BOB))
