"""Record what strongSwan's ``pki --scep`` says, and see that it understands our answers.

Needs ``strongswan-pki`` and the curl plugin of ``libstrongswan-extra-plugins``. Writes ``NAME.der``, what the client
sent, and the keys and certificates that open it; run from the root of the sources: ``python -m
tests.fuzz.corpus.scep.make``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlparse

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cspd.clock import SystemClock
from cspd.x509.csr import CertificationRequest
from protocols.scep.ca_certificates import encode_ca_certificates
from protocols.scep.capabilities import capabilities_of, encode_capabilities
from protocols.scep.codec import decode
from protocols.scep.envelope import answer_recipient, open_envelope, seal_envelope
from protocols.scep.message_data import decode_message_data, encode_message_data
from protocols.scep.messages import (
    CertsOnly,
    FailInfo,
    MessageType,
    PKCS10Request,
    PKIMessage,
    PKIStatus,
)
from protocols.scep.transport import CAPABILITIES, PKI_MESSAGE, decode_message_parameter
from protocols.scep.verification import verify
from tests.support.running import result_of
from tests.support.scep_client import EVERYTHING, name_of, recipient_key, signer_with

FOLDER = Path(__file__).parent


def make_authority() -> tuple[rsa.RSAPrivateKey, x509.Certificate, rsa.RSAPrivateKey, x509.Certificate]:
    """Key and certificate of a CA and of its registration authority."""
    ca_key, ra_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    now = SystemClock().now().replace(microsecond=0)
    name = name_of("SCEP test CA")

    def certificate(subject: x509.Name, key: rsa.RSAPrivateKey, is_ca: bool, serial: int) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(serial).not_valid_before(now).not_valid_after(now + timedelta(days=3650))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        usage = x509.KeyUsage(not is_ca, False, not is_ca, False, False, is_ca, is_ca, False, False)
        builder = builder.add_extension(usage, critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return builder.add_extension(identifier, critical=False).sign(ca_key, hashes.SHA256())

    ca = certificate(name, ca_key, True, 1)
    return ca_key, ca, ra_key, certificate(name_of("SCEP test RA"), ra_key, False, 2)


@dataclass
class Server:
    """Answers each message with the next of ``answers``, and keeps what came."""

    ca_key: rsa.RSAPrivateKey
    ca: x509.Certificate
    ra_key: rsa.RSAPrivateKey
    ra: x509.Certificate
    answers: list[PKIStatus] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    csr: CertificationRequest | None = None

    def answer(self, data: bytes) -> bytes:
        """The answer to one PKIOperation."""
        self.received.append(data)
        received = decode(data)
        digest = verify(received, EVERYTHING)
        message = received.message
        assert message.pkcs_pki_envelope is not None
        opened = result_of(
            open_envelope(
                message.pkcs_pki_envelope, [recipient_key(self.ra_key, self.ra)], EVERYTHING, random_bytes=os.urandom
            )
        )
        content = decode_message_data(message.message_type, opened.content)
        if isinstance(content, PKCS10Request):
            self.csr = content.csr
        status = self.answers.pop(0)
        envelope = None
        if status is PKIStatus.SUCCESS:
            certs = CertsOnly((self.issue().public_bytes(Encoding.DER),))
            recipient = answer_recipient(received.signer_certificate, opened)
            envelope = seal_envelope(encode_message_data(certs), recipient, opened.cipher, os.urandom)
        failure = status is PKIStatus.FAILURE
        reply = PKIMessage(
            message_type=MessageType.CERT_REP,
            transaction_id=message.transaction_id,
            sender_nonce=os.urandom(16),
            recipient_nonce=message.sender_nonce,
            pki_status=status,
            fail_info=FailInfo.BAD_REQUEST if failure else None,
            fail_info_text="not today" if failure else None,
            pkcs_pki_envelope=envelope,
        )
        return result_of(signer_with(self.ra_key, self.ra, digest).sign(reply))  # type: ignore[arg-type]

    def issue(self) -> x509.Certificate:
        """A certificate for the last request."""
        assert self.csr is not None
        builder = x509.CertificateBuilder().subject_name(self.csr.subject).issuer_name(self.ca.subject)
        builder = builder.public_key(self.csr.public_key).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(self.ca.not_valid_before_utc).not_valid_after(self.ca.not_valid_after_utc)
        return builder.sign(self.ca_key, hashes.SHA256())


def serve(server: Server) -> HTTPServer:
    """Start it on a free port of the loopback."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlparse(self.path).query)
            operation = query["operation"][0]
            if operation == "GetCACaps":
                self.reply(CAPABILITIES, encode_capabilities(capabilities_of(EVERYTHING)))
            elif operation == "GetCACert":
                self.reply(
                    *encode_ca_certificates([each.public_bytes(Encoding.DER) for each in (server.ra, server.ca)])
                )
            else:
                self.reply(PKI_MESSAGE, server.answer(decode_message_parameter(query["message"][0])))

        def do_POST(self) -> None:
            self.reply(PKI_MESSAGE, server.answer(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, media_type: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http = HTTPServer(("127.0.0.1", 0), Endpoint)
    Thread(target=http.serve_forever, daemon=True).start()
    return http


def main() -> None:
    """Record one conversation after the other."""
    server = Server(*make_authority())
    http = serve(server)
    url = f"http://127.0.0.1:{http.server_port}/scep"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, certificate in (("ca", server.ca), ("ra", server.ra)):
            (folder / f"{name}.der").write_bytes(certificate.public_bytes(Encoding.DER))
            (FOLDER / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = server.ra_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (FOLDER / "ra-key.pem").write_bytes(pem)

        def enroll(name: str, *options: str, answers: list[PKIStatus], succeeds: bool = True) -> Path:
            key = folder / f"{name}.key"
            key.write_bytes(subprocess.check_output(["pki", "--gen", "--type", "rsa", "--size", "2048"], stderr=-3))
            server.answers, server.received = list(answers), []
            command = ["pki", "--scep", "--url", url, "--in", str(key), "--dn", "C=CH, O=strongSwan, CN=device"]
            command += ["--cacert-enc", str(folder / "ra.der"), "--cacert-sig", str(folder / "ra.der")]
            command += ["--cacert", str(folder / "ca.der"), "--interval", "1", *options]
            done = subprocess.run(command, capture_output=True, check=False)
            print(name, done.returncode, len(done.stdout), server.received and len(server.received))
            if (done.returncode == 0) != succeeds or server.answers:
                sys.stderr.write(done.stderr.decode())
                raise SystemExit(f"{name} did not end as it should")
            for number, message in enumerate(server.received, 1):
                (FOLDER / f"strongswan-{name}-{number}.der").write_bytes(message)
            (folder / f"{name}.crt").write_bytes(done.stdout)
            return key

        success, pending, failure = PKIStatus.SUCCESS, PKIStatus.PENDING, PKIStatus.FAILURE
        old = enroll("enroll", "--password", "sesame", "--san", "device.example", answers=[success])
        enroll("sha512", "--digest", "sha512", answers=[success])
        enroll("sha1-des3", "--digest", "sha1", "--cipher", "des3", answers=[success])
        enroll("pss", "--rsa-padding", "pss", answers=[success])
        enroll("poll", answers=[pending, success])
        enroll("refused", answers=[failure], succeeds=False)
        enroll("renew", "--cert", str(old.with_suffix(".crt")), "--key", str(old), answers=[success])
    http.shutdown()


if __name__ == "__main__":
    main()
