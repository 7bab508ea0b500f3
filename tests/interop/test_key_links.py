"""A root gets a new key: with what EST hands out, openssl verifies new certificates by the old root and vice versa."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from tests.interop.test_est_clients import Site, site_of
from tests.support.openssl import split_chain
from tests.support.processes import program, run

pytestmark = pytest.mark.interop


def cacerts(site: Site) -> list[x509.Certificate]:
    status, body = site.curl("cacerts", "-H", "Accept: application/pem-certificate-chain")
    assert status == 200
    return [x509.load_pem_x509_certificate(each.encode()) for each in split_chain(body)]


def is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        return False
    return True


def enrolled(site: Site, name: str) -> x509.Certificate:
    _, csr = site.request(name)
    status, chain_pem = site.post("simpleenroll", csr, "-u", site.user)
    assert status == 200
    return x509.load_pem_x509_certificate(split_chain(chain_pem)[0].encode())


def verify(folder: Path, leaf: x509.Certificate, *, anchor: x509.Certificate, between: list[x509.Certificate]) -> None:
    """``openssl verify``, with nothing else to build a path from."""
    files = {"leaf.pem": [leaf], "anchor.pem": [anchor], "between.pem": between}
    for name, certificates in files.items():
        (folder / name).write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
    paths = ["-CAfile", folder / "anchor.pem", "-untrusted", folder / "between.pem", folder / "leaf.pem"]
    run([program("openssl"), "verify", "-x509_strict", *paths])


def test_certificates_verify_over_the_links(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        issuing, old = sorted(cacerts(site), key=lambda each: each.issuer == each.subject)
        before = enrolled(site, "before")
        site.daemon.cspctl("ca", "renew", "demo~root", "--rekey")
        site.daemon.cspctl("ca", "renew", "demo~issuing")
        after = enrolled(site, "after")
        found = cacerts(site)
        roots = [each for each in found if each.subject == each.issuer]
        subordinates = [each for each in found if each.subject != each.issuer]
        [new] = [each for each in roots if each != old and is_self_signed(each)]
        old_with_new, new_with_old = sorted(
            (each for each in roots if each not in (old, new)), key=lambda each: each.public_key() == new.public_key()
        )
        assert issuing in subordinates
        verify(site.folder, after, anchor=old, between=[*subordinates, new_with_old])
        verify(site.folder, before, anchor=new, between=[issuing, old_with_new])
