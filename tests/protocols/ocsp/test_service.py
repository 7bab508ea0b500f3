"""What is said about which certificate, and when it is said again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from cspd.authority.values import AuthorityState, CertificateState, RevocationReason
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import NotFound, Unavailable
from protocols.ocsp import codec
from protocols.ocsp.config import NoncePolicy, OCSPConfig
from protocols.ocsp.messages import OCSPRequest, SingleRequest
from tests.protocols.ocsp.world import GOOD, World, request_for
from tests.support.keys import InlineKeys

T = TypeVar("T")
UNAUTHORIZED = codec.ERROR_RESPONSES[codec.OCSPResponseStatus.UNAUTHORIZED]
TRY_LATER = codec.ERROR_RESPONSES[codec.OCSPResponseStatus.TRY_LATER]
INTERNAL_ERROR = codec.ERROR_RESPONSES[codec.OCSPResponseStatus.INTERNAL_ERROR]


class LossyKeys(InlineKeys):
    """Keys in a token that can be pulled out."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.signatures = 0

    async def sign(self, reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
        if self.error is not None:
            raise self.error
        self.signatures += 1
        return await super().sign(reference, work)

    async def generate(
        self, key_type: KeyType, *, label: str, provider: str | None = None, decrypts: bool = False
    ) -> KeyReference:
        if self.error is not None:
            raise self.error
        return await super().generate(key_type, label=label, provider=provider, decrypts=decrypts)


def read(body: bytes) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(body)


def batch(*requests: bytes) -> bytes:
    """One request with the CertIDs of several."""
    singles = tuple(single for each in requests for single in codec.decode_request(each).request_list)
    return codec.encode_request(OCSPRequest(singles))


@pytest.mark.requirement("R-CA-052")
@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (CertificateState.GOOD, None, None),
        (CertificateState.REVOKED, RevocationReason.KEY_COMPROMISE, x509.ReasonFlags.key_compromise),
        (CertificateState.REVOKED, RevocationReason.SUPERSEDED, x509.ReasonFlags.superseded),
        (CertificateState.REVOKED, RevocationReason.UNSPECIFIED, None),
        (CertificateState.REVOKED, None, None),
        (CertificateState.HELD, RevocationReason.CERTIFICATE_HOLD, x509.ReasonFlags.certificate_hold),
    ],
)
def test_the_status_of_an_issued_certificate_is_said(
    state: CertificateState, reason: RevocationReason | None, said: x509.ReasonFlags | None
) -> None:
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 2**158 + 1, state, reason)
    changed_at = world.clock.now()
    world.clock.advance(timedelta(days=2, microseconds=17))
    response = read(world.post(request_for(authority, 2**158 + 1)).body)
    now = world.clock.now().replace(microsecond=0)
    assert response.serial_number == 2**158 + 1
    assert response.this_update_utc == response.produced_at_utc == now
    assert response.next_update_utc == now + timedelta(hours=8)
    if state is CertificateState.GOOD:
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    else:
        assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert response.revocation_time_utc == changed_at
        assert response.revocation_reason is said


@pytest.mark.parametrize("serial", [4711, -1, 0, -(2**100)])
def test_a_serial_that_was_never_issued_is_unknown(serial: int) -> None:
    world = World()
    authority = world.add_ca()
    request = codec.decode_request(request_for(authority, 4711))
    cert_id = replace(request.request_list[0].req_cert, serial_number=serial)
    body = codec.encode_request(OCSPRequest((SingleRequest(cert_id),)))
    assert read(world.post(body).body).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_a_record_without_signature_is_unknown() -> None:
    """Nobody can have that certificate; a forged one with its serial must not be called good."""
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5, CertificateState.RESERVED)
    assert read(world.post(request_for(authority, 5)).body).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


@pytest.mark.requirement("R-CA-052")
def test_one_ca_does_not_answer_for_another() -> None:
    world = World()
    issuing, other = world.add_ca("issuing"), world.add_ca("other")
    world.set_status(issuing, 5)
    world.set_status(other, 5, CertificateState.REVOKED)
    assert world.post(request_for(other, 5), ca="issuing").body == UNAUTHORIZED
    assert read(world.post(request_for(other, 5), ca="other").body).certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert read(world.post(request_for(issuing, 5), ca="issuing").body).certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.requirement("R-CA-052")
def test_cert_ids_of_another_ca_in_a_mixed_request_are_unknown() -> None:
    world = World()
    issuing, other = world.add_ca("issuing"), world.add_ca("other")
    world.set_status(issuing, 5)
    world.set_status(other, 6)
    body = world.post(batch(request_for(other, 6), request_for(issuing, 5), request_for(issuing, 7))).body
    said = [(single.serial_number, single.certificate_status) for single in read(body).responses]
    assert said == [
        (6, ocsp.OCSPCertStatus.UNKNOWN),
        (5, ocsp.OCSPCertStatus.GOOD),
        (7, ocsp.OCSPCertStatus.UNKNOWN),
    ]


def test_a_hundred_cert_ids_are_answered_in_order() -> None:
    world = World()
    authority = world.add_ca()
    for serial in range(1, 101):
        world.set_status(authority, serial, CertificateState.REVOKED if serial % 3 else CertificateState.GOOD)
    body = world.post(batch(*(request_for(authority, serial) for serial in range(1, 101)))).body
    assert [
        (single.serial_number, single.certificate_status is ocsp.OCSPCertStatus.REVOKED)
        for single in read(body).responses
    ] == [(serial, bool(serial % 3)) for serial in range(1, 101)]


@pytest.mark.parametrize(
    "algorithm", [hashes.SHA1(), hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
)
def test_the_ca_is_found_by_every_hash(algorithm: hashes.HashAlgorithm) -> None:
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    response = read(world.post(request_for(authority, 5, algorithm=algorithm)).body)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.hash_algorithm.name == algorithm.name


@pytest.mark.parametrize("nonce", [b"n", bytes(range(32)), bytes(range(128))])
def test_the_nonce_is_repeated(nonce: bytes) -> None:
    """RFC 9654, 2.1."""
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    response = read(world.post(request_for(authority, 5, nonce=nonce)).body)
    assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert list(read(world.post(request_for(authority, 5)).body).extensions) == []


def test_an_ignored_nonce_is_absent_and_the_answer_kept() -> None:
    keys = LossyKeys()
    world = World(OCSPConfig(nonce=NoncePolicy.IGNORE), keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    first = world.post(request_for(authority, 5, nonce=b"a" * 32)).body
    signatures = keys.signatures
    assert world.post(request_for(authority, 5, nonce=b"b" * 32)).body == first
    assert world.post(request_for(authority, 5)).body == first
    assert keys.signatures == signatures
    assert list(read(first).extensions) == []


def test_after_a_re_key_each_key_answers_for_its_own_certificates() -> None:
    """A validator of an old certificate has the old CA certificate, and checks the responder against that."""
    world = World()
    old = world.add_ca()
    world.set_status(old, 5)
    new = world.rekey(old)
    world.set_status(new, 6)
    for authority, serial in ((old, 5), (new, 6)):
        response = read(world.post(request_for(authority, serial)).body)
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert authority.certificate is not None
        response.certificates[0].verify_directly_issued_by(authority.certificate)


def test_the_certificate_of_an_unchanged_key_is_found_after_a_renewal() -> None:
    world = World()
    old = world.add_ca()
    assert old.key is not None
    der = world.ca_certificate("issuing", old.key, 7300)
    renewed = replace(
        old, certificate=x509.load_der_x509_certificate(der), certificate_der=der, certificate_id="b" * 32
    )
    world.set_status(old, 5)
    before = world.post(request_for(old, 5)).body
    world.authorities.known[old.reference] = renewed
    world.clock.advance(timedelta(seconds=1))
    assert read(world.post(request_for(old, 5)).body).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert read(before).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_a_disabled_ca_still_answers() -> None:
    """ca.md section 6: no issuance, status services continue."""
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    world.authorities.known[authority.reference] = replace(authority, state=AuthorityState.DISABLED)
    assert read(world.post(request_for(authority, 5)).body).certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("change", ["switched off", "deleted"])
def test_a_ca_without_ocsp_is_unauthorized_within_a_second(change: str) -> None:
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    assert world.post(request_for(authority, 5)).body != UNAUTHORIZED
    if change == "deleted":
        del world.authorities.known[authority.reference]
    else:
        world.authorities.known[authority.reference] = replace(authority, ocsp_enabled=False)
    world.clock.advance(timedelta(seconds=1))
    assert world.post(request_for(authority, 5)).body == UNAUTHORIZED


def test_a_ca_that_waits_for_its_certificate_is_unauthorized() -> None:
    world = World()
    authority = world.add_ca()
    world.authorities.known[authority.reference] = replace(
        authority, certificate=None, certificate_der=None, certificate_id=None
    )
    assert world.post(request_for(authority, 5)).body == UNAUTHORIZED


def test_an_answer_without_nonce_is_signed_once() -> None:
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    first = world.post(request_for(authority, 5)).body
    signatures = keys.signatures
    world.clock.advance(timedelta(minutes=59))
    assert world.post(request_for(authority, 5)).body == first
    assert keys.signatures == signatures
    world.clock.advance(timedelta(minutes=1))
    again = read(world.post(request_for(authority, 5)).body)
    assert again.this_update_utc == world.clock.now()


def test_a_revocation_replaces_the_kept_answer_at_once() -> None:
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    assert read(world.post(request_for(authority, 5)).body).certificate_status is ocsp.OCSPCertStatus.GOOD
    world.set_status(authority, 5, CertificateState.REVOKED, RevocationReason.KEY_COMPROMISE)
    assert read(world.post(request_for(authority, 5)).body).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_a_revocation_of_another_certificate_leaves_the_kept_answer() -> None:
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    first = world.post(request_for(authority, 5)).body
    signatures = keys.signatures
    world.set_status(authority, 6, CertificateState.REVOKED)
    assert world.post(request_for(authority, 5)).body == first
    assert keys.signatures == signatures


def test_an_unknown_serial_is_asked_for_again() -> None:
    """It may be issued in the next moment."""
    world = World()
    authority = world.add_ca()
    assert read(world.post(request_for(authority, 5)).body).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    world.status.known[authority.id, 5] = GOOD  # issuing is no status change
    assert read(world.post(request_for(authority, 5)).body).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_the_cache_has_its_bound() -> None:
    world = World(OCSPConfig(cache_entries=3))
    authority = world.add_ca()
    for serial in range(1, 10):
        world.set_status(authority, serial)
    requests = [request_for(authority, serial) for serial in range(1, 10)]
    first = [world.post(request).body for request in requests]
    world.clock.advance(timedelta(minutes=1))
    assert [world.post(request).body == kept for request, kept in zip(requests[6:], first[6:], strict=True)] == [
        True
    ] * 3
    assert world.post(requests[0]).body != first[0]


def test_a_long_request_is_answered_and_not_kept() -> None:
    """Its sender chooses the bytes that the cache would keep, for each entry kilobytes of them."""
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    short = request_for(authority, 5)
    name_der = bytes.fromhex("82820200") + b"a" * 512  # dNSName
    long = codec.encode_request(replace(codec.decode_request(short), requestor_name_der=name_der))
    many = batch(*[short] * 12)
    for request, is_kept in ((short, True), (long, False), (many, False)):
        world.post(request)
        signatures = keys.signatures
        assert read(world.post(request).body).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        assert (keys.signatures == signatures) is is_kept


def test_next_update_never_outlives_the_responder() -> None:
    world = World()
    authority = world.add_ca(days=30)
    world.set_status(authority, 5)
    world.clock.advance(timedelta(days=29, hours=20))
    response = read(world.post(request_for(authority, 5)).body)
    assert response.next_update_utc == response.certificates[0].not_valid_after_utc
    assert response.next_update_utc - world.clock.now() == timedelta(hours=4)


@pytest.mark.requirement("R-PLAT-153")
def test_a_lost_token_is_try_later_and_recovers() -> None:
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    assert read(world.post(request_for(authority, 5, nonce=b"n" * 32)).body).serial_number == 5
    keys.error = Unavailable("the token is gone")
    assert world.post(request_for(authority, 5, nonce=b"n" * 32)).body == TRY_LATER
    keys.error = None
    assert read(world.post(request_for(authority, 5, nonce=b"n" * 32)).body).serial_number == 5


@pytest.mark.requirement("R-PLAT-153")
def test_kept_answers_are_given_while_the_token_is_lost() -> None:
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    first = world.post(request_for(authority, 5)).body
    keys.error = Unavailable("the token is gone")
    assert world.post(request_for(authority, 5)).body == first


@pytest.mark.requirement("R-PLAT-153")
def test_a_token_lost_before_the_first_responder_is_try_later() -> None:
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    keys.error = Unavailable("the token is gone")
    assert world.post(request_for(authority, 5)).body == TRY_LATER


def test_a_responder_key_that_is_missing_is_not_the_clients_fault() -> None:
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    world.post(request_for(authority, 5))
    keys.error = NotFound("no key")
    assert world.post(request_for(authority, 5, nonce=b"n")).body == TRY_LATER


def test_a_lost_store_is_try_later_for_what_memory_does_not_have() -> None:
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    first = world.post(request_for(authority, 5)).body
    world.status.refusal = Unavailable("the database is gone")
    assert world.post(request_for(authority, 5)).body == first
    world.status.in_memory = False  # the memory of statuses has grown too old to be believed
    assert world.post(request_for(authority, 5)).body == TRY_LATER
    assert world.post(request_for(authority, 5, nonce=b"n")).body == TRY_LATER
    world.status.in_memory = True
    assert world.post(request_for(authority, 5)).body == first


def test_an_unexpected_error_is_internal_error() -> None:
    keys = LossyKeys()
    world = World(keys=keys)
    authority = world.add_ca()
    world.set_status(authority, 5)
    world.post(request_for(authority, 5))
    keys.error = RuntimeError("secret detail")
    assert world.post(request_for(authority, 5, nonce=b"n")).body == INTERNAL_ERROR


def test_a_signed_request_is_answered_like_any_other() -> None:
    """The signature is not verified: the answer is the same for everybody."""
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    request = codec.decode_request(request_for(authority, 5))
    signed = replace(request, requestor_name_der=b"\x82\x01a", signature_der=b"\x30\x03\x03\x01\x00")
    assert read(world.post(codec.encode_request(signed)).body).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_the_answer_repeats_the_cert_id_as_it_was_sent() -> None:
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    request = codec.decode_request(request_for(authority, 5))
    cert_id = request.request_list[0].req_cert
    for algorithm_der, algorithm in codec.HASH_ALGORITHMS.items():
        if algorithm.value == "sha1":
            asked = replace(cert_id, algorithm_der=algorithm_der)
            body = world.post(codec.encode_request(OCSPRequest((SingleRequest(asked),)))).body
            assert codec.encode_cert_id(asked) in body


def test_a_cached_answer_and_a_fresh_one_never_wait() -> None:
    """The hot path is a coroutine that runs through: the server needs no Deferred for it."""
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    world.post(request_for(authority, 5))
    for nonce in (None, b"n" * 32):
        coroutine = world.service.answer(authority.reference, request_for(authority, 5, nonce=nonce))
        with pytest.raises(StopIteration):
            coroutine.send(None)
