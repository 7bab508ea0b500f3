"""What products order, as JSON."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.digital_ids.tables import digital_id_certificates
from cspd.x509.general_names import user_principal_name
from cspd.x509.names import format_name
from protocols.mdm.messages import KeyType
from tests.protocols.mdm.world import ORDER, World
from tests.support.authorities import ALICE, ISSUING
from tests.support.issuing import common_name, make_csr
from tests.support.running import result_of
from tests.unit.digital_ids.office import ANN, LAPTOPS, PHONES

SUBJECT = "CN=Ann Lee,OU=Devices,O=My Company,C=US"
NAMES = [
    {"kind": "email", "value": "ann@example.com"},
    {"kind": "upn", "value": "ann@corp.example"},
    {"kind": "dns", "value": "phone.example.com"},
    {"kind": "ip", "value": "192.0.2.1"},
    {"kind": "uri", "value": "urn:device:7"},
]


@pytest.fixture
def world() -> World:
    return World()


def issued(answer: tuple[int, Any]) -> x509.Certificate:
    status, value = answer
    assert status == 200, value
    return x509.load_der_x509_certificate(b64decode(value["certificate"]["certificate"]))


@pytest.mark.requirement("R-CEGI-072")
def test_digital_ids_are_listed_with_their_variables(world: World) -> None:
    status, value = world.json("ListDigitalIDs")
    assert status == 200
    assert value["digitalIds"] == [
        {
            "name": "My Phones",
            "ca": "demo~issuing",
            "profile": PHONES["profile"],
            "rdnFormat": "cn=<firstname> <lastname>",
            "variables": ["firstname", "lastname"],
            "parentDn": "OU=Devices,O=My Company,C=US",
            "allowsPkcs12": True,
        },
        {
            "name": "laptops",
            "ca": "demo~issuing",
            "profile": LAPTOPS["profile"],
            "rdnFormat": "cn=<serial>",
            "variables": ["serial"],
            "parentDn": "",
            "allowsPkcs12": False,
        },
    ]


@pytest.mark.requirement("R-CEG-092")
@pytest.mark.requirement("R-CEGI-076")
def test_a_challenge_comes_with_all_that_a_device_needs(world: World) -> None:
    began = world.house.clock.now()
    world.house.clock.advance(timedelta(milliseconds=400))
    status, value = world.json("CreateChallenge", ORDER)
    assert status == 200
    assert datetime.fromisoformat(value["expiresAt"]) == began + timedelta(seconds=60), "whole seconds, none too many"
    assert value["lifetimeSeconds"] == 60
    assert value["scepUrl"] == "http://pki.example/scep/demo/My%20Phones/mdm"
    assert value["scepHttpsUrl"] == "https://pki.example/scep/demo/My%20Phones/mdm"
    assert value["subject"] == SUBJECT
    authority = result_of(world.house.registry.get(ISSUING))
    assert authority.certificate_der is not None
    assert value["caFingerprint"] == sha256(authority.certificate_der).hexdigest()
    found = result_of(world.digital_ids.challenges.find("demo", "My Phones", value["challenge"]))
    assert (found.user_id, found.created_by) == (value["userId"], "workspace")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"ca": "demo~nowhere"}, 404, "not-found"),
        ({"profile": "scep-digital-signature"}, 404, "no-such-profile"),
    ],
)
def test_a_challenge_that_no_device_could_use_is_not_made(change: dict[str, str], status: int, code: str) -> None:
    world = World(configurations=[{**PHONES, **change}])
    told, value = world.json("CreateChallenge", ORDER)
    assert (told, value["code"]) == (status, code)
    assert world.rows() == []


def test_a_ca_that_is_disabled_takes_no_orders(world: World) -> None:
    result_of(world.house.management.disable(ISSUING, ALICE))
    for operation in ("CreateChallenge", "IssuePKCS12"):
        status, value = world.json(operation, ORDER)
        assert (status, value["code"]) == (409, "ca-not-active")


@pytest.mark.requirement("R-CEG-051")
@pytest.mark.requirement("R-CEG-085")
@pytest.mark.requirement("R-CEG-091")
@pytest.mark.requirement("R-CEGI-075")
@pytest.mark.requirement("R-CA-067")
def test_a_pkcs12_has_a_new_key_and_its_certificate(world: World) -> None:
    answer = world.json("IssuePKCS12", {**ORDER, "subjectAltNames": NAMES})
    certificate = issued(answer)
    value = answer[1]
    opened = load_pkcs12(b64decode(value["pkcs12"]), value["password"].encode())
    assert opened.cert is not None
    assert opened.cert.certificate == certificate
    assert len(opened.additional_certs) == 2
    assert isinstance(opened.key, rsa.RSAPrivateKey)
    assert opened.key.key_size == 2048
    assert opened.key.public_key() == certificate.public_key()
    assert len(value["password"]) == 24
    assert format_name(certificate.subject) == SUBJECT
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == ["ann@example.com"]
    assert [user_principal_name(each) for each in names if isinstance(each, x509.OtherName)] == ["ann@corp.example"]
    assert len(list(names)) == 5
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    described = value["certificate"]
    assert (described["state"], described["delivery"], described["digitalId"]) == ("good", "pkcs12", "My Phones")
    assert described["serialNumber"] == f"{certificate.serial_number:x}"


@pytest.mark.requirement("R-CEGI-075")
@pytest.mark.requirement("R-PRO-015")
def test_the_key_is_not_kept(world: World) -> None:
    kept = dict(vars(world.house.keys))
    before = {name: len(value) for name, value in kept.items() if hasattr(value, "__len__")}
    status, value = world.json("IssuePKCS12", ORDER)
    assert status == 200
    assert {name: len(value) for name, value in vars(world.house.keys).items() if name in before} == before
    assert value["password"] not in repr(world.house.audit.events)


@pytest.mark.parametrize(
    ("key_type", "kind"), [(KeyType.RSA_3072, rsa.RSAPrivateKey), (KeyType.EC_P256, ec.EllipticCurvePrivateKey)]
)
def test_other_keys_that_the_profile_allows(world: World, key_type: KeyType, kind: type) -> None:
    status, value = world.json("IssuePKCS12", {**ORDER, "keyType": key_type.value, "password": "correct horse"})
    assert (status, value["password"]) == (200, "correct horse")
    assert isinstance(load_pkcs12(b64decode(value["pkcs12"]), b"correct horse").key, kind)


@pytest.mark.requirement("R-CEG-051")
@pytest.mark.requirement("R-CEG-052")
@pytest.mark.requirement("R-PRO-015")
@pytest.mark.parametrize(
    ("section", "order", "status", "code"),
    [
        pytest.param({}, {"digitalId": "laptops", "variables": {"serial": "7"}}, 403, "no-pkcs12", id="profile"),
        pytest.param(
            {"allow_server_made_verification_keys": False}, ORDER, 403, "verification-keys-not-allowed", id="flag off"
        ),
        pytest.param({}, {**ORDER, "keyType": "ed25519"}, 422, "bad-public-key", id="type that the profile lacks"),
        pytest.param({}, {**ORDER, "keyType": "ml-dsa-44"}, 422, "bad-public-key", id="type that no file has"),
        pytest.param({}, {**ORDER, "legacyEncryption": True}, 403, "legacy-not-allowed", id="legacy"),
        pytest.param({}, {**ORDER, "password": "short"}, 400, "malformed-message", id="password too short"),
        pytest.param({}, {**ORDER, "password": "two\nlines"}, 400, "malformed", id="password of two lines"),
        pytest.param(
            {}, {**ORDER, "subjectAltNames": [{"kind": "email", "value": "ann"}]}, 422, "bad-name", id="e-mail"
        ),
        pytest.param({}, {**ORDER, "subjectAltNames": [{"kind": "ip", "value": "::x"}]}, 422, "bad-name", id="IP"),
        pytest.param({}, {**ORDER, "subjectAltNames": [{"kind": "upn", "value": ""}]}, 422, "bad-name", id="UPN"),
    ],
)
def test_what_gives_no_pkcs12(section: Any, order: Any, status: int, code: str) -> None:
    world = World(**section)
    told, value = world.json("IssuePKCS12", order)
    assert (told, value["code"]) == (status, code)
    assert world.users == []
    assert world.rows(digital_id_certificates) == []


def test_legacy_encryption_where_conf_allows_it() -> None:
    world = World(legacy=True)
    modern = b64decode(world.json("IssuePKCS12", ORDER)[1]["pkcs12"])
    status, value = world.json("IssuePKCS12", {**ORDER, "legacyEncryption": True})
    assert status == 200
    triple_des = bytes.fromhex("060a2a864886f70d010c0103")  # pbeWithSHAAnd3-KeyTripleDES-CBC
    aes_256 = bytes.fromhex("060960864801650304012a")
    legacy = b64decode(value["pkcs12"])
    assert load_pkcs12(legacy, value["password"].encode()).key is not None
    assert (triple_des in legacy, aes_256 in legacy) == (True, False)
    assert (triple_des in modern, aes_256 in modern) == (False, True)


@pytest.mark.requirement("R-CEGI-080")
def test_a_request_gets_a_certificate_with_the_names_of_the_order(world: World) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = make_csr(key, common_name("somebody else"), [x509.DNSName("bank.example")])
    order = {"digitalId": "laptops", "variables": {"serial": "7"}, "csr": b64encode(csr).decode()}
    answer = world.json("IssueCertificate", order)
    certificate = issued(answer)
    assert format_name(certificate.subject) == "CN=7"
    assert certificate.public_key() == key.public_key()
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, False)
    [issuer, root] = [x509.load_der_x509_certificate(b64decode(each)) for each in answer[1]["chain"]]
    certificate.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(root)


@pytest.mark.requirement("R-CEGI-081")
@pytest.mark.parametrize(
    ("profile", "granted"),
    [
        ("mdmws-digital-signature", ExtendedKeyUsageOID.SERVER_AUTH),
        ("mdmws-digital-signature-key-encipherment-clientauth", ExtendedKeyUsageOID.CLIENT_AUTH),
    ],
)
def test_the_extended_key_usage_is_that_of_the_profile_or_of_the_request(profile: str, granted: Any) -> None:
    """What a profile fixes is fixed, and the one of the request is noted as refused."""
    world = World(configurations=[{**LAPTOPS, "profile": profile}])
    asked = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    csr = make_csr(ec.generate_private_key(ec.SECP256R1()), extensions=[(asked, False)])
    order = {"digitalId": "laptops", "variables": {"serial": "7"}, "csr": b64encode(csr).decode()}
    certificate = issued(world.json("IssueCertificate", order))
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [granted]
    refused = world.house.audit.events[-1].fields["dropped_extensions"]
    assert refused == (None if granted == ExtendedKeyUsageOID.SERVER_AUTH else "2.5.29.37")


def test_a_request_without_its_key_gets_none(world: World) -> None:
    csr = bytearray(make_csr(ec.generate_private_key(ec.SECP256R1())))
    csr[-1] ^= 1
    order = {"digitalId": "laptops", "variables": {"serial": "7"}, "csr": b64encode(csr).decode()}
    status, value = world.json("IssueCertificate", order)
    assert (status, value["code"]) == (422, "bad-proof-of-possession")
    assert world.users == []


@pytest.mark.requirement("R-CEG-085")
@pytest.mark.requirement("R-CEG-087")
@pytest.mark.requirement("R-CEGI-073")
@pytest.mark.parametrize("operation", ["CreateChallenge", "IssuePKCS12", "IssueCertificate"])
@pytest.mark.parametrize(
    ("order", "status", "code", "detail"),
    [
        ({"digitalId": "tablets", "variables": ANN}, 404, "no-such-digital-id", "there is no such digital ID"),
        (
            {"digitalId": "My Phones", "variables": {"firstname": "Ann"}},
            400,
            "missing-variable",
            "missing variable: lastname",
        ),
        (
            {"digitalId": "My Phones", "variables": {**ANN, "lastname": ""}},
            422,
            "bad-name",
            "variable lastname is empty",
        ),
    ],
)
def test_what_cannot_be_ordered_makes_no_user(
    world: World, operation: str, order: Any, status: int, code: str, detail: str
) -> None:
    extra = {"csr": b64encode(make_csr(ec.generate_private_key(ec.SECP256R1()))).decode()}
    told, value = world.json(operation, {**order, **(extra if operation == "IssueCertificate" else {})})
    assert (told, value["code"], value["detail"]) == (status, code, detail)
    assert world.users == []


@pytest.mark.requirement("R-CEG-088")
def test_a_variable_injects_nothing_into_a_certificate(world: World) -> None:
    certificate = issued(world.json("IssuePKCS12", {**ORDER, "variables": {**ANN, "lastname": "x,ou=Admins"}}))
    assert format_name(certificate.subject) == "CN=Ann x\\,ou\\=Admins,OU=Devices,O=My Company,C=US".replace("\\=", "=")
    assert len(certificate.subject.rdns) == 4


def test_ca_certificates(world: World) -> None:
    status, value = world.json("GetCACertificates", {"digitalId": "My Phones"})
    assert status == 200
    [ca, root] = [b64decode(each) for each in value["certificates"]]
    assert value["caFingerprint"] == sha256(ca).hexdigest()
    x509.load_der_x509_certificate(ca).verify_directly_issued_by(x509.load_der_x509_certificate(root))
