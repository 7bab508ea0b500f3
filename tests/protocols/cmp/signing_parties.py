"""Senders of messages: some with secrets, some with certificates of a CA in memory, some of strangers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import update

from cspd.authentication.certificates import ClientCertificates, TrustAnchors
from cspd.authentication.secrets import EnrollmentSecrets, NewSecret
from cspd.authority.certificates import Certificates, digest_of_public_key
from cspd.authority.values import Authority, CAReference
from cspd.keys.encryption import MasterKey
from cspd.keys.threads import InlinePool
from cspd.store.tables import certificates
from cspd.x509.signatures import read_algorithm
from cspd.x509.tlv import object_identifier, sequence
from protocols.cmp.codec import assemble, decode, protected_part
from protocols.cmp.config import CMPConfig
from protocols.cmp.general_names import directory_name
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.mac_algorithms import MACAlgorithm, PasswordBasedMAC
from protocols.cmp.mac_keys import MACKeys
from protocols.cmp.messages import BodyType, PKIMessage
from protocols.cmp.protection import protect_by_mac
from protocols.cmp.registration_authorities import CMC_RA, RegistrationAuthorities, RegistrationAuthority
from protocols.cmp.senders import VerifiedSenders
from tests.protocols.cmp.vectors import HEADER, message
from tests.support.authorities import ALICE, ISSUING, Installation
from tests.support.running import result_of
from tests.unit.http.certificates import Party, make

TERMS = Terms(ca=ISSUING, profile="tls-client")
MAC = PasswordBasedMAC(b"a salt of the client", 500)
ECDSA_SHA256 = sequence(object_identifier("1.2.840.10045.4.3.2"))


class House:
    """A CA, the vendor of devices, and registration authorities of both."""

    def __init__(
        self, *, ra_profile: str | None = "tls-server", ra_trust: bool = True, pool: Any = None, **section: Any
    ) -> None:
        """Certificates of registration authorities: the CA's by this profile, and those of the vendor."""
        self.installation = installation = Installation()
        _, self.issuing = installation.make_hierarchy()
        self.now = installation.clock.now()
        self.vendor = make("vendor", is_ca=True, now=self.now)
        self.other = make("other", is_ca=True, now=self.now)
        self.secrets = EnrollmentSecrets(
            clock=installation.clock,
            random=Random(1),
            database=installation.database,
            audit=installation.audit,
            master_key=MasterKey(b"m" * 32, Random(2).randbytes),
        )
        rules = CMPConfig.model_validate(section).rules_by_name()
        anchors = TrustAnchors([self.vendor.certificate])
        authorities = []
        if ra_trust:
            authorities.append(RegistrationAuthority(trust=anchors, profile=None, cas=frozenset({ISSUING})))
        if ra_profile:
            authorities.append(RegistrationAuthority(trust=None, profile=ra_profile, cas=frozenset()))
        self.senders = VerifiedSenders(
            clock=installation.clock,
            authorities=installation.registry,
            secrets=self.secrets,
            mac_keys=MACKeys(pool or InlinePool(), rules),
            certificates=ClientCertificates(
                certificates=Certificates(installation.database), status=installation.status
            ),
            rules=rules,
            trust={"vendors": anchors},
            registration_authorities=RegistrationAuthorities(authorities),
            no_secret=b"random",
        )

    def secret(self, **values: Any) -> NewSecret:
        """A secret of device 7."""
        terms = {"purpose": "cmp", "identity": "device 7", "lifetime": timedelta(days=1), "tries": 3, **values}
        return result_of(self.secrets.create(by=ALICE, **terms))

    def authenticate(self, made: PKIMessage, **terms: Any) -> Sender:
        """Whom the senders recognize."""
        database = self.installation.database
        claimed = result_of(database.read(lambda connection: self.senders.look_up(connection, made)))
        return result_of(self.senders.authenticate(made, replace(TERMS, **terms), claimed))

    def own(
        self,
        name: str = "device",
        *,
        usage: x509.ObjectIdentifier | None = None,
        authority: Authority | None = None,
        days: tuple[int, int] = (-1, 30),
        key: Any = None,
    ) -> Party:
        """A certificate of the CA, by the profile tls-server."""
        authority = authority or self.issuing
        assert authority.certificate is not None
        assert authority.key is not None
        issuer = Party(authority.certificate, self.installation.keys.private_keys[authority.key])
        party = make(name, issuer, usage=usage, now=self.now, days=days, key=key)
        serial = self.installation.issue(authority, party.certificate.serial_number, der=party.der)
        as_issued = (
            update(certificates)
            .where(certificates.c.serial == serial)
            .values(public_key_sha256=digest_of_public_key(party.certificate))
        )
        result_of(self.installation.database.write(lambda connection: connection.execute(as_issued).rowcount))
        return party

    def registration_authority(self) -> Party:
        """One with a certificate of the CA."""
        return self.own("ra", usage=CMC_RA)

    def second_ca(self) -> Authority:
        """Another CA beside the first."""
        return self.installation.make_issuing(CAReference("demo", "second"))


def maced(
    secret: str | bytes, reference: bytes, *, mac: MACAlgorithm = MAC, body: BodyType = BodyType.CR
) -> PKIMessage:
    """A message that a secret protects."""
    octets = secret.encode() if isinstance(secret, str) else secret
    made = message(body, replace(HEADER, sender_kid=reference))
    return decode(protect_by_mac(made.header, made.body, mac.derive(octets)))


def signed(
    party: Party,
    *extra: Party,
    body: BodyType = BodyType.CR,
    algorithm_der: bytes = ECDSA_SHA256,
    hash_: hashes.HashAlgorithm | None = None,
    **header: Any,
) -> PKIMessage:
    """A message that a party signs; ``extra`` are the certificates behind its own."""
    names = {"sender_der": directory_name(party.certificate.subject), **header}
    made = message(body, replace(HEADER, protection_alg=read_algorithm(algorithm_der), **names))
    part = protected_part(made.header, made.body)
    assert isinstance(party.key, ec.EllipticCurvePrivateKey)
    signature = party.key.sign(part, ec.ECDSA(hash_ or hashes.SHA256()))
    return decode(assemble(part, signature, [each.der for each in (party, *extra)]))
