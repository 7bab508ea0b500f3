"""Keys that are made here, and who can open them (RFC 9483, 4.1.6)."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cspd.authority.client_keys import ClientKeys
from cspd.keys.generation import generate_private_key, key_type_of
from cspd.keys.threads import InlinePool
from cspd.keys.values import KeyType, PrivateKey
from cspd.refusals import BadPublicKey, Forbidden, NotFound, Refused
from cspd.x509 import tlv
from cspd.x509.crmf.messages import CertTemplate
from protocols.cmp.central_keys import ServerMadeKeys
from protocols.cmp.errors import PKIMessageRejected, failure_info
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.key_generation_authorities import KeyGenerationAuthorities
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.status import PKIFailureInfo
from tests.support.authorities import ISSUING, Installation
from tests.support.enveloped import Envelope, opened_key_package, private_key_of
from tests.support.issuing import common_name
from tests.support.running import result_of

TERMS = Terms(ca=ISSUING, profile="tls-client", key_generation=True)
NEW_KEY = generate_private_key(KeyType.EC_P256)
KEY_ENCIPHERMENT, KEY_AGREEMENT = "key_encipherment", "key_agreement"
USAGES = (
    "digital_signature",
    "content_commitment",
    KEY_ENCIPHERMENT,
    "data_encipherment",
    KEY_AGREEMENT,
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@cache
def house() -> Installation:
    installation = Installation()
    installation.make_hierarchy()
    return installation


def central_keys(*key_types: KeyType) -> ServerMadeKeys:
    profile = house().profiles["tls-client"]
    if key_types:
        profile = replace(profile, key_types=frozenset(key_types))
    return ServerMadeKeys(
        authorities=house().registry,
        profiles={"tls-client": profile},
        client_keys=ClientKeys(keys=house().keys, random_bytes=os.urandom, pool=InlinePool()),
        key_generation_authorities=KeyGenerationAuthorities(clock=house().clock),
    )


def generated(template: CertTemplate, *key_types: KeyType, terms: Terms = TERMS) -> KeyType:
    return key_type_of(result_of(central_keys(*key_types).generate(template, terms)).public_key())


def info(algorithm: str, parameters_der: bytes = b"", key: bytes = b"\x00") -> bytes:
    """A SubjectPublicKeyInfo, without a key if none is given."""
    return tlv.sequence(
        tlv.sequence(tlv.object_identifier(algorithm), parameters_der), tlv.element(tlv.BIT_STRING, key)
    )


RSA = info("1.2.840.113549.1.1.1", tlv.NULL)
P384 = info("1.2.840.10045.2.1", tlv.object_identifier("1.3.132.0.34"))
SECP256K1 = info("1.2.840.10045.2.1", tlv.object_identifier("1.3.132.0.10"))
NO_CURVE = info("1.2.840.10045.2.1")
DSA = info("1.2.840.10040.4.1")
ED448 = info("1.3.101.113")


@pytest.mark.parametrize(
    ("public_key_der", "allowed", "expected"),
    [
        (None, (KeyType.RSA_4096, KeyType.EC_P256), KeyType.EC_P256),
        (None, (KeyType.ED448, KeyType.ED25519), KeyType.ED25519),
        (RSA, (KeyType.RSA_3072, KeyType.EC_P256), KeyType.RSA_3072),
        (P384, (KeyType.EC_P256, KeyType.EC_P384), KeyType.EC_P384),
        (ED448, (KeyType.ED448, KeyType.EC_P256), KeyType.ED448),
    ],
    ids=["no wish", "no wish, others", "RSA", "a curve", "EdDSA"],
)
def test_a_key_is_made_as_the_template_asks(
    public_key_der: bytes | None, allowed: tuple[KeyType, ...], expected: KeyType
) -> None:
    assert generated(CertTemplate(public_key_der=public_key_der), *allowed) is expected


@pytest.mark.parametrize(
    ("public_key_der", "refusal"),
    [
        (SECP256K1, BadPublicKey),
        (NO_CURVE, BadPublicKey),
        (ED448, BadPublicKey),
        (info("1.2.840.113549.1.1.1", tlv.NULL, b"\x00key"), BadPublicKey),
        (b"\x30\x00", BadPublicKey),
        (RSA + b"\x00", BadPublicKey),
    ],
    ids=["unknown curve", "no curve", "not in the profile", "has a key", "nonsense", "trailing octets"],
)
def test_a_template_that_asks_for_another_key_is_bad(public_key_der: bytes, refusal: type[Refused]) -> None:
    with pytest.raises(refusal) as refused:
        generated(CertTemplate(public_key_der=public_key_der), KeyType.EC_P256, KeyType.RSA_2048)
    assert failure_info(refused.value) is PKIFailureInfo.BAD_CERT_TEMPLATE


def test_an_algorithm_that_no_key_is_made_for_is_badalg() -> None:
    with pytest.raises(PKIMessageRejected) as rejected:
        generated(CertTemplate(public_key_der=DSA))
    assert rejected.value.fail_info is PKIFailureInfo.BAD_ALG


def test_keys_are_made_only_where_conf_says_so() -> None:
    with pytest.raises(Forbidden) as refused:
        generated(CertTemplate(), terms=replace(TERMS, key_generation=False))
    assert failure_info(refused.value) is PKIFailureInfo.NOT_AUTHORIZED
    with pytest.raises(NotFound):
        generated(CertTemplate(), terms=replace(TERMS, profile="another"))


def certificate_for(key: PrivateKey, *usages: str) -> x509.Certificate:
    """A certificate with a keyUsage of these, or without one."""
    name = common_name("client")
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(4711).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    builder = builder.add_extension(x509.SubjectKeyIdentifier(b"client's key"), critical=False)
    if usages:
        bits = {usage: usage in usages for usage in USAGES}
        builder = builder.add_extension(x509.KeyUsage(**bits), critical=True)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def signing_sender(key: PrivateKey, *usages: str) -> Sender:
    return Sender(identity="client", protection=ProtectionKind.SIGNATURE, certificate=certificate_for(key, *usages))


def envelope_for(sender: Sender) -> Envelope:
    encrypted = result_of(central_keys().encrypt(NEW_KEY, sender, TERMS))
    assert encrypted.is_enveloped_data
    return Envelope.of(encrypted.der)


def check_opened(signed_der: bytes) -> None:
    authority = result_of(house().registry.get(ISSUING))
    assert authority.certificate is not None
    one_key = opened_key_package(signed_der, authority.certificate)
    assert one_key.public_key is not None
    assert private_key_of(one_key).public_key() == NEW_KEY.public_key()


@pytest.mark.parametrize("usages", [(), (KEY_ENCIPHERMENT,)], ids=["any use", "keyEncipherment"])
def test_an_rsa_certificate_gets_the_key_by_key_transport(usages: tuple[str, ...]) -> None:
    key = rsa.generate_private_key(65537, 2048)
    rid, signed_der = envelope_for(signing_sender(key, *usages)).for_rsa(key)
    assert rid == tlv.element(0x80, b"client's key")
    check_opened(signed_der)


@pytest.mark.parametrize("usages", [(), ("digital_signature", KEY_AGREEMENT)], ids=["any use", "keyAgreement"])
def test_a_certificate_on_a_curve_gets_the_key_by_key_agreement(usages: tuple[str, ...]) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    rid, signed_der = envelope_for(signing_sender(key, *usages)).for_ec(key)
    assert rid == tlv.element(0xA0, tlv.element(tlv.OCTET_STRING, b"client's key"))
    check_opened(signed_der)


def test_a_secret_gets_the_key_by_its_password() -> None:
    sender = Sender(identity="client", protection=ProtectionKind.MAC, password=b"the secret")
    check_opened(envelope_for(sender).for_password(b"the secret"))


@pytest.mark.parametrize(
    "sender",
    [
        signing_sender(rsa.generate_private_key(65537, 2048), "digital_signature", KEY_AGREEMENT),
        signing_sender(ec.generate_private_key(ec.SECP256R1()), "digital_signature", KEY_ENCIPHERMENT),
        signing_sender(ed25519.Ed25519PrivateKey.generate()),
        Sender(identity="client", protection=ProtectionKind.NONE),
    ],
    ids=["RSA without keyEncipherment", "EC without keyAgreement", "Ed25519", "nothing"],
)
def test_who_cannot_open_a_key_gets_none(sender: Sender) -> None:
    with pytest.raises(Forbidden) as refused:
        envelope_for(sender)
    assert failure_info(refused.value) is PKIFailureInfo.NOT_AUTHORIZED
