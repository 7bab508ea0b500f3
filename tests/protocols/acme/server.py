"""The ACME server in memory: real services and tables, a fake CA, and proofs that pass when the test says so."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import insert, select, update
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock as TwistedClock

from cspd.authority.interfaces import Recorded
from cspd.authority.values import (
    Authority,
    AuthorityKind,
    AuthorityState,
    CAReference,
    CertificateRecord,
    CertificateState,
    CertificateStatus,
    EnrollmentRequest,
    Issued,
    Pending,
    Requester,
    RevocationRequest,
)
from cspd.config.connectors import find_connector
from cspd.keys.values import KeyType
from cspd.plugin import ProtocolService, PublicAddress, Services
from cspd.refusals import AlreadyRevoked, NotFound, Refused
from cspd.store import tables
from protocols.acme import factory
from protocols.acme.challenges.values import Target, ValidationFailed
from protocols.acme.config import ACMEConfig
from tests.protocols.acme.client import PUBLIC, Client, Web
from tests.support.audit import RecordingAuditLog
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.keys import InlineKeys
from tests.support.monitoring import StillMonitor

PROFILES = ("privatessl-tls-server", "privatessl-tls-client")


class FakeCA:
    """A root and an issuing CA; implements Authorities, Issuance, Revocation and CertificateStore on the real table."""

    def __init__(self, database: InlineDatabase, clock: FrozenClock) -> None:
        self._database = database
        self._clock = clock
        self.requests: list[EnrollmentRequest] = []
        self.refusal: Exception | None = None
        self.answer: Pending | None = None
        self.hold: Deferred[None] | None = None
        """Fires before the signature."""
        self.hold_after: Deferred[None] | None = None
        """Fires after the certificate is stored, before enroll returns."""
        self.root_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = self._sign("Root", self.root_key.public_key(), "Root", self.root_key, serial=1)
        certificate = self._sign("Issuing", self.key.public_key(), "Root", self.root_key, serial=2)
        self.authorities = [
            self._authority("issuing", "a" * 32, certificate, (self.root.public_bytes(Encoding.DER),)),
            self._authority("other", "b" * 32, certificate, (self.root.public_bytes(Encoding.DER),)),
        ]
        with database.engine.begin() as connection:
            connection.execute(
                insert(tables.organizations).values(name="demo", administrators=[], created_at=clock.now())
            )
            for authority in self.authorities:
                values = {column.name: None for column in tables.authorities.columns} | {
                    "id": authority.id,
                    "organization": "demo",
                    "ca_id": authority.reference.ca_id,
                    "kind": "issuing",
                    "state": "active",
                    "subject_der": authority.subject.public_bytes(),
                    "ocsp_enabled": True,
                    "profiles": list(authority.profiles),
                    "administrators": [],
                    "auditors": [],
                    "record_before_signing": False,
                    "created_at": clock.now(),
                }
                values |= {name: 0 for name in ("revision",) if name in values}
                connection.execute(insert(tables.authorities).values(**values))

    def _sign(self, name: str, key: Any, issuer: str, issuer_key: Any, *, serial: int) -> x509.Certificate:
        now = self._clock.now()
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=3650))
            .sign(issuer_key, hashes.SHA256())
        )

    def _authority(self, ca_id: str, id: str, certificate: x509.Certificate, chain_der: tuple[bytes, ...]) -> Authority:
        return Authority(
            id=id,
            reference=CAReference("demo", ca_id),
            kind=AuthorityKind.ISSUING,
            state=AuthorityState.ACTIVE,
            subject=certificate.subject,
            key_type=KeyType.EC_P256,
            key=None,
            certificate_id="c" * 32,
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=chain_der,
            issuer_id=None,
            ocsp_enabled=True,
            ocsp_key_type=None,
            crl_days=None,
            delta_crl_hours=None,
            profiles=frozenset((*PROFILES, "basic-ca-subord")),
        )

    # Authorities

    async def get(self, reference: CAReference) -> Authority:
        return self._one(lambda authority: authority.reference == reference)

    async def by_id(self, authority_id: str) -> Authority:
        return self._one(lambda authority: authority.id == authority_id)

    async def list(self, organization: str | None = None) -> Sequence[Authority]:
        return self.authorities

    def _one(self, matches: Callable[[Authority], bool]) -> Authority:
        for authority in self.authorities:
            if matches(authority):
                return authority
        raise NotFound("no such CA")

    # Issuance

    async def check(self, request: EnrollmentRequest) -> None:
        raise NotImplementedError("ACME has no approval")

    async def enroll(self, request: EnrollmentRequest, *, recorded: Recorded | None = None) -> Issued | Pending:
        self.requests.append(request)
        serial = 1000 + len(self.requests)
        if self.hold is not None:
            await self.hold
        if self.refusal is not None:
            raise self.refusal
        if self.answer is not None:
            return self.answer
        authority = await self.get(request.ca)
        assert request.csr_der is not None
        assert request.subject is not None
        csr = x509.load_der_x509_csr(request.csr_der)
        now = self._clock.now()
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(authority.subject)
            .public_key(csr.public_key())
            .serial_number(serial)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=90))
        )
        if request.subject_alt_names:
            builder = builder.add_extension(x509.SubjectAlternativeName(request.subject_alt_names), critical=False)
        der = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)
        spki = csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        record = {
            "authority_id": authority.id,
            "serial": serial,
            "certificate_der": der,
            "issuer_certificate_id": "c" * 32,
            "profile": request.profile,
            "subject": request.subject.rfc4514_string(),
            "names": "",
            "public_key_sha256": hashlib.sha256(spki).hexdigest(),
            "not_before": now,
            "not_after": now + timedelta(days=90),
            "issued_at": now,
            "protocol": request.requester.protocol,
            "requester": request.requester.identity,
            "state": "good",
        }
        await self._database.write(lambda connection: connection.execute(insert(tables.certificates), record))
        if self.hold_after is not None:
            await self.hold_after
        return Issued(
            certificate_der=der,
            chain_der=(authority.certificate_der or b"", *authority.chain_der),
            serial=serial,
            not_before=now,
            not_after=now + timedelta(days=90),
        )

    # CertificateStore

    async def find(self, authority_id: str, serial: int) -> CertificateRecord:
        return await self._record(
            (tables.certificates.c.authority_id == authority_id) & (tables.certificates.c.serial == serial)
        )

    async def find_by_der(self, certificate_der: bytes) -> CertificateRecord:
        return await self._record(tables.certificates.c.certificate_der == certificate_der)

    async def _record(self, condition: Any) -> CertificateRecord:
        row = await self._database.read(
            lambda connection: connection.execute(select(tables.certificates).where(condition)).one_or_none()
        )
        if row is None:
            raise NotFound("no such certificate")
        return CertificateRecord(
            authority_id=row.authority_id,
            serial=row.serial,
            certificate_der=row.certificate_der,
            issuer_certificate_id=row.issuer_certificate_id,
            profile=row.profile,
            subject=row.subject,
            names=(),
            not_before=row.not_before,
            not_after=row.not_after,
            issued_at=row.issued_at,
            protocol=row.protocol,
            requester=row.requester,
            status=CertificateStatus(state=CertificateState(row.state)),
        )

    # Revocation

    async def revoke(self, request: RevocationRequest) -> CertificateStatus:
        authority = await self.get(request.ca)
        record = await self.find(authority.id, request.serial)
        if record.status.state is CertificateState.REVOKED:
            raise AlreadyRevoked("the certificate is revoked already")
        await self._database.write(
            lambda connection: connection.execute(
                update(tables.certificates)
                .where(tables.certificates.c.serial == request.serial)
                .values(state="revoked", revocation_reason=request.reason.value)
            )
        )
        return CertificateStatus(state=CertificateState.REVOKED, reason=request.reason)

    async def unhold(self, ca: CAReference, serial: int, requester: Requester) -> CertificateStatus:
        raise Refused("not here")


class FakeChallenge:
    """A challenge type whose proof succeeds, fails or waits as the test says."""

    def __init__(self, name: str, *, proves_wildcards: bool) -> None:
        self.name = name
        self.proves_wildcards = proves_wildcards
        self.targets: list[Target] = []
        self.failure: Exception | None = None
        self.wait: Deferred[None] | None = None

    async def validate(self, target: Target) -> None:
        self.targets.append(target)
        if self.wait is not None:
            await self.wait
        if self.failure is not None:
            raise self.failure


class Server:
    """Everything that a test of the whole protocol needs."""

    def __init__(self, *, public: PublicAddress | None = None, demo: bool = False, **settings: Any) -> None:
        self.public = public or PublicAddress(http="http://pki.example.com", https=PUBLIC)
        self.demo = demo
        self.clock = FrozenClock()
        self.reactor = TwistedClock()
        self.database = InlineDatabase()
        self.audit = RecordingAuditLog()
        self.ca = FakeCA(self.database, self.clock)
        self.http01 = FakeChallenge("http-01", proves_wildcards=False)
        self.dns01 = FakeChallenge("dns-01", proves_wildcards=True)
        self.settings = ACMEConfig(**settings)
        self.service = self.build()
        self.web = Web(self.service.routes)

    def build(self, seed: int = 1) -> ProtocolService:
        services = Services(
            reactor=self.reactor,
            clock=self.clock,
            random=Random(seed),
            database=self.database,
            keys=InlineKeys(),
            authorities=self.ca,
            issuance=self.ca,
            approvals=None,  # type: ignore[arg-type]  # not asked here
            revocation=self.ca,
            publication=None,  # type: ignore[arg-type]  # nor this
            status=None,  # type: ignore[arg-type]  # ACME does not ask
            certificates=self.ca,
            profiles={},
            audit=self.audit,
            public=self.public,
            tenants=frozenset({"tenant1"}),
            demo=self.demo,
            connector=find_connector,
            password_checks={},
            enrollment_secrets=None,  # type: ignore[arg-type]  # not asked here
            process=f"process-{seed}",
            monitor=StillMonitor(),
        )
        return factory.build_with(self.settings, services, (self.http01, self.dns01))

    def restart(self, seed: int = 2) -> None:
        """Another process takes over: nothing in memory is kept."""
        self.service = self.build(seed)
        self.web = Web(self.service.routes)

    def run_job(self, name: str) -> None:
        from tests.support.running import result_of

        job = next(job for job in self.service.jobs if job.name == name)

        async def run() -> None:
            await job.run()

        result_of(run())

    def client(self, key: Any = None, **options: Any) -> Client:
        client = Client(self.web, key, **options)
        client.register()
        return client

    def ready_order(self, client: Client, *names: str) -> dict[str, Any]:
        """An order whose authorizations are all valid."""
        answer = client.order(*(names or ("www.example.com",)))
        assert answer.status == 201, answer.body
        for url in answer.json["authorizations"]:
            authorization = client.get(url).json
            type = "dns-01" if authorization.get("wildcard") else "http-01"
            client.post(client.challenge(url, type)["url"], {})
        order: dict[str, Any] = client.get(str(answer.header(b"location"))).json
        assert order["status"] == "ready", order
        return order | {"url": str(answer.header(b"location"))}


__all__ = ["FakeCA", "FakeChallenge", "Server", "ValidationFailed"]
