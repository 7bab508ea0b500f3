"""Certificates that lead from one key of a root to another, after a re-key (RFC 9810, 4.4; RFC 7030, 4.1.3).

::

    newWithOld   the new key, signed with the old one: whoever trusts the old root comes to trust the new one
    oldWithNew   the old key, signed with the new one: whoever trusts the new root alone accepts what the old one signed

They are made when the root gets its new key, one pair for each earlier key that has not expired, and are recorded among
what the root issued: its CRLs and its OCSP answers tell of them, and one that is revoked (an old key was stolen) is not
handed out any more. They are found there by their key and their signer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, select
from twisted.logger import Logger

from cspd.authority.certificates import digest_of_public_key
from cspd.authority.certification import ROOT_PROFILE, CACertifier, PreparedCertificate
from cspd.authority.issued_authorities import record, reserve
from cspd.authority.rows import NewCACertificate
from cspd.authority.values import Authority, AuthorityKind, CACertificate, CertificateState, Requester
from cspd.clock import Clock
from cspd.keys.values import KeyReference
from cspd.refusals import Refused
from cspd.store.interfaces import Database
from cspd.store.tables import certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLink:
    """From an earlier key of a root to its present one, and back; empty is what was not made, or is not good."""

    old_certificates_der: tuple[bytes, ...]
    """oldWithOld: the self-signed certificates of the earlier key, newest first."""
    new_with_old_der: bytes = b""
    old_with_new_der: bytes = b""


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that is signed and not stored yet."""

    signer: Authority
    prepared: PreparedCertificate
    certificate: x509.Certificate

    def record(self, connection: Connection, requester: Requester) -> None:
        """Store it, in the transaction that stores the new key's certificate."""
        record(connection, self.signer, self.prepared, self.certificate, requester, profile=ROOT_PROFILE)


class KeyLinks:
    """Finds the links of a root."""

    def __init__(self, *, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database

    async def of(self, root: Authority) -> Sequence[KeyLink]:
        """One for each earlier key that has not expired, the newest first; none for a CA that is no root here."""
        now = self._clock.now()
        if root.kind is not AuthorityKind.ROOT or root.certificate is None:
            return ()
        earlier = [each for each in _under_each_key(root, now) if each.key_index != root.key_index]
        if not earlier:
            return ()
        issued = await self._database.read(lambda connection: _read_issued(connection, root, now))
        digest = digest_of_public_key(root.certificate)
        return tuple(
            KeyLink(
                old_certificates_der=tuple(
                    each.certificate_der for each in root.previous if each.key_index == old.key_index
                ),
                new_with_old_der=issued.get((old.key_index, digest), b""),
                old_with_new_der=issued.get((root.key_index, digest_of_public_key(_certificate(old))), b""),
            )
            for old in earlier
        )


class KeyLinkMaking:
    """Makes the links of a root that gets a new key."""

    _log = Logger()

    def __init__(self, *, database: Database, certifier: CACertifier) -> None:
        self._database = database
        self._certifier = certifier

    async def make(self, root: Authority, new: NewCACertificate, requester: Requester) -> Sequence[MadeLink]:
        """Sign a pair for each earlier key; ``root`` is the CA before, ``new`` its certificate to be.

        An old key that cannot sign any more, for its token is gone, keeps nobody from making a new one: it only has no
        newWithOld. Raises Unavailable if the new key cannot be used.
        """
        successor = _with(root, new.certificate, new.id, new.key, new.key_index)
        made = []
        for old in _under_each_key(root, new.created_at):
            start, end = _certificate(old).not_valid_before_utc, _certificate(old).not_valid_after_utc
            try:
                made.append(
                    await self._link(
                        successor,
                        signer=old,
                        not_before=new.created_at,
                        not_after=min(end, _certificate(successor).not_valid_after_utc),
                        requester=requester,
                    )
                )
            except Refused as refusal:
                self._log.error(
                    "the old key {key} of {ca} does not sign the new one: {reason}",
                    key=str(old.key),
                    ca=str(root.reference),
                    reason=refusal.reason,
                )
            made.append(await self._link(old, signer=successor, not_before=start, not_after=end, requester=requester))
        return made

    async def _link(
        self, holder: Authority, *, signer: Authority, not_before: datetime, not_after: datetime, requester: Requester
    ) -> MadeLink:
        prepared = self._certifier.prepare_link(signer, holder, not_before=not_before, not_after=not_after)
        if signer.record_before_signing:
            await self._database.write(
                lambda connection: reserve(connection, signer, prepared, requester, profile=ROOT_PROFILE)
            )
        return MadeLink(signer, prepared, await self._certifier.sign(prepared))


def _under_each_key(root: Authority, now: datetime) -> Iterator[Authority]:
    """The CA as it was with the newest certificate of each of its keys; those that have expired are left out."""
    seen = set()
    for each in (root, *(_as_it_was(root, previous) for previous in root.previous)):
        if each.key_index not in seen and _certificate(each).not_valid_after_utc > now:
            seen.add(each.key_index)
            yield each


def _as_it_was(root: Authority, previous: CACertificate) -> Authority:
    certificate = x509.load_der_x509_certificate(previous.certificate_der)
    return _with(root, certificate, previous.id, previous.key, previous.key_index)


def _with(
    root: Authority, certificate: x509.Certificate, certificate_id: str, key: KeyReference | None, key_index: int
) -> Authority:
    return replace(
        root,
        certificate=certificate,
        certificate_der=certificate.public_bytes(Encoding.DER),
        certificate_id=certificate_id,
        key=key,
        key_index=key_index,
    )


def _certificate(authority: Authority) -> x509.Certificate:
    assert authority.certificate is not None
    return authority.certificate


def _read_issued(connection: Connection, root: Authority, now: datetime) -> Mapping[tuple[int, str], bytes]:
    """The good links by the index of the key that signed them and the digest of the key that they are for."""
    key_indexes = {each.id: each.key_index for each in root.previous}
    key_indexes[root.certificate_id or ""] = root.key_index
    keys = [_certificate(root), *(x509.load_der_x509_certificate(each.certificate_der) for each in root.previous)]
    query = (
        select(certificates.c.issuer_certificate_id, certificates.c.public_key_sha256, certificates.c.certificate_der)
        .where(
            certificates.c.public_key_sha256.in_({digest_of_public_key(each) for each in keys}),
            certificates.c.authority_id == root.id,
            certificates.c.profile == ROOT_PROFILE,
            certificates.c.state == CertificateState.GOOD.value,
            certificates.c.not_after > now,
        )
        .order_by(certificates.c.issued_at)
    )
    return {
        (key_indexes[row.issuer_certificate_id], row.public_key_sha256): row.certificate_der
        for row in connection.execute(query)
        if row.issuer_certificate_id in key_indexes
    }
