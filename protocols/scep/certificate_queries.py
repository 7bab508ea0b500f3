"""Answers GetCert and GetCRL (RFC 8894, 3.3.4 and 3.3.5).

Both are public: what somebody may ask for here is in the repository of the CA too.
"""

from __future__ import annotations

from cspd.authority.interfaces import Authorities, CertificateStore, Publication
from cspd.authority.values import Authority, CertificateRecord
from cspd.refusals import NotFound
from cspd.x509.certificate_fields import fields_of
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.exchanges import Exchange
from protocols.scep.messages import CertsOnly, FailInfo, IssuerAndSerialNumber


class CertificateQueries:
    """Reads certificates and CRLs of the CA of a place."""

    def __init__(self, *, authorities: Authorities, certificates: CertificateStore, publication: Publication) -> None:
        self._authorities = authorities
        self._certificates = certificates
        self._publication = publication

    async def certificate(self, exchange: Exchange) -> CertsOnly:
        """The certificate with that issuer and serial number; badCertId without one."""
        authority, asked = await self._of_ca(exchange)
        record = await self._find(authority, asked.serial_number)
        if record is None or record.certificate_der is None:
            raise PKIMessageRefused(FailInfo.BAD_CERT_ID, "the CA has not issued such a certificate")
        return CertsOnly(certificates_der=(record.certificate_der,))

    async def crl(self, exchange: Exchange) -> CertsOnly:
        """The CRL that tells whether the certificate with that issuer and serial number is revoked."""
        if not exchange.terms.gives_crls:
            raise PKIMessageRefused(FailInfo.BAD_REQUEST, "CRLs are not given here")
        authority, asked = await self._of_ca(exchange)
        record = await self._find(authority, asked.serial_number)
        crl = await self._publication.current(authority, key_index=_key_index(authority, record))
        return CertsOnly(crls_der=(crl.crl_der,))

    async def _of_ca(self, exchange: Exchange) -> tuple[Authority, IssuerAndSerialNumber]:
        assert isinstance(exchange.data, IssuerAndSerialNumber)
        authority = await self._authorities.get(exchange.terms.ca)
        if (
            authority.certificate_der is None
            or fields_of(authority.certificate_der).subject != exchange.data.issuer_der
        ):
            raise PKIMessageRefused(FailInfo.BAD_CERT_ID, "the issuer is another CA")
        return authority, exchange.data

    async def _find(self, authority: Authority, serial: int) -> CertificateRecord | None:
        try:
            return await self._certificates.find(authority.id, serial)
        except NotFound:
            return None


def _key_index(authority: Authority, record: CertificateRecord | None) -> int:
    """The key that signed the certificate; the CA's current one for a certificate that it does not know."""
    if record is not None:
        for each in authority.previous:
            if each.id == record.issuer_certificate_id:
                return each.key_index
    return authority.key_index
