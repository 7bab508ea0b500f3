"""Which key a generated key is encrypted with, and who may name it (RFC 7030, 4.4.1.1 and 4.4.1.2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.certificates import Certificates
from cspd.authority.client_keys import ClientKeys
from cspd.authority.values import (
    EnrollmentRequest,
    Issued,
    Requester,
    RevocationReason,
    RevocationRequest,
)
from cspd.keys.encryption import MasterKey
from cspd.keys.generation import generate_private_key
from cspd.keys.threads import InlinePool
from cspd.keys.values import KeyType, PrivateKey
from cspd.refusals import Forbidden, Malformed, Refused, Rejected
from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.cms.recipients import RSAES_OAEP
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import read_algorithm
from protocols.est.encrypted_keys import (
    ASYMMETRIC_DECRYPT_KEY_ID,
    DECRYPT_KEY_ID,
    PURPOSE,
    SMIME_CAPABILITIES,
    EncryptedKeys,
    Sealing,
    wanted_encryption,
)
from protocols.est.errors import status_of
from protocols.est.messages import Client, Terms
from tests.protocols.est.world import configuration
from tests.support.authorities import ALICE, ISSUING, Installation
from tests.support.enveloped import Envelope, opened_key_package, private_key_of
from tests.support.issuing import common_name, make_csr
from tests.support.running import result_of

DES_EDE3_CBC = "1.2.840.113549.3.7"
RSA_KEY = rsa.generate_private_key(65537, 2048)
SIGNER = ec.generate_private_key(ec.SECP256R1())
NEW_KEY = generate_private_key(KeyType.EC_P256)
PROFILE = "est-digital-signature-key-encipherment"
TERMS = configuration(server_key_generation=True).terms(ISSUING, PROFILE)
ALL_USES = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": True,
    "data_encipherment": False,
    "key_agreement": True,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def request_with(attributes: Mapping[str, bytes]) -> bytes:
    """A request with attributes, whose values are whole elements, DER."""
    encoded = b"".join(
        tlv.sequence(tlv.object_identifier(oid), tlv.element(tlv.SET, value)) for oid, value in attributes.items()
    )
    plain = x509.load_der_x509_csr(make_csr(SIGNER))
    info = Cursor.over(plain.tbs_certrequest_bytes).enter(tlv.SEQUENCE)
    version, subject, public_key = (info.element() for _ in range(3))
    return tlv.sequence(
        tlv.sequence(version, subject, public_key, tlv.element(0xA0, encoded)),
        tlv.sequence(tlv.object_identifier("1.2.840.10045.4.3.2")),
        tlv.element(tlv.BIT_STRING, b"\x00" + plain.signature),
    )


def octets(value: bytes) -> bytes:
    return tlv.element(tlv.OCTET_STRING, value)


def capabilities(*oids: str) -> bytes:
    return tlv.sequence(*(tlv.sequence(tlv.object_identifier(oid)) for oid in oids))


class World:
    """A CA, its secrets, and what encrypts keys."""

    def __init__(self) -> None:
        self.house = house = Installation()
        house.make_hierarchy(profiles=("est-digital-signature", PROFILE))
        self.secrets = EnrollmentSecrets(
            clock=house.clock,
            random=Random(6),
            database=house.database,
            audit=house.audit,
            master_key=MasterKey(b"m" * 32, Random(7).randbytes),
        )
        self.encrypted_keys = EncryptedKeys(
            clock=house.clock,
            authorities=house.registry,
            certificates=Certificates(house.database),
            secrets=self.secrets,
            client_keys=ClientKeys(keys=house.keys, random_bytes=os.urandom, pool=InlinePool()),
        )

    def secret(self, identity: str = "alice", *, purpose: str = PURPOSE, profile: str | None = None) -> tuple[str, str]:
        """Reference number and secret."""
        made = result_of(
            self.secrets.create(
                purpose=purpose, identity=identity, lifetime=timedelta(days=1), by=ALICE, profile=profile
            )
        )
        return made.terms.reference, made.secret

    def certificate(self, key: PrivateKey, user: str = "alice", protocol: str = "est", profile: str = PROFILE) -> bytes:
        """A certificate that the user has enrolled."""
        issued = result_of(
            self.house.issuance.enroll(
                EnrollmentRequest(
                    ca=ISSUING,
                    profile=profile,
                    requester=Requester(protocol=protocol, identity=user),
                    csr_der=make_csr(key, names=[x509.DNSName("a.example")]),
                )
            )
        )
        assert isinstance(issued, Issued)
        return issued.certificate_der

    def revoke(self, certificate_der: bytes) -> None:
        serial = x509.load_der_x509_certificate(certificate_der).serial_number
        reason = RevocationReason.SUPERSEDED
        result_of(
            self.house.revocation.revoke(RevocationRequest(ca=ISSUING, serial=serial, reason=reason, requester=ALICE))
        )

    def sealing(
        self,
        attributes: Mapping[str, bytes],
        *,
        client: Client | None = None,
        terms: Terms = TERMS,
        name: str = "alice",
        is_user: bool = True,
    ) -> Sealing | None:
        return result_of(
            self.encrypted_keys.sealing(request_with(attributes), client or Client(), terms, name=name, is_user=is_user)
        )

    def sealed(
        self, attributes: Mapping[str, bytes], client: Client | None = None, *, is_user: bool = True
    ) -> Envelope:
        sealing = self.sealing(attributes, client=client, is_user=is_user)
        assert sealing is not None
        message = Cursor.over(result_of(self.encrypted_keys.seal(NEW_KEY, sealing, TERMS))).enter(tlv.SEQUENCE)
        assert message.object_identifier() == "1.2.840.113549.1.7.3"
        return Envelope.of(message.enter(0xA0).element())

    def check_opened(self, signed_der: bytes) -> None:
        authority = result_of(self.house.registry.get(ISSUING))
        assert authority.certificate is not None
        one_key = opened_key_package(signed_der, authority.certificate)
        assert one_key.public_key is None
        assert private_key_of(one_key).public_key() == NEW_KEY.public_key()

    def refusal(self, attributes: Mapping[str, bytes], **options: object) -> Refused:
        """What is said to a client that gets nothing; always an HTTP status from 400 on that asks for no password."""
        with pytest.raises(Refused) as refused:
            self.sealing(attributes, **options)  # type: ignore[arg-type]  # as the rows of a table have them
        assert status_of(refused.value) in (400, 403)
        return refused.value


@pytest.fixture
def world() -> World:
    return World()


def test_a_request_that_names_no_key_is_not_for_sealing(world: World) -> None:
    assert world.sealing({}) is None
    assert world.sealing({SMIME_CAPABILITIES: capabilities(RSAES_OAEP)}) is None


def test_a_secret_of_the_client_is_the_key(world: World) -> None:
    reference, secret = world.secret()
    envelope = world.sealed({DECRYPT_KEY_ID: octets(reference.encode())})
    identifier, signed_der = envelope.for_shared_key(sha256(secret.encode()).digest())
    assert identifier == reference.encode()
    world.check_opened(signed_der)


def test_a_secret_is_used_up_with_the_certificate(world: World) -> None:
    reference, _ = world.secret()
    wanted = {DECRYPT_KEY_ID: octets(reference.encode())}
    sealing = world.sealing(wanted)
    assert sealing is not None
    assert sealing.recorded is not None
    recorded = sealing.recorded
    result_of(world.house.database.write(lambda connection: recorded(connection, "ca", 1)))
    assert world.refusal(wanted).refusal_code == "no-decrypt-key"


def test_secrets_of_others_and_for_other_things_are_no_keys(world: World) -> None:
    for reference in (world.secret("bob")[0], world.secret(purpose="est")[0], "A" * 16, "\x00", "\xff" * 512):
        refusal = world.refusal({DECRYPT_KEY_ID: octets(reference.encode("latin-1"))})
        assert isinstance(refusal, Rejected)
        assert refusal.refusal_code == "no-decrypt-key"
    elsewhere = world.secret(profile="tls-server")[0]
    assert isinstance(world.refusal({DECRYPT_KEY_ID: octets(elsewhere.encode())}), Forbidden)


def identifier_of(certificate_der: bytes) -> bytes:
    certificate = x509.load_der_x509_certificate(certificate_der)
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def issuer_and_serial_number(certificate_der: bytes) -> bytes:
    return fields_of(certificate_der).issuer_and_serial_number


def made_by_a_maker(key: PrivateKey, usage: x509.KeyUsage | None = None) -> bytes:
    """A certificate of another CA, without a subjectKeyIdentifier, DER."""
    builder = x509.CertificateBuilder().subject_name(common_name("device")).issuer_name(common_name("maker"))
    builder = builder.public_key(key.public_key()).serial_number(4711)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(SIGNER, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("oids", [(), (RSAES_OAEP,)], ids=["v1.5", "OAEP"])
def test_the_key_of_the_tls_certificate(world: World, oids: tuple[str, ...]) -> None:
    """By the identifier that stands in it; PKCS#1 v1.5, which every client has, unless it says that it has OAEP."""
    certificate_der = world.certificate(RSA_KEY)
    attributes = {ASYMMETRIC_DECRYPT_KEY_ID: octets(identifier_of(certificate_der))}
    if oids:
        attributes[SMIME_CAPABILITIES] = capabilities(*oids)
    envelope = world.sealed(attributes, Client(certificate_der=certificate_der), is_user=False)
    rid, signed_der = envelope.for_rsa(RSA_KEY)
    assert rid == tlv.element(0x80, identifier_of(certificate_der))
    assert (tlv.object_identifier(RSAES_OAEP) in envelope.recipient) == bool(oids)
    world.check_opened(signed_der)


@pytest.mark.parametrize("usage", [None, x509.KeyUsage(**ALL_USES)], ids=["any use", "keyAgreement"])
@pytest.mark.parametrize("named", ["SHA-1", "issuer and serial number"])
def test_the_key_of_a_certificate_of_a_maker(world: World, named: str, usage: x509.KeyUsage | None) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate_der = made_by_a_maker(key, usage)
    identifier = (
        sha1(fields_of(certificate_der).public_key).digest()
        if named == "SHA-1"
        else issuer_and_serial_number(certificate_der)
    )
    attributes = {ASYMMETRIC_DECRYPT_KEY_ID: octets(identifier)}
    rid, signed_der = world.sealed(attributes, Client(certificate_der=certificate_der)).for_ec(key)
    by_key = tlv.element(0xA0, tlv.element(tlv.OCTET_STRING, identifier))
    assert rid == (by_key if named == "SHA-1" else identifier)
    world.check_opened(signed_der)


def test_the_key_of_a_certificate_that_the_user_has_enrolled(world: World) -> None:
    certificate_der = world.certificate(RSA_KEY)
    attributes = {ASYMMETRIC_DECRYPT_KEY_ID: octets(issuer_and_serial_number(certificate_der))}
    rid, signed_der = world.sealed(attributes).for_rsa(RSA_KEY)
    assert rid == issuer_and_serial_number(certificate_der)
    world.check_opened(signed_der)


def test_certificates_of_others_name_no_key(world: World) -> None:
    """Nor does one of the same name that another protocol, or somebody who is not a user, goes by."""
    own, other = world.certificate(RSA_KEY), world.certificate(RSA_KEY, user="bob")
    elsewhere = world.certificate(RSA_KEY, protocol="acme")
    rows: tuple[tuple[bytes, bool], ...] = (
        (issuer_and_serial_number(other), True),
        (issuer_and_serial_number(elsewhere), True),
        (issuer_and_serial_number(own), False),
        (identifier_of(own), True),
        (tlv.sequence(common_name("another issuer").public_bytes(), fields_of(own).serial_number), True),
        (issuer_and_serial_number(own) + b"\x00", True),
        (tlv.sequence(), True),
        (b"?", True),
    )
    for identifier, is_user in rows:
        refusal = world.refusal({ASYMMETRIC_DECRYPT_KEY_ID: octets(identifier)}, is_user=is_user)
        assert refusal.refusal_code == "no-decrypt-key"


@pytest.mark.parametrize("by_tls", [False, True], ids=["enrolled", "of the connection"])
def test_a_revoked_certificate_gets_no_key(world: World, by_tls: bool) -> None:
    certificate_der = world.certificate(RSA_KEY)
    world.revoke(certificate_der)
    client = Client(certificate_der=certificate_der) if by_tls else Client()
    attributes = {ASYMMETRIC_DECRYPT_KEY_ID: octets(issuer_and_serial_number(certificate_der))}
    assert world.refusal(attributes, client=client).refusal_code == "bad-decrypt-key"


def test_an_expired_certificate_gets_no_key(world: World) -> None:
    certificate_der = world.certificate(RSA_KEY)
    attributes = {ASYMMETRIC_DECRYPT_KEY_ID: octets(issuer_and_serial_number(certificate_der))}
    world.house.clock.advance(timedelta(days=800))
    assert world.refusal(attributes).refusal_code == "bad-decrypt-key"


def test_a_key_that_may_not_or_cannot_decrypt_gets_none(world: World) -> None:
    """RFC 7030, 4.4.1.2: keyTransport or keyAgreement, or unrestricted."""
    no_encipherment = x509.KeyUsage(**{**ALL_USES, "key_encipherment": False})
    no_agreement = x509.KeyUsage(**{**ALL_USES, "key_agreement": False})
    for certificate_der in (
        world.certificate(RSA_KEY, profile="est-digital-signature"),
        made_by_a_maker(RSA_KEY, no_encipherment),
        made_by_a_maker(SIGNER, no_agreement),
        made_by_a_maker(ed25519.Ed25519PrivateKey.generate()),
    ):
        attributes = {ASYMMETRIC_DECRYPT_KEY_ID: octets(issuer_and_serial_number(certificate_der))}
        refusal = world.refusal(attributes, client=Client(certificate_der=certificate_der))
        assert refusal.refusal_code == "bad-decrypt-key"


@pytest.mark.parametrize(
    ("oids", "cipher"),
    [
        ((), ContentCipher.AES_128_CBC),
        ((DES_EDE3_CBC,), ContentCipher.AES_128_CBC),
        ((DES_EDE3_CBC, ContentCipher.AES_256_CBC.value, ContentCipher.AES_128_CBC.value), ContentCipher.AES_256_CBC),
        ((ContentCipher.AES_256_GCM.value, ContentCipher.AES_192_CBC.value), ContentCipher.AES_192_CBC),
    ],
    ids=["not said", "nothing of ours", "the first of ours", "not authenticated"],
)
def test_the_content_is_encrypted_as_the_client_can_read_it(
    world: World, oids: tuple[str, ...], cipher: ContentCipher
) -> None:
    reference, secret = world.secret()
    attributes = {DECRYPT_KEY_ID: octets(reference.encode())}
    if oids:
        attributes[SMIME_CAPABILITIES] = capabilities(*oids)
    envelope = world.sealed(attributes)
    assert read_algorithm(envelope.algorithm_der).oid == cipher.value
    world.check_opened(envelope.for_shared_key(sha256(secret.encode()).digest())[1])


@pytest.mark.parametrize(
    "attributes",
    [
        {DECRYPT_KEY_ID: octets(b"a"), ASYMMETRIC_DECRYPT_KEY_ID: octets(b"a")},
        {DECRYPT_KEY_ID: octets(b"")},
        {ASYMMETRIC_DECRYPT_KEY_ID: octets(bytes(513))},
        {DECRYPT_KEY_ID: b""},
        {DECRYPT_KEY_ID: octets(b"a") + octets(b"b")},
        {ASYMMETRIC_DECRYPT_KEY_ID: tlv.element(tlv.UTF8_STRING, b"a")},
        {DECRYPT_KEY_ID: octets(b"a"), SMIME_CAPABILITIES: octets(b"a")},
        {DECRYPT_KEY_ID: octets(b"a"), SMIME_CAPABILITIES: capabilities(*["1.2.3"] * 33)},
    ],
    ids=["both", "empty", "long", "no value", "two values", "a text", "no capabilities", "too many capabilities"],
)
def test_attributes_that_are_none_are_malformed(world: World, attributes: Mapping[str, bytes]) -> None:
    assert isinstance(world.refusal(attributes), Malformed)


def test_an_attribute_twice_is_malformed() -> None:
    once = request_with({DECRYPT_KEY_ID: octets(b"a"), "1.2.840.113549.1.9.16.2.38": octets(b"b")})
    twice = once.replace(tlv.object_identifier("1.2.840.113549.1.9.16.2.38"), tlv.object_identifier(DECRYPT_KEY_ID))
    with pytest.raises(Malformed, match="twice"):
        wanted_encryption(twice)


@given(st.binary(max_size=80), st.integers(0, 400), st.integers(0, 255))
def test_any_octets_give_a_wish_or_are_malformed(noise: bytes, at: int, octet: int) -> None:
    request = bytearray(request_with({DECRYPT_KEY_ID: octets(b"a"), SMIME_CAPABILITIES: capabilities("1.2.3")}))
    request[at % len(request)] = octet
    for octets_read in (noise, bytes(request)):
        try:
            wanted_encryption(octets_read)
        except Malformed:
            continue
