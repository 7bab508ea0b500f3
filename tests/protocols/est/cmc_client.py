"""A client that speaks full CMC, and a server to speak to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authentication.secrets import EnrollmentSecrets, NewSecret
from cspd.authority.approvals import Approvals, ApprovalTerms
from cspd.authority.certificates import Certificates
from cspd.authority.revocation import RevocationService
from cspd.authority.values import CAReference, Requester
from cspd.keys.encryption import MasterKey
from cspd.x509 import tlv
from cspd.x509.cmc.codec import decode_pki_response, encode_pki_data, encode_req_sequence
from cspd.x509.cmc.identity_proof import witness_of
from cspd.x509.cmc.messages import (
    PKI_DATA,
    PKI_RESPONSE,
    CMCStatusInfoV2,
    ControlValue,
    Identification,
    IdentityProofV2,
    PKIData,
    PKIResponse,
    TaggedAttribute,
    TaggedCertificationRequest,
    TaggedRequest,
)
from cspd.x509.cms.signed import certificates_of, encode_content_info, find_certificate, read_signed_data, verify_signer
from cspd.x509.cms.signing import SignedDataBuilder
from cspd.x509.cms.values import SIGNED_DATA
from cspd.x509.signatures import Algorithm
from protocols.est.cmc_service import Circumstances, CMCService
from tests.support.issuing import House, common_name, make_csr
from tests.support.running import result_of

CA = CAReference("demo", "issuing")
PROFILE = "tls-client"
TLS_CLIENT = Requester(protocol="est", identity="device", address="192.0.2.7", request_id="r-1")
TERMS = ApprovalTerms(retry_after=timedelta(minutes=5), lifetime=timedelta(days=7))
SHA256 = Algorithm("2.16.840.1.101.3.4.2.1")
HMAC_SHA256 = Algorithm("1.2.840.113549.2.9")
ECDSA_DER = tlv.sequence(tlv.object_identifier("1.2.840.10045.4.3.2"))

T = TypeVar("T", bound=ControlValue)


class Server:
    """The service over an issuing CA in memory."""

    def __init__(self, *, waits: bool = False) -> None:
        self.house = House()
        self.approval = TERMS if waits else None
        self.certificates = certificates = Certificates(self.house.database)
        self.revocation = RevocationService(
            clock=self.house.clock,
            database=self.house.database,
            authorities=self.house.authorities,
            audit=self.house.audit,
            after_change=lambda *_: None,
        )
        self.secrets = EnrollmentSecrets(
            clock=self.house.clock,
            random=Random(5),
            database=self.house.database,
            audit=self.house.audit,
            master_key=MasterKey(b"m" * 32, Random(6).randbytes),
        )
        self.approvals = Approvals(
            clock=self.house.clock,
            random=Random(3),
            database=self.house.database,
            authorities=self.house.authorities,
            certificates=certificates,
            issuance=self.house.pipeline,
            audit=self.house.audit,
        )
        self.service = CMCService(
            clock=self.house.clock,
            random=Random(4),
            keys=self.house.keys,
            authorities=self.house.authorities,
            issuance=self.house.pipeline,
            revocation=self.revocation,
            certificates=certificates,
            approvals=self.approvals,
            secrets=self.secrets,
        )

    def secret(self, identity: str = "device-7", profile: str = PROFILE, purpose: str = "est") -> NewSecret:
        """A one-time secret for the CA and that profile."""
        lifetime = timedelta(days=1)
        return result_of(
            self.secrets.create(
                purpose=purpose, identity=identity, lifetime=lifetime, by=TLS_CLIENT, ca=CA, profile=profile
            )
        )

    def ask(
        self,
        request_der: bytes,
        identity: Requester | None = TLS_CLIENT,
        profile: str = PROFILE,
        *,
        renewal: bool = True,
    ) -> Answered:
        """Send a message, verify the response, and read it."""
        circumstances = Circumstances(
            identity=identity, address="192.0.2.7", request_id="r-2", approval=self.approval, renewal=renewal
        )
        response = result_of(self.service.respond(CA, profile, request_der, circumstances))
        signed_data = read_signed_data(response.response_der)
        assert signed_data.content_type == PKI_RESPONSE
        assert signed_data.content is not None
        certificates = certificates_of(signed_data)
        (signer,) = signed_data.signers
        certificate = find_certificate(signer, certificates)
        assert certificate == self.house.issuing.certificate
        verify_signer(signer, certificate.public_key(), content_type=PKI_RESPONSE, content=signed_data.content)
        return Answered(decode_pki_response(signed_data.content), tuple(certificates))


@dataclass(frozen=True)
class Answered:
    """A response that was verified."""

    response: PKIResponse
    certificates: tuple[x509.Certificate, ...]

    def said(self, kind: type[T]) -> list[T]:
        """The values of the controls of one kind."""
        return [each.value for each in self.response.control_sequence if isinstance(each.value, kind)]

    @property
    def status(self) -> CMCStatusInfoV2:
        """The only status."""
        (status,) = self.said(CMCStatusInfoV2)
        return status

    def issued(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        """The certificate for that key."""
        (certificate,) = [each for each in self.certificates if each.public_key() == key.public_key()]
        return certificate


@dataclass
class Client:
    """Has a key and maybe a certificate."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate | None = None

    def csr(self, name: str = "a.example", number: int = 1) -> TaggedCertificationRequest:
        """A request by PKCS#10."""
        csr_der = make_csr(self.key, common_name(name), [x509.DNSName(name)])
        return TaggedCertificationRequest(number, csr_der)

    def send(self, *requests: TaggedRequest, controls: tuple[ControlValue, ...] = ()) -> bytes:
        """A full PKI request, signed."""
        return self.sign(encode_pki_data(pki_data(requests, controls)))

    def sign(self, content: bytes, content_type: str = PKI_DATA, digest: bytes | None = None) -> bytes:
        """A SignedData by the certificate, or by the key alone."""
        attributes = tlv.element(
            tlv.SET,
            b"".join(
                sorted(
                    (
                        tlv.sequence(
                            tlv.object_identifier("1.2.840.113549.1.9.3"),
                            tlv.element(tlv.SET, tlv.object_identifier(content_type)),
                        ),
                        tlv.sequence(
                            tlv.object_identifier("1.2.840.113549.1.9.4"),
                            tlv.element(
                                tlv.SET,
                                tlv.element(tlv.OCTET_STRING, digest or hashlib.sha256(content).digest()),
                            ),
                        ),
                    )
                )
            ),
        )
        signature = self.key.sign(attributes, ec.ECDSA(hashes.SHA256()))
        if self.certificate is not None:
            builder = SignedDataBuilder(self.certificate.public_bytes(Encoding.DER), hashes.SHA256(), ECDSA_DER)
            return builder.message(content_type, content, attributes, signature)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest
        digest_der = tlv.sequence(tlv.object_identifier(SHA256.oid))
        signer_info = tlv.sequence(
            tlv.integer(3),
            tlv.element(0x80, identifier),
            digest_der,
            b"\xa0" + attributes[1:],
            ECDSA_DER,
            tlv.element(tlv.OCTET_STRING, signature),
        )
        return encode_content_info(
            SIGNED_DATA,
            tlv.sequence(
                tlv.integer(3),
                tlv.element(tlv.SET, digest_der),
                tlv.sequence(
                    tlv.object_identifier(content_type), tlv.element(0xA0, tlv.element(tlv.OCTET_STRING, content))
                ),
                tlv.element(tlv.SET, signer_info),
            ),
        )


def pki_data(requests: tuple[TaggedRequest, ...], controls: tuple[ControlValue, ...]) -> PKIData:
    """The message; controls get numbers from 100."""
    return PKIData(
        control_sequence=tuple(TaggedAttribute(number, each) for number, each in enumerate(controls, start=100)),
        req_sequence=requests,
    )


def identified(
    new: NewSecret, *requests: TaggedRequest, secret: str | None = None
) -> tuple[Identification, IdentityProofV2]:
    """The controls that show a secret over these requests; by ``secret`` instead, if one is given."""
    witness = witness_of(SHA256, HMAC_SHA256, (secret or new.secret).encode(), encode_req_sequence(requests))
    return Identification(new.terms.reference), IdentityProofV2(SHA256, HMAC_SHA256, witness)
