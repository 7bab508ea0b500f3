"""Writes the ``*.crmf`` beside it: CertReqMessages out of the CMP messages of ``openssl cmp`` and its mock server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor

FOLDER = Path(__file__).parent
MOCK = ["-use_mock_srv", "-srv_secret", "pass:mock", "-srv_ref", "mock", "-rsp_cert", "cert.pem"]
CLIENT = ["-secret", "pass:mock", "-ref", "mock", "-recipient", "/CN=Mock CA", "-batch", "-certout", "out.pem"]
NEW = ["-newkey", "ec.pem", "-subject", "/C=DE/O=Example/CN=client"]
VARIANTS: dict[str, list[str]] = {
    "ir-ec": ["-cmd", "ir", *NEW],
    "ir-rsa-sans-days": [
        *("-cmd", "ir", "-newkey", "rsa.pem", "-subject", "/CN=client", "-days", "30"),
        *("-sans", "client.example 192.0.2.1 2001:db8::1 https://client.example/x"),
    ],
    "ir-ed25519": ["-cmd", "ir", "-newkey", "ed25519.pem", "-subject", "/CN=client", "-digest", "sha256"],
    "ir-sans-no-subject": ["-cmd", "ir", "-newkey", "ec.pem", "-sans", "client.example", "-cert", "cert.pem"],
    "ir-raverified": ["-cmd", "ir", *NEW, "-popo", "0", "-accept_raverified"],
    "ir-keyenc": ["-cmd", "ir", "-newkey", "rsa.pem", "-subject", "/CN=client", "-popo", "2"],
    "ir-none": ["-cmd", "ir", *NEW, "-popo", "-1"],
    "cr-issuer": ["-cmd", "cr", *NEW, "-issuer", "/CN=Mock CA"],
    "cr-policies": ["-cmd", "cr", *NEW, "-policy_oids", "1.2.3.4 2.5.29.32.0", "-policy_oids_critical"],
    "cr-empty-subject": ["-cmd", "cr", "-newkey", "ec.pem", "-subject", "/", "-sans", "client.example"],
    "cr-csr": ["-cmd", "cr", "-csr", "request.pem", "-newkey", "ec.pem"],
    "cr-sha512": ["-cmd", "cr", *NEW, "-digest", "sha512"],
    "kur": ["-cmd", "kur", "-newkey", "ec.pem", "-oldcert", "cert.pem"],
}


def main() -> None:
    """Make keys, run every variant, keep what its first message asks for."""
    with tempfile.TemporaryDirectory() as folder:

        def run(*words: str) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(words, cwd=folder, capture_output=True, check=False)

        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.pem")
        run("openssl", "genrsa", "-out", "rsa.pem", "2048")
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", "ed25519.pem")
        subject = ["-subj", "/O=Example/CN=client", "-addext", "subjectAltName=DNS:client.example"]
        run("openssl", "req", "-x509", "-key", "ec.pem", *subject, "-out", "cert.pem")
        usage = ["-addext", "keyUsage=digitalSignature", "-addext", "extendedKeyUsage=clientAuth"]
        run("openssl", "req", "-new", "-key", "ec.pem", *subject, *usage, "-out", "request.pem")
        for name, words in VARIANTS.items():
            done = run("openssl", "cmp", *words, *CLIENT, *MOCK, "-reqout", "request.der")
            request = Path(folder, "request.der")
            if not request.exists():
                sys.exit(f"{name}: {done.stderr.decode()}")
            (FOLDER / f"openssl-{name}.crmf").write_bytes(body_of(request.read_bytes()))
            request.unlink()


def body_of(pki_message: bytes) -> bytes:
    """The CertReqMessages of an ir, cr or kur (RFC 9810, 5.1)."""
    message = Cursor.over(pki_message).enter(tlv.SEQUENCE)
    message.element()
    tag = message.peek()
    assert tag in (0xA0, 0xA2, 0xA7)
    return message.contents(tag)


if __name__ == "__main__":
    main()
