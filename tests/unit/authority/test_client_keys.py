"""Keys that are made here for clients, as clients open them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cspd.authority.client_keys import ClientKeys
from cspd.authority.values import Authority
from cspd.keys.generation import generate_private_key, key_type_of
from cspd.keys.threads import InlinePool
from cspd.keys.values import KeyType
from cspd.refusals import Conflict
from cspd.x509 import tlv
from cspd.x509.cms.recipients import KeyTransport, Password, Recipient, SharedKey, recipient_of
from cspd.x509.cms.values import SIGNED_DATA
from tests.support.authorities import ISSUING, Installation
from tests.support.enveloped import Envelope, opened_key_package, private_key_of
from tests.support.issuing import common_name
from tests.support.running import result_of

IDENTIFIER = b"any identifier"


@cache
def house() -> Installation:
    """A root and an issuing CA."""
    installation = Installation()
    installation.make_hierarchy()
    return installation


def issuing() -> Authority:
    return result_of(house().registry.get(ISSUING))


def client_keys() -> ClientKeys:
    return ClientKeys(keys=house().keys, random_bytes=os.urandom, pool=InlinePool())


def certificate_for(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, identified: bool) -> x509.Certificate:
    name = common_name("recipient")
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(4711).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    if identified:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(IDENTIFIER), critical=False)
    return builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC)).sign(key, hashes.SHA256())


def sealed(recipient: Recipient, *, with_public_key: bool = True) -> tuple[ec.EllipticCurvePrivateKey, Envelope]:
    key = generate_private_key(KeyType.EC_P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    enveloped_der = result_of(client_keys().seal(key, issuing(), recipient, with_public_key=with_public_key))
    envelope = Envelope.of(enveloped_der)
    assert envelope.content_type == SIGNED_DATA
    return key, envelope


def opened(signed_der: bytes) -> ec.EllipticCurvePrivateKey:
    certificate = issuing().certificate
    assert certificate is not None
    key = private_key_of(opened_key_package(signed_der, certificate))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


@pytest.mark.parametrize("oaep", [False, True])
@pytest.mark.parametrize("identified", [False, True])
def test_the_holder_of_an_rsa_key_opens_it(identified: bool, oaep: bool) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    certificate = certificate_for(rsa_key, identified=identified)
    key, envelope = sealed(recipient_of(certificate, oaep=oaep, by_key_identifier=True))
    rid, signed_der = envelope.for_rsa(rsa_key)
    assert rid == tlv.element(0x80, IDENTIFIER) if identified else rid[0] == tlv.SEQUENCE
    assert opened(signed_der).private_numbers() == key.private_numbers()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda each: each.name)
@pytest.mark.parametrize("identified", [False, True])
def test_the_holder_of_a_key_on_a_curve_opens_it(curve: ec.EllipticCurve, identified: bool) -> None:
    ec_key = ec.generate_private_key(curve)
    certificate = certificate_for(ec_key, identified=identified)
    key, envelope = sealed(recipient_of(certificate, by_key_identifier=True))
    rid, signed_der = envelope.for_ec(ec_key)
    identifier = tlv.element(0xA0, tlv.element(tlv.OCTET_STRING, IDENTIFIER))
    assert rid == identifier if identified else rid[0] == tlv.SEQUENCE
    assert opened(signed_der).private_numbers() == key.private_numbers()


def test_whoever_knows_the_password_opens_it() -> None:
    key, envelope = sealed(Password(b"secret", iterations=1000))
    assert opened(envelope.for_password(b"secret")).private_numbers() == key.private_numbers()


def test_whoever_has_the_same_key_opens_it() -> None:
    key, envelope = sealed(SharedKey(bytes(32), b"reference"), with_public_key=False)
    identifier, signed_der = envelope.for_shared_key(bytes(32))
    assert identifier == b"reference"
    assert opened(signed_der).private_numbers() == key.private_numbers()


@pytest.mark.parametrize("with_public_key", [False, True])
def test_the_public_half_goes_with_it_where_it_is_asked_for(with_public_key: bool) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    _, envelope = sealed(KeyTransport(rsa_key.public_key()), with_public_key=with_public_key)
    certificate = issuing().certificate
    assert certificate is not None
    one_key = opened_key_package(envelope.for_rsa(rsa_key)[1], certificate)
    assert (one_key.public_key is not None) == with_public_key


def test_a_ca_without_a_key_seals_nothing() -> None:
    recipient = SharedKey(bytes(32), b"reference")
    key = generate_private_key(KeyType.EC_P256)
    with pytest.raises(Conflict, match="no key"):
        result_of(client_keys().seal(key, replace(issuing(), key=None), recipient, with_public_key=True))


def test_keys_of_every_kind_are_made() -> None:
    for key_type in (KeyType.EC_P384, KeyType.ED25519, KeyType.ML_DSA_44):
        assert key_type_of(result_of(client_keys().generate(key_type)).public_key()) is key_type
