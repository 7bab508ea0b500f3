"""Full CMC: who may ask for what, and what is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.values import CertificateState, RevocationReason, RevocationRequest
from cspd.refusals import Malformed, NotFound, Rejected, Unavailable, all_refusals
from cspd.x509 import tlv
from cspd.x509.cmc.codec import decode_pki_response, encode_pki_data
from cspd.x509.cmc.messages import (
    CMCFailInfo,
    CMCStatus,
    CMCStatusInfoV2,
    ControlValue,
    DataReturn,
    GetCert,
    Identification,
    IdentityProofV2,
    OtherMsg,
    OtherRequest,
    PendInfo,
    QueryPending,
    RecipientNonce,
    RegInfo,
    RevokeRequest,
    SenderNonce,
    TaggedCertReqMsg,
    TransactionID,
    UnknownControl,
)
from cspd.x509.cms.signed import encode_certs_only, encode_content_info, read_signed_data
from cspd.x509.crmf.encoding import encode_cert_request
from cspd.x509.crmf.messages import CertReqMsg, CertRequest, CertTemplate, POPOSigningKey, RAVerified
from cspd.x509.signatures import Algorithm
from protocols.est.cmc_errors import FAIL_INFO, fail_info_of
from protocols.est.cmc_service import AUTHENTICATED_DATA, Circumstances
from tests.protocols.est.cmc_client import (
    CA,
    HMAC_SHA256,
    PROFILE,
    TLS_CLIENT,
    Client,
    Server,
    identified,
    pki_data,
)
from tests.support.issuing import common_name
from tests.support.running import result_of


@pytest.fixture
def server() -> Server:
    return Server()


def enrolled(server: Server) -> Client:
    """A client that has a certificate of the profile already."""
    client = Client()
    return Client(client.key, server.ask(client.send(client.csr())).issued(client.key))


def crmf(client: Client, number: int = 1, *, popo: object = None, name: str = "a.example") -> TaggedCertReqMsg:
    template = CertTemplate(
        subject=common_name(name),
        public_key_der=client.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    request = CertRequest(cert_req_id=number, cert_template=template)
    signature = client.key.sign(encode_cert_request(request), ec.ECDSA(hashes.SHA256()))
    signed = POPOSigningKey(None, Algorithm("1.2.840.10045.4.3.2"), signature)
    return TaggedCertReqMsg(CertReqMsg(cert_req=request, popo=popo or signed))  # type: ignore[arg-type]  # a proof


def refused(server: Server, message: bytes, identity: object = TLS_CLIENT) -> tuple[CMCFailInfo, tuple[int, ...]]:
    status = server.ask(message, identity).status  # type: ignore[arg-type]  # a requester or None
    assert status.cmc_status is CMCStatus.FAILED
    assert isinstance(status.other_info, CMCFailInfo)
    assert status.status_string
    return status.other_info, status.body_list


def test_a_request_signed_by_its_own_key_gets_a_certificate(server: Server) -> None:
    client = Client()
    answered = server.ask(client.send(client.csr(number=7)))
    assert answered.status == CMCStatusInfoV2(cmc_status=CMCStatus.SUCCESS, body_list=(7,))
    assert answered.issued(client.key).subject == common_name("a.example")
    assert server.house.issuing.certificate in answered.certificates


def test_crmf_gets_a_certificate_too(server: Server) -> None:
    client = Client()
    assert server.ask(client.send(crmf(client))).issued(client.key).subject == common_name("a.example")


def test_each_of_several_requests_has_its_own_status(server: Server) -> None:
    one, two = Client(), Client()
    answered = server.ask(one.send(one.csr(number=1), crmf(two, 2), OtherRequest(3, "1.2.3", tlv.NULL)))
    statuses = answered.said(CMCStatusInfoV2)
    assert [(each.cmc_status, each.body_list) for each in statuses] == [
        (CMCStatus.SUCCESS, (1,)),
        (CMCStatus.SUCCESS, (2,)),
        (CMCStatus.FAILED, (3,)),
    ]
    assert answered.issued(one.key) != answered.issued(two.key)


def test_nonces_and_the_transaction_come_back(server: Server) -> None:
    client = Client()
    controls = (TransactionID(4711), SenderNonce(b"fresh"), DataReturn(b"keep"), RegInfo(b"ignored"))
    answered = server.ask(client.send(client.csr(), controls=controls))
    assert answered.said(TransactionID) == [TransactionID(4711)]
    assert answered.said(RecipientNonce) == [RecipientNonce(b"fresh")]
    assert answered.said(DataReturn) == [DataReturn(b"keep")]
    (nonce,) = answered.said(SenderNonce)
    assert len(nonce.nonce) == 16


def test_a_certificate_is_renewed_by_itself(server: Server) -> None:
    old, new = enrolled(server), Client()
    answered = server.ask(old.send(new.csr()), None)
    assert answered.issued(new.key).subject == common_name("a.example")
    record = result_of(server.certificates.find(server.house.issuing.id, answered.issued(new.key).serial_number))
    assert record.requester == "CN=a.example"


def test_a_certificate_alone_gets_no_other_name(server: Server) -> None:
    old, new = enrolled(server), Client()
    assert refused(server, old.send(new.csr("other.example")), None) == (CMCFailInfo.BAD_IDENTITY, (1,))
    assert server.ask(old.send(new.csr("other.example"))).status.cmc_status is CMCStatus.SUCCESS


def test_a_revoked_certificate_is_nobody(server: Server) -> None:
    client = enrolled(server)
    assert client.certificate is not None
    revoke = RevocationRequest(
        ca=CA,
        serial=client.certificate.serial_number,
        reason=RevocationReason.SUPERSEDED,
        requester=TLS_CLIENT,
    )
    result_of(server.revocation.revoke(revoke))
    assert refused(server, client.send(client.csr()), None) == (CMCFailInfo.BAD_IDENTITY, (0,))


def test_an_expired_certificate_is_nobody(server: Server) -> None:
    client = enrolled(server)
    assert client.certificate is not None
    server.house.clock.advance(client.certificate.not_valid_after_utc - server.house.clock.now())
    server.house.clock.advance(client.certificate.not_valid_after_utc - client.certificate.not_valid_before_utc)
    assert refused(server, client.send(client.csr()), None) == (CMCFailInfo.BAD_IDENTITY, (0,))


def test_nobody_gets_nothing(server: Server) -> None:
    client = Client()
    assert refused(server, client.send(client.csr()), None) == (CMCFailInfo.BAD_IDENTITY, (1,))


def test_a_shared_secret_says_who_it_is_once(server: Server) -> None:
    client, secret = Client(), server.secret()
    request, second = client.csr(), client.csr(number=2)
    answered = server.ask(client.send(request, second, controls=identified(secret, request, second)), None)
    assert [each.cmc_status for each in answered.said(CMCStatusInfoV2)] == [CMCStatus.SUCCESS, CMCStatus.FAILED]
    record = result_of(server.certificates.find(server.house.issuing.id, answered.issued(client.key).serial_number))
    assert record.requester == "device-7"
    again = client.send(request, controls=identified(secret, request))
    assert refused(server, again, None) == (CMCFailInfo.BAD_IDENTITY, (0,))


def test_a_shared_secret_goes_with_a_certificate_for_other_names(server: Server) -> None:
    old, new = enrolled(server), Client()
    request = new.csr("other.example")
    message = old.send(request, controls=identified(server.secret(), request))
    assert server.ask(message, None).status.cmc_status is CMCStatus.SUCCESS


def test_wrong_proofs_are_counted_and_lock_the_secret(server: Server) -> None:
    client, secret = Client(), server.secret()
    request = client.csr()
    for _ in range(secret.terms.tries):
        message = client.send(request, controls=identified(secret, request, secret="wrong"))
        assert refused(server, message, None) == (CMCFailInfo.BAD_IDENTITY, (0,))
    (terms,) = result_of(server.secrets.list())
    assert (terms.state, terms.used_at) == ("locked", None)
    message = client.send(request, controls=identified(secret, request))
    assert refused(server, message, None) == (CMCFailInfo.BAD_IDENTITY, (0,))


@pytest.mark.parametrize("identity", [None, TLS_CLIENT])
def test_a_wrong_proof_of_identity_ends_all(server: Server, identity: object) -> None:
    client, secret = Client(), server.secret()
    request, other = client.csr(), client.csr("other.example")
    right = identified(secret, request)
    wrong: dict[str, tuple[ControlValue, ...]] = {
        "another secret": identified(secret, request, secret="wrong"),
        "an unknown name": (Identification("nobody"), right[1]),
        "over another request": identified(secret, other),
        "for another profile": identified(server.secret(profile="tls-server"), request),
        "for another protocol": identified(server.secret(purpose="cmp"), request),
        "no name": right[1:],
    }
    for reason, controls in wrong.items():
        message = client.send(request, controls=controls)
        assert refused(server, message, identity) == (CMCFailInfo.BAD_IDENTITY, (0,)), reason


@pytest.mark.parametrize(
    ("hash", "mac"),
    [
        (Algorithm("1.3.14.3.2.26"), HMAC_SHA256),
        (Algorithm("1.2.3"), HMAC_SHA256),
        (Algorithm("2.16.840.1.101.3.4.2.1"), Algorithm("1.2.840.113549.2.7")),
        (Algorithm("2.16.840.1.101.3.4.2.1", tlv.sequence()), HMAC_SHA256),
    ],
)
def test_a_proof_by_a_weak_or_unknown_algorithm_is_refused(server: Server, hash: Algorithm, mac: Algorithm) -> None:
    client = Client()
    controls = (Identification(server.secret().terms.reference), IdentityProofV2(hash, mac, b"witness"))
    assert refused(server, client.send(client.csr(), controls=controls), None) == (CMCFailInfo.BAD_ALG, (0,))


def test_a_signature_that_does_not_fit_is_refused(server: Server) -> None:
    client, stranger, member = Client(), Client(), enrolled(server)
    content = encode_pki_data(pki_data((client.csr(),), ()))
    wrong = {
        "by another key": stranger.sign(content),
        "over another content": client.sign(content, digest=bytes(32)),
        "by another key than the certificate's": Client(stranger.key, member.certificate).sign(content),
    }
    for reason, message in wrong.items():
        assert refused(server, message) == (CMCFailInfo.BAD_MESSAGE_CHECK, (0,)), reason


def test_a_certificate_of_somebody_else_vouches_for_nobody(server: Server) -> None:
    other, client = Server(), Client()
    assert refused(server, enrolled(other).send(client.csr()), None) == (CMCFailInfo.BAD_MESSAGE_CHECK, (0,))


def test_crmf_without_proof_of_possession_is_refused(server: Server) -> None:
    client = Client()
    assert refused(server, client.send(crmf(client, popo=RAVerified()))) == (CMCFailInfo.POP_REQUIRED, (1,))
    message = crmf(client).message
    moved = replace(message, cert_req=replace(message.cert_req, cert_req_id=2))
    assert refused(server, client.send(TaggedCertReqMsg(moved))) == (CMCFailInfo.POP_FAILED, (2,))


def test_what_policy_refuses_has_its_word(server: Server) -> None:
    weak = ec.generate_private_key(ec.SECP192R1())
    client = Client(weak)
    assert refused(server, client.send(client.csr())) == (CMCFailInfo.BAD_ALG, (1,))


@pytest.mark.parametrize(
    "control",
    [
        UnknownControl("1.3.6.1.5.5.7.7.28", (tlv.sequence(),)),
        CMCStatusInfoV2(cmc_status=CMCStatus.SUCCESS, body_list=(1,)),
        TransactionID(2),
    ],
    ids=["unknown", "for responses", "twice"],
)
def test_a_control_that_is_not_understood_ends_all(server: Server, control: ControlValue) -> None:
    client = Client()
    message = client.send(client.csr(), controls=(TransactionID(1), control))
    assert refused(server, message) == (CMCFailInfo.BAD_REQUEST, (101,))


def test_another_message_inside_ends_all(server: Server) -> None:
    client = Client()
    message = replace(pki_data((client.csr(),), ()), other_msg_sequence=(OtherMsg(9, "1.2.3", tlv.NULL),))
    assert refused(server, client.sign(encode_pki_data(message))) == (CMCFailInfo.BAD_REQUEST, (9,))


def test_authenticated_data_is_a_bad_algorithm(server: Server) -> None:
    message = encode_content_info(AUTHENTICATED_DATA, tlv.sequence())
    assert refused(server, message) == (CMCFailInfo.BAD_ALG, (0,))


def test_what_is_no_full_pki_request_has_no_response(server: Server) -> None:
    client = Client()
    for message in (b"", b"\x30\x00", client.sign(b"\x30\x00"), client.sign(b"x", "1.2.3"), encode_certs_only([])):
        with pytest.raises(Malformed):
            result_of(server.service.answer(CA, PROFILE, message, TLS_CLIENT))
    with pytest.raises(NotFound):
        result_of(server.service.answer(replace(CA, ca_id="none"), PROFILE, b"", TLS_CLIENT))


def test_a_request_waits_and_is_asked_for() -> None:
    server, client = Server(waits=True), Client()
    status = server.ask(client.send(client.csr())).status
    assert status.cmc_status is CMCStatus.PENDING
    assert isinstance(status.other_info, PendInfo)
    assert status.other_info.pend_time > server.house.clock.now()
    query = QueryPending(status.other_info.pend_token)
    assert server.ask(client.send(controls=(query,))).status.cmc_status is CMCStatus.PENDING
    result_of(server.approvals.approve(query.pend_token.decode(), TLS_CLIENT))
    by_key = server.ask(client.send(controls=(query,)), None)
    assert by_key.issued(client.key).subject == common_name("a.example"), "the key is proof enough"


def test_a_stranger_does_not_hear_of_a_request() -> None:
    server, client, stranger = Server(waits=True), Client(), Client()
    status = server.ask(client.send(client.csr())).status
    assert isinstance(status.other_info, PendInfo)
    for token in (status.other_info.pend_token, b"\xff"):
        message = stranger.send(stranger.csr(), controls=(QueryPending(token),))
        answered = server.ask(message, replace(TLS_CLIENT, identity="stranger"))
        said = [(each.cmc_status, each.other_info) for each in answered.said(CMCStatusInfoV2)]
        assert said[0][0] is CMCStatus.PENDING
        assert said[1] == (CMCStatus.FAILED, CMCFailInfo.BAD_REQUEST)
    message = Client(stranger.key, self_signed(stranger)).send(controls=(QueryPending(b"\xff"),))
    assert refused(server, message) == (CMCFailInfo.BAD_MESSAGE_CHECK, (0,))


def test_where_nothing_waits_there_is_nothing_to_ask_for(server: Server) -> None:
    client = enrolled(server)
    assert refused(server, client.send(controls=(QueryPending(b"1"),))) == (CMCFailInfo.BAD_REQUEST, (100,))


def self_signed(client: Client) -> x509.Certificate:
    now = Server().house.clock.now()
    name = common_name("self")
    return x509.CertificateBuilder(name, name, client.key.public_key(), 1, now, now.replace(year=now.year + 1)).sign(
        client.key, hashes.SHA256()
    )


def test_a_certificate_is_fetched_and_revoked_by_its_owner(server: Server) -> None:
    client = enrolled(server)
    assert client.certificate is not None
    ca, serial = server.house.issuing, client.certificate.serial_number
    get = GetCert(x509.DirectoryName(ca.subject), serial)
    assert client.certificate in server.ask(client.send(controls=(get,)), None).certificates
    revoke = RevokeRequest(issuer_name=ca.subject, serial_number=serial, reason=1)
    assert server.ask(client.send(controls=(revoke,)), None).status.cmc_status is CMCStatus.SUCCESS
    record = result_of(server.certificates.find(ca.id, serial))
    assert record.status.state is CertificateState.REVOKED
    assert record.status.reason is RevocationReason.KEY_COMPROMISE


def test_a_certificate_of_another_subject_is_not_revoked(server: Server) -> None:
    victim, other = enrolled(server), Client()
    assert victim.certificate is not None
    other = Client(other.key, server.ask(other.send(other.csr("b.example"))).issued(other.key))
    ca = server.house.issuing
    revoke = RevokeRequest(issuer_name=ca.subject, serial_number=victim.certificate.serial_number, reason=1)
    assert refused(server, other.send(controls=(revoke,)), None) == (CMCFailInfo.BAD_IDENTITY, (100,))
    assert refused(server, other.send(controls=(replace(revoke, reason=7),)), None)[0] is CMCFailInfo.BAD_IDENTITY
    nobody = replace(revoke, serial_number=5)
    assert refused(server, other.send(controls=(nobody,)), None) == (CMCFailInfo.BAD_CERT_ID, (100,))
    elsewhere = replace(revoke, issuer_name=common_name("another CA"))
    assert refused(server, victim.send(controls=(elsewhere,)), None) == (CMCFailInfo.BAD_CERT_ID, (100,))


def test_every_refusal_has_a_fail_info() -> None:
    assert set(FAIL_INFO) == {each for each in all_refusals() if each.__module__ == "cspd.refusals"}
    assert fail_info_of(Unavailable("later")) is CMCFailInfo.TRY_LATER

    class Finer(Rejected):
        code = "finer-in-a-test"

    assert fail_info_of(Finer("no")) is CMCFailInfo.BAD_REQUEST


def test_a_certificate_does_not_move_to_another_profile(server: Server) -> None:
    client = enrolled(server)
    answered = server.ask(client.send(client.csr()), None, profile="tls-server")
    assert answered.status.other_info is CMCFailInfo.BAD_IDENTITY
    assert server.ask(client.send(client.csr()), profile="tls-server").status.cmc_status is CMCStatus.SUCCESS


def test_a_certificate_of_another_ca_of_ours_vouches_for_nobody(server: Server) -> None:
    """The store has it, but what that CA certifies is not for this one to renew."""
    client = enrolled(server)
    (issuing,) = [each for each in server.house.authorities.known if each.reference == CA]
    root = server.house.root
    server.house.authorities.known[:] = [
        replace(root, reference=CA, profiles=issuing.profiles),
        replace(issuing, reference=replace(CA, ca_id="other")),
    ]
    response = result_of(server.service.respond(CA, PROFILE, client.send(Client().csr()), Circumstances()))
    assert response.status is CMCStatus.FAILED
    content = read_signed_data(response.response_der).content
    assert content is not None
    (control, *_) = decode_pki_response(content).control_sequence
    assert isinstance(control.value, CMCStatusInfoV2)
    assert control.value.other_info is CMCFailInfo.BAD_MESSAGE_CHECK


def test_a_request_is_asked_for_where_it_was_made() -> None:
    server, client = Server(waits=True), Client()
    pending = server.ask(client.send(client.csr())).status.other_info
    assert isinstance(pending, PendInfo)
    message = client.send(controls=(QueryPending(pending.pend_token),))
    assert server.ask(message, profile="tls-server").status.other_info is CMCFailInfo.BAD_REQUEST
    assert server.ask(message).status.cmc_status is CMCStatus.PENDING


def test_where_certificates_do_not_vouch_they_do_not(server: Server) -> None:
    client = enrolled(server)
    answered = server.ask(client.send(client.csr()), None, renewal=False)
    assert answered.status.other_info is CMCFailInfo.BAD_IDENTITY
