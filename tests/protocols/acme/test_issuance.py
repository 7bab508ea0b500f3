"""Hostile requests for a certificate through ACME and the real pipeline: what is refused, and what is never granted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet.task import Clock as TwistedClock

from cspd.authority.certificates import Certificates
from cspd.config.connectors import find_connector
from cspd.plugin import PublicAddress, Services
from protocols.acme import factory
from protocols.acme.config import ACMEConfig
from tests.protocols.acme.client import PUBLIC, Answer, Client, Web, b64
from tests.protocols.acme.server import FakeChallenge
from tests.support.issuing import House, make_csr, shipped_profiles
from tests.support.monitoring import StillMonitor

NAME = "www.example.com"
PROFILE = "privatessl-tls-server-supply-san"
NOBODY = x509.Name([])


class World:
    """ACME over a real issuing CA; every proof passes."""

    def __init__(self) -> None:
        self.house = House()
        services = Services(
            reactor=TwistedClock(),
            clock=self.house.clock,
            random=Random(1),
            database=self.house.database,
            keys=self.house.keys,
            authorities=self.house.authorities,
            issuance=self.house.pipeline,
            approvals=None,  # type: ignore[arg-type]  # not asked here
            revocation=None,  # type: ignore[arg-type]  # not asked here
            publication=None,  # type: ignore[arg-type]  # not asked here
            status=None,  # type: ignore[arg-type]  # not asked here
            certificates=Certificates(self.house.database),
            profiles=shipped_profiles(),
            audit=self.house.audit,
            public=PublicAddress(http="http://pki.example.com", https=PUBLIC),
            tenants=frozenset({"tenant1"}),
            connector=find_connector,
            password_checks={},
            enrollment_secrets=None,  # type: ignore[arg-type]  # not asked here
            process="process-1",
            monitor=StillMonitor(),
        )
        types = [FakeChallenge("http-01", proves_wildcards=False), FakeChallenge("dns-01", proves_wildcards=True)]
        routes = factory.build_with(ACMEConfig(), services, types).routes
        self.client = Client(Web(routes), prefix=f"/acme/tenant1/demo~issuing/{PROFILE}")
        self.client.register()

    def finalize(self, csr_der: bytes) -> tuple[Answer, str]:
        """The answer, and the order's status after it."""
        order = self.client.order(NAME)
        self.client.post(self.client.challenge(order.json["authorizations"][0])["url"], {})
        answer = self.client.post(order.json["finalize"], {"csr": b64(csr_der)})
        return answer, self.client.get(str(order.header(b"location"))).json["status"]

    def certificate(self, csr_der: bytes) -> x509.Certificate:
        """What is issued."""
        answer, _ = self.finalize(csr_der)
        assert answer.json["status"] == "valid", answer.body
        return x509.load_pem_x509_certificates(self.client.get(answer.json["certificate"]).body)[0]


def request_by(key: Any, subject: x509.Name = NOBODY, extensions: Sequence[tuple[Any, bool]] = ()) -> bytes:
    return make_csr(key, subject, [x509.DNSName(NAME)], extensions)


def ca_key(world: World) -> Any:
    assert world.house.issuing.key is not None
    return world.house.keys.private_keys[world.house.issuing.key]


WEAK: dict[str, Callable[[World], Any]] = {
    "RSA of 1024 bits": lambda world: rsa.generate_private_key(65537, 1024),
    "RSA with exponent 3": lambda world: rsa.generate_private_key(3, 2048),
    "a curve that the profile does not take": lambda world: ec.generate_private_key(ec.SECP256K1()),
    "the CA's own key": ca_key,
}


@pytest.mark.parametrize("key", WEAK)
def test_a_key_that_must_not_be_certified_is_a_bad_csr(key: str) -> None:
    world = World()
    answer, status = world.finalize(request_by(WEAK[key](world)))
    assert answer.error == (400, "badCSR")
    assert status == "invalid"
    (refused,) = [event for event in world.house.audit.events if event.event == "certificate-refused"]
    assert refused.fields["code"] == "bad-public-key"


def test_a_bit_string_for_a_name_is_a_bad_csr() -> None:
    world = World()
    common_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    csr_der = request_by(world.house.subscriber_key, common_name)
    spoiled = csr_der.replace(b"\x0c\x0fwww", b"\x03\x0f\x00ww", 1)
    assert spoiled != csr_der
    answer, status = world.finalize(spoiled)
    assert (answer.error, status) == ((400, "badCSR"), "ready")


def test_what_was_not_proved_is_not_certified() -> None:
    """A CSR that asks to be a CA, to sign code and status, for a critical unknown extension, as somebody else."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Evil"), x509.NameAttribute(NameOID.COMMON_NAME, NAME)]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    world = World()
    plain = world.certificate(request_by(world.house.subscriber_key))
    greedy = world.certificate(
        request_by(
            world.house.subscriber_key,
            subject,
            [
                (x509.BasicConstraints(ca=True, path_length=None), True),
                (usage, True),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.OCSP_SIGNING]), True),
                (x509.NameConstraints([x509.DNSName("example")], None), True),
                (x509.OCSPNoCheck(), False),
                (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),
            ],
        )
    )
    assert greedy.subject == plain.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    assert [(each.oid, each.critical, each.value.public_bytes()) for each in greedy.extensions] == [
        (each.oid, each.critical, each.value.public_bytes()) for each in plain.extensions
    ]
    names = greedy.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    assert greedy.public_bytes(Encoding.DER) != plain.public_bytes(Encoding.DER)
