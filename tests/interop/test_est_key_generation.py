"""curl asks the real daemon for a key that is encrypted for it; openssl opens it, from the envelope to the key."""

from __future__ import annotations

import email
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type  # the only way to an attribute that is no text

from cspd.x509.asymmetric_key_package import read_key_package
from cspd.x509.certificate_fields import fields_of
from cspd.x509.cms.signed import encode_content_info
from cspd.x509.cms.values import SIGNED_DATA
from tests.support.daemon import Daemon
from tests.support.issuing import common_name
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

PROFILE = "est-digital-signature-key-encipherment"
DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.37"
ASYMMETRIC_DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.54"
ENCRYPTED = "application/pkcs7-mime; smime-type=server-generated-key"


class Device:
    """A client: curl and openssl in a folder."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        secrets = tomllib.loads((daemon.folder / "demo.toml").read_text())
        self.name = secrets["est_user"]
        self.user = ("--user", f"{self.name}:{secrets['secrets']['est_password']}")

    def post(self, operation: str, request: Path, *options: str | Path) -> int:
        """The status; the answer is in ``head`` and ``body``."""
        url = f"{self.daemon.https_url}/.well-known/est/demo/demo~issuing/{PROFILE}/{operation}"
        curl = [program("curl"), "--silent", "--show-error", "--cacert", self.daemon.root_pem, *self.user]
        content = ["-H", "Content-Type: application/pkcs10", "--data-binary", f"@{request}"]
        answer = ["-D", self.folder / "head", "-o", self.folder / "body", "--write-out", "%{http_code}"]
        return int(run([*curl, *content, *answer, *options, url]).stdout)

    def openssl(self, *arguments: str | Path) -> str:
        """What it prints; files are those of the folder."""
        return run([program("openssl"), *arguments], cwd=self.folder).stdout

    def enroll(self) -> x509.Certificate:
        """``own.key`` and its certificate in ``own.pem``."""
        names = ["-subj", "/CN=device", "-addext", "subjectAltName=DNS:device.example.test"]
        self.openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key", *names, "-out", "own.csr")
        accept = ("-H", "Accept: application/pem-certificate-chain")
        assert self.post("simpleenroll", self.folder / "own.csr", *accept) == 200
        [certificate, *_] = x509.load_pem_x509_certificates((self.folder / "body").read_bytes())
        (self.folder / "own.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        return certificate

    def request(self, oid: str, identifier: bytes) -> Path:
        """A request that names a key to encrypt with."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(common_name("sensor"))
        names = x509.SubjectAlternativeName([x509.DNSName("sensor.example.test")])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_attribute(x509.ObjectIdentifier(oid), identifier, _tag=_ASN1Type.OctetString)
        csr = self.folder / "request.der"
        signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        csr.write_bytes(signed.public_bytes(Encoding.DER))
        return csr

    def check_opened(self, *how: str) -> None:
        """The last answer has a key that opens like this, is signed by the CA, and fits the certificate beside it."""
        head = (self.folder / "head").read_text().split("\n", 1)[1]
        key_part, certificate_part = email.message_from_string(head + (self.folder / "body").read_text()).get_payload()
        assert key_part["content-type"] == ENCRYPTED  # type: ignore[index,call-overload]  # a message
        self._write("key.cms", key_part)
        self._write("certificate.cms", certificate_part)
        self.openssl("cms", "-decrypt", "-inform", "DER", "-binary", "-in", "key.cms", "-out", "signed.der", *how)
        message = encode_content_info(SIGNED_DATA, (self.folder / "signed.der").read_bytes())
        (self.folder / "message.der").write_bytes(message)
        signed = ["-inform", "DER", "-binary", "-in", "message.der", "-out", "package.der", "-purpose", "any"]
        self.openssl("cms", "-verify", *signed, "-CAfile", self.daemon.root_pem)
        [one_key] = read_key_package((self.folder / "package.der").read_bytes())
        (self.folder / "key.der").write_bytes(one_key.der)
        self.openssl("pkcs8", "-topk8", "-inform", "DER", "-nocrypt", "-in", "key.der", "-out", "key.pem")
        pkcs7 = ["-inform", "DER", "-in", "certificate.cms", "-print_certs", "-out", "certificate.pem"]
        self.openssl("pkcs7", *pkcs7)
        of_certificate = self.openssl("x509", "-in", "certificate.pem", "-noout", "-pubkey")
        assert self.openssl("pkey", "-in", "key.pem", "-pubout") == of_certificate

    def _write(self, name: str, part: object) -> None:
        octets = part.get_payload(decode=True)  # type: ignore[attr-defined]  # a message
        (self.folder / name).write_bytes(octets)


@contextmanager
def device_of(tmp_path: Path) -> Iterator[Device]:
    folder = tmp_path / "client"
    folder.mkdir()
    changes = {"protocols.est.profiles": [PROFILE], "protocols.est.server_key_generation": True}
    with Daemon(tmp_path, changes=changes) as daemon:
        yield Device(daemon, folder)


def secret_options(reference: str, secret: str) -> Sequence[str]:
    return ("-secretkeyid", reference.encode().hex(), "-secretkey", sha256(secret.encode()).hexdigest())


def test_a_key_is_encrypted_with_an_enrollment_secret(tmp_path: Path) -> None:
    """Which is good for one key, and for whom it was made."""
    with device_of(tmp_path) as device:
        made = device.daemon.cspctl_json("enrollment-secret", "create", "est-decrypt", device.name)
        other = device.daemon.cspctl_json("enrollment-secret", "create", "est-decrypt", "somebody")
        csr = device.request(DECRYPT_KEY_ID, made["reference"].encode())
        assert device.post("serverkeygen", csr) == 200
        device.check_opened(*secret_options(made["reference"], made["secret"]))
        assert device.post("serverkeygen", csr) == 400
        assert device.post("serverkeygen", device.request(DECRYPT_KEY_ID, other["reference"].encode())) == 400


def test_a_key_is_encrypted_for_a_certificate(tmp_path: Path) -> None:
    """Of the TLS connection by its key identifier, or an earlier one by issuer and serial number."""
    with device_of(tmp_path) as device:
        own = device.enroll()
        opens = ("-recip", "own.pem", "-inkey", "own.key")
        identifier = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        csr = device.request(ASYMMETRIC_DECRYPT_KEY_ID, identifier)
        assert device.post("serverkeygen", csr) == 400
        tls = ("--cert", device.folder / "own.pem", "--key", device.folder / "own.key")
        assert device.post("serverkeygen", csr, *tls) == 200
        device.check_opened(*opens)
        issuer_and_serial_number = fields_of(own.public_bytes(Encoding.DER)).issuer_and_serial_number
        csr = device.request(ASYMMETRIC_DECRYPT_KEY_ID, issuer_and_serial_number)
        assert device.post("serverkeygen", csr) == 200
        device.check_opened(*opens)
        device.daemon.cspctl("cert", "revoke", "demo~issuing", f"{own.serial_number:x}", "--yes")
        assert device.post("serverkeygen", csr) == 400
