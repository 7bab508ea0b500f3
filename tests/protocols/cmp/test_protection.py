from __future__ import annotations

from dataclasses import replace

import pytest
from asn1crypto.x509 import Certificate
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.keys.signer import Signer
from cspd.keys.values import KeyType
from cspd.x509 import tlv
from cspd.x509.signatures import Algorithm
from protocols.cmp.codec import assemble, decode, encode
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.header_rules import check_signer, protection_certificate
from protocols.cmp.mac_algorithms import DH_BASED_MAC, PBMAC1MAC, PasswordBasedMAC, read_mac_algorithm
from protocols.cmp.messages import BodyType, PKIMessage
from protocols.cmp.protection import (
    ProtectionKind,
    protect_by_mac,
    protected_part_for,
    protection_kind,
    verify_mac,
    verify_message_signature,
)
from protocols.cmp.status import PKIFailureInfo
from tests.protocols.cmp.vectors import HEADER, KEY, SECRET, VECTORS, certificate, message
from tests.support.keys import InlineKeys
from tests.support.running import result_of

MAC_VECTORS = [name for name in VECTORS if name.startswith("mac-")]
SIGNED_VECTORS = [name for name in VECTORS if name.startswith("signed-") and "unprotected" not in name]
BODY = message().body
SHA1_WITH_RSA = Algorithm("1.2.840.113549.1.1.5", tlv.NULL)


def _refused(work: object) -> PKIFailureInfo:
    with pytest.raises(PKIMessageRejected) as raised:
        work()  # type: ignore[operator]  # a lambda
    return raised.value.fail_info


def _verify_mac(made: PKIMessage, secret: bytes) -> None:
    assert made.header.protection_alg is not None
    verify_mac(made, read_mac_algorithm(made.header.protection_alg).derive(secret))


@pytest.mark.parametrize("name", MAC_VECTORS)
def test_a_mac_of_openssl_is_verified(name: str) -> None:
    made = decode(VECTORS[name])
    assert protection_kind(made.header) is ProtectionKind.MAC
    _verify_mac(made, SECRET)
    assert _refused(lambda: _verify_mac(made, b"another")) is PKIFailureInfo.BAD_MESSAGE_CHECK


@pytest.mark.parametrize("name", MAC_VECTORS)
def test_what_openssl_protected_by_a_mac_we_protect_alike(name: str) -> None:
    made = decode(VECTORS[name])
    assert made.header.protection_alg is not None
    key = read_mac_algorithm(made.header.protection_alg).derive(SECRET)
    assert protect_by_mac(made.header, made.body, key, made.extra_certs_der) == VECTORS[name]


@pytest.mark.parametrize("name", SIGNED_VECTORS)
def test_a_signature_of_openssl_is_verified(name: str) -> None:
    made = decode(VECTORS[name])
    assert protection_kind(made.header) is ProtectionKind.SIGNATURE
    signer = protection_certificate(made)
    check_signer(made.header, signer)
    verify_message_signature(made, signer)
    assert _refused(lambda: verify_message_signature(made, certificate())) is PKIFailureInfo.BAD_MESSAGE_CHECK


@pytest.mark.parametrize("name", [*MAC_VECTORS, *SIGNED_VECTORS])
def test_a_protection_covers_header_and_body(name: str) -> None:
    made = decode(VECTORS[name])
    for changed in (
        PKIMessage(replace(made.header, sender_nonce=bytes(16)), made.body, made.protection, made.extra_certs_der),
        PKIMessage(made.header, message(BodyType.POLL_REQ).body, made.protection, made.extra_certs_der),
        PKIMessage(made.header, made.body, (made.protection or b"")[:-1], made.extra_certs_der),
        PKIMessage(made.header, made.body, b"", made.extra_certs_der),
    ):
        received = decode(encode(changed))
        verify = _verify_mac if name in MAC_VECTORS else verify_message_signature
        known = SECRET if name in MAC_VECTORS else protection_certificate(made)
        assert _refused(lambda: verify(received, known)) is PKIFailureInfo.BAD_MESSAGE_CHECK  # type: ignore[arg-type]  # noqa: B023


@pytest.mark.parametrize("algorithm", [PasswordBasedMAC(b"salt", 100), PBMAC1MAC(b"salt", 100)])
def test_an_answer_is_protected_with_the_key_of_the_request(algorithm: PasswordBasedMAC | PBMAC1MAC) -> None:
    key = algorithm.derive(SECRET)
    made = decode(protect_by_mac(HEADER, BODY, key))
    assert made.header.protection_alg == algorithm.algorithm
    _verify_mac(made, SECRET)
    assert _refused(lambda: verify_mac(made, replace(algorithm, salt=b"other").derive(SECRET))) is (
        PKIFailureInfo.BAD_MESSAGE_CHECK
    )


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P256, KeyType.ED25519, KeyType.ML_DSA_44])
def test_a_message_is_signed_and_verified(key_type: KeyType) -> None:
    keys = InlineKeys()
    reference = result_of(keys.generate(key_type, label="cmp"))
    signer = Signer(keys, reference, result_of(keys.public_key(reference)))
    own = certificate(key=keys.private_keys[reference])
    part = protected_part_for(HEADER, BODY, signer.algorithm_der)
    made = decode(assemble(part, result_of(signer.sign(part)), (b"0\0",)))
    assert protection_kind(made.header) is ProtectionKind.SIGNATURE
    verify_message_signature(made, own)
    assert _refused(lambda: verify_message_signature(made, certificate())) is PKIFailureInfo.BAD_MESSAGE_CHECK


def test_rsassa_pss_is_verified() -> None:
    key = rsa.generate_private_key(65537, 2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    own = certificate(key=key, rsa_padding=pss)
    algorithm_der = Certificate.load(own.public_bytes(Encoding.DER))["signature_algorithm"].dump()
    part = protected_part_for(HEADER, BODY, algorithm_der)
    verify_message_signature(decode(assemble(part, key.sign(part, pss, hashes.SHA256()))), own)


def _of(algorithm: Algorithm | None, protection: bytes | None = b"protection") -> PKIMessage:
    return decode(encode(PKIMessage(replace(HEADER, protection_alg=algorithm), BODY, protection)))


def test_algorithms_that_are_not_accepted() -> None:
    for oid in ("1.2.3", "1.2.840.113549.1.1.1", "1.2.840.10045.4.1"):  # unknown, bare RSA, ECDSA with SHA-1
        made = _of(Algorithm(oid))
        assert _refused(lambda: protection_kind(made.header)) is PKIFailureInfo.BAD_ALG  # noqa: B023
        assert _refused(lambda: verify_message_signature(made, certificate())) is PKIFailureInfo.BAD_ALG  # noqa: B023
    assert _refused(lambda: protection_kind(_of(SHA1_WITH_RSA).header)) is PKIFailureInfo.BAD_ALG
    dh = _of(Algorithm(DH_BASED_MAC, tlv.NULL))
    assert protection_kind(dh.header) is ProtectionKind.MAC
    assert _refused(lambda: _verify_mac(dh, SECRET)) is PKIFailureInfo.BAD_ALG


def test_a_message_without_protection_is_not_verified() -> None:
    assert protection_kind(_of(None).header) is ProtectionKind.NONE
    for made in (_of(None), _of(Algorithm("1.2.840.10045.4.3.2"), None)):
        assert _refused(lambda: verify_message_signature(made, certificate())) is PKIFailureInfo.BAD_MESSAGE_CHECK  # noqa: B023
    key = PasswordBasedMAC(b"salt", 100).derive(SECRET)
    for made in (_of(None), _of(key.algorithm, None)):
        assert _refused(lambda: verify_mac(made, key)) is PKIFailureInfo.BAD_MESSAGE_CHECK  # noqa: B023


def test_a_certificate_with_a_point_off_the_curve_is_refused() -> None:
    own = certificate().public_bytes(Encoding.DER)
    point = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    off = own.replace(point, point[:-1] + bytes((point[-1] ^ 1,)))
    made = decode(encode(replace(decode(VECTORS["signed-genm-1-req"]), extra_certs_der=(off,))))
    assert _refused(lambda: verify_message_signature(made, protection_certificate(made))) is (
        PKIFailureInfo.BAD_DATA_FORMAT
    )
