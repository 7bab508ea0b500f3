"""Who gets which certificate: kur, proofs of possession, vendors, secrets, registration authorities, profiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.values import CAReference, CertificateState, RevocationReason
from cspd.x509.crmf.encoding import encode_poposk_input
from cspd.x509.crmf.messages import (
    CertId,
    CertReqMsg,
    CertRequest,
    KeyEncipherment,
    OldCertID,
    PKMACValue,
    POPOSigningKey,
    POPOSigningKeyInput,
    RAVerified,
    SubsequentMessage,
)
from protocols.cmp import info_types
from protocols.cmp.mac_algorithms import PasswordBasedMAC
from protocols.cmp.messages import CMP2021, BodyType, CertRepMessage, PKIMessage
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from protocols.cmp.transactions import TransactionState
from tests.protocols.cmp.world import World
from tests.support.cmp_client import (
    ECDSA_SHA256,
    ByMAC,
    BySignature,
    cert_conf,
    certificate,
    confirmation,
    fail_info,
    info_of,
    ir,
    named,
    p10cr,
    request,
    requests,
    signed_request,
    status_of,
    statuses,
    template,
)
from tests.support.running import result_of

ISSUER = x509.DirectoryName(named("issuing of demo"))
PROFILE = {"general_info": (info_types.texts(info_types.CERT_PROFILE, ["tls-server"]),)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, revoke_replaced=True, vendor_trust="vendors", key_generation=True)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def loaded(sender: BySignature) -> x509.Certificate:
    return x509.load_der_x509_certificate(sender.certificate_der)


def kur(message: CertReqMsg) -> Any:
    return requests(BodyType.KUR, message)


def test_a_kur_replaces_its_certificate_once_it_is_confirmed(world: World) -> None:
    old = world.enrolled(names=["a.example", "b.example"])
    client = world.client(old)
    kup = client.ask(kur(signed_request(new_key(), names=["b.example", "a.example"])))
    assert (kup.body.type, statuses(kup)) == (BodyType.KUP, [PKIStatus.ACCEPTED])
    assert world.status(loaded(old)).state is CertificateState.GOOD
    assert client.ask(confirmation(kup)).body.type is BodyType.PKI_CONF
    found = world.status(loaded(old))
    assert (found.state, found.reason) == (CertificateState.REVOKED, RevocationReason.SUPERSEDED)
    assert world.status(certificate(kup)).state is CertificateState.GOOD


def test_a_kur_that_needs_no_confirmation_replaces_at_once(world: World) -> None:
    old = world.enrolled()
    client = world.client(old)
    kup = client.ask(kur(signed_request(new_key())), general_info=(info_types.implicit_confirm(),))
    assert world.status(loaded(old)).reason is RevocationReason.SUPERSEDED
    assert world.status(certificate(kup)).state is CertificateState.GOOD
    assert fail_info(client.again()) is PKIFailureInfo.SIGNER_NOT_TRUSTED  # it is revoked


def test_a_kur_that_is_not_confirmed_replaces_nothing(world: World) -> None:
    old = world.enrolled()
    kup = world.client(old).ask(kur(signed_request(new_key())))
    world.pass_time(timedelta(minutes=6))
    assert world.status(loaded(old)).state is CertificateState.GOOD
    assert world.status(certificate(kup)).reason is RevocationReason.CESSATION_OF_OPERATION


def test_a_kur_leaves_what_it_replaces_where_conf_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    old = world.enrolled()
    client = world.client(old)
    client.ask(confirmation(client.ask(kur(signed_request(new_key())))))
    assert world.status(loaded(old)).state is CertificateState.GOOD


def test_a_kur_without_names_has_those_of_its_certificate(world: World) -> None:
    old = world.enrolled(names=["a.example"])
    kup = world.client(old).ask(kur(signed_request(new_key(), names=())))
    names = certificate(kup).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("a.example")]


@pytest.mark.parametrize(
    ("make", "bit"),
    [
        (lambda _: signed_request(new_key(), "other"), PKIFailureInfo.BAD_CERT_TEMPLATE),
        (lambda _: signed_request(new_key(), names=["b.example"]), PKIFailureInfo.BAD_CERT_TEMPLATE),
        (lambda _: signed_request(new_key(), controls=(OldCertID(CertId(ISSUER, 5)),)), PKIFailureInfo.BAD_CERT_ID),
        (
            lambda old: signed_request(
                new_key(), controls=(OldCertID(CertId(x509.DirectoryName(named("x")), old.serial_number)),)
            ),
            PKIFailureInfo.BAD_CERT_ID,
        ),
        (lambda old: signed_request(new_key(), controls=(OldCertID(CertId(ISSUER, old.serial_number)),)), None),
    ],
)
def test_a_kur_is_for_the_same_names_and_its_own_certificate(
    world: World, make: Callable[[x509.Certificate], CertReqMsg], bit: PKIFailureInfo | None
) -> None:
    old = world.enrolled(names=["a.example"])
    kup = world.client(old).ask(kur(make(loaded(old))))
    if bit is None:
        assert statuses(kup) == [PKIStatus.ACCEPTED]
    else:
        assert fail_info(kup, 0) is bit


def test_a_kur_by_a_secret_or_of_a_revoked_certificate_is_refused(world: World) -> None:
    assert fail_info(world.client().ask(kur(signed_request(new_key()))), 0) is PKIFailureInfo.BAD_CERT_ID


def test_a_kur_by_another_profile_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    server = World(tmp_path / "o", shares=world, label={"profile": "tls-server"}, profiles=["tls-server"])
    old = world.enrolled()
    answer = server.client(old).ask(kur(signed_request(new_key())))
    assert fail_info(answer, 0) is PKIFailureInfo.NOT_AUTHORIZED


def test_a_certificate_gets_another_for_its_own_names_alone(world: World) -> None:
    own = world.enrolled(names=["a.example", "b.example"])
    cr = requests(BodyType.CR, signed_request(new_key(), names=["b.example"]))
    assert statuses(world.client(own).ask(cr)) == [PKIStatus.ACCEPTED]
    for body in (
        requests(BodyType.CR, signed_request(new_key(), "other")),
        requests(BodyType.CR, signed_request(new_key(), names=["c.example"])),
        ir(signed_request(new_key(), "other")),
    ):
        assert fail_info(world.client(own).ask(body), 0) is PKIFailureInfo.NOT_AUTHORIZED
    assert fail_info(world.client(own).ask(p10cr(new_key(), "other")), -1) is PKIFailureInfo.NOT_AUTHORIZED


def test_a_device_gets_its_first_certificate_by_that_of_its_vendor_and_no_more(world: World) -> None:
    machine = world.by_vendor()
    for body in (
        ir(signed_request(new_key(), "station")),
        requests(BodyType.CR, signed_request(new_key(), "station")),
        p10cr(new_key(), "station"),
    ):
        client = world.client(machine)
        answer = client.ask(body)
        assert statuses(answer) == [PKIStatus.ACCEPTED]
        assert client.ask(confirmation(answer)).body.type is BodyType.PKI_CONF
    assert fail_info(world.client(machine).ask(kur(signed_request(new_key())))) is PKIFailureInfo.NOT_AUTHORIZED


def test_only_a_registration_authority_may_say_that_it_has_verified_possession(world: World) -> None:
    asked = request(template(new_key().public_key(), "somebody"), RAVerified())
    answer = world.client(world.registration_authority()).ask(ir(asked))
    assert statuses(answer) == [PKIStatus.ACCEPTED]
    for other in (None, world.enrolled("somebody"), world.by_vendor("somebody")):
        assert fail_info(world.client(other).ask(ir(asked)), 0) is PKIFailureInfo.BAD_POP


def test_a_registration_authority_updates_what_old_cert_id_names(world: World) -> None:
    old = world.enrolled()
    named_by = (OldCertID(CertId(ISSUER, loaded(old).serial_number)),)
    client = world.client(world.registration_authority())
    kup = client.ask(kur(signed_request(new_key(), controls=named_by)))
    assert statuses(kup) == [PKIStatus.ACCEPTED]
    client.ask(confirmation(kup))
    assert world.status(loaded(old)).reason is RevocationReason.SUPERSEDED
    answer = world.client(world.registration_authority()).ask(kur(signed_request(new_key())))
    assert fail_info(answer, 0) is PKIFailureInfo.BAD_CERT_ID


def _signed_input(auth_info: Any, key: ec.EllipticCurvePrivateKey, **fields: Any) -> CertReqMsg:
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    poposk_input = POPOSigningKeyInput(auth_info, spki)
    signature = key.sign(encode_poposk_input(poposk_input), ec.ECDSA(hashes.SHA256()))
    asked = CertRequest(cert_req_id=0, cert_template=template(key.public_key(), **fields))
    return CertReqMsg(cert_req=asked, popo=POPOSigningKey(poposk_input, ECDSA_SHA256, signature))


def test_a_key_may_be_bound_to_a_secret_by_its_mac(world: World) -> None:
    new = world.secret()
    protection = ByMAC(new.terms.reference, new.secret.encode())
    key = new_key()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    mac = PasswordBasedMAC(b"another salt", 200)
    good = PKMACValue(mac.algorithm, mac.derive(new.secret.encode()).mac(spki))
    wrong = PKMACValue(mac.algorithm, mac.derive(b"another secret").mac(spki))
    assert statuses(world.client(protection).ask(ir(_signed_input(good, key)))) == [PKIStatus.ACCEPTED]
    assert fail_info(world.client(protection).ask(ir(_signed_input(wrong, key))), 0) is PKIFailureInfo.BAD_POP
    many = PKMACValue(PasswordBasedMAC(b"salt", 900_000).algorithm, b"m" * 32)
    assert fail_info(world.client(protection).ask(ir(_signed_input(many, key))), 0) is PKIFailureInfo.BAD_ALG


def test_a_key_may_be_bound_to_the_certificate_of_its_sender(world: World) -> None:
    machine = world.by_vendor("machine")
    mine, other = (x509.DirectoryName(named(name)) for name in ("machine", "other"))
    assert statuses(world.client(machine).ask(ir(_signed_input(mine, new_key())))) == [PKIStatus.ACCEPTED]
    assert fail_info(world.client(machine).ask(ir(_signed_input(other, new_key()))), 0) is PKIFailureInfo.BAD_POP
    assert fail_info(world.client().ask(ir(_signed_input(mine, new_key()))), 0) is PKIFailureInfo.BAD_POP


def test_a_certificate_that_proves_possession_leaves_encrypted_and_has_to_be_confirmed(world: World) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    asked = request(template(key.public_key()), KeyEncipherment(SubsequentMessage.ENCR_CERT))
    client = world.client()
    ip = client.ask(ir(asked), pvno=CMP2021, general_info=(info_types.implicit_confirm(),))
    assert isinstance(ip.body.content, CertRepMessage)
    [response] = ip.body.content.response
    assert response.certified_key_pair is not None
    assert response.certified_key_pair.certificate_der == b""
    assert response.certified_key_pair.encrypted_cert is not None
    assert info_of(ip, info_types.IMPLICIT_CONFIRM) is None
    assert world.states() == [TransactionState.ISSUED]
    again = client.again()
    assert isinstance(again.body.content, CertRepMessage)
    assert world.count() == 1
    assert fail_info(client.ask(cert_conf(status_of(b"a guess")))) is PKIFailureInfo.BAD_CERT_ID


def test_a_key_that_nothing_can_be_encrypted_for_needs_a_signature(world: World) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    asked = request(template(key.public_key()), KeyEncipherment(SubsequentMessage.ENCR_CERT))
    assert fail_info(world.client().ask(ir(asked)), 0) is PKIFailureInfo.BAD_CERT_TEMPLATE
    challenge = request(template(new_key().public_key()), KeyEncipherment(SubsequentMessage.CHALLENGE_RESP))
    assert fail_info(world.client().ask(ir(challenge))) is PKIFailureInfo.BAD_CERT_TEMPLATE
    nothing = request(template(new_key().public_key()), None)
    assert fail_info(world.client().ask(ir(nothing)), 0) is PKIFailureInfo.BAD_POP


def _pair_of(answer: PKIMessage) -> Any:
    assert isinstance(answer.body.content, CertRepMessage)
    [response] = answer.body.content.response
    assert response.certified_key_pair is not None
    return response.certified_key_pair


def test_a_key_that_is_made_here_comes_with_its_certificate_and_again(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(request(template(None), None)))
    assert ip.header.pvno == CMP2021
    pair = _pair_of(ip)
    assert pair.private_key is not None
    assert pair.private_key.is_enveloped_data
    assert _pair_of(client.again()) == pair
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF


def test_keys_are_not_made_where_conf_does_not_say_so_or_a_person_has_to_approve(tmp_path: Path) -> None:
    asked = ir(request(template(None), None))
    for section in ({}, {"key_generation": True, "approval": True}):
        world = World(tmp_path, **section)
        assert fail_info(world.client().ask(asked), 0) is PKIFailureInfo.NOT_AUTHORIZED


def test_a_secret_is_for_its_ca_and_profile(world: World) -> None:
    for values in ({"profile": "tls-server"}, {"ca": CAReference("demo", "root")}):
        new = world.secret(**values)
        client = world.client(ByMAC(new.terms.reference, new.secret.encode()))
        assert fail_info(client.ask(ir(signed_request(new_key())))) is PKIFailureInfo.NOT_AUTHORIZED


def test_cert_profile_chooses_a_profile_that_is_served(tmp_path: Path) -> None:
    world = World(tmp_path, profiles=["tls-client", "tls-server"])
    body = ir(signed_request(new_key(), "a.example", names=["a.example"]))
    client = world.client()
    ip = client.ask(body, **PROFILE)
    assert statuses(ip)[0] in (PKIStatus.ACCEPTED, PKIStatus.GRANTED_WITH_MODS)
    authority = world.house.get(CAReference("demo", "issuing"))
    record = result_of(world.services.certificates.find(authority.id, certificate(ip).serial_number))
    assert record.profile == "tls-server"
    assert client.again().body == ip.body
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF
    assert fail_info(World(tmp_path).client().ask(body, **PROFILE)) is PKIFailureInfo.NOT_AUTHORIZED
    two = {"general_info": (info_types.texts(info_types.CERT_PROFILE, ["tls-server", "tls-client"]),)}
    assert fail_info(world.client().ask(body, **two)) is PKIFailureInfo.BAD_REQUEST
    bad = {"general_info": (replace(two["general_info"][0], info_value_der=b"\x05\x00"),)}
    assert fail_info(world.client().ask(body, **bad)) is PKIFailureInfo.BAD_DATA_FORMAT


def test_what_is_granted_otherwise_than_asked_is_said(world: World) -> None:
    asked = signed_request(new_key(), names=[])
    assert statuses(world.client().ask(ir(asked))) == [PKIStatus.ACCEPTED]


def test_the_certificate_of_a_ca_is_for_who_may_certify_cas(tmp_path: Path) -> None:
    """RFC 9810, 5.3.11: whoever asks by ir has no more than by ccr."""
    profile = "azure-firewall-ca-subord"
    own = {"ca": "demo~root", "profile": profile, "vendor_trust": "vendors"}
    world = World(tmp_path, label=own)
    asked = ir(signed_request(new_key(), "CA elsewhere"))
    for other in (None, world.by_vendor("CA elsewhere")):
        assert fail_info(world.client(other).ask(asked), 0) is PKIFailureInfo.NOT_AUTHORIZED
    made_for_it = world.secret(profile=profile)
    for allowed in (world.registration_authority(), ByMAC(made_for_it.terms.reference, made_for_it.secret.encode())):
        assert statuses(world.client(allowed).ask(asked)) == [PKIStatus.ACCEPTED]
