"""Making one certified key: a key, and a certificate of one of our own CAs for it.

::

    claim                  the one node that makes the holder's next key, in the store
    keys.generate          where conf says: in software or in a token
    a CSR by that key      the proof of possession, as every client brings it
    issuance.enroll        the pipeline of all protocols: profile, policy, serial number, audit
    find_faults            what others will look at; a profile of conf's own may have got it wrong
    record and release     in one transaction; whose claim has run out throws its key away

A process that dies half-way leaves a key that nobody uses, and a claim that ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.chains import pem_of
from cspd.authority.interfaces import Authorities, Issuance
from cspd.authority.tentative_keys import tentative_key
from cspd.authority.values import EnrollmentRequest, Issued, Requester
from cspd.certified_keys.records import CertifiedKeyRecords
from cspd.certified_keys.values import CertificateTerms, CertifiedKey, Words
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PrivateKey
from cspd.refusals import Conflict, Rejected, Unavailable
from cspd.store.interfaces import Database
from cspd.x509.algorithms import signature_hash

CLAIM = timedelta(minutes=2)
"""How long making a key may take: an RSA key in a slow token takes half a minute."""

FindFaults = Callable[[str, x509.Certificate, Sequence[x509.Certificate], datetime], Sequence[str]]
"""What keeps a certificate, with the chain above it, from being used by that holder now; empty: nothing."""


class KeyCertification:
    """Makes keys; ``random_bytes`` gives cryptographically strong octets."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        database: Database,
        records: CertifiedKeyRecords,
        keys: Keys,
        authorities: Authorities,
        issuance: Issuance,
        audit: AuditLog,
        process: str,
        words: Words,
        find_faults: FindFaults,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._database = database
        self._records = records
        self._keys = keys
        self._authorities = authorities
        self._issuance = issuance
        self._audit = audit
        self._words = words
        self._find_faults = find_faults
        # Two deployments of one process live side by side for a while after a reload.
        self._owner = f"{process}-{random_bytes(4).hex()}"

    async def make(
        self, holder: str, terms: CertificateTerms, *, is_needed: Callable[[Connection], bool]
    ) -> CertifiedKey | None:
        """Make the holder's next key; None if another node does, or has done what ``is_needed`` asks for.

        Raises what the CA, the key service and the store refuse with, and Rejected for a certificate with faults.
        """
        if not await self._database.write(lambda connection: self._claim(connection, holder, is_needed)):
            return None
        try:
            label = f"{self._words.label} {holder}"
            async with tentative_key(
                self._keys, terms.key_type, label=label, provider=terms.keys, decrypts=terms.decrypts
            ) as key:
                made = await self._certify(holder, terms, key)
                await self._database.write(lambda connection: self._record(connection, made))
        except BaseException:
            await self._give_back(holder)
            raise
        return made

    def _claim(self, connection: Connection, holder: str, is_needed: Callable[[Connection], bool]) -> bool:
        now = self._clock.now()
        if not self._records.claim(connection, holder, owner=self._owner, now=now, until=now + CLAIM):
            return False
        if is_needed(connection):
            return True
        self._records.release(connection, holder, owner=self._owner)
        return False

    async def _certify(self, holder: str, terms: CertificateTerms, key: KeyReference) -> CertifiedKey:
        authority = await self._authorities.get(terms.ca)
        request = EnrollmentRequest(
            ca=terms.ca,
            profile=terms.profile,
            requester=Requester(protocol=self._words.protocol, identity=holder),
            csr_der=await self._request(terms.subject_under(authority.subject), key),
        )
        issued = await self._issuance.enroll(request)
        if not isinstance(issued, Issued):
            raise Unavailable(f"{terms.ca} lets the certificate wait")
        chain = [x509.load_der_x509_certificate(der) for der in issued.chain_der]
        certificate = x509.load_der_x509_certificate(issued.certificate_der)
        faults = self._find_faults(holder, certificate, chain, self._clock.now())
        if faults:
            raise Rejected(
                f"a certificate by profile {terms.profile} of {terms.ca} cannot be used: {'; '.join(faults)}"
            )
        return CertifiedKey(
            id=UUID(bytes=self._random_bytes(16), version=4).hex,
            holder=holder,
            terms=terms.digest,
            authority_id=authority.id,
            key=key,
            certificate_der=issued.certificate_der,
            chain_pem=pem_of(issued.chain_der).decode("ascii"),
            not_before=issued.not_before,
            not_after=issued.not_after,
            created_at=self._clock.now(),
        )

    async def _request(self, subject: x509.Name, key: KeyReference) -> bytes:
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)

        def sign(private_key: PrivateKey) -> bytes:
            return builder.sign(private_key, signature_hash(private_key.public_key())).public_bytes(Encoding.DER)

        return await self._keys.sign(key, sign)

    def _record(self, connection: Connection, made: CertifiedKey) -> None:
        if not self._records.release(connection, made.holder, owner=self._owner):
            raise Conflict(f"making a key for {made.holder} took longer than {CLAIM.seconds} seconds")
        self._records.insert(connection, made)
        self._audit.append(connection, key_event("made", made, self._words))

    async def _give_back(self, holder: str) -> None:
        try:
            await self._database.write(lambda connection: self._records.release(connection, holder, owner=self._owner))
        except Unavailable:  # it ends by itself
            self._log.warn(
                "the claim on the next key of {what} {holder} was not given back", what=self._words.what, holder=holder
            )


def key_event(what: str, key: CertifiedKey, words: Words) -> AuditEvent:
    """For the audit trail: a key was ``made``, or is ``destroyed``."""
    return AuditEvent(
        event=f"{words.event}-{what}",
        actor=f"{words.protocol}:{key.holder}",
        fields={
            words.field: key.holder,
            "key": str(key.key),
            "not_after": f"{key.not_after:%Y-%m-%dT%H:%M:%SZ}",
            "sha256": sha256(key.certificate_der).hexdigest(),
        },
    )


__all__ = ["CLAIM", "FindFaults", "KeyCertification", "key_event"]
