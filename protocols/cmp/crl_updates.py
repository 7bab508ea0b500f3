"""Which CRLs a client does not have yet (RFC 9483, 4.3.4; RFC 9810, 5.3.19.17)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509 import DirectoryName, UniformResourceIdentifier

from cspd.authority.interfaces import Authorities, Publication
from cspd.authority.urls import StatusURLs
from cspd.authority.values import Authority, AuthorityKind, PublishedCRL
from cspd.refusals import Malformed, NotFound
from cspd.x509 import tlv
from cspd.x509.general_name_encoding import decode_general_names
from cspd.x509.general_names import GeneralNameError
from protocols.cmp.info_types import CRLStatus

MAX_STATUSES = 8
"""CRLs that one message may ask about: each may be megabytes."""

_FULL_NAME = 0xA0


class CRLUpdates:
    """Finds CRLs of a CA and of the CAs above it here."""

    def __init__(self, *, authorities: Authorities, publication: Publication, urls: StatusURLs) -> None:
        self._authorities = authorities
        self._publication = publication
        self._urls = urls

    async def current(self, authority: Authority) -> bytes:
        """The CRL of the CA's current key, DER."""
        return (await self._publication.current(authority, key_index=authority.key_index)).crl_der

    async def newer(self, authority: Authority, statuses: Sequence[CRLStatus]) -> tuple[bytes, ...]:
        """The CRLs, DER, that are newer than what the client has of them, each once.

        A source is known by the URL that certificates carry, or by the name of its issuer, which stands for the full
        CRLs of all keys of that CA. A source that is not known has no CRL. Raises Malformed for names that cannot be
        read and for more than :data:`MAX_STATUSES` statuses.
        """
        if len(statuses) > MAX_STATUSES:
            raise Malformed(f"crlStatusList: more than {MAX_STATUSES} CRLs")
        authorities = await self._above(authority)
        found: dict[bytes, None] = {}
        for status in statuses:
            for source in self._sources(status, authorities):
                crl = await self._read(*source)
                if crl is not None and _is_newer(crl, status.this_update):
                    found[crl.crl_der] = None
        return tuple(found)

    async def _above(self, authority: Authority) -> Sequence[Authority]:
        """The CA and those above it that sign CRLs here."""
        found = [authority]
        while found[-1].issuer_id is not None:
            found.append(await self._authorities.by_id(found[-1].issuer_id))
        return [each for each in found if each.kind is not AuthorityKind.EXTERNAL_ROOT and each.certificate is not None]

    def _sources(self, status: CRLStatus, authorities: Sequence[Authority]) -> Iterator[tuple[Authority, int, bool]]:
        """CA, index of its key, and whether it is the delta CRL."""
        names = _names_of(status)
        for authority in authorities:
            is_named = DirectoryName(authority.subject) in names
            for key_index in sorted({authority.key_index, *(each.key_index for each in authority.previous)}):
                if is_named or self._is_at(authority, key_index, names, is_delta=False):
                    yield authority, key_index, False
                if authority.delta_crl_hours and self._is_at(authority, key_index, names, is_delta=True):
                    yield authority, key_index, True

    def _is_at(
        self, authority: Authority, key_index: int, names: Sequence[x509.GeneralName], *, is_delta: bool
    ) -> bool:
        url = self._urls.delta_crl if is_delta else self._urls.crl
        return UniformResourceIdentifier(url(authority.reference, key_index)) in names

    async def _read(self, authority: Authority, key_index: int, is_delta: bool) -> PublishedCRL | None:
        try:
            return await self._publication.current(authority, key_index=key_index, is_delta=is_delta)
        except NotFound:  # of a key whose certificate has expired
            return None


def _names_of(status: CRLStatus) -> Sequence[x509.GeneralName]:
    """The names of the source; none for nameRelativeToCRLIssuer, which no certificate of ours has."""
    names_der = status.issuer_der
    if status.dpn_der:
        if status.dpn_der[0] != _FULL_NAME:
            return ()
        start, end = tlv.read_only(status.dpn_der, 0, len(status.dpn_der), _FULL_NAME)
        names_der = tlv.sequence(status.dpn_der[start:end])
    try:
        return decode_general_names(names_der)
    except GeneralNameError as error:
        raise Malformed(f"crlStatusList: {error}") from error


def _is_newer(crl: PublishedCRL, this_update: datetime | None) -> bool:
    return this_update is None or crl.this_update > this_update
