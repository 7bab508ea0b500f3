"""Record messages as PyScep 0.0.14 writes them, for the registration authority that ``make.py`` made.

PyScep needs a virtual environment of its own. There, oscrypto 1.3.0 has to be told to accept versions of OpenSSL with
two digits in their last part (``_openssl/_libcrypto_cffi.py``), and ``scep/Client/cryptoutils.py`` to take TripleDES
from ``cryptography.hazmat.decrepit``. Run it from the root of the sources.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from asn1crypto.cms import IssuerAndSerialNumber
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from scep.Client.asn1 import IssuerAndSubject
from scep.Client.builders import PKIMessageBuilder, Signer
from scep.Client.certificate import Certificate
from scep.Client.enums import MessageType
from scep.Client.envelope import PKCSPKIEnvelopeBuilder
from scep.Client.privatekey import PrivateKey

FOLDER = Path("tests/fuzz/corpus/scep")
BEGIN = datetime(2026, 11, 25)


def main() -> None:
    """Write ``pyscep-NAME.der``."""
    ra = Certificate.from_pem_file(str(FOLDER / "ra.pem"))
    private_key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private_key.public_key())
    builder = builder.serial_number(7).not_valid_before(BEGIN).not_valid_after(BEGIN + timedelta(days=365))
    identity = Certificate.from_der(builder.sign(private_key, hashes.SHA256()).public_bytes(Encoding.DER))
    key = PrivateKey.from_der(private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = request.add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"sesame")
    csr_der = request.sign(private_key, hashes.SHA256()).public_bytes(Encoding.DER)
    certificate_name = IssuerAndSerialNumber({"issuer": ra.issuer, "serial_number": 4711}).dump()
    request_name = IssuerAndSubject({"issuer": ra.issuer, "subject": identity.subject}).dump()

    def record(name: str, message_type: MessageType, data: bytes, cipher: str, digest: str) -> None:
        envelope, _, _ = PKCSPKIEnvelopeBuilder().encrypt(data, cipher).add_recipient(ra).finalize()
        message = PKIMessageBuilder().message_type(message_type).pki_envelope(envelope)
        message = message.add_signer(Signer(identity, key, digest)).transaction_id(name).sender_nonce()
        (FOLDER / f"pyscep-{name}.der").write_bytes(message.finalize(digest_algorithm=digest).dump())

    record("enroll", MessageType.PKCSReq, csr_der, "aes256", "sha512")
    record("enroll-sha1-des3", MessageType.PKCSReq, csr_der, "3des", "sha1")
    record("get-cert", MessageType.GetCert, certificate_name, "aes128", "sha256")
    record("get-crl", MessageType.GetCRL, certificate_name, "aes128", "sha256")
    record("poll", MessageType.CertPoll, request_name, "aes256", "sha256")


if __name__ == "__main__":
    main()
