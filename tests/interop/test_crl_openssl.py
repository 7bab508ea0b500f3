"""CRLs as OpenSSL sees them: signatures, and certificates checked by full, delta and re-keyed CRLs."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess, run

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.chains import pem_of
from cspd.authority.values import Authority, EnrollmentRequest, Issued, PublishedCRL, RevocationReason
from cspd.keys.values import KeyType
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation, named
from tests.support.processes import program
from tests.support.running import result_of

pytestmark = pytest.mark.interop


def openssl(*arguments: str | Path) -> CompletedProcess[str]:
    return run([program("openssl"), *arguments], capture_output=True, text=True, check=False)


def enroll(here: Installation) -> Issued:
    """A certificate of the issuing CA."""
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(named("a.example"))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    request = EnrollmentRequest(
        ca=ISSUING, profile="tls-server", requester=ALICE, csr_der=csr.public_bytes(Encoding.DER)
    )
    issued = result_of(here.issuance.enroll(request))
    assert isinstance(issued, Issued)
    return issued


def current(here: Installation, authority: Authority, **which: bool | int) -> PublishedCRL:
    return result_of(here.publication.current(authority, **which))  # type: ignore[arg-type]


class Verifier:
    """``openssl verify -crl_check_all`` of one certificate with given CRLs at the installation's time."""

    def __init__(self, folder: Path, here: Installation) -> None:
        self._folder = folder
        self._here = here

    def __call__(self, issued: Issued, *crls: PublishedCRL, options: tuple[str, ...] = ()) -> str:
        """OpenSSL's verdict: ``OK`` or its error text."""
        leaf, untrusted, root = (self._folder / name for name in ("leaf", "untrusted", "root"))
        leaf.write_bytes(pem_of([issued.certificate_der]))
        untrusted.write_bytes(pem_of(issued.chain_der[:-1]))
        root.write_bytes(pem_of(issued.chain_der[-1:]))
        files: list[str | Path] = []
        for number, crl in enumerate(crls):
            file = self._folder / f"{number}.crl"
            file.write_bytes(x509.load_der_x509_crl(crl.crl_der).public_bytes(Encoding.PEM))
            files += ["-CRLfile", file]
        moment = str(int(self._here.clock.now().timestamp()))
        done = openssl(
            *("verify", "-crl_check_all", *options, "-attime", moment, "-x509_strict"),
            *("-CAfile", root, "-untrusted", untrusted, *files, leaf),
        )
        return "OK" if done.returncode == 0 else done.stderr


@pytest.mark.parametrize(
    "key_type",
    [KeyType.EC_P256, KeyType.EC_P384, KeyType.EC_P521, KeyType.RSA_2048, KeyType.RSA_4096, KeyType.ED25519],
    ids=lambda each: each.value,
)
def test_openssl_reads_and_verifies_a_crl(tmp_path: Path, key_type: KeyType) -> None:
    here = Installation()
    _, issuing = here.make_hierarchy(key_type=key_type, crl_days=7)
    here.issue(issuing, 0x1234)
    here.revoke(issuing, 0x1234, RevocationReason.KEY_COMPROMISE, invalidity_date=here.clock.now())
    crl, cas = tmp_path / "crl", tmp_path / "cas"
    crl.write_bytes(current(here, issuing).crl_der)
    assert issuing.certificate_der is not None
    cas.write_bytes(pem_of((issuing.certificate_der, *issuing.chain_der)))
    shown = openssl("crl", "-inform", "DER", "-in", crl, "-CAfile", cas, "-noout", "-text")
    assert shown.returncode == 0
    assert "verify OK" in shown.stderr
    assert "Serial Number: 1234" in shown.stdout
    assert "Key Compromise" in shown.stdout
    assert "Invalidity Date" in shown.stdout


def test_a_certificate_is_good_then_revoked(tmp_path: Path) -> None:
    here = Installation()
    _, issuing = here.make_hierarchy(crl_days=7)
    verify = Verifier(tmp_path, here)
    issued = enroll(here)
    of_root = current(here, here.get(ROOT))
    assert verify(issued, current(here, issuing), of_root) == "OK"
    here.revoke(issuing, issued.serial)
    here.reactor.advance(1)
    assert "certificate revoked" in verify(issued, current(here, issuing), of_root)


def test_a_revoked_ca_takes_its_certificates_along(tmp_path: Path) -> None:
    here = Installation()
    _, issuing = here.make_hierarchy(crl_days=7)
    issued = enroll(here)
    of_issuing = current(here, issuing)
    result_of(here.management.revoke(ISSUING, RevocationReason.CA_COMPROMISE, ALICE))
    verdict = Verifier(tmp_path, here)(issued, of_issuing, current(here, here.get(ROOT)))
    assert "error 23 at 1 depth" in verdict


def test_a_delta_crl_tells_of_hold_and_release(tmp_path: Path) -> None:
    here = Installation()
    _, issuing = here.make_hierarchy(crl_days=7, delta_crl_hours=1)
    verify = Verifier(tmp_path, here)
    issued = enroll(here)
    of_root, full = current(here, here.get(ROOT)), current(here, issuing)
    deltas = ("-use_deltas", "-extended_crl")
    here.revoke(issuing, issued.serial, RevocationReason.CERTIFICATE_HOLD)
    here.reactor.advance(1)
    held = current(here, issuing, is_delta=True)
    assert verify(issued, full, of_root, options=deltas) == "OK"
    assert "certificate revoked" in verify(issued, full, held, of_root, options=deltas)
    full_with_hold = current(here, issuing)
    result_of(here.revocation.unhold(ISSUING, issued.serial, ALICE))
    here.reactor.advance(1)
    released = current(here, issuing, is_delta=True)
    assert "certificate revoked" in verify(issued, full_with_hold, of_root, options=deltas)
    assert verify(issued, full_with_hold, released, of_root, options=deltas) == "OK"


def test_a_full_and_a_delta_crl_of_one_number_tell_the_same(tmp_path: Path) -> None:
    """RFC 5280, 5.2.3; the very first pair too, whose delta CRL has its own number as its base."""
    here = Installation()
    _, issuing = here.make_hierarchy(crl_days=7, delta_crl_hours=1)
    verify = Verifier(tmp_path, here)
    issued = enroll(here)
    of_root = current(here, here.get(ROOT))
    deltas = ("-use_deltas", "-extended_crl")
    first = result_of(here.publication.publish(issuing))
    assert [crl.number for crl in first] == [1, 1]
    assert verify(issued, *first, of_root, options=deltas) == "OK"
    here.revoke(issuing, issued.serial)
    here.reactor.advance(1)
    full, delta = current(here, issuing), current(here, issuing, is_delta=True)
    assert [full.number, delta.number, delta.base_number] == [2, 2, 1]
    for crls in ([full], [full, delta], [first[0], delta]):
        assert "certificate revoked" in verify(issued, *crls, of_root, options=deltas)
    for crl, number in ((full, "2"), (delta, "2")):
        (tmp_path / "crl").write_bytes(crl.crl_der)
        shown = openssl("crl", "-inform", "DER", "-in", tmp_path / "crl", "-noout", "-crlnumber", "-lastupdate")
        assert f"crlNumber=0x{number.zfill(2)}" in shown.stdout


def test_after_a_rekey_each_certificate_is_checked_by_the_crl_of_its_own_key(tmp_path: Path) -> None:
    """Why a CA has a CRL for each key: in the path of an old certificate there is no signer of the new key's CRL."""
    here = Installation()
    here.make_hierarchy(crl_days=7)
    verify = Verifier(tmp_path, here)
    old = enroll(here)
    issuing = result_of(here.renewal.rekey(ISSUING, ALICE))
    new = enroll(here)
    of_root = current(here, here.get(ROOT))
    first, second = current(here, issuing, key_index=0), current(here, issuing, key_index=1)
    assert verify(old, first, of_root) == "OK"
    assert verify(new, second, of_root) == "OK"
    assert verify(old, second, of_root) != "OK"
    here.revoke(issuing, old.serial)
    here.reactor.advance(1)
    assert "certificate revoked" in verify(old, current(here, issuing, key_index=0), of_root)
    assert verify(new, current(here, issuing, key_index=1), of_root) == "OK"
