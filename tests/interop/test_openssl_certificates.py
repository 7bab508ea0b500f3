"""OpenSSL reads and verifies what the pipeline issues."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.keys.values import KeyType
from tests.support.issuing import House, make_csr
from tests.support.openssl import RelyingParty
from tests.unit.authority.test_profile_matrix import NAMES, SUBJECT

pytestmark = pytest.mark.interop

CA_KEYS = (KeyType.EC_P256, KeyType.EC_P521, KeyType.RSA_2048, KeyType.RSA_4096, KeyType.ED25519)


def pem(der: bytes) -> str:
    """PEM of a certificate."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


def relying_party(house: House, folder: Path, profile: str, csr_der: bytes) -> RelyingParty:
    """Somebody who got a certificate of the profile, with its chain, and trusts the root."""
    issued = house.enroll(profile, csr_der=csr_der)
    root = folder / "root.pem"
    root.write_text(pem(issued.chain_der[-1]))
    return RelyingParty(folder, "".join(pem(der) for der in (issued.certificate_der, *issued.chain_der[:-1])), root)


@pytest.mark.parametrize("key_type", CA_KEYS, ids=lambda key_type: key_type.value)
def test_the_chain_verifies_whatever_the_cas_key(key_type: KeyType, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    house = House(key_type=key_type)
    party = relying_party(house, tmp_path, "privatessl-tls-server", make_csr(key, SUBJECT, NAMES))
    party.verify("-x509_strict", "-purpose", "sslserver", "-verify_hostname", "www.example.org", *at(house))


@pytest.mark.parametrize(
    ("profile", "purpose"),
    [
        ("privatessl-tls-client", "sslclient"),
        ("smime-digital-signature-key-encipherment", "smimesign"),
        ("timestamping", "timestampsign"),
        ("tls-client-server", "sslserver"),
    ],
)
def test_a_certificate_serves_its_purpose(profile: str, purpose: str, tmp_path: Path) -> None:
    house = House()
    key = rsa.generate_private_key(65537, 2048)
    party = relying_party(house, tmp_path, profile, make_csr(key, SUBJECT, NAMES))
    party.verify("-x509_strict", "-purpose", purpose, *at(house))


def test_openssl_reads_what_we_wrote(tmp_path: Path) -> None:
    house = House()
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    csr_der = make_csr(house.subscriber_key, SUBJECT, NAMES, [(usages, True)])
    party = relying_party(house, tmp_path, "device", csr_der)
    assert party.field("ocsp_uri") == "http://pki.example/ocsp/demo/issuing"
    assert party.crl_url() == "http://pki.example/crl/demo/issuing/crl.crl"
    assert "DNS:www.example.org, email:a@example.org" in party.extension("subjectAltName")
    assert "X509v3 Extended Key Usage: critical" in party.extension("extendedKeyUsage")
    assert "X509v3 Key Usage: critical" in party.extension("keyUsage")
    assert "X509v3 Basic Constraints: critical" in party.extension("basicConstraints")


def test_an_empty_subject_is_verified_by_its_names(tmp_path: Path) -> None:
    house = House()
    csr_der = make_csr(house.subscriber_key, x509.Name([]), NAMES)
    party = relying_party(house, tmp_path, "est-digital-signature", csr_der)
    party.verify("-x509_strict", "-verify_hostname", "www.example.org", *at(house))


def at(house: House) -> list[str]:
    """The moment that the house's clock shows, for ``openssl verify``."""
    return ["-attime", str(int(house.clock.now().timestamp()))]
