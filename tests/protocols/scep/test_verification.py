"""Whether the signature fits, and is of an algorithm that is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes

from cspd.x509 import tlv
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.signatures import Algorithm
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.codec import decode
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.messages import FailInfo, MessageType, ReceivedMessage
from protocols.scep.verification import verify
from tests.protocols.scep.vectors import PYSCEP, STRICT, VECTORS, client, ec_key, rsa_key

DIGESTS = {"strongswan-sha512-1": "sha512", "strongswan-sha1-des3-1": "sha1"}


@pytest.mark.parametrize("name", VECTORS)
def test_what_strongswan_signed_is_verified(name: str) -> None:
    digest = verify(decode(VECTORS[name]), AlgorithmPolicy(allow_sha1="sha1" in name))
    assert digest.name == DIGESTS.get(name, "sha256")


@pytest.mark.parametrize(
    ("name", "message_type", "digest"),
    [
        ("enroll", MessageType.PKCS_REQ, "sha512"),
        ("enroll-sha1-des3", MessageType.PKCS_REQ, "sha1"),
        ("get-cert", MessageType.GET_CERT, "sha256"),
        ("get-crl", MessageType.GET_CRL, "sha256"),
        ("poll", MessageType.CERT_POLL, "sha256"),
    ],
)
def test_what_pyscep_signed_is_verified(name: str, message_type: MessageType, digest: str) -> None:
    received = decode(PYSCEP[name])
    assert (received.message.message_type, received.message.transaction_id) == (message_type, name)
    assert verify(received, AlgorithmPolicy(allow_sha1=True)).name == digest


def message() -> ReceivedMessage:
    return decode(client().sign(MessageType.PKCS_REQ, b"an envelope"))


def refusal(received: ReceivedMessage) -> PKIMessageRefused:
    with pytest.raises(PKIMessageRefused) as refused:
        verify(received, STRICT)
    return refused.value


def test_keys_of_elliptic_curves_sign_too() -> None:
    assert verify(decode(client(ec_key()).sign(MessageType.PKCS_REQ, b"an envelope")), STRICT).name == "sha256"


def test_a_device_may_sign_itself_a_certificate_with_the_serial_number_zero() -> None:
    """As the library does not make them; it warns of them, too."""
    data = client().sign(MessageType.PKCS_REQ, b"an envelope")
    first = data.index(tlv.integer(1) + tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.11"), tlv.NULL))
    name = client().certificate.issuer.public_bytes()
    with_zero = data[:first] + tlv.integer(0) + data[first + 3 :]
    with_zero = with_zero.replace(name + tlv.integer(1), name + tlv.integer(0))
    received = decode(with_zero)
    assert received.signer_info.serial_number == 0
    assert verify(received, STRICT).name == "sha256"


def test_another_content_is_refused() -> None:
    received = message()
    assert verify(received, STRICT).name == "sha256"
    changed = replace(received, message=replace(received.message, pkcs_pki_envelope=b"another"))
    assert refusal(changed).fail_info is FailInfo.BAD_MESSAGE_CHECK


@pytest.mark.parametrize("field", ["transaction_id", "sender_nonce"])
def test_another_attribute_is_refused(field: str) -> None:
    data = client().sign(MessageType.PKCS_REQ, b"an envelope")
    said = getattr(decode(data).message, field)
    octets = said if isinstance(said, bytes) else said.encode()
    changed = decode(data.replace(octets, octets[:-1] + (b"A" if octets[-1:] != b"A" else b"B")))
    assert refusal(changed).fail_info is FailInfo.BAD_MESSAGE_CHECK


def test_the_signature_of_another_key_is_refused() -> None:
    other = replace(client(), key=rsa_key("another device"))
    refused = refusal(decode(other.sign(MessageType.PKCS_REQ, b"an envelope")))
    assert (refused.fail_info, refused.fail_info_text) == (
        FailInfo.BAD_MESSAGE_CHECK,
        "the signature of the message does not fit",
    )


def test_sha1_needs_its_switch() -> None:
    received = decode(client(digest=hashes.SHA1()).sign(MessageType.PKCS_REQ, b"an envelope"))
    assert refusal(received).fail_info is FailInfo.BAD_ALG
    assert verify(received, AlgorithmPolicy(allow_sha1=True)).name == "sha1"


@pytest.mark.parametrize(
    "changes",
    [
        {"digest_algorithm": "1.2.840.113549.2.5"},  # MD5
        {"signature_algorithm": Algorithm("1.2.840.113549.1.1.4")},
        {"signature_algorithm": Algorithm("1.2.840.113549.1.1.5")},  # SHA-1 behind a digest of SHA-256
    ],
)
def test_an_algorithm_that_is_not_known_is_refused(changes: dict[str, object]) -> None:
    received = message()
    signer_info = replace(received.signer_info, **changes)  # type: ignore[arg-type]
    assert refusal(replace(received, signer_info=signer_info)).fail_info is FailInfo.BAD_ALG


@pytest.mark.parametrize(
    ("policy", "ciphers"),
    [
        (AlgorithmPolicy(), set()),
        (AlgorithmPolicy(allow_des3=True), {ContentCipher.DES_EDE3_CBC}),
        (AlgorithmPolicy(allow_des=True), {ContentCipher.DES_CBC}),
    ],
)
def test_obsolete_ciphers_need_their_switch(policy: AlgorithmPolicy, ciphers: set[ContentCipher]) -> None:
    assert {cipher for cipher in policy.ciphers if cipher.is_obsolete} == ciphers
    assert {cipher for cipher in ContentCipher if not cipher.is_obsolete} <= policy.ciphers
