"""Handing out certificates (RFC 8555, 7.4.2)."""

from __future__ import annotations

from cspd.authority.chains import issuers_of, pem_of
from cspd.authority.interfaces import CertificateStore
from cspd.refusals import NotFound
from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.authentication import SignedByAccount
from protocols.acme.directories import Directory
from protocols.acme.errors import ACMEError, ErrorType


class Download:
    """Finds certificates of orders, with their chain."""

    def __init__(self, *, database: Database, certificates: CertificateStore, includes_root: bool) -> None:
        self._database = database
        self._certificates = certificates
        self._includes_root = includes_root

    async def chain_pem(self, directory: Directory, signed: SignedByAccount, serial: int) -> bytes:
        """The certificate and its issuers, PEM, in the order of a TLS server's chain.

        The root stays away unless it is configured or the direct issuer: certbot refuses a chain of one certificate.
        Raises NotFound, and unauthorized for another account's.
        """
        order = await self._database.read(
            lambda connection: repository.find_order_of_certificate(connection, directory.key, serial)
        )
        if order is None:
            raise NotFound("no such certificate")
        if order.account_id != signed.account.id:
            raise ACMEError(ErrorType.UNAUTHORIZED, "the certificate belongs to another account")
        record = await self._certificates.find(directory.authority.id, serial)
        if record.certificate_der is None:
            raise NotFound("no such certificate")
        issuers = issuers_of(directory.authority, record)
        if not self._includes_root and len(issuers) > 1:
            issuers = issuers[:-1]
        return pem_of((record.certificate_der, *issuers))
