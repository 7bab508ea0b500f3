"""Finds what relying parties ask for: CRLs, CA certificates, chains (RFC 4387 by other names; RFC 5280, 4.2.1.13).

crl.crl              the full CRL of the CA's first key (R-CA-050)
crl-N.crl            the one of its key after the Nth re-key
delta.crl, delta-N.crl  the delta CRL of that key
<id>.cer             one certificate of the CA, DER, by the 32 hexadecimal digits that AIA has
chain.pem            the CA's certificate and its issuers, PEM, root last
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cspd.authority.chains import chain_pem
from cspd.authority.interfaces import Authorities, Publication
from cspd.authority.values import Authority, CAReference, PublishedCRL
from cspd.clock import Clock
from cspd.refusals import NotFound

PKIX_CRL = b"application/pkix-crl"
PKIX_CERT = b"application/pkix-cert"
PEM_CHAIN = b"application/pem-certificate-chain"

_CRL = re.compile(r"(?P<kind>crl|delta)(?:-(?P<key_index>[1-9][0-9]{0,3}))?\.crl")
_CERTIFICATE = re.compile(r"(?P<id>[0-9a-f]{32})\.cer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something that is served."""

    body: bytes
    media_type: bytes
    entity_tag: str
    last_modified: datetime
    max_age: timedelta


class RepositoryService:
    """Looks documents up by organization, CA id and file name; everything else does not exist (R-CA-016)."""

    def __init__(
        self,
        *,
        clock: Clock,
        authorities: Authorities,
        publication: Publication,
        max_age: timedelta,
        certificate_max_age: timedelta,
    ) -> None:
        self._clock = clock
        self._authorities = authorities
        self._publication = publication
        self._max_age = max_age
        self._certificate_max_age = certificate_max_age

    async def find(self, organization: str, ca_id: str, name: str) -> Document:
        """The document; raises NotFound, and Unavailable if a CRL cannot be made now."""
        authority = await self._authorities.get(CAReference(organization, ca_id))
        if match := _CRL.fullmatch(name):
            return await self._crl(authority, int(match["key_index"] or 0), is_delta=match["kind"] == "delta")
        if match := _CERTIFICATE.fullmatch(name):
            return self._certificate(authority, match["id"])
        if name == "chain.pem" and authority.certificate is not None:
            return self._document(chain_pem(authority), PEM_CHAIN, authority.certificate.not_valid_before_utc)
        raise NotFound(f"{authority.reference} has no {name[:40]!r}")

    async def _crl(self, authority: Authority, key_index: int, *, is_delta: bool) -> Document:
        crl = self._publication.cached(authority, key_index=key_index, is_delta=is_delta)
        if crl is None:
            crl = await self._publication.current(authority, key_index=key_index, is_delta=is_delta)
        return Document(
            body=crl.crl_der,
            media_type=PKIX_CRL,
            entity_tag=crl.entity_tag,
            last_modified=crl.this_update,
            max_age=self._crl_max_age(authority, crl),
        )

    def _crl_max_age(self, authority: Authority, crl: PublishedCRL) -> timedelta:
        """Never beyond nextUpdate; a CRL made on demand may be replaced at any moment, so that caches ask again."""
        if authority.crl_days is None:
            return timedelta(0)
        return max(timedelta(0), min(self._max_age, crl.next_update - self._clock.now()))

    def _certificate(self, authority: Authority, certificate_id: str) -> Document:
        if certificate_id == authority.certificate_id and authority.certificate_der and authority.certificate:
            since = authority.certificate.not_valid_before_utc
            return self._document(authority.certificate_der, PKIX_CERT, since)
        for each in authority.previous:
            if each.id == certificate_id:
                return self._document(each.certificate_der, PKIX_CERT, each.not_before)
        raise NotFound(f"{authority.reference} has no such certificate")

    def _document(self, body: bytes, media_type: bytes, last_modified: datetime) -> Document:
        return Document(
            body=body,
            media_type=media_type,
            entity_tag=sha256(body).hexdigest(),
            last_modified=last_modified,
            max_age=self._certificate_max_age,
        )
