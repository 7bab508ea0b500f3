"""Keys and encrypted certificates by CMP from the real daemon, opened as clients do.

openssl before 3.5 asks for no keys, so that the client is made of our codec; it does ask for encrypted certificates.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cspd.x509 import tlv
from cspd.x509.cms.signed import certificates_of, encode_content_info, read_signed_data
from cspd.x509.cms.values import SIGNED_DATA
from cspd.x509.crmf.messages import CertReqMsg, CertRequest, CertTemplate, Extension
from protocols.cmp import info_types
from protocols.cmp.codec import assemble, decode
from protocols.cmp.mac_algorithms import PasswordBasedMAC
from protocols.cmp.messages import (
    CMP2021,
    BodyType,
    CertifiedKeyPair,
    CertRepMessage,
    CertReqContent,
    ErrorMsgContent,
    PKIBody,
    PKIHeader,
    PKIMessage,
)
from protocols.cmp.protection import protect_by_mac, protected_part_for
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from tests.support.daemon import Daemon
from tests.support.enveloped import Envelope, opened_key_package, private_key_of
from tests.support.issuing import common_name
from tests.support.processes import program, run, wait_until

pytestmark = pytest.mark.interop

PROFILE = "est-digital-signature-key-encipherment"
ECDSA_SHA256 = tlv.sequence(tlv.object_identifier("1.2.840.10045.4.3.2"))
RSA_SHA256 = tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.11"), tlv.NULL)
SUBJECT = common_name("sensor")


def directory_name(name: x509.Name) -> bytes:
    return tlv.element(0xA4, name.public_bytes())


class Device:
    """A client of CMP with a secret, and soon with a certificate."""

    def __init__(self, daemon: Daemon, folder: Path, profile: str) -> None:
        self.daemon, self.folder = daemon, folder
        self.path = f"/cmp/demo/demo~issuing/{profile}"
        made = daemon.cspctl_json("enrollment-secret", "create", "cmp", "sensor", "--reusable")
        self.reference, self.secret = made["reference"], made["secret"]
        self.issuing = x509.load_pem_x509_certificate(daemon.issuing_pem.read_bytes())

    def header(self, sender: x509.Name | None, sender_kid: bytes) -> PKIHeader:
        return PKIHeader(
            pvno=CMP2021,
            sender_der=directory_name(x509.Name([]) if sender is None else sender),
            recipient_der=directory_name(self.issuing.subject),
            message_time=datetime.now(UTC).replace(microsecond=0),  # noqa: TID251  # a client's clock
            sender_kid=sender_kid,
            transaction_id=os.urandom(16),
            sender_nonce=os.urandom(16),
            general_info=(info_types.implicit_confirm(),),
        )

    def ask(self, message_der: bytes) -> PKIMessage:
        """POST a message."""
        connection = HTTPConnection("localhost", self.daemon.http_port, timeout=60)
        connection.request("POST", self.path, body=message_der, headers={"Content-Type": "application/pkixcmp"})
        response = connection.getresponse()
        answer = decode(response.read())
        connection.close()
        return answer

    def ask_with_secret(self, template: CertTemplate) -> PKIMessage:
        """An ir without a proof of possession, protected by the secret."""
        key = PasswordBasedMAC(os.urandom(16), 500).derive(self.secret.encode())
        return self.ask(protect_by_mac(self.header(None, self.reference.encode()), requesting(template), key))

    def ask_with_certificate(self, template: CertTemplate) -> PKIMessage:
        """The same as a cr, signed with ``own.key``."""
        certificate = x509.load_pem_x509_certificate((self.folder / "own.pem").read_bytes())
        key = load_pem_private_key((self.folder / "own.key").read_bytes(), None)
        identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        header, body = self.header(certificate.subject, identifier), requesting(template, BodyType.CR)
        if isinstance(key, rsa.RSAPrivateKey):
            part = protected_part_for(header, body, RSA_SHA256)
            signature = key.sign(part, padding.PKCS1v15(), hashes.SHA256())
        else:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            part = protected_part_for(header, body, ECDSA_SHA256)
            signature = key.sign(part, ec.ECDSA(hashes.SHA256()))
        chain = (certificate.public_bytes(Encoding.DER), self.issuing.public_bytes(Encoding.DER))
        return self.ask(assemble(part, signature, chain))

    def cmp(self, *options: str, expect: int = 0) -> None:
        """``openssl cmp`` with the secret."""
        where = ["-server", f"localhost:{self.daemon.http_port}", "-path", self.path]
        secret = ["-ref", self.reference, "-secret", f"pass:{self.secret}"]
        run([program("openssl"), "cmp", *where, *secret, *options], cwd=self.folder, expect=expect)

    def enroll(self, *key: str) -> None:
        """``own.key`` and its certificate ``own.pem``."""
        run([program("openssl"), "genpkey", *key, "-out", "own.key"], cwd=self.folder)
        self.cmp("-cmd", "ir", "-newkey", "own.key", "-subject", "/CN=sensor", "-certout", "own.pem", *NAMES)


def requesting(template: CertTemplate, kind: BodyType = BodyType.IR) -> PKIBody:
    return PKIBody(kind, CertReqContent((CertReqMsg(cert_req=CertRequest(cert_req_id=0, cert_template=template)),)))


def delivered(answer: PKIMessage) -> tuple[Envelope, x509.Certificate]:
    """The envelope of the key, and the certificate for it."""
    assert isinstance(answer.body.content, CertRepMessage), answer.body
    [response] = answer.body.content.response
    assert response.status.status in (PKIStatus.ACCEPTED, PKIStatus.GRANTED_WITH_MODS), response.status
    pair = response.certified_key_pair
    assert isinstance(pair, CertifiedKeyPair)
    assert pair.private_key is not None
    assert pair.private_key.is_enveloped_data
    assert answer.header.pvno == CMP2021
    return Envelope.of(pair.private_key.der), x509.load_der_x509_certificate(pair.certificate_der)


@contextmanager
def device_of(tmp_path: Path, profile: str = PROFILE, **changes: object) -> Iterator[Device]:
    folder = tmp_path / "client"
    folder.mkdir()
    values = {"profiles": [profile], "key_generation": True, **changes}
    with Daemon(tmp_path, changes={f"protocols.cmp.{name}": value for name, value in values.items()}) as daemon:
        yield Device(daemon, folder, profile)


def check_opened(
    device: Device, signed_der: bytes, certificate: x509.Certificate, signer: x509.Certificate | None = None
) -> None:
    """The key is signed, by the CA unless told otherwise, and fits the certificate, which openssl verifies."""
    one_key = opened_key_package(signed_der, signer or device.issuing)
    assert one_key.public_key is not None
    assert private_key_of(one_key).public_key() == certificate.public_key()
    (device.folder / "new.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    trust: list[str | Path] = ["-CAfile", device.daemon.root_pem, "-untrusted", device.daemon.issuing_pem]
    run([program("openssl"), "verify", *trust, "new.pem"], cwd=device.folder)


TEMPLATE = CertTemplate(
    subject=SUBJECT,
    extensions=(Extension("2.5.29.17", False, tlv.sequence(tlv.element(0x82, b"sensor.example.test"))),),
)
NAMES = ("-sans", "sensor.example.test")


def test_a_client_with_a_secret_gets_a_key(tmp_path: Path) -> None:
    """Of the algorithm that it names or leaves to us, under its secret (RFC 9483, 4.1.6.3)."""
    with device_of(tmp_path) as device:
        no_key = tlv.sequence(
            tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.1"), tlv.NULL),
            tlv.element(tlv.BIT_STRING, b"\x00"),
        )
        for public_key_der, kind in ((None, ec.EllipticCurvePublicKey), (no_key, rsa.RSAPublicKey)):
            answer = device.ask_with_secret(replace(TEMPLATE, public_key_der=public_key_der))
            envelope, certificate = delivered(answer)
            assert isinstance(certificate.public_key(), kind)
            check_opened(device, envelope.for_password(device.secret.encode()), certificate)


def test_a_key_generation_authority_signs_for_the_ca_where_conf_names_one(tmp_path: Path) -> None:
    with device_of(tmp_path, key_generation_authorities=[{"ca": "demo~issuing"}]) as device:
        envelope, certificate = delivered(device.ask_with_secret(TEMPLATE))
        signed_der = envelope.for_password(device.secret.encode())
        signer, *_ = certificates_of(read_signed_data(encode_content_info(SIGNED_DATA, signed_der)))
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [each.dotted_string for each in usage] == ["1.3.6.1.5.5.7.3.32"]  # id-kp-cmKGA
        signer.verify_directly_issued_by(device.issuing)
        check_opened(device, signed_der, certificate, signer)
        health = f"http://127.0.0.1:{device.daemon.http_port}/health/cmp-kga-demo~issuing"
        wait_until(lambda: answers(health), what="the page tells of what has just been made")


def answers(url: str) -> bool:
    """Whether it is 200 that comes."""
    try:
        with urlopen(url) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False


@pytest.mark.parametrize(
    ("profile", "options"),
    [
        (PROFILE, ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")),
        ("multiuse-p12-client", ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")),
    ],
    ids=["key transport", "key agreement"],
)
def test_a_client_with_a_certificate_gets_a_key(tmp_path: Path, profile: str, options: tuple[str, ...]) -> None:
    """For the key of its protection certificate (RFC 9483, 4.1.6.1 and 4.1.6.2)."""
    with device_of(tmp_path, profile) as device:
        device.enroll(*options)
        envelope, certificate = delivered(device.ask_with_certificate(TEMPLATE))
        key = load_pem_private_key((device.folder / "own.key").read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        _, signed_der = envelope.for_rsa(key) if isinstance(key, rsa.RSAPrivateKey) else envelope.for_ec(key)
        check_opened(device, signed_der, certificate)


def test_a_client_whose_certificate_is_for_signatures_gets_none(tmp_path: Path) -> None:
    """And no certificate is issued, because the envelope is made first."""
    with device_of(tmp_path, "est-digital-signature") as device:
        device.enroll("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        before = device.daemon.cspctl_json("cert", "list", "demo~issuing")
        assert refusal(device.ask_with_certificate(TEMPLATE)) == {PKIFailureInfo.NOT_AUTHORIZED}
        assert device.daemon.cspctl_json("cert", "list", "demo~issuing") == before


def test_keys_are_made_only_where_conf_says_so(tmp_path: Path) -> None:
    with device_of(tmp_path, key_generation=False) as device:
        assert refusal(device.ask_with_secret(TEMPLATE)) == {PKIFailureInfo.NOT_AUTHORIZED}


def refusal(answer: PKIMessage) -> set[PKIFailureInfo]:
    content = answer.body.content
    if isinstance(content, ErrorMsgContent):
        return set(content.pki_status_info.fail_info)
    assert isinstance(content, CertRepMessage)
    [response] = content.response
    assert response.certified_key_pair is None
    return set(response.status.fail_info)


def test_openssl_proves_possession_by_decrypting_its_certificate(tmp_path: Path) -> None:
    """``-popo 2`` is keyEncipherment with encrCert; openssl 3.0 speaks version 2 and reads the EncryptedValue."""
    with device_of(tmp_path) as device:
        run([program("openssl"), "genpkey", "-algorithm", "RSA", "-out", "own.key"], cwd=device.folder)
        ask = ["-cmd", "ir", "-newkey", "own.key", "-subject", "/CN=sensor", *NAMES]
        device.cmp(*ask, "-popo", "2", "-certout", "own.pem")
        trust: list[str | Path] = ["-CAfile", device.daemon.root_pem, "-untrusted", device.daemon.issuing_pem]
        run([program("openssl"), "verify", *trust, "own.pem"], cwd=device.folder)
