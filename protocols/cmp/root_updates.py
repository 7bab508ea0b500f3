"""The way from a root that a client has to the one that is in use now (RFC 9483, 4.3.2; RFC 9810, 4.4)."""

from __future__ import annotations

from cspd.authority.chains import root_of
from cspd.authority.interfaces import Authorities
from cspd.authority.key_links import KeyLinks
from cspd.authority.values import Authority
from protocols.cmp.info_types import RootCaKeyUpdate


class RootUpdates:
    """Finds updates of the root that a CA is under."""

    def __init__(self, *, authorities: Authorities, key_links: KeyLinks) -> None:
        self._authorities = authorities
        self._key_links = key_links

    async def update(self, authority: Authority, root_der: bytes) -> RootCaKeyUpdate | None:
        """What follows the root certificate ``root_der``, DER, or, where it is empty, the last earlier key.

        None where nothing follows: it is the current one, or none that the root ever had. A root that was renewed with
        its key needs no links.
        """
        root = await root_of(self._authorities, authority)
        if root.certificate_der is None or root_der == root.certificate_der:
            return None
        for link in await self._key_links.of(root):
            if not root_der or root_der in link.old_certificates_der:
                return RootCaKeyUpdate(root.certificate_der, link.new_with_old_der, link.old_with_new_der)
        if any(each.certificate_der == root_der for each in root.previous):
            return RootCaKeyUpdate(root.certificate_der)
        return None
