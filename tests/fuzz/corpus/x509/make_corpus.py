"""Makes the requests of this directory; run it here, with OpenSSL 3 on the path."""

from __future__ import annotations

import subprocess
from pathlib import Path

from asn1crypto import csr as asn1_csr
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

HERE = Path(__file__).parent
SUBJECT = "/C=DE/O=Acme GmbH/OU=Web+OU=Test/CN=www.example.org/emailAddress=a@example.org"
UPN = "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@ad"
EXTENSIONS = f"subjectAltName=DNS:www.example.org,IP:192.0.2.1,email:a@example.org,URI:urn:x,{UPN}"
KEYS = {
    "rsa": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p521-sha512": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521", "-sha512"],
    "ed25519": ["-newkey", "ed25519"],
    "rsa-pss": ["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"],
    "rsa-sha1": ["-newkey", "rsa:2048", "-sha1"],
}


def main() -> None:
    """Write every request."""
    for name, options in KEYS.items():
        command = ["openssl", "req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", SUBJECT, "-multivalue-rdn"]
        command += ["-addext", EXTENSIONS, "-addext", "extendedKeyUsage=serverAuth", "-outform", "DER"]
        subprocess.run([*command, *options, "-out", HERE / f"openssl-{name}.csr"], check=True, capture_output=True)
    key = ec.generate_private_key(ec.SECP256R1())
    template = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2"), b"\x1e\x0e" + "Machine".encode("utf-16-be")
    )
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PC-1")]))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(template, critical=False)
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"password")
    )
    request = asn1_csr.CertificationRequest.load(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
    information = request["certification_request_info"]
    for attribute in information["attributes"]:
        if attribute["type"].native == "extension_request":
            attribute["type"] = "1.3.6.1.4.1.311.2.1.14"
    request["signature"] = key.sign(information.dump(force=True), ec.ECDSA(hashes.SHA256()))
    (HERE / "microsoft-machine.csr").write_bytes(request.dump(force=True))
    quantum = mldsa.MLDSA44PrivateKey.generate()
    (HERE / "ml-dsa-44.csr").write_bytes(builder.sign(quantum, None).public_bytes(Encoding.DER))


if __name__ == "__main__":
    main()
