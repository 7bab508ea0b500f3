"""Directories: each tenant, CA and profile is an ACME server of its own (RFC 8555, 7.1.1; R-CEG-118)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cspd.authority.interfaces import Authorities
from cspd.authority.values import Authority, CAReference
from cspd.refusals import Malformed, NotFound
from protocols.acme.urls import DirectoryURLs


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One ACME server: its URLs, and the CA and profile it issues from."""

    tenant: str
    authority: Authority
    profile: str
    urls: DirectoryURLs

    @property
    def key(self) -> str:
        """What accounts and orders are stored under.

        It holds the CA's internal id: a CA that is made anew under a deleted one's name does not inherit accounts.
        """
        return f"{self.tenant}/{self.authority.id}/{self.profile}"

    @property
    def ca(self) -> CAReference:
        """The CA."""
        return self.authority.reference


class Directories:
    """Finds directories."""

    def __init__(
        self, *, authorities: Authorities, tenants: frozenset[str], profiles: frozenset[str], public_https: str
    ) -> None:
        self._authorities = authorities
        self._tenants = tenants
        self._profiles = profiles
        self._public_https = public_https

    async def find(self, tenant: str, ca: str, profile: str) -> Directory:
        """The directory at these path segments, percent-decoded; ``ca`` is ``<organization>~<ca-id>``.

        Raises NotFound for an unknown tenant (compared case-sensitively) or CA, and for a profile that the CA does
        not have or that the configuration does not serve by ACME.
        """
        if tenant not in self._tenants:
            raise NotFound("no such tenant")
        try:
            reference = CAReference.parse(ca)
        except Malformed as error:
            raise NotFound("no such CA; a CA is named <organization>~<ca-id>") from error
        authority = await self._authorities.get(reference)
        if profile not in self._profiles or profile not in authority.profiles:
            raise NotFound("no such profile")
        return self._directory(tenant, authority, profile)

    async def served(self) -> tuple[Directory, ...]:
        """All directories, for people who look for one."""
        return tuple(
            self._directory(tenant, authority, profile)
            for authority in await self._authorities.list()
            for profile in sorted(authority.profiles & self._profiles)
            for tenant in sorted(self._tenants)
        )

    async def with_key(self, key: str) -> Directory:
        """The directory of a stored account or order; raises NotFound when its CA or profile is gone."""
        tenant, authority_id, profile = key.split("/")
        authority = await self._authorities.by_id(authority_id)
        return self._directory(tenant, authority, profile)

    def _directory(self, tenant: str, authority: Authority, profile: str) -> Directory:
        urls = DirectoryURLs(self._public_https, tenant, str(authority.reference), profile)
        return Directory(tenant=tenant, authority=authority, profile=profile, urls=urls)


def encode_directory(directory: Directory) -> Mapping[str, Any]:
    """RFC 8555, 7.1.1. What is not offered (newAuthz, terms, external accounts) is absent (R-CEG-101)."""
    urls = directory.urls
    return {
        "newNonce": urls.new_nonce,
        "newAccount": urls.new_account,
        "newOrder": urls.new_order,
        "revokeCert": urls.revoke_cert,
        "keyChange": urls.key_change,
        "meta": {"externalAccountRequired": False},
    }
