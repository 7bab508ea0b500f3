"""What we answer in SCEP, verified and decrypted by ``openssl cms``; and what that envelopes, opened by us."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cspd.keys.signer import SignatureHash
from cspd.x509.cms.content_encryption import ContentCipher
from protocols.scep.codec import decode
from protocols.scep.decryption import SharedPasswords
from protocols.scep.envelope import OpenedEnvelope, answer_recipient, open_envelope, seal_envelope
from protocols.scep.message_data import encode_message_data
from protocols.scep.messages import CertsOnly, FailInfo, MessageType, PKIMessage, PKIStatus
from tests.protocols.scep.vectors import at_once, client, ec_key, ra_certificate, ra_keys, rsa_key
from tests.support.processes import program, run
from tests.support.running import result_of
from tests.support.scep_client import EVERYTHING, ClientKey, certificate_of, signer_with

pytestmark = pytest.mark.interop

ISSUED = certificate_of(rsa_key("device"), "device", issuer=(ra_certificate().issuer, rsa_key("ca")))
VERIFY = ("-verify", "-inform", "DER", "-in", "answer", "-CAfile", "ca.pem", "-purpose", "any", "-binary")
CIPHERS = [
    ContentCipher.AES_128_CBC,
    ContentCipher.AES_256_CBC,
    ContentCipher.AES_256_GCM,
    ContentCipher.DES_EDE3_CBC,
]
CONTENT = b"what openssl enveloped"
DIGESTS: list[SignatureHash] = [hashes.SHA1(), hashes.SHA256(), hashes.SHA512()]


def ca_certificate() -> x509.Certificate:
    """The certificate of the CA, which openssl wants to say that it is one."""
    plain = certificate_of(rsa_key("ca"), "a CA")
    builder = x509.CertificateBuilder().subject_name(plain.subject).issuer_name(plain.issuer).serial_number(1)
    builder = builder.not_valid_before(plain.not_valid_before_utc).not_valid_after(plain.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.public_key(rsa_key("ca").public_key()).sign(rsa_key("ca"), hashes.SHA256())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keys and certificates as files."""
    (tmp_path / "ra.pem").write_bytes(ra_certificate().public_bytes(Encoding.PEM))
    (tmp_path / "ca.pem").write_bytes(ca_certificate().public_bytes(Encoding.PEM))
    (tmp_path / "device.pem").write_bytes(client().certificate.public_bytes(Encoding.PEM))
    key = rsa_key("device").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "device-key.pem").write_bytes(key)
    (tmp_path / "content").write_bytes(CONTENT)
    return tmp_path


def cms(folder: Path, *options: str) -> None:
    run([program("openssl"), "cms", *options], cwd=folder)


def answer(
    status: PKIStatus,
    *,
    key: ClientKey,
    digest: SignatureHash,
    cipher: ContentCipher = ContentCipher.AES_128_CBC,
    oaep: bool = False,
) -> bytes:
    """A CertRep, with a certificate when it is a success."""
    envelope = None
    if status is PKIStatus.SUCCESS:
        content = encode_message_data(CertsOnly((ISSUED.public_bytes(Encoding.DER),)))
        opened = OpenedEnvelope(content=b"", cipher=cipher, is_oaep=oaep)
        recipient = answer_recipient(client(key).certificate, opened, "sesame")
        envelope = seal_envelope(content, recipient, cipher, os.urandom)
    message = PKIMessage(
        message_type=MessageType.CERT_REP,
        transaction_id="T1",
        sender_nonce=b"ours",
        recipient_nonce=b"theirs",
        pki_status=status,
        fail_info=FailInfo.BAD_REQUEST if status is PKIStatus.FAILURE else None,
        pkcs_pki_envelope=envelope,
    )
    return result_of(signer_with(rsa_key("ra now"), ra_certificate(), digest).sign(message))


def check_certificate(folder: Path, *options: str) -> None:
    """Verify the answer, decrypt what is in it, and read the certificate in that."""
    cms(
        folder,
        "-verify",
        "-inform",
        "DER",
        "-in",
        "answer",
        "-CAfile",
        "ca.pem",
        "-purpose",
        "any",
        "-binary",
        "-out",
        "envelope",
    )
    cms(folder, "-decrypt", "-inform", "DER", "-in", "envelope", "-out", "certs", *options)
    openssl = program("openssl")
    run([openssl, "pkcs7", "-inform", "DER", "-in", "certs", "-print_certs", "-out", "issued.pem"], cwd=folder)
    assert x509.load_pem_x509_certificate((folder / "issued.pem").read_bytes()) == ISSUED


@pytest.mark.parametrize("oaep", [False, True])
@pytest.mark.parametrize("digest", DIGESTS, ids=lambda digest: digest.name)
@pytest.mark.parametrize(
    "cipher",
    [ContentCipher.AES_128_CBC, ContentCipher.AES_256_CBC, ContentCipher.AES_256_GCM, ContentCipher.DES_EDE3_CBC],
)
def test_openssl_reads_a_certificate_for_a_key(
    folder: Path, cipher: ContentCipher, digest: SignatureHash, oaep: bool
) -> None:
    reply = answer(PKIStatus.SUCCESS, key=rsa_key("device"), digest=digest, cipher=cipher, oaep=oaep)
    (folder / "answer").write_bytes(reply)
    check_certificate(folder, "-recip", "device.pem", "-inkey", "device-key.pem")


def test_openssl_reads_a_certificate_for_a_password(folder: Path) -> None:
    (folder / "answer").write_bytes(answer(PKIStatus.SUCCESS, key=ec_key(), digest=hashes.SHA256()))
    check_certificate(folder, "-pwri_password", "sesame")


@pytest.mark.parametrize("status", [PKIStatus.PENDING, PKIStatus.FAILURE])
def test_openssl_verifies_an_answer_that_gives_nothing(folder: Path, status: PKIStatus) -> None:
    (folder / "answer").write_bytes(answer(status, key=rsa_key("device"), digest=hashes.SHA256()))
    cms(folder, *VERIFY)
    # The reader of PKCS#7, which certmonger and sscep have too, takes no content at all for an error.
    run([program("openssl"), "smime", *VERIFY], cwd=folder)
    (folder / "answer").write_bytes((folder / "answer").read_bytes().replace(b"T1", b"T2"))
    run([program("openssl"), "cms", *VERIFY], cwd=folder, expect=4)


@pytest.mark.parametrize(
    ("options", "cipher"),
    [
        (["-aes-128-cbc"], ContentCipher.AES_128_CBC),
        (["-aes-192-cbc"], ContentCipher.AES_192_CBC),
        (["-aes-256-cbc", "-stream"], ContentCipher.AES_256_CBC),
        (["-aes-256-gcm"], ContentCipher.AES_256_GCM),
        (["-des-ede3-cbc"], ContentCipher.DES_EDE3_CBC),
    ],
)
@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param(["-recip", "ra.pem"], id="pkcs1"),
        pytest.param(["-recip", "ra.pem", "-keyopt", "rsa_padding_mode:oaep"], id="oaep-sha1"),
        pytest.param(
            ["-recip", "ra.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"], id="oaep-sha256"
        ),
    ],
)
def test_what_openssl_envelopes_is_opened(
    folder: Path, recipient: list[str], options: list[str], cipher: ContentCipher
) -> None:
    found = opened(folder, *options, *recipient)
    assert (found.content, found.cipher) == (CONTENT, cipher)
    assert found.is_oaep is ("rsa_padding_mode:oaep" in recipient)


@pytest.mark.parametrize("cipher", ["-aes-128-cbc", "-aes-256-cbc", "-des-ede3-cbc"])
def test_what_openssl_envelopes_for_a_password_is_opened(folder: Path, cipher: str) -> None:
    assert opened(folder, cipher, "-pwri_password", "sesame").content == CONTENT


def opened(folder: Path, *options: str) -> OpenedEnvelope:
    """What openssl made with these options."""
    cms(folder, "-encrypt", "-binary", "-in", "content", "-outform", "DER", "-out", "envelope", *options)
    envelope = (folder / "envelope").read_bytes()
    passwords = SharedPasswords([b"sesame"], at_once)
    return result_of(open_envelope(envelope, ra_keys(), EVERYTHING, random_bytes=os.urandom, passwords=passwords))


def test_openssl_sees_one_attribute_of_each(folder: Path) -> None:
    (folder / "answer").write_bytes(answer(PKIStatus.FAILURE, key=rsa_key("device"), digest=hashes.SHA256()))
    printed = run(
        [program("openssl"), "cms", "-cmsout", "-print", "-inform", "DER", "-in", "answer"], cwd=folder
    ).stdout
    assert decode((folder / "answer").read_bytes()).message.transaction_id == "T1"
    for oid in ("2", "3", "4", "5", "6", "7"):
        assert printed.count(f"2.16.840.1.113733.1.9.{oid})") == 1
