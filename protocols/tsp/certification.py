"""Making one time-stamp unit: a key, and a certificate of one of our own CAs for it.

::

    claim                  the one node that makes the issuer's next unit, in the store
    keys.generate          where conf says: in software or in a token
    a CSR by that key      the proof of possession, as every client brings it
    issuance.enroll        the pipeline of all protocols: profile, policy, serial number, audit
    find_faults            what verifiers will look at; a profile of conf's own may have got it wrong
    record and release     in one transaction; whose claim has run out throws its key away

A process that dies half-way leaves a key that nobody uses, and a claim that ends by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.interfaces import Authorities, Issuance
from cspd.authority.tentative_keys import tentative_key
from cspd.authority.values import CAReference, EnrollmentRequest, Issued, Requester
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PrivateKey
from cspd.refusals import Conflict, Rejected, Unavailable
from cspd.store.interfaces import Database
from cspd.x509.algorithms import signature_hash
from cspd.x509.names import parse_name
from protocols.tsp.config import CertificationConfig
from protocols.tsp.unit_checks import find_faults
from protocols.tsp.unit_records import UnitRecord, claim, insert_unit, release

CLAIM = timedelta(minutes=2)
"""How long making a unit may take: an RSA key in a slow token takes half a minute."""


def terms_of(config: CertificationConfig) -> str:
    """What a unit was made for; another CA, profile, subject, key type or place is another unit."""
    terms = [config.ca, config.profile, config.subject, config.key_type.value, config.keys]
    return sha256(json.dumps(terms).encode()).hexdigest()


class UnitCertification:
    """Makes units; ``random_bytes`` gives cryptographically strong octets."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        database: Database,
        keys: Keys,
        authorities: Authorities,
        issuance: Issuance,
        audit: AuditLog,
        process: str,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._database = database
        self._keys = keys
        self._authorities = authorities
        self._issuance = issuance
        self._audit = audit
        # Two deployments of one process live side by side for a while after a reload.
        self._owner = f"{process}-{random_bytes(4).hex()}"

    async def make(
        self, issuer: str, config: CertificationConfig, *, is_needed: Callable[[Connection], bool]
    ) -> UnitRecord | None:
        """Make the issuer's next unit; None if another node does, or has done what ``is_needed`` asks for.

        Raises what the CA, the key service and the store refuse with, and Rejected for a certificate that cannot sign
        tokens.
        """
        if not await self._database.write(lambda connection: self._claim(connection, issuer, is_needed)):
            return None
        try:
            label = f"TSA {issuer}"
            async with tentative_key(self._keys, config.key_type, label=label, provider=config.keys) as key:
                unit = await self._certify(issuer, config, key)
                await self._database.write(lambda connection: self._record(connection, unit))
        except BaseException:
            await self._give_back(issuer)
            raise
        return unit

    def _claim(self, connection: Connection, issuer: str, is_needed: Callable[[Connection], bool]) -> bool:
        now = self._clock.now()
        if not claim(connection, issuer, owner=self._owner, now=now, until=now + CLAIM):
            return False
        if is_needed(connection):
            return True
        release(connection, issuer, owner=self._owner)
        return False

    async def _certify(self, issuer: str, config: CertificationConfig, key: KeyReference) -> UnitRecord:
        reference = CAReference.parse(config.ca)
        authority = await self._authorities.get(reference)
        request = EnrollmentRequest(
            ca=reference,
            profile=config.profile,
            requester=Requester(protocol="tsp", identity=issuer),
            csr_der=await self._request(config, key),
        )
        issued = await self._issuance.enroll(request)
        if not isinstance(issued, Issued):
            raise Unavailable(f"{config.ca} lets the certificate of a time-stamp unit wait")
        chain = [x509.load_der_x509_certificate(der) for der in issued.chain_der]
        faults = find_faults(x509.load_der_x509_certificate(issued.certificate_der), chain, self._clock.now())
        if faults:
            what = "; ".join(fault.what for fault in faults)
            raise Rejected(f"a certificate by profile {config.profile} of {config.ca} cannot sign tokens: {what}")
        return UnitRecord(
            id=UUID(bytes=self._random_bytes(16), version=4).hex,
            issuer=issuer,
            terms=terms_of(config),
            authority_id=authority.id,
            key=key,
            certificate_der=issued.certificate_der,
            chain_pem="".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in chain),
            not_before=issued.not_before,
            not_after=issued.not_after,
            created_at=self._clock.now(),
        )

    async def _request(self, config: CertificationConfig, key: KeyReference) -> bytes:
        builder = x509.CertificateSigningRequestBuilder().subject_name(parse_name(config.subject))

        def sign(private_key: PrivateKey) -> bytes:
            return builder.sign(private_key, signature_hash(private_key.public_key())).public_bytes(Encoding.DER)

        return await self._keys.sign(key, sign)

    def _record(self, connection: Connection, unit: UnitRecord) -> None:
        if not release(connection, unit.issuer, owner=self._owner):
            raise Conflict(f"making a unit for {unit.issuer} took longer than {CLAIM.seconds} seconds")
        insert_unit(connection, unit)
        self._audit.append(connection, _event("time-stamp-unit-made", unit))

    async def _give_back(self, issuer: str) -> None:
        try:
            await self._database.write(lambda connection: release(connection, issuer, owner=self._owner))
        except Unavailable:  # it ends by itself
            self._log.warn("the claim on the next unit of {issuer} was not given back", issuer=issuer)


def unit_destroyed(unit: UnitRecord) -> AuditEvent:
    """For the audit trail: the key of a unit is no more."""
    return _event("time-stamp-unit-destroyed", unit)


def _event(name: str, unit: UnitRecord) -> AuditEvent:
    return AuditEvent(
        event=name,
        actor=f"tsp:{unit.issuer}",
        fields={
            "issuer": unit.issuer,
            "key": str(unit.key),
            "not_after": f"{unit.not_after:%Y-%m-%dT%H:%M:%SZ}",
            "sha256": sha256(unit.certificate_der).hexdigest(),
        },
    )


__all__ = ["UnitCertification", "terms_of", "unit_destroyed"]
