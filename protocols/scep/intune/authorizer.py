"""Intune decides whether a device may have a certificate (R-CEG-074, R-CEG-082, R-CEGI-111).

No password of ours is looked at, and nothing is issued before Intune has said Success: no answer is a no.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.authority.values import Issued
from cspd.refusals import Refused, Unavailable
from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.names import format_name
from cspd.x509.signatures import SignatureError, read_algorithm, signature_hash_of
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.interfaces import Authorization, RequestForCertificate, Terms
from protocols.scep.intune.interfaces import IntuneService
from protocols.scep.intune.notifications import Notifications
from protocols.scep.intune.refusals import refusal_of
from protocols.scep.intune.values import HResult, RefusedByIntune
from protocols.scep.messages import FailInfo

PROTOCOL = "intune"
"""For the audit trail and the records of certificates."""


class IntuneAuthorizer:
    """Implements :class:`protocols.scep.interfaces.Authorizer` for a CA."""

    _log = Logger()

    def __init__(self, *, service: IntuneService, notifications: Notifications) -> None:
        self._service = service
        self._notifications = notifications

    async def authorize(self, request: RequestForCertificate) -> Authorization:
        """See :class:`protocols.scep.interfaces.Authorizer`."""
        check_signed_with_sha2(request.csr_der)
        try:
            await self._service.validate(request.transaction_id, request.csr_der)
        except RefusedByIntune as refused:
            self._notifications.tell_once(request, HResult.NOT_VALIDATED, refused.said)
            raise refusal_of(refused) from refused
        except Unavailable as error:
            self._log.error(
                "no certificate for {subject}, since Intune does not answer: {reason}",
                subject=format_name(request.csr.subject),
                reason=error.detail or error.reason,
            )
            self._notifications.tell_once(request, HResult.NO_ANSWER, error.reason)
            raise

        def recorded(connection: Connection, authority_id: str, serial: int) -> None:
            self._notifications.record_issued(connection, request, authority_id, serial)

        identity = format_name(request.csr.subject) or request.transaction_id
        return Authorization(identity=identity, protocol=PROTOCOL, recorded=recorded)

    async def issued(self, request: RequestForCertificate, authorization: Authorization, issued: Issued) -> None:
        """See :class:`protocols.scep.interfaces.Authorizer`; does not wait for Intune."""
        self._notifications.send_issued(request, issued.serial)

    async def refused(self, request: RequestForCertificate, authorization: Authorization, reason: str) -> None:
        """See :class:`protocols.scep.interfaces.Authorizer`; does not wait for Intune."""
        try:
            await self._notifications.record_refused(request, reason)
        except Refused as refusal:
            self._log.error(
                "Intune will not be told that transaction {transaction} was refused: {reason}",
                transaction=request.transaction_id,
                reason=refusal.reason,
            )

    async def passwords(self, terms: Terms) -> Sequence[bytes]:
        """None: what Intune's devices know is for Intune alone."""
        return ()


def check_signed_with_sha2(csr_der: bytes) -> None:
    """Refuse a request that is signed with MD5 or SHA-1 (R-CEGI-114); raises PKIMessageRefused."""
    try:
        outer = Cursor.over(csr_der).enter(tlv.SEQUENCE)
        outer.element()
        digest = signature_hash_of(read_algorithm(outer.element()))
    except (SignatureError, tlv.DERError) as error:
        raise PKIMessageRefused(FailInfo.BAD_ALG, f"the request's signature: {error}") from error
    if isinstance(digest, hashes.SHA1):
        raise PKIMessageRefused(FailInfo.BAD_ALG, "a request that is signed with SHA-1 is not accepted here")
