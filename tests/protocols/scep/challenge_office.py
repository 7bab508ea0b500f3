"""A CA in memory whose clients need challenges."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.authentication.secrets import EnrollmentSecrets, NewSecret
from cspd.authority.certificates import Certificates
from cspd.authority.values import CAReference, CertificateRecord, EnrollmentRequest, Issued, Pending, Requester
from cspd.keys.encryption import MasterKey
from cspd.store.secrets import SharedSecrets
from cspd.x509.csr import parse_csr
from protocols.scep.challenge_making import ChallengeMaking
from protocols.scep.challenges import ChallengeAuthorizer, ChallengeRules
from protocols.scep.interfaces import Authorization, RequestForCertificate, Terms
from protocols.scep.messages import MessageType
from protocols.scep.one_time_challenges import PURPOSE, OneTimeChallenge, joined_text
from tests.support.issuing import House, common_name, make_csr
from tests.support.running import result_of

ADMINISTRATOR = Requester(protocol="cspctl", identity="root")
ISSUING = CAReference("demo", "issuing")
TERMS = Terms(ca=ISSUING, profile="tls-client")
STATIC = b"correct horse battery"
DAY = timedelta(days=1)


def challenge_text(new: NewSecret) -> str:
    """What a device sends."""
    return joined_text(OneTimeChallenge(new.terms.reference, new.secret))


class Office:
    """Makes challenges, and asks an authorizer for devices."""

    def __init__(self, *, key: int = 5) -> None:
        """``key`` is the seed of what all nodes share."""
        self._key = key
        self.house = House()
        self.secrets = EnrollmentSecrets(
            clock=self.house.clock,
            random=Random(1),
            database=self.house.database,
            audit=self.house.audit,
            master_key=MasterKey(b"m" * 32, Random(2).randbytes),
        )

    def making(self, random: Random) -> ChallengeMaking:
        """Makes challenges for others, on a node of its own."""
        house = self.house
        shared = SharedSecrets(database=house.database, clock=house.clock, random_bytes=Random(self._key).randbytes)
        return ChallengeMaking(random=random, secrets=self.secrets, shared_secrets=shared)

    def create(self, **values: Any) -> NewSecret:
        """A one-time challenge."""
        terms: dict[str, Any] = {
            "purpose": PURPOSE,
            "identity": "device 7",
            "lifetime": DAY,
            "by": ADMINISTRATOR,
            "ca": ISSUING,
            "profile": "tls-client",
            "tries": 3,
        }
        return result_of(self.secrets.create(**{**terms, **values}))

    def authorizer(self, **rules: Any) -> ChallengeAuthorizer:
        """Of a service with the static password, unless ``rules`` say otherwise."""
        return ChallengeAuthorizer(
            rules=ChallengeRules(**{"static": STATIC, **rules}), secrets=self.secrets, audit=self.house.audit
        )

    def request(
        self,
        challenge: str | None = None,
        *,
        terms: Terms = TERMS,
        signer: x509.Certificate | None = None,
        replaces: CertificateRecord | None = None,
        subject: x509.Name | None = None,
        names: tuple[x509.GeneralName, ...] = (x509.DNSName("a.example"),),
    ) -> RequestForCertificate:
        """What a device sends."""
        key = ec.generate_private_key(ec.SECP256R1())
        csr_der = make_csr(key, common_name("a.example") if subject is None else subject, names)
        return RequestForCertificate(
            message_type=MessageType.PKCS_REQ,
            transaction_id="t-1",
            csr_der=csr_der,
            csr=parse_csr(csr_der),
            challenge_password=challenge,
            signer=signer or self.house.root.certificate,
            replaces=replaces,
            terms=terms,
            address="192.0.2.7",
            request_id="r-1",
        )

    def authorize(self, challenge: str | None, **rules: Any) -> Authorization:
        """What the authorizer says to a device with that challenge."""
        return result_of(self.authorizer(**rules).authorize(self.request(challenge)))

    def enroll(self, request: RequestForCertificate, authorization: Authorization) -> Issued | Pending:
        """Its certificate."""
        enrollment = EnrollmentRequest(
            ca=request.terms.ca,
            profile=request.terms.profile,
            csr_der=request.csr_der,
            requester=Requester(protocol="scep", identity=authorization.identity),
        )
        return result_of(self.house.pipeline.enroll(enrollment, recorded=authorization.recorded))

    def enrolled(self) -> tuple[x509.Certificate, CertificateRecord]:
        """A certificate that a device has."""
        request = self.request(STATIC.decode())
        issued = self.enroll(request, result_of(self.authorizer().authorize(request)))
        assert isinstance(issued, Issued)
        record = result_of(Certificates(self.house.database).find_by_der(issued.certificate_der))
        return x509.load_der_x509_certificate(issued.certificate_der), record
