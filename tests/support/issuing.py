"""A root, an issuing CA below it, and an issuance pipeline over them, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import insert

from cspd.authority.assembly import Issuer, assemble
from cspd.authority.issuance import IssuancePipeline
from cspd.authority.issuers import issuer_of
from cspd.authority.profiles import Profile, load_profiles
from cspd.authority.urls import StatusURLs
from cspd.authority.values import (
    Authority,
    AuthorityKind,
    AuthorityState,
    CAReference,
    EnrollmentRequest,
    Issued,
    Requester,
)
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import NotFound
from cspd.store.tables import authorities, organizations
from cspd.x509.algorithms import signature_hash
from tests.support.audit import RecordingAuditLog
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.keys import InlineKeys
from tests.support.running import result_of

URLS = StatusURLs("http://pki.example")
REQUESTER = Requester(protocol="test", identity="somebody", address="192.0.2.7", request_id="r-1")


@cache
def shipped_profiles() -> dict[str, Profile]:
    """The profiles of conf/profiles."""
    return dict(load_profiles([Path(__file__).parents[2] / "conf" / "profiles"]))


def common_name(text: str) -> x509.Name:
    """A name that is a common name only."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_csr(
    key: PrivateKey,
    subject: x509.Name | None = None,
    names: Sequence[x509.GeneralName] = (),
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """The DER of a request."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        common_name("a.example") if subject is None else subject
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(key, signature_hash(key.public_key())).public_bytes(Encoding.DER)


class FixedAuthorities:
    """Implements :class:`cspd.authority.interfaces.Authorities` over a list that tests change."""

    def __init__(self, *known: Authority) -> None:
        self.known = list(known)

    async def get(self, reference: CAReference) -> Authority:
        """The CA of that name."""
        return self._find(lambda authority: authority.reference == reference)

    async def by_id(self, authority_id: str) -> Authority:
        """The CA with that id."""
        return self._find(lambda authority: authority.id == authority_id)

    async def list(self, organization: str | None = None) -> Sequence[Authority]:
        """All, or those of an organization."""
        return [a for a in self.known if organization in (None, a.reference.organization)]

    def change(self, authority: Authority, **changes: Any) -> Authority:
        """Put a changed CA in the place of a CA."""
        changed = replace(authority, **changes)
        self.known[self.known.index(authority)] = changed
        return changed

    def _find(self, fits: Any) -> Authority:
        for authority in self.known:
            if fits(authority):
                return authority
        raise NotFound("no such CA")


@dataclass(kw_only=True)
class House:
    """Everything that issuance needs, and the pipeline."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    database: InlineDatabase = field(default_factory=InlineDatabase)
    keys: InlineKeys = field(default_factory=InlineKeys)
    audit: RecordingAuditLog = field(default_factory=RecordingAuditLog)
    random: Random = field(default_factory=lambda: Random(2))
    authorities: FixedAuthorities = field(default_factory=FixedAuthorities)
    key_type: KeyType = KeyType.EC_P256

    def __post_init__(self) -> None:
        result_of(self.database.write(_insert_organization))
        self.root = self._make("root", AuthorityKind.ROOT, "basic-ca-root", None)
        self.issuing = self._make("issuing", AuthorityKind.ISSUING, "basic-ca-subord", self.root)
        self.pipeline = IssuancePipeline(
            clock=self.clock,
            random=self.random,
            database=self.database,
            keys=self.keys,
            authorities=self.authorities,
            profiles=shipped_profiles(),
            audit=self.audit,
            urls=URLS,
        )
        self.subscriber_key = ec.generate_private_key(ec.SECP256R1())

    def request(self, profile: str = "tls-client", ca: str = "issuing", **values: Any) -> EnrollmentRequest:
        """A request for a certificate, by CSR unless ``values`` say otherwise."""
        if "public_key_der" not in values:
            values.setdefault("csr_der", make_csr(self.subscriber_key, names=[x509.DNSName("a.example")]))
        return EnrollmentRequest(ca=CAReference("demo", ca), profile=profile, requester=REQUESTER, **values)

    def enroll(self, *arguments: Any, **values: Any) -> Issued:
        """What the pipeline answers to :meth:`request`."""
        return result_of(self.pipeline.enroll(self.request(*arguments, **values)))

    def certificate(self, *arguments: Any, **values: Any) -> x509.Certificate:
        """The certificate of :meth:`enroll`."""
        return x509.load_der_x509_certificate(self.enroll(*arguments, **values).certificate_der)

    def _make(self, ca_id: str, kind: AuthorityKind, template: str, issuer: Authority | None) -> Authority:
        key = result_of(self.keys.generate(self.key_type, label=ca_id))
        signer_key: KeyReference = key if issuer is None or issuer.key is None else issuer.key
        profile = shipped_profiles()[template]
        says: Issuer | None = None if issuer is None else issuer_of(issuer, URLS)
        not_before = self.clock.now() - timedelta(days=1)
        not_after = profile.validity.default.after(not_before)
        builder = assemble(
            profile,
            issuer=says,
            subject=common_name(f"Example {ca_id}"),
            public_key=result_of(self.keys.public_key(key)),
            serial=len(self.authorities.known) + 1,
            not_before=not_before,
            not_after=not_after,
        )
        algorithm: hashes.HashAlgorithm | None = signature_hash(result_of(self.keys.public_key(signer_key)))
        certificate = builder.sign(self.keys.private_keys[signer_key], algorithm)  # type: ignore[arg-type]  # SHA-2
        authority = Authority(
            id=f"{len(self.authorities.known) + 1:032x}",
            reference=CAReference("demo", ca_id),
            kind=kind,
            state=AuthorityState.ACTIVE,
            subject=certificate.subject,
            key_type=self.key_type,
            key=key,
            certificate_id=f"{len(self.authorities.known) + 101:032x}",
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=() if issuer is None or issuer.certificate_der is None else (issuer.certificate_der,),
            issuer_id=None if issuer is None else issuer.id,
            ocsp_enabled=True,
            ocsp_key_type=self.key_type,
            crl_days=7,
            delta_crl_hours=None,
            profiles=frozenset(p.id for p in shipped_profiles().values() if p.may_be_enabled_on(kind)),
        )
        self.authorities.known.append(authority)
        result_of(self.database.write(lambda connection: connection.execute(insert(authorities), _row(authority))))
        return authority


def _insert_organization(connection: Any) -> None:
    connection.execute(insert(organizations), {"name": "demo", "administrators": [], "created_at": FrozenClock().now()})


def _row(authority: Authority) -> dict[str, object]:
    return {
        "id": authority.id,
        "organization": authority.reference.organization,
        "ca_id": authority.reference.ca_id,
        "kind": authority.kind.value,
        "state": authority.state.value,
        "subject_der": authority.subject.public_bytes(),
        "key_type": authority.key_type and authority.key_type.value,
        "key_reference": str(authority.key),
        "certificate_id": authority.certificate_id,
        "issuer_id": authority.issuer_id,
        "ocsp_enabled": authority.ocsp_enabled,
        "profiles": sorted(authority.profiles),
        "administrators": [],
        "auditors": [],
        "record_before_signing": authority.record_before_signing,
        "created_at": FrozenClock().now(),
        "revision": 1,
    }
