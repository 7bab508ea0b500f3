"""A whole installation of CAs in memory, everything given, nothing waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection
from twisted.internet.task import Clock

from cspd.authority.certification import CACertifier
from cspd.authority.creation import AuthorityCreation
from cspd.authority.crl_issuing import CRLIssuer
from cspd.authority.external import ExternalRoots
from cspd.authority.issuance import IssuancePipeline
from cspd.authority.management import AuthorityManagement
from cspd.authority.new_authorities import NewIssuingCA, NewRoot
from cspd.authority.organizations import Organizations
from cspd.authority.profile_values import Profile
from cspd.authority.profiles import load_profiles
from cspd.authority.publication import CRLPublication
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.renewal import AuthorityRenewal
from cspd.authority.revocation import RevocationService
from cspd.authority.status import StatusService
from cspd.authority.urls import StatusURLs
from cspd.authority.values import (
    Authority,
    CAReference,
    CertificateState,
    Requester,
    RevocationReason,
    RevocationRequest,
    StatusChange,
)
from cspd.keys.values import KeyType
from cspd.store.tables import certificates
from tests.support.audit import RecordingAuditLog
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.keys import InlineKeys
from tests.support.running import result_of

ALICE = Requester(protocol="cspctl", identity="alice", request_id="r-1")
BOB = Requester(protocol="cspctl", identity="bob")
ROOT = CAReference("demo", "root")
ISSUING = CAReference("demo", "issuing")


@cache
def shipped_profiles() -> Mapping[str, Profile]:
    """The profiles of ``conf/profiles``."""
    return load_profiles([Path(__file__).parents[2] / "conf" / "profiles"])


def named(common_name: str) -> x509.Name:
    """A subject with a common name only."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Installation:
    """One node: the services of ``cspd.authority`` on a database in memory; ``reactor`` is a Clock to be advanced.

    Another node on the same database is ``Installation(shares=first)``. Interop tests give a real database, and what
    runs coroutines that wait for its threads.
    """

    def __init__(
        self, *, shares: Installation | None = None, database: Any = None, run: Callable[[Any], Any] = result_of
    ) -> None:
        self.run = run
        self.clock = shares.clock if shares else FrozenClock()
        self.database = database or (shares.database if shares else InlineDatabase())
        self.keys = shares.keys if shares else InlineKeys()
        self.audit = shares.audit if shares else RecordingAuditLog()
        self.reactor = Clock()
        self.profiles = shipped_profiles()
        self.urls = StatusURLs("http://pki.example")
        self.organizations = Organizations(
            clock=self.clock, database=self.database, audit=self.audit, is_tenant={"alice", "bob", "carol"}.__contains__
        )
        self.registry = AuthorityRegistry(self.database, self.reactor)
        self.certifier = CACertifier(
            clock=self.clock,
            random=Random(f"{id(self)}"),
            keys=self.keys,
            profiles=self.profiles,
            urls=self.urls,
        )
        self.creation = AuthorityCreation(
            clock=self.clock,
            database=self.database,
            keys=self.keys,
            certifier=self.certifier,
            registry=self.registry,
            profiles=self.profiles,
            audit=self.audit,
        )
        self.external = ExternalRoots(
            clock=self.clock,
            database=self.database,
            keys=self.keys,
            certifier=self.certifier,
            registry=self.registry,
            audit=self.audit,
        )
        self.crl_issuer = CRLIssuer(
            clock=self.clock, database=self.database, keys=self.keys, audit=self.audit, urls=self.urls
        )
        self.publication = CRLPublication(
            clock=self.clock,
            reactor=self.reactor,
            database=self.database,
            authorities=self.registry,
            issuer=self.crl_issuer,
        )
        self.status = StatusService(clock=self.clock, database=self.database, reactor=self.reactor)
        self.issuance = IssuancePipeline(
            clock=self.clock,
            random=Random(f"{id(self)} issuance"),
            database=self.database,
            keys=self.keys,
            authorities=self.registry,
            profiles=self.profiles,
            audit=self.audit,
            urls=self.urls,
        )
        self.changes: list[StatusChange] = []
        self.revocation = RevocationService(
            clock=self.clock,
            database=self.database,
            authorities=self.registry,
            audit=self.audit,
            after_change=self._changed,
        )
        self.management = AuthorityManagement(
            clock=self.clock,
            database=self.database,
            keys=self.keys,
            registry=self.registry,
            revocation=self.revocation,
            profiles=self.profiles,
            audit=self.audit,
        )
        self.renewal = AuthorityRenewal(
            database=self.database, keys=self.keys, certifier=self.certifier, registry=self.registry, audit=self.audit
        )

    def _changed(self, change: StatusChange) -> None:
        self.changes.append(change)
        self.status.note(change)
        self.publication.certificate_changed(change)

    def make_organization(self, name: str = "demo") -> None:
        """An organization that alice administers."""
        self.run(self.organizations.create(name, ALICE))

    def make_root(self, reference: CAReference = ROOT, **fields: Any) -> Authority:
        """A root, P-256 unless told otherwise."""
        return self.run(self.creation.create_root(new_root(reference, **fields), ALICE))

    def make_issuing(self, reference: CAReference = ISSUING, **fields: Any) -> Authority:
        """An issuing CA under ``root``."""
        return self.run(self.creation.create_issuing(new_issuing(reference, **fields), ALICE))

    def make_hierarchy(self, **issuing: Any) -> tuple[Authority, Authority]:
        """Organization, root and issuing CA."""
        self.make_organization()
        return self.make_root(), self.make_issuing(**issuing)

    def issue(
        self, authority: Authority, serial: int, *, not_after: datetime | None = None, der: bytes | None = None
    ) -> int:
        """A row as the issuance pipeline writes it; gives the serial."""
        now = self.clock.now()
        assert authority.certificate is not None

        def work(connection: Connection) -> None:
            connection.execute(
                certificates.insert().values(
                    authority_id=authority.id,
                    serial=serial,
                    certificate_der=der or b"certificate %d" % serial,
                    issuer_certificate_id=authority.certificate_id,
                    profile="tls-server",
                    subject=f"CN={serial}",
                    names="",
                    public_key_sha256=sha256(b"%d" % serial).hexdigest(),
                    not_before=now,
                    not_after=not_after or authority.certificate.not_valid_after_utc,  # type: ignore[union-attr]
                    issued_at=now,
                    protocol="acme",
                    requester="somebody",
                    state=CertificateState.GOOD.value,
                )
            )

        self.run(self.database.write(work))
        return serial

    def revoke(
        self, authority: Authority, serial: int, reason: RevocationReason = RevocationReason.SUPERSEDED, **fields: Any
    ) -> None:
        """Revoke as alice."""
        request = RevocationRequest(ca=authority.reference, serial=serial, reason=reason, requester=ALICE, **fields)
        self.run(self.revocation.revoke(request))

    def get(self, reference: CAReference) -> Authority:
        """The CA as the registry has it."""
        return self.run(self.registry.get(reference))

    def audited(self, event: str) -> list[Mapping[str, Any]]:
        """The fields of the audit events of that name."""
        return [each.fields for each in self.audit.events if each.event == event]


def new_root(reference: CAReference = ROOT, **fields: Any) -> NewRoot:
    """A filled-in form."""
    values: dict[str, Any] = {
        "key_type": KeyType.EC_P256,
        "subject": named(f"{reference.ca_id} of {reference.organization}"),
        "administrators": ("alice",),
    }
    return NewRoot(reference=reference, **{**values, **fields})


def new_issuing(reference: CAReference = ISSUING, **fields: Any) -> NewIssuingCA:
    """A filled-in form."""
    values: dict[str, Any] = {
        "issuer": "root",
        "key_type": KeyType.EC_P256,
        "subject": named(f"{reference.ca_id} of {reference.organization}"),
        "profiles": ("tls-server", "privatessl-tls-server"),
        "administrators": ("alice",),
        "ocsp_key_type": KeyType.EC_P256,
    }
    return NewIssuingCA(reference=reference, **{**values, **fields})


def certificate_for(
    key: ec.EllipticCurvePrivateKey,
    *,
    subject: x509.Name,
    not_before: datetime,
    not_after: datetime,
    issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None,
    public_key: Any = None,
    ca: bool | None = True,
    key_usage: tuple[bool, bool] | None = (True, True),
) -> str:
    """A certificate made elsewhere, PEM; ``key_usage`` is (keyCertSign, cRLSign) or None for no keyUsage."""
    issuer_name, issuer_key = issuer or (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public_key or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if key_usage is not None:
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=key_usage[0],
                crl_sign=key_usage[1],
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM).decode("ascii")
