"""The authority's answers: what is granted, what is refused, and what nobody ever gets."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA512

from cspd.keys.values import KeyType
from cspd.refusals import NotFound, Unavailable
from cspd.x509 import tlv
from protocols.tsp import codec
from protocols.tsp.config import TSPConfig
from protocols.tsp.messages import Extension, HashAlgorithm, MessageImprint, PKIFailureInfo, TimeStampReq
from tests.protocols.tsp.authority import CLOCK, DATA, ISSUER, POLICY, Authority, issuer_entry, request_for
from tests.support.running import result_of

MICROSECOND = timedelta(microseconds=1)


def response(answer: bytes) -> Any:
    """The TimeStampResp, by another implementation, which cannot read one without a token."""
    return tsp.TimeStampResp.load(answer, strict=True)


def signed_data(answer: bytes) -> Any:
    read = response(answer)
    assert read["status"]["status"].native == "granted"
    return read["time_stamp_token"]["content"]


def tst_info(answer: bytes) -> Any:
    return signed_data(answer)["encap_content_info"]["content"].parsed


def assert_rejected(answer: bytes, fail_info: PKIFailureInfo) -> None:
    assert answer == codec.REJECTIONS[fail_info]


@pytest.mark.requirement("R-TSA-024")
@pytest.mark.parametrize("nonce", [None, 0, 1, -1, 2**64 - 1, 2**159])
def test_imprint_and_nonce_come_back_unchanged(nonce: int | None) -> None:
    request = request_for(nonce=nonce)
    info = tst_info(Authority().ask(request))
    assert info["message_imprint"].dump() == request.message_imprint.encoded
    assert info["nonce"].native == nonce


def test_parameters_of_the_hash_algorithm_come_back_as_the_client_wrote_them() -> None:
    """Most clients write NULL (RFC 5754, 2), and compare octets."""
    absent = request_for().message_imprint.encoded
    with_null = bytes.fromhex("3031300d060960864801650304020105000420") + sha256(DATA).digest()
    authority = Authority()
    for imprint in (absent, with_null):
        request_der = b"\x30" + bytes((len(imprint) + 3,)) + b"\x02\x01\x01" + imprint
        assert tst_info(authority.post(request_der).body)["message_imprint"].dump() == imprint


@pytest.mark.requirement("R-TSA-023")
def test_policy_is_the_issuer_s_and_another_one_is_refused() -> None:
    authority = Authority()
    assert tst_info(authority.ask())["policy"].native == POLICY
    assert tst_info(authority.ask(request_for(req_policy=POLICY)))["policy"].native == POLICY
    assert_rejected(authority.ask(request_for(req_policy=f"{POLICY}.1")), PKIFailureInfo.UNACCEPTED_POLICY)


@pytest.mark.requirement("R-TSA-021", "R-TSA-022")
@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_hash_algorithms_are_accepted_as_configured(algorithm: HashAlgorithm) -> None:
    by_default = algorithm.name in ("SHA224", "SHA256", "SHA384", "SHA512")
    if by_default:
        tst_info(Authority().ask(request_for(algorithm=algorithm)))
    else:
        assert_rejected(Authority().ask(request_for(algorithm=algorithm)), PKIFailureInfo.BAD_ALG)
    listed = Authority({"allowed_hashes": ["sha256", algorithm.value]})
    hashed = tst_info(listed.ask(request_for(algorithm=algorithm)))["message_imprint"]["hash_algorithm"]
    assert hashed.dump() == request_for(algorithm=algorithm).message_imprint.algorithm_der
    other = HashAlgorithm.SHA512 if algorithm is not HashAlgorithm.SHA512 else HashAlgorithm.SHA384
    assert_rejected(listed.ask(request_for(algorithm=other)), PKIFailureInfo.BAD_ALG)


@pytest.mark.requirement("R-TSA-022")
def test_unknown_hash_algorithm_is_refused_and_cannot_be_configured() -> None:
    algorithm_der = bytes.fromhex("300c06082a864886f70d02050500")
    imprint = MessageImprint(algorithm_der, bytes(16), tlv.sequence(algorithm_der, tlv.element(4, bytes(16))))
    assert_rejected(Authority().ask(TimeStampReq(imprint)), PKIFailureInfo.BAD_ALG)
    with pytest.raises(ValueError, match="allowed_hashes"):
        Authority({"allowed_hashes": ["sha256", "md5"]})


@pytest.mark.requirement("R-TSA-025")
def test_accuracy_is_there_exactly_when_configured() -> None:
    assert tst_info(Authority().ask())["accuracy"].native is None
    accuracy = tst_info(Authority({"accuracy": "PT2.0305S"}).ask())["accuracy"]
    assert accuracy.native == {"seconds": 2, "millis": 30, "micros": 500}


@pytest.mark.requirement("R-TSA-026")
def test_ordering_is_true_exactly_when_enabled() -> None:
    assert tst_info(Authority().ask())["ordering"].native is False
    assert b"\x01\x01\x00" not in tst_info(Authority().ask()).dump(), "DER leaves the default out"
    assert tst_info(Authority({"ordering": True}).ask())["ordering"].native is True


def test_ordered_tokens_have_times_of_the_sequence_and_others_the_clock_s() -> None:
    ordered = Authority({"ordering": True})
    first, second = (tst_info(ordered.ask())["gen_time"].native for _ in range(2))
    assert second - first == MICROSECOND
    authority = Authority()
    assert tst_info(authority.ask())["gen_time"].native == authority.wall.now()
    assert authority.gen_times.last == {}


@pytest.mark.requirement("R-TSA-030")
def test_qualified_tokens_say_so() -> None:
    """The OID as ETSI EN 319 422 encodes it, in an extension that is not critical."""
    assert tst_info(Authority().ask())["extensions"].native is None
    [extension] = tst_info(Authority({"qualified": True}).ask())["extensions"]
    assert extension["extn_id"].dotted == "1.3.6.1.5.5.7.1.3"
    assert extension["critical"].native is False
    assert bytes(extension["extn_value"]) == bytes.fromhex("300b30090607040081975e0101")


@pytest.mark.parametrize("is_named", [False, True])
def test_token_names_the_authority_when_configured(is_named: bool) -> None:
    authority = Authority({"tsa_name": is_named})
    name = tst_info(authority.ask())["tsa"]
    certificate = authority.units.known[ISSUER].certificate
    if is_named:
        assert name.chosen.untag().dump() == certificate.subject.public_bytes()
    else:
        assert name.native is None


@pytest.mark.requirement("R-TSA-032")
def test_certificates_are_there_exactly_when_asked_for() -> None:
    authority = Authority()
    unit = authority.units.known[ISSUER]
    assert signed_data(authority.ask(request_for(cert_req=False)))["certificates"].native is None
    certificates = signed_data(authority.ask(request_for(cert_req=True)))["certificates"]
    assert {each.chosen.dump() for each in certificates} == {unit.certificate_der, *unit.chain_der}


@pytest.mark.requirement("R-TSA-033")
def test_signing_certificate_is_named_in_the_signature() -> None:
    authority = Authority()
    [signer] = signed_data(authority.ask())["signer_infos"]
    attributes = {each["type"].native: each["values"][0] for each in signer["signed_attrs"]}
    [named] = attributes["signing_certificate_v2"]["certs"]
    assert named["cert_hash"].native == sha256(authority.units.known[ISSUER].certificate_der).digest()


@pytest.mark.requirement("R-TSA-031")
@pytest.mark.parametrize(("digest", "hash_"), [(None, SHA256()), ("sha512", SHA512())])
@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.RSA_2048])
def test_digest_and_signature_follow_the_configured_digest(
    digest: str | None, hash_: SHA256 | SHA512, key_type: KeyType
) -> None:
    authority = Authority({} if digest is None else {"signature_digest": digest}, key_type=key_type)
    signed = signed_data(authority.ask())
    [signer] = signed["signer_infos"]
    name = digest or "sha256"
    assert [each["algorithm"].native for each in signed["digest_algorithms"]] == [name]
    assert signer["digest_algorithm"]["algorithm"].native == name
    public_key = authority.units.known[ISSUER].public_key
    octets = signer["signed_attrs"].untag().dump()
    signature = signer["signature"].native
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, octets, ec.ECDSA(hash_))
    else:
        public_key.verify(signature, octets, padding.PKCS1v15(), hash_)  # type: ignore[union-attr, call-arg, arg-type]


@pytest.mark.parametrize("octets", [8, 13, 20])
def test_serial_numbers_have_the_configured_length(octets: int) -> None:
    serial = tst_info(Authority({"serial_bytes": octets}).ask())["serial_number"]
    assert len(serial.contents) == octets


@pytest.mark.requirement("R-TSA-029")
@pytest.mark.parametrize("octets", [7, 21])
def test_serial_numbers_of_other_lengths_cannot_be_configured(octets: int) -> None:
    with pytest.raises(ValueError, match="serial_bytes"):
        Authority({"serial_bytes": octets})


@pytest.mark.requirement("R-TSA-036", "R-TSA-002")
@pytest.mark.parametrize("is_shared", [True, False])
def test_issuers_in_one_process_share_a_certificate_or_have_their_own(is_shared: bool) -> None:
    other_policy = f"{POLICY}.2"
    authority = Authority({}, {"id": "other", "policy": other_policy})
    if is_shared:
        authority.units.known["other"] = authority.units.known[ISSUER]
    answers = {issuer: authority.ask(request_for(cert_req=True), issuer=issuer) for issuer in (ISSUER, "other")}
    assert [tst_info(each)["policy"].native for each in answers.values()] == [POLICY, other_policy]
    serials = {
        issuer: signed_data(each)["signer_infos"][0]["sid"].chosen["serial_number"].native
        for issuer, each in answers.items()
    }
    assert (serials[ISSUER] == serials["other"]) is is_shared
    for issuer, serial in serials.items():
        assert serial == authority.units.known[issuer].certificate.serial_number


def test_another_unit_takes_over_between_two_requests() -> None:
    authority = Authority()
    authority.ask()
    authority.units.known[ISSUER] = authority.make_unit(KeyType.ED25519)
    [signer] = signed_data(authority.ask())["signer_infos"]
    assert signer["signature_algorithm"]["algorithm"].native == "ed25519"
    assert signer["sid"].chosen["serial_number"].native == authority.units.known[ISSUER].certificate.serial_number


def test_request_after_a_start_waits_until_the_key_was_found() -> None:
    authority = Authority()
    authority.units.found_when_settled[ISSUER] = authority.units.known.pop(ISSUER)
    tst_info(authority.ask())


def test_request_after_a_reload_waits_until_the_time_source_was_asked() -> None:
    authority = Authority()
    authority.clock.bad = "the time source has not answered yet"
    authority.clock.bad_until_settled = True
    tst_info(authority.ask())


# Nothing that must not be


@pytest.mark.requirement("R-TSA-051")
def test_bad_clock_stops_every_token_before_anything_is_spent() -> None:
    authority = Authority()
    authority.clock.bad = "it drifts"
    assert_rejected(authority.ask(), PKIFailureInfo.TIME_NOT_AVAILABLE)
    assert authority.units.sought == [], "a bad clock is no reason to wait for keys"
    assert authority.serial_numbers.given == []
    assert authority.keys.signatures == 0
    authority.clock.bad = ""
    tst_info(authority.ask())


def test_clock_that_goes_bad_while_the_token_is_signed_stops_it() -> None:
    authority = Authority()

    def step() -> None:
        authority.clock.bad = "it stepped"

    authority.keys.before_signing = step
    assert_rejected(authority.ask(), PKIFailureInfo.TIME_NOT_AVAILABLE)
    assert authority.log.tokens == []


def test_time_of_a_slow_signature_is_from_before_it() -> None:
    authority = Authority()
    before = authority.wall.now()
    authority.keys.before_signing = lambda: authority.wall.advance(timedelta(seconds=30))
    assert tst_info(authority.ask())["gen_time"].native == before
    assert authority.signing_times == [(ISSUER, 30.0)]


def test_token_near_a_leap_second_is_marked_by_a_wider_accuracy() -> None:
    authority = Authority({"accuracy": "500ms"}, clock={**CLOCK, "leap": "mark"})
    authority.clock.near_leap = True
    assert tst_info(authority.ask())["accuracy"].native == {"seconds": 1, "millis": 500, "micros": None}
    authority.clock.near_leap = False
    assert tst_info(authority.ask())["accuracy"].native == {"seconds": None, "millis": 500, "micros": None}


def test_leap_seconds_cannot_be_marked_on_tokens_without_accuracy() -> None:
    with pytest.raises(ValueError, match='"mark" widens the accuracy, which demo has not'):
        Authority(clock={**CLOCK, "leap": "mark"})


FAILURES: dict[str, Any] = {
    "the token module is away": Unavailable("the token does not answer", detail="CKR_DEVICE_REMOVED"),
    "the key is gone": NotFound("no key software:12"),
    "nobody thought of it": RuntimeError("a bug, with an inside story"),
}


@pytest.mark.requirement("R-TSA-095")
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_without_a_signature_there_is_no_token_and_nothing_of_the_inside_gets_out(failure: Exception) -> None:
    authority = Authority({"log_tokens": True})

    def fail() -> None:
        raise failure

    authority.keys.before_signing = fail
    answer = authority.ask()
    assert_rejected(answer, PKIFailureInfo.SYSTEM_FAILURE)
    assert authority.log.tokens == []
    authority.keys.before_signing = lambda: None
    tst_info(authority.ask())


def test_store_that_gives_no_serial_numbers_is_a_system_failure() -> None:
    authority = Authority()
    authority.serial_numbers.refusal = Unavailable("the database does not answer")
    assert_rejected(authority.ask(), PKIFailureInfo.SYSTEM_FAILURE)


def test_unit_that_may_not_sign_is_a_system_failure() -> None:
    authority = Authority()
    authority.units.known.clear()
    assert_rejected(authority.ask(), PKIFailureInfo.SYSTEM_FAILURE)


def test_logged_token_is_in_the_log_before_the_client_has_it() -> None:
    authority = Authority({"log_tokens": True})
    token = response(authority.ask())["time_stamp_token"]
    [logged] = authority.log.tokens
    info = token["content"]["encap_content_info"]["content"].parsed
    assert logged.token_sha256 == sha256(token.dump()).digest()
    assert (logged.issuer, logged.serial_number) == (ISSUER, info["serial_number"].native)
    assert logged.gen_time == info["gen_time"].native
    authority.log.refusal = Unavailable("the database does not answer")
    assert_rejected(authority.ask(), PKIFailureInfo.SYSTEM_FAILURE)


def test_tokens_are_not_logged_unless_configured() -> None:
    authority = Authority()
    authority.ask()
    assert authority.log.tokens == []


@pytest.mark.requirement("R-TSA-034")
def test_extension_of_a_request_is_refused_critical_or_not() -> None:
    for critical in (True, False):
        request = request_for(extensions=(Extension("1.2.3", critical, b"\x05\x00"),))
        assert_rejected(Authority().ask(request), PKIFailureInfo.UNACCEPTED_EXTENSION)


def test_what_is_cheap_to_find_wrong_is_found_first() -> None:
    """A client that asks for what nobody will grant costs no serial number, no signature and no question."""
    authority = Authority()
    authority.clock.bad = "it drifts"
    assert_rejected(authority.ask(request_for(algorithm=HashAlgorithm.SHA1)), PKIFailureInfo.BAD_ALG)
    assert_rejected(authority.ask(request_for(req_policy="1.2.3")), PKIFailureInfo.UNACCEPTED_POLICY)
    assert authority.serial_numbers.given == []


@pytest.mark.requirement("R-TSA-062")
def test_signature_digest_has_to_be_allowed_also_by_default() -> None:
    with pytest.raises(ValueError, match="signature_digest"):
        TSPConfig.model_validate({"clock": CLOCK, "issuers": [issuer_entry(allowed_hashes=["sha512"])]})
    with pytest.raises(ValueError, match="signature_digest"):
        TSPConfig.model_validate({"clock": CLOCK, "issuers": [issuer_entry(signature_digest="sha3-256")]})


def test_unknown_issuer_is_nobody_s() -> None:
    authority = Authority()
    with pytest.raises(NotFound):
        result_of(authority.service.answer("nobody", codec.encode_request(request_for())))
