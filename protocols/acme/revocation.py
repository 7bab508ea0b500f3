"""Revocation by clients (RFC 8555, 7.6)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.interfaces import CertificateStore, Revocation
from cspd.authority.values import CertificateRecord, Requester, RevocationReason, RevocationRequest
from cspd.clock import Clock
from cspd.refusals import BadRevocationReason, NotFound
from cspd.store.interfaces import Database
from protocols.acme import repository
from protocols.acme.authentication import SignedByAccount, SignedByKey
from protocols.acme.directories import Directory
from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.messages import RevokeCert


class AllowedReasons:
    """Which reasons clients may give, by CA."""

    def __init__(self, default: frozenset[RevocationReason], by_ca: Mapping[str, frozenset[RevocationReason]]) -> None:
        self._default = default
        self._by_ca = by_ca

    def require(self, ca: str, number: int | None) -> RevocationReason:
        """The reason with that number (none: unspecified); raises BadRevocationReason."""
        allowed = self._by_ca.get(ca, self._default)
        try:
            reason = RevocationReason.from_number(number or 0)
        except ValueError as error:
            raise BadRevocationReason("there is no such reason") from error
        # Without a reason there is nothing to refuse.
        if number is not None and reason not in allowed:
            numbers = ", ".join(str(other.number) for other in RevocationReason if other in allowed)
            raise BadRevocationReason(f"this CA takes the reasons {numbers}")
        return reason


class CertificateRevocation:
    """Revokes for those who may."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        certificates: CertificateStore,
        revocation: Revocation,
        reasons: AllowedReasons,
    ) -> None:
        self._database = database
        self._clock = clock
        self._certificates = certificates
        self._revocation = revocation
        self._reasons = reasons

    async def revoke(
        self,
        directory: Directory,
        signed: SignedByAccount | SignedByKey,
        message: RevokeCert,
        requester: Requester,
    ) -> None:
        """Revoke a certificate of the directory's CA.

        It may be asked by the account that got it, by one that holds valid authorizations for all its names, and by
        its own key. Raises malformed, NotFound, unauthorized, badRevocationReason, alreadyRevoked.
        """
        record = await self._certificates.find_by_der(message.certificate_der)
        if record.authority_id != directory.authority.id:
            raise NotFound("the certificate was not issued by this CA")
        # These octets are our own product: this is no parser for what strangers send.
        certificate = x509.load_der_x509_certificate(message.certificate_der)
        if isinstance(signed, SignedByKey):
            _require_own_key(signed, certificate)
            requester = replace(requester, identity=f"key of certificate {record.serial:x}")
        elif not await self._may_revoke(directory, signed, record, certificate):
            raise ACMEError(ErrorType.UNAUTHORIZED, "the account neither got the certificate nor controls its names")
        await self._revocation.revoke(
            RevocationRequest(
                ca=directory.ca,
                serial=record.serial,
                reason=self._reasons.require(str(directory.ca), message.reason),
                requester=requester,
            )
        )

    async def _may_revoke(
        self, directory: Directory, signed: SignedByAccount, record: CertificateRecord, certificate: x509.Certificate
    ) -> bool:
        order = await self._database.read(
            lambda connection: repository.find_order_of_certificate(connection, directory.key, record.serial)
        )
        if order is not None and order.account_id == signed.account.id:
            return True
        names = _names(certificate)
        now = self._clock.now()
        return names is not None and await self._database.read(
            lambda connection: repository.holds_authorizations(connection, signed.account, names, now)
        )


def _require_own_key(signed: SignedByKey, certificate: x509.Certificate) -> None:
    own_key_der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not hmac.compare_digest(own_key_der, signed.jwk.public_key_der):
        raise ACMEError(ErrorType.UNAUTHORIZED, "the request is not signed by the certificate's key")


def _names(certificate: x509.Certificate) -> frozenset[str] | None:
    """The DNS names of a certificate; None if it has others, which no authorization covers."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    if not all(isinstance(name, x509.DNSName) for name in names):
        return None
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))
