"""Programs that people use to timestamp code and documents: they ask the real daemon, and verify what they get."""

from __future__ import annotations

import io
import re
import struct
import urllib.request
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign.signers import PdfTimeStamper
from pyhanko.sign.timestamps import HTTPTimeStamper
from pyhanko.sign.validation import validate_pdf_timestamp
from pyhanko_certvalidator import ValidationContext
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from tests.support.daemon import Daemon
from tests.support.processes import program, run
from tests.support.timestamping import DEMO_POLICY, TimestampClient, issuer_entry

pytestmark = pytest.mark.interop

PASSWORD = "changeit"
ISSUERS = ("demo", "of-rsa", "of-ed25519")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    issuers = [
        issuer_entry("demo"),
        issuer_entry("of-rsa", key_type="rsa-3072", signature_digest="sha512"),
        issuer_entry("of-ed25519", key_type="ed25519"),
    ]
    with Daemon(tmp_path_factory.mktemp("tsa"), changes={"protocols.tsp.issuers": issuers}) as daemon:
        yield daemon


@pytest.fixture
def client(tmp_path: Path, daemon: Daemon) -> TimestampClient:
    return TimestampClient(tmp_path, daemon)


def post(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": "application/timestamp-query"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize("algorithm", [HashAlgorithm.SHA256, HashAlgorithm.SHA512], ids=str)
@pytest.mark.parametrize("issuer", ["demo", "of-rsa"])
def test_rfc3161_client(client: TimestampClient, issuer: str, algorithm: HashAlgorithm) -> None:
    """sigstore's client builds the request, reads the answer and verifies it, and sees what does not belong to it."""
    data = b"what gets a timestamp"
    request = TimestampRequestBuilder().data(data).hash_algorithm(algorithm).build()
    response = decode_timestamp_response(post(client.url(issuer), request.as_bytes()))
    root = x509.load_pem_x509_certificate(client.daemon.root_pem.read_bytes())
    verifier = VerifierBuilder.from_request(request).policy_id(x509.ObjectIdentifier(DEMO_POLICY))
    verifier = verifier.add_root_certificate(root)
    assert verifier.build().verify_message(response, data)
    assert response.tst_info.nonce == request.nonce
    with pytest.raises(VerificationError):
        verifier.build().verify_message(response, b"something else")


@pytest.mark.parametrize("issuer", ISSUERS)
def test_pyhanko_timestamps_a_pdf(client: TimestampClient, issuer: str) -> None:
    document = io.BytesIO()
    writer = PdfFileWriter()
    contents = writer.add_object(generic.StreamObject(stream_data=b""))
    writer.insert_page(PageObject(contents=contents, media_box=(0, 0, 200, 200)))
    writer.write(document)
    root = asn1_x509.Certificate.load(
        x509.load_pem_x509_certificate(client.daemon.root_pem.read_bytes()).public_bytes(Encoding.DER)
    )
    trust = ValidationContext(trust_roots=[root], allow_fetching=False)
    stamper = PdfTimeStamper(HTTPTimeStamper(client.url(issuer)))
    stamped = stamper.timestamp_pdf(IncrementalPdfFileWriter(document), "sha256", trust)
    [timestamp] = PdfFileReader(stamped).embedded_timestamp_signatures
    status = validate_pdf_timestamp(timestamp, ValidationContext(trust_roots=[root], allow_fetching=False))
    assert (status.intact, status.valid, status.trusted) == (True, True, True)


@pytest.mark.parametrize("issuer", ["demo", "of-rsa"])
def test_jarsigner_signs_with_a_timestamp(client: TimestampClient, tmp_path: Path, issuer: str) -> None:
    jar, keys, trust = tmp_path / "demo.jar", tmp_path / "keys.p12", tmp_path / "trust.p12"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("hello.txt", "hello\n")
    passwords = ["-storepass", PASSWORD]
    made = ["-genkeypair", "-alias", "signer", "-keyalg", "EC", "-dname", "CN=signer", "-validity", "30"]
    run([program("keytool"), *made, "-keystore", keys, *passwords])
    run([program("jarsigner"), "-keystore", keys, *passwords, "-tsa", client.url(issuer), jar, "signer"])
    signer = tmp_path / "signer.pem"
    run([program("keytool"), "-exportcert", "-rfc", "-alias", "signer", "-keystore", keys, "-file", signer, *passwords])
    for alias, certificate in (("root", client.daemon.root_pem), ("signer", signer)):
        imported = ["-importcert", "-noprompt", "-alias", alias, "-file", certificate]
        run([program("keytool"), *imported, "-keystore", trust, *passwords])
    verified = run(
        [program("jarsigner"), "-verify", "-strict", "-verbose", "-certs", "-keystore", trust, *passwords, jar]
    ).stdout
    assert "jar verified." in verified
    assert re.search(rf'Timestamped by "[^"]*CN={issuer}\b', verified)
    assert "Timestamp digest algorithm: SHA-256" in verified


def test_osslsigncode_signs_a_program_with_a_timestamp(client: TimestampClient, tmp_path: Path) -> None:
    """An Authenticode signature with an RFC 3161 timestamp, which outlives the certificate that signed."""
    unsigned, signed = tmp_path / "unsigned.exe", tmp_path / "signed.exe"
    unsigned.write_bytes(smallest_program())
    certificate, key = code_signer(tmp_path)
    signer = ["-certs", certificate, "-key", key, "-h", "sha256"]
    run([program("osslsigncode"), "sign", *signer, "-ts", client.url("demo"), "-in", unsigned, "-out", signed])
    trust = ["-CAfile", certificate, "-TSA-CAfile", client.daemon.root_pem]
    verified = run([program("osslsigncode"), "verify", *trust, "-in", signed]).stdout
    assert "Timestamp verified" in verified or "Timestamp Server Signature verification: ok" in verified
    assert "Succeeded" in verified


def test_tsget_asks_and_openssl_verifies(client: TimestampClient, tmp_path: Path) -> None:
    """openssl's own program for sending queries."""
    client.make_query()
    run(["/usr/lib/ssl/misc/tsget.pl", "-h", client.url("demo"), "-o", client.reply, client.query])
    client.verify()


def smallest_program() -> bytes:
    """A PE file without sections (Microsoft PE and COFF, 3 and 4), which nothing would run and anything can sign."""
    dos_header = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff_header = struct.pack("<HHIIIHH", 0x14C, 0, 0, 0, 0, 224, 0x102)
    optional_header = bytearray(224)
    struct.pack_into("<H", optional_header, 0, 0x10B)
    struct.pack_into("<II", optional_header, 32, 512, 512)  # SectionAlignment, FileAlignment
    struct.pack_into("<II", optional_header, 56, 512, 512)  # SizeOfImage, SizeOfHeaders
    struct.pack_into("<I", optional_header, 92, 16)  # NumberOfRvaAndSizes
    return (dos_header + b"PE\0\0" + coff_header + bytes(optional_header)).ljust(1024, b"\0")


def code_signer(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for code, and its key."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "code signer")])
    now = datetime.now(UTC)  # noqa: TID251  # osslsigncode asks the real clock
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 17, now - timedelta(days=1), now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "signer.pem", folder / "signer.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
