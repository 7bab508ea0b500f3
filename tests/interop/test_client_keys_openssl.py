"""Keys that were sealed for a client, opened by ``openssl cms`` from the envelope to the key."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from cspd.authority.client_keys import ClientKeys
from cspd.keys.generation import generate_private_key
from cspd.keys.threads import InlinePool
from cspd.keys.values import KeyType, PrivateKey
from cspd.x509.asymmetric_key_package import read_key_package
from cspd.x509.cms.recipients import Password, Recipient, SharedKey, recipient_of
from cspd.x509.cms.signed import encode_content_info
from cspd.x509.cms.values import ENVELOPED_DATA, SIGNED_DATA
from tests.support.authorities import ISSUING, ROOT, Installation
from tests.support.processes import program, run
from tests.support.running import result_of

pytestmark = pytest.mark.interop

CLIENT_KEYS = {
    "rsa": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p521": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
}
BY_CERTIFICATE = ("-recip", "cert.pem", "-inkey", "key.pem")


@cache
def house() -> Installation:
    installation = Installation()
    installation.make_hierarchy()
    return installation


def certify(folder: Path, key: str, *options: str) -> None:
    """A key of the client and a certificate for it."""
    subject = ["-subj", "/CN=client", "-keyout", "key.pem", "-out", "cert.pem"]
    run([program("openssl"), "req", "-x509", *CLIENT_KEYS[key], "-nodes", *subject, *options], cwd=folder)


def seal(folder: Path, recipient: Recipient, *, with_public_key: bool) -> PrivateKey:
    """The file ``enveloped.der``; gives the key that is in it."""
    key = generate_private_key(KeyType.EC_P256)
    authority = result_of(house().registry.get(ISSUING))
    client_keys = ClientKeys(keys=house().keys, random_bytes=os.urandom, pool=InlinePool())
    enveloped_der = result_of(client_keys.seal(key, authority, recipient, with_public_key=with_public_key))
    (folder / "enveloped.der").write_bytes(encode_content_info(ENVELOPED_DATA, enveloped_der))
    return key


def check_opened(folder: Path, key: PrivateKey, *options: str) -> None:
    """Decrypt, verify up to the root, load the key, and compare it."""
    openssl = program("openssl")
    der = ["-inform", "DER", "-binary"]
    run([openssl, "cms", "-decrypt", *der, "-in", "enveloped.der", "-out", "signed.der", *options], cwd=folder)
    # What is inside is the bare SignedData (RFC 5652, 6.1), around which the program wants a ContentInfo.
    signed_der = (folder / "signed.der").read_bytes()
    (folder / "message.der").write_bytes(encode_content_info(SIGNED_DATA, signed_der))
    root = result_of(house().registry.get(ROOT)).certificate
    assert root is not None
    (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    trust = ["-CAfile", "root.pem", "-purpose", "any", "-no_check_time"]
    run([openssl, "cms", "-verify", *der, "-in", "message.der", "-out", "package.der", *trust], cwd=folder)
    parsed = run([openssl, "asn1parse", "-inform", "DER", "-in", "package.der"], cwd=folder)
    assert "id-ecPublicKey" in parsed.stdout
    [one_key] = read_key_package((folder / "package.der").read_bytes())
    (folder / "one.der").write_bytes(one_key.pkcs8_der)
    public = run([openssl, "pkey", "-inform", "DER", "-in", "one.der", "-pubout"], cwd=folder).stdout
    assert public.encode() == key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("oaep", [False, True], ids=["PKCS#1 v1.5", "OAEP"])
@pytest.mark.parametrize("named", ["hash", "none"], ids=["by key", "by issuer"])
def test_openssl_opens_what_is_for_an_rsa_key(tmp_path: Path, named: str, oaep: bool) -> None:
    certify(tmp_path, "rsa", "-addext", f"subjectKeyIdentifier={named}")
    certificate = load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes())
    recipient = recipient_of(certificate, oaep=oaep, by_key_identifier=True)
    check_opened(tmp_path, seal(tmp_path, recipient, with_public_key=True), *BY_CERTIFICATE)


@pytest.mark.parametrize("named", ["hash", "none"], ids=["by key", "by issuer"])
@pytest.mark.parametrize("curve", ["p256", "p521"])
def test_openssl_opens_what_is_for_a_key_on_a_curve(tmp_path: Path, curve: str, named: str) -> None:
    certify(tmp_path, curve, "-addext", f"subjectKeyIdentifier={named}")
    certificate = load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes())
    recipient = recipient_of(certificate, by_key_identifier=True)
    check_opened(tmp_path, seal(tmp_path, recipient, with_public_key=True), *BY_CERTIFICATE)


def test_openssl_opens_what_is_for_a_password(tmp_path: Path) -> None:
    key = seal(tmp_path, Password(b"the secret"), with_public_key=True)
    check_opened(tmp_path, key, "-pwri_password", "the secret")


def test_openssl_opens_what_is_for_a_shared_key(tmp_path: Path) -> None:
    shared = os.urandom(32)
    key = seal(tmp_path, SharedKey(shared, b"ref"), with_public_key=False)
    check_opened(tmp_path, key, "-secretkey", shared.hex(), "-secretkeyid", b"ref".hex())
