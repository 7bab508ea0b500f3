"""Making CRLs: read, encode, sign, store (RFC 5280, 5).

A full CRL of a CA with delta CRLs comes with a delta CRL: one look at the store, one number, one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from sqlalchemy import Connection

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.crl import CRLContent, Scope, read_delta, read_full, store
from cspd.authority.crl_encoding import encode_certificate_list, encode_extension, encode_tbs_cert_list
from cspd.authority.crl_signing import sign, signature_algorithm
from cspd.authority.rows import key_identifier
from cspd.authority.urls import StatusURLs
from cspd.authority.values import Authority, PublishedCRL
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PublicKey
from cspd.refusals import Conflict, NotFound, Unavailable
from cspd.store.interfaces import Database

ON_DEMAND_INTERVAL = timedelta(days=1)
"""How old a CRL of a CA without a schedule may become (A-4)."""

OVERLAP = 1.1
"""nextUpdate is the interval plus 10 % (A-12): a relying party has time to fetch the next CRL."""

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of a CA with the newest certificate for it."""

    key: KeyReference
    key_index: int
    certificate: x509.Certificate

    @property
    def public_key(self) -> PublicKey:
        """What verifies the CRL."""
        key = self.certificate.public_key()
        assert isinstance(key, PublicKey)  # a key of ours
        return key


@dataclass(frozen=True, slots=True)
class _ToBeSigned:
    tbs: bytes
    content: CRLContent
    next_update: datetime


class CRLIssuer:
    """Makes CRLs; new ones are durable and audited when the call returns."""

    def __init__(self, *, clock: Clock, database: Database, keys: Keys, audit: AuditLog, urls: StatusURLs) -> None:
        self._clock = clock
        self._database = database
        self._keys = keys
        self._audit = audit
        self._urls = urls

    async def issue(self, authority: Authority, key_index: int, *, is_delta: bool) -> Sequence[PublishedCRL]:
        """Make the next CRLs of a scope: a delta CRL, or a full one and its delta CRL where the CA makes these.

        Raises NotFound for a key that the CA does not have or whose certificate has expired, Conflict for a delta
        without a valid full CRL, Unavailable when key or store do not answer.
        """
        for _ in range(_ATTEMPTS):
            if (published := await self._attempt(authority, key_index, is_delta=is_delta)) is not None:
                return published
        raise Unavailable(f"other nodes publish CRLs of {authority.reference} all the time")

    async def _attempt(self, authority: Authority, key_index: int, *, is_delta: bool) -> Sequence[PublishedCRL] | None:
        """The CRLs; None if another node took their number, for what that node saw may be newer."""
        this_update = self._clock.now().replace(microsecond=0)
        signer = find_signer(authority, key_index, this_update)
        scope = Scope(authority.id, key_index)
        algorithm_der = signature_algorithm(signer.public_key)

        def read(connection: Connection) -> Sequence[_ToBeSigned]:
            if is_delta:
                contents = [read_delta(connection, scope, this_update=this_update)]
            else:
                interval = crl_interval(authority, is_delta=False)
                full = read_full(connection, scope, this_update=this_update, interval=interval)
                contents = [full]
                if authority.delta_crl_hours is not None:
                    contents.append(read_delta(connection, scope, this_update=this_update, full=full))
            return [self._encode(content, authority, signer, algorithm_der, this_update) for content in contents]

        prepared = await self._database.read(read)
        signatures = await self._keys.sign(signer.key, lambda key: [sign(key, each.tbs) for each in prepared])

        def work(connection: Connection) -> Sequence[PublishedCRL]:
            published = []
            for each, signature in zip(prepared, signatures, strict=True):
                crl_der = encode_certificate_list(tbs=each.tbs, algorithm_der=algorithm_der, signature=signature)
                published.append(
                    PublishedCRL(
                        authority_id=authority.id,
                        key_index=key_index,
                        is_delta=each.content.base_number is not None,
                        number=each.content.number,
                        base_number=each.content.base_number,
                        this_update=this_update,
                        next_update=each.next_update,
                        status_sequence=each.content.status_sequence,
                        entries=len(each.content.entries),
                        crl_der=crl_der,
                        entity_tag=sha256(crl_der).hexdigest(),
                    )
                )
            store(connection, scope, published)
            for crl in published:
                self._audit.append(connection, _event(authority, crl))
            return published

        try:
            return await self._database.write(work)
        except Conflict:
            return None

    def _encode(
        self, content: CRLContent, authority: Authority, signer: Signer, algorithm_der: bytes, this_update: datetime
    ) -> _ToBeSigned:
        """Runs in a database thread."""
        key_id = key_identifier(signer.certificate)
        extensions = [
            encode_extension(x509.AuthorityKeyIdentifier(key_id, None, None)),
            encode_extension(x509.CRLNumber(content.number)),
        ]
        if content.base_number is not None:
            extensions.append(encode_extension(x509.DeltaCRLIndicator(content.base_number), critical=True))
        elif authority.delta_crl_hours is not None:
            url = self._urls.delta_crl(authority.reference, signer.key_index)
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
            extensions.append(encode_extension(x509.FreshestCRL([point])))
        interval = crl_interval(authority, is_delta=content.base_number is not None)
        next_update = this_update + interval * OVERLAP
        tbs = encode_tbs_cert_list(
            algorithm_der=algorithm_der,
            issuer=signer.certificate.subject,
            this_update=this_update,
            next_update=next_update,
            entries=content.entries,
            extensions=extensions,
        )
        return _ToBeSigned(tbs, content, next_update)


def crl_interval(authority: Authority, *, is_delta: bool) -> timedelta:
    """How often the CA publishes; raises NotFound for delta CRLs of a CA that makes none."""
    if is_delta:
        if authority.delta_crl_hours is None:
            raise NotFound(f"{authority.reference} makes no delta CRLs")
        return timedelta(hours=authority.delta_crl_hours)
    return ON_DEMAND_INTERVAL if authority.crl_days is None else timedelta(days=authority.crl_days)


def find_signer(authority: Authority, key_index: int, now: datetime) -> Signer:
    """The key with that index and its newest certificate.

    Raises NotFound for a key that the CA does not have here, and for one whose certificates have all expired: nobody
    would accept what it signs.
    """
    for signer in signers(authority, now):
        if signer.key_index == key_index:
            return signer
    raise NotFound(f"{authority.reference} has no CRL with that name")


def signers(authority: Authority, now: datetime) -> list[Signer]:
    """The keys of a CA that may sign CRLs, the current one first (several after a re-key)."""
    found: dict[int, Signer] = {}
    if authority.key is not None and authority.certificate is not None:
        found[authority.key_index] = Signer(authority.key, authority.key_index, authority.certificate)
    for each in authority.previous:
        if each.key is not None and each.key_index not in found:
            certificate = x509.load_der_x509_certificate(each.certificate_der)
            found[each.key_index] = Signer(each.key, each.key_index, certificate)
    return [signer for signer in found.values() if signer.certificate.not_valid_after_utc > now]


def _event(authority: Authority, crl: PublishedCRL) -> AuditEvent:
    return AuditEvent(
        event="crl-published",
        actor="cspd:crl",
        fields={
            "ca": str(authority.reference),
            "key_index": crl.key_index,
            "delta": crl.is_delta,
            "number": crl.number,
            "entries": crl.entries,
            "next_update": crl.next_update.isoformat(),
        },
    )
