"""A CA with certificates, and OCSP for it, all in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from sqlalchemy import insert

from cspd.authority.profiles import load_profiles
from cspd.authority.responder_issuance import ResponderIssuance
from cspd.authority.responders import PROFILE, Responders
from cspd.authority.urls import StatusURLs
from cspd.authority.values import (
    Authority,
    AuthorityKind,
    AuthorityState,
    CACertificate,
    CAReference,
    CertificateState,
    CertificateStatus,
    RevocationReason,
)
from cspd.http.message import Request, Response
from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import NotFound, Refused
from cspd.store.tables import authorities, organizations
from cspd.x509.algorithms import signature_hash
from cspd.x509.identifiers import subject_key_identifier
from protocols.ocsp.config import OCSPConfig
from protocols.ocsp.endpoint import OCSPEndpoint
from protocols.ocsp.service import OCSPService
from tests.support.audit import RecordingAuditLog
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.keys import InlineKeys
from tests.support.running import result_of

PROFILES = load_profiles([Path(__file__).parents[3] / "conf" / "profiles"])
_STUB_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
GOOD = CertificateStatus(state=CertificateState.GOOD)


class KnownAuthorities:
    """Implements :class:`cspd.authority.interfaces.Authorities`."""

    def __init__(self) -> None:
        self.known: dict[CAReference, Authority] = {}

    async def get(self, reference: CAReference) -> Authority:
        if reference not in self.known:
            raise NotFound(f"no CA {reference}")
        return self.known[reference]

    async def by_id(self, authority_id: str) -> Authority:
        for authority in self.known.values():
            if authority.id == authority_id:
                return authority
        raise NotFound("no such CA")

    async def list(self, organization: str | None = None) -> Sequence[Authority]:
        return [each for each in self.known.values() if organization in (None, each.reference.organization)]


class KnownStatus:
    """Implements :class:`cspd.authority.interfaces.Status`."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], CertificateStatus] = {}
        self.version = 1
        self.in_memory = True
        self.refusal: Refused | None = None
        self.asked = 0

    def cached(self, authority_id: str, serial: int) -> CertificateStatus | None:
        return self.known.get((authority_id, serial)) if self.in_memory else None

    async def status(self, authority_id: str, serial: int) -> CertificateStatus | None:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        return self.known.get((authority_id, serial))


class World:
    """One organization; :meth:`add_ca` puts CAs into it."""

    def __init__(
        self,
        config: OCSPConfig | None = None,
        keys: InlineKeys | None = None,
        clock: FrozenClock | None = None,
    ) -> None:
        self.clock = clock or FrozenClock()
        self.random = Random(6960)
        self.database = InlineDatabase()
        self.keys = keys or InlineKeys()
        self.audit = RecordingAuditLog()
        self.authorities = KnownAuthorities()
        self.status = KnownStatus()
        self.responders = self.node()
        self.configure(config or OCSPConfig())
        with self.database.engine.begin() as connection:
            connection.execute(
                insert(organizations).values(name="demo", administrators=[], created_at=self.clock.now())
            )

    def node(self) -> Responders:
        """The responders as another node of the same installation sees them."""
        issuance = ResponderIssuance(
            clock=self.clock,
            random_bytes=self.random.randbytes,
            database=self.database,
            keys=self.keys,
            profile=PROFILES[PROFILE],
            urls=StatusURLs("http://pki.example"),
            audit=self.audit,
        )
        return Responders(
            clock=self.clock,
            database=self.database,
            keys=self.keys,
            authorities=self.authorities,
            issuance=issuance,
        )

    def configure(self, config: OCSPConfig) -> None:
        """Serve with other settings."""
        self.service = OCSPService(
            clock=self.clock,
            authorities=self.authorities,
            status=self.status,
            responders=self.responders,
            keys=self.keys,
            config=config,
        )
        self.endpoint = OCSPEndpoint(service=self.service, clock=self.clock, config=config)

    def add_ca(
        self,
        ca_id: str = "issuing",
        key_type: KeyType = KeyType.EC_P256,
        *,
        ocsp_key_type: KeyType | None = KeyType.EC_P256,
        kind: AuthorityKind = AuthorityKind.ISSUING,
        days: int = 3650,
    ) -> Authority:
        """Make a CA with a self-signed certificate, in the store and known."""
        key = result_of(self.keys.generate(key_type, label=ca_id))
        der = self.ca_certificate(ca_id, key, days)
        certificate = x509.load_der_x509_certificate(der)
        authority = Authority(
            id=self.random.randbytes(16).hex(),
            reference=CAReference("demo", ca_id),
            kind=kind,
            state=AuthorityState.ACTIVE,
            subject=certificate.subject,
            key_type=key_type,
            key=key,
            certificate_id=self.random.randbytes(16).hex(),
            certificate=certificate,
            certificate_der=der,
            chain_der=(),
            issuer_id=None,
            ocsp_enabled=True,
            ocsp_key_type=ocsp_key_type,
            crl_days=7,
            delta_crl_hours=None,
            profiles=frozenset(),
        )
        with self.database.engine.begin() as connection:
            connection.execute(
                insert(authorities).values(
                    id=authority.id,
                    organization="demo",
                    ca_id=ca_id,
                    kind=kind.value,
                    state="active",
                    subject_der=b"",
                    ocsp_enabled=True,
                    profiles=[],
                    administrators=[],
                    auditors=[],
                    record_before_signing=False,
                    created_at=self.clock.now(),
                    revision=1,
                )
            )
        self.authorities.known[authority.reference] = authority
        return authority

    def ca_certificate(self, ca_id: str, key: KeyReference, days: int) -> bytes:
        """A self-signed CA certificate."""
        private_key = self.keys.private_keys[key]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ca_id)])
        identifier = subject_key_identifier(private_key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.clock.now())
            .not_valid_after(self.clock.now() + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
        )
        return builder.sign(private_key, signature_hash(private_key.public_key())).public_bytes(Encoding.DER)

    def rekey(self, authority: Authority, key_type: KeyType = KeyType.EC_P256) -> Authority:
        """Give a CA a new key and certificate; the old certificate becomes a previous one."""
        assert authority.certificate is not None
        assert authority.certificate_der is not None
        assert authority.certificate_id is not None
        key = result_of(self.keys.generate(key_type, label="new"))
        der = self.ca_certificate(authority.reference.ca_id, key, 3650)
        earlier = CACertificate(
            id=authority.certificate_id,
            certificate_der=authority.certificate_der,
            key=authority.key,
            not_before=authority.certificate.not_valid_before_utc,
            not_after=authority.certificate.not_valid_after_utc,
            key_index=authority.key_index,
        )
        authority = replace(
            authority,
            key=key,
            certificate_id=self.random.randbytes(16).hex(),
            certificate=x509.load_der_x509_certificate(der),
            certificate_der=der,
            key_index=authority.key_index + 1,
            previous=(earlier, *authority.previous),
        )
        self.authorities.known[authority.reference] = authority
        return authority

    def set_status(
        self,
        authority: Authority,
        serial: int,
        state: CertificateState = CertificateState.GOOD,
        reason: RevocationReason | None = None,
    ) -> None:
        """Say what the store knows about a serial number, as a status change does."""
        revoked_at = None if state in (CertificateState.GOOD, CertificateState.RESERVED) else self.clock.now()
        status = CertificateStatus(state=state, revoked_at=revoked_at, reason=reason)
        self.status.known[authority.id, serial] = status
        self.status.version += 1

    def post(self, body: bytes, ca: str = "issuing", content_type: bytes = b"application/ocsp-request") -> Response:
        """What the endpoint answers to a POST."""
        return result_of(
            self.endpoint.post(
                Request(
                    method="POST",
                    target=f"/ocsp/demo/{ca}".encode(),
                    path=f"/ocsp/demo/{ca}",
                    query="",
                    headers=((b"content-type", content_type),),
                    body=body,
                    parameters={"organization": "demo", "ca": ca},
                )
            )
        )

    def get(self, path: str, ca: str = "issuing", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
        """What the endpoint answers to a GET; ``path`` is what stands behind the CA's URL."""
        return result_of(
            self.endpoint.get(
                Request(
                    method="GET",
                    target=f"/ocsp/demo/{ca}/{path}".encode(),
                    path=f"/ocsp/demo/{ca}/{path}",
                    query="",
                    headers=headers,
                    body=b"",
                    parameters={"organization": "demo", "ca": ca, "request": path},
                )
            )
        )


def request_for(
    authority: Authority,
    serial: int,
    *,
    algorithm: hashes.HashAlgorithm | None = None,
    nonce: bytes | None = None,
) -> bytes:
    """What a client that uses ``cryptography`` sends."""
    assert authority.certificate is not None
    subject = _stub(authority.certificate, serial)
    builder = ocsp.OCSPRequestBuilder().add_certificate(subject, authority.certificate, algorithm or hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def _stub(issuer: x509.Certificate, serial: int) -> x509.Certificate:
    """A certificate with that serial; the builder reads no more of it."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(_STUB_KEY.public_key())
        .serial_number(serial)
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .sign(_STUB_KEY, None)
    )
