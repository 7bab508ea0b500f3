"""Our responses, read and verified by two other implementations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp

from cspd.authority.values import CertificateState, RevocationReason
from cspd.keys.values import KeyType
from cspd.x509 import tlv
from protocols.ocsp import codec
from protocols.ocsp.config import NeverIssued, OCSPConfig
from protocols.ocsp.messages import (
    CertID,
    CertStatus,
    Good,
    ResponseData,
    Revoked,
    SingleResponse,
    Unknown,
)
from tests.protocols.ocsp.world import World, request_for
from tests.support.verifying import verify_signature

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHA1_DER = tlv.sequence(tlv.object_identifier("1.3.14.3.2.26"), tlv.NULL)


def check_response(body: bytes, authority_certificate: x509.Certificate) -> ocsp.OCSPResponse:
    """Read with both; verify responder certificate and signature; give cryptography's view."""
    theirs = asn1_ocsp.OCSPResponse.load(body, strict=True)
    assert theirs.native["response_status"] == "successful"
    assert theirs.dump(force=True) == body
    response = ocsp.load_der_ocsp_response(body)
    (responder,) = response.certificates
    responder.verify_directly_issued_by(authority_certificate)
    assert response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(responder.public_key()).digest
    verify_signature(
        responder.public_key(), response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
    )
    return response


@pytest.mark.parametrize("key_type", [key_type for key_type in KeyType if not key_type.value.startswith("ml-dsa")])
@pytest.mark.requirement("R-CA-051")
def test_the_response_is_signed_with_the_chosen_key_type(key_type: KeyType) -> None:
    world = World()
    authority = world.add_ca(ocsp_key_type=key_type)
    world.set_status(authority, 77)
    response = check_response(world.post(request_for(authority, 77)).body, authority.certificate)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    public_key = response.certificates[0].public_key()
    match key_type:
        case KeyType.RSA_2048 | KeyType.RSA_3072 | KeyType.RSA_4096:
            assert isinstance(public_key, rsa.RSAPublicKey)
            assert public_key.key_size == int(key_type.value.removeprefix("rsa-"))
        case KeyType.EC_P256 | KeyType.EC_P384 | KeyType.EC_P521:
            assert isinstance(public_key, ec.EllipticCurvePublicKey)
            assert public_key.key_size == int(key_type.value.removeprefix("ec-p"))
        case _:
            assert type(public_key).__name__.lower().startswith(key_type.value)


@pytest.mark.parametrize("key_type", [KeyType.ML_DSA_44, KeyType.ML_DSA_65, KeyType.ML_DSA_87])
def test_an_ml_dsa_responder_signs(key_type: KeyType) -> None:
    """cryptography's OCSP classes do not name ML-DSA, so the pieces come from asn1crypto."""
    world = World()
    authority = world.add_ca(ocsp_key_type=key_type)
    world.set_status(authority, 77)
    theirs = asn1_ocsp.OCSPResponse.load(world.post(request_for(authority, 77)).body, strict=True)
    basic = theirs["response_bytes"]["response"].parsed
    responder = x509.load_der_x509_certificate(basic["certs"][0].dump())
    number = {KeyType.ML_DSA_44: 17, KeyType.ML_DSA_65: 18, KeyType.ML_DSA_87: 19}[key_type]
    assert basic["signature_algorithm"]["algorithm"].dotted == f"2.16.840.1.101.3.4.3.{number}"
    responder.public_key().verify(basic["signature"].native, basic["tbs_response_data"].dump())  # type: ignore[union-attr, call-arg]


@pytest.mark.parametrize("nonce", [None, b"n", b"n" * 32, b"n" * 128])
@pytest.mark.parametrize("next_update", [None, NOW + timedelta(hours=8)])
@pytest.mark.parametrize(
    "status",
    [Good(), Unknown(), Revoked(NOW), *(Revoked(NOW, reason) for reason in RevocationReason)],
    ids=str,
)
def test_our_encoding_is_that_of_the_reference_builder(
    status: CertStatus, next_update: datetime | None, nonce: bytes | None
) -> None:
    """Byte for byte, ResponseData of cryptography's builder and ours."""
    world = World()
    authority = world.add_ca()
    certificate = authority.certificate
    assert certificate is not None
    name_hash, key_hash = b"\x01" * 20, b"\x02" * 20
    kind = {Good: ocsp.OCSPCertStatus.GOOD, Unknown: ocsp.OCSPCertStatus.UNKNOWN}.get(
        type(status), ocsp.OCSPCertStatus.REVOKED
    )
    revoked = status if isinstance(status, Revoked) else None
    reason = revoked and revoked.revocation_reason
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            name_hash,
            key_hash,
            12345,
            hashes.SHA1(),
            kind,
            NOW,
            next_update,
            None if revoked is None else revoked.revocation_time,
            None if reason is None else x509.ReasonFlags(reason.value),
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    (key,) = world.keys.private_keys.values()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    reference = builder.sign(key, hashes.SHA256())
    ours = codec.encode_response_data(
        ResponseData(
            responder_key_hash=reference.responder_key_hash or b"",
            produced_at=reference.produced_at_utc,
            responses=(SingleResponse(CertID(SHA1_DER, name_hash, key_hash, 12345), status, NOW, next_update),),
            nonce=nonce,
        )
    )
    assert ours == reference.tbs_response_bytes


def test_errors_are_read_by_the_reference_parser() -> None:
    for status, encoded in codec.ERROR_RESPONSES.items():
        assert ocsp.load_der_ocsp_response(encoded).response_status.value == status.value


def test_a_serial_that_was_never_issued_is_revoked_where_conf_says_so() -> None:
    """RFC 6960, 2.2: certificateHold, 1 January 1970, and the extended-revoke extension."""
    world = World(OCSPConfig(never_issued=NeverIssued.REVOKED))
    authority = world.add_ca()
    response = check_response(world.post(request_for(authority, 5, nonce=b"n" * 32)).body, authority.certificate)
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_reason is x509.ReasonFlags.certificate_hold
    assert response.revocation_time_utc == datetime(1970, 1, 1, tzinfo=UTC)
    oids = [extension.oid.dotted_string for extension in response.extensions]
    assert oids == ["1.3.6.1.5.5.7.48.1.2", "1.3.6.1.5.5.7.48.1.9"]


def test_extended_revoke_is_absent_where_nothing_needs_it() -> None:
    world = World(OCSPConfig(never_issued=NeverIssued.REVOKED))
    authority = world.add_ca()
    world.set_status(authority, 5, CertificateState.REVOKED, RevocationReason.KEY_COMPROMISE)
    response = check_response(world.post(request_for(authority, 5)).body, authority.certificate)
    assert list(response.extensions) == []
