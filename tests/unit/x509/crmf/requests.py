"""Messages for the tests, and the ones that OpenSSL sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from cspd.x509 import tlv
from cspd.x509.crmf.encoding import encode_cert_request, encode_poposk_input
from cspd.x509.crmf.messages import (
    DHMAC,
    AttributeTypeAndValue,
    Authenticator,
    CertId,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Control,
    EncryptedKey,
    Extension,
    KeyAgreement,
    KeyEncipherment,
    KeyGenParameters,
    OldCertID,
    OptionalValidity,
    PKIArchiveOptions,
    PKIPublicationInfo,
    PKMACValue,
    POPOSigningKey,
    POPOSigningKeyInput,
    ProofOfPossession,
    ProtocolEncrKey,
    PublicationAction,
    PublicationMethod,
    RAVerified,
    RegToken,
    SinglePubInfo,
    SubsequentMessage,
    ThisMessage,
)
from cspd.x509.signatures import Algorithm

CORPUS = {
    file.name: file.read_bytes()
    for file in sorted((Path(__file__).parents[3] / "fuzz" / "corpus" / "crmf").glob("*.crmf"))
}
ECDSA_SHA256 = Algorithm("1.2.840.10045.4.3.2")
KEY = ec.derive_private_key(4711, ec.SECP256R1())
PUBLIC_KEY_DER = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
SENDER = x509.DirectoryName(NAME)
MAC = PKMACValue(Algorithm("1.2.840.113533.7.66.13", tlv.sequence()), b"mac")
TEMPLATE = CertTemplate(subject=NAME, public_key_der=PUBLIC_KEY_DER)
FULL_TEMPLATE = CertTemplate(
    version=2,
    serial_number=-5,
    signing_alg=ECDSA_SHA256,
    issuer=x509.Name([]),
    validity=OptionalValidity(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2051, 1, 1, tzinfo=UTC)),
    subject=NAME,
    public_key_der=PUBLIC_KEY_DER,
    issuer_uid=b"\x03\xf8",
    subject_uid=b"\x00",
    extensions=(Extension("2.5.29.15", True, b"\x03\x02\x05\xa0"), Extension("1.2.3", False, b"")),
)
CONTROLS: tuple[Control, ...] = (
    RegToken("tökén"),
    Authenticator("secret"),
    PKIPublicationInfo(
        PublicationAction.PLEASE_PUBLISH,
        (SinglePubInfo(PublicationMethod.WEB, x509.DNSName("a.example")), SinglePubInfo(PublicationMethod.DONT_CARE)),
    ),
    PKIPublicationInfo(PublicationAction.DONT_PUBLISH),
    PKIArchiveOptions(EncryptedKey(tlv.sequence(tlv.integer(1)))),
    PKIArchiveOptions(EncryptedKey(tlv.sequence(), is_enveloped_data=False)),
    PKIArchiveOptions(KeyGenParameters(b"seed")),
    PKIArchiveOptions(False),
    PKIArchiveOptions(True),
    OldCertID(CertId(SENDER, 4711)),
    ProtocolEncrKey(PUBLIC_KEY_DER),
    AttributeTypeAndValue("1.2.3.4", tlv.NULL),
)
PROOFS: tuple[ProofOfPossession | None, ...] = (
    None,
    RAVerified(),
    POPOSigningKey(None, ECDSA_SHA256, b"signature"),
    POPOSigningKey(POPOSigningKeyInput(SENDER, PUBLIC_KEY_DER), ECDSA_SHA256, b"signature"),
    POPOSigningKey(POPOSigningKeyInput(MAC, PUBLIC_KEY_DER), ECDSA_SHA256, b""),
    KeyEncipherment(ThisMessage(b"encrypted")),
    KeyEncipherment(SubsequentMessage.ENCR_CERT),
    KeyAgreement(SubsequentMessage.CHALLENGE_RESP),
    KeyAgreement(DHMAC(b"mac")),
    KeyAgreement(MAC),
    KeyAgreement(EncryptedKey(tlv.sequence(tlv.integer(2)))),
)


def message(
    template: CertTemplate = TEMPLATE, popo: ProofOfPossession | None = None, controls: tuple[Control, ...] = ()
) -> CertReqMsg:
    """A message with that content and no registration information."""
    return CertReqMsg(
        cert_req=CertRequest(cert_req_id=7, cert_template=template, controls=controls),
        popo=popo,
    )


def signed(template: CertTemplate = TEMPLATE, controls: tuple[Control, ...] = ()) -> CertReqMsg:
    """A message whose CertRequest is signed by :data:`KEY`."""
    unsigned = message(template, controls=controls)
    signature = KEY.sign(encode_cert_request(unsigned.cert_req), ec.ECDSA(hashes.SHA256()))
    return replace(unsigned, popo=POPOSigningKey(None, ECDSA_SHA256, signature))


def signed_input(
    auth_info: x509.GeneralName | PKMACValue,
    template: CertTemplate = TEMPLATE,
    public_key_der: bytes = PUBLIC_KEY_DER,
) -> CertReqMsg:
    """A message whose POPOSigningKeyInput is signed by :data:`KEY`."""
    poposk_input = POPOSigningKeyInput(auth_info, public_key_der)
    signature = KEY.sign(encode_poposk_input(poposk_input), ec.ECDSA(hashes.SHA256()))
    return message(template, POPOSigningKey(poposk_input, ECDSA_SHA256, signature))
