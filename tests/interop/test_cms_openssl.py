"""CMS messages between us and ``openssl cms``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.enveloped import encode_enveloped_data, read_enveloped_data
from cspd.x509.cms.recipients import Password, SharedKey, recipient_of
from cspd.x509.cms.signed import certificates_of, find_certificate, read_signed_data, verify_signer
from cspd.x509.cms.values import DATA
from tests.support.processes import run

pytestmark = pytest.mark.interop

CONTENT = b"for one's eyes only\n"
KEYS = {
    "rsa": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
}


class OpenSSL:
    """A folder with a key, its certificate and messages."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        run(
            [
                "openssl",
                "req",
                "-x509",
                *KEYS[key],
                "-nodes",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
                "-subj",
                "/CN=x",
            ],
            cwd=folder,
        )
        self.certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())

    def cms(self, *arguments: str) -> None:
        """Run it; ``in`` and ``out`` are the files."""
        run(["openssl", "cms", *arguments, "-in", "in", "-out", "out"], cwd=self.folder)

    def give(self, content: bytes) -> None:
        """What it reads."""
        (self.folder / "in").write_bytes(content)

    def taken(self) -> bytes:
        """What it wrote."""
        return (self.folder / "out").read_bytes()


@pytest.mark.parametrize("cipher", [ContentCipher.AES_128_CBC, ContentCipher.AES_256_CBC, ContentCipher.AES_256_GCM])
@pytest.mark.parametrize("key", KEYS)
def test_openssl_decrypts_for_the_holder_of_a_key(tmp_path: Path, key: str, cipher: ContentCipher) -> None:
    openssl = OpenSSL(tmp_path, key)
    openssl.give(
        encode_enveloped_data(CONTENT, [recipient_of(openssl.certificate)], random_bytes=os.urandom, cipher=cipher)
    )
    openssl.cms("-decrypt", "-binary", "-inform", "DER", "-recip", "cert.pem", "-inkey", "key.pem")
    assert openssl.taken() == CONTENT


def test_openssl_decrypts_with_oaep(tmp_path: Path) -> None:
    openssl = OpenSSL(tmp_path, "rsa")
    recipient = recipient_of(openssl.certificate, oaep=True)
    openssl.give(encode_enveloped_data(CONTENT, [recipient], random_bytes=os.urandom))
    openssl.cms("-decrypt", "-binary", "-inform", "DER", "-recip", "cert.pem", "-inkey", "key.pem")
    assert openssl.taken() == CONTENT


@pytest.mark.parametrize("octets", [16, 24, 32])
def test_openssl_decrypts_with_a_shared_key(tmp_path: Path, octets: int) -> None:
    openssl = OpenSSL(tmp_path, "rsa")
    key = os.urandom(octets)
    openssl.give(encode_enveloped_data(CONTENT, [SharedKey(key, b"\x01\x02")], random_bytes=os.urandom))
    openssl.cms("-decrypt", "-binary", "-inform", "DER", "-secretkey", key.hex(), "-secretkeyid", "0102")
    assert openssl.taken() == CONTENT


def test_openssl_decrypts_with_a_password(tmp_path: Path) -> None:
    openssl = OpenSSL(tmp_path, "rsa")
    openssl.give(encode_enveloped_data(CONTENT, [Password(b"secret")], random_bytes=os.urandom))
    openssl.cms("-decrypt", "-binary", "-inform", "DER", "-pwri_password", "secret")
    assert openssl.taken() == CONTENT


@pytest.mark.parametrize("stream", [[], ["-stream"]], ids=["DER", "BER"])
@pytest.mark.parametrize("cipher", ["-aes256", "-aes-128-cbc", "-des3"])
def test_what_openssl_encrypted_is_read(tmp_path: Path, stream: list[str], cipher: str) -> None:
    openssl = OpenSSL(tmp_path, "rsa")
    content = os.urandom(20_000)  # several pieces when streamed
    openssl.give(content)
    run(
        [
            "openssl",
            "cms",
            "-encrypt",
            "-binary",
            *stream,
            "-outform",
            "DER",
            cipher,
            "-in",
            "in",
            "-out",
            "out",
            "cert.pem",
        ],
        cwd=tmp_path,
    )
    enveloped = read_enveloped_data(openssl.taken())
    [recipient] = enveloped.key_transport
    key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert enveloped.decrypt(key.decrypt(recipient.encrypted_key, padding.PKCS1v15())) == content


@pytest.mark.parametrize("options", [["-nodetach"], ["-nodetach", "-stream"], ["-nodetach", "-keyid"], ["-noattr"], []])
@pytest.mark.parametrize("key", KEYS)
def test_what_openssl_signed_verifies(tmp_path: Path, key: str, options: list[str]) -> None:
    openssl = OpenSSL(tmp_path, key)
    content = os.urandom(20_000)
    openssl.give(content)
    openssl.cms("-sign", "-binary", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", *options)
    signed = read_signed_data(openssl.taken())
    assert signed.content == (content if "-nodetach" in options else None)
    [signer] = signed.signers
    certificate = find_certificate(signer, certificates_of(signed))
    verify_signer(signer, certificate.public_key(), content_type=DATA, content=content)
