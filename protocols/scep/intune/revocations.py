"""Revokes what Intune wants revoked, and tells it so (R-CEG-079, R-CEG-080, R-CEGI-120).

-> downloadRevocationRequests for the CA's issuer name, some at a time
   each: Revocation.revoke by issuer and serial number
-> uploadRevocationResults, all of them; and again, while Intune has more

An order is told as done when its certificate is revoked, also if it was so before: a process that dies between
revoking and telling gets the order again, and Intune asks for a state, not for an act. Microsoft has the code
ConflictError for the case; with it an administrator would see a failure where all is well.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.logger import Logger

from cspd.authority.interfaces import Authorities, Revocation
from cspd.authority.values import Authority, CAReference, Requester, RevocationReason, RevocationRequest
from cspd.refusals import AlreadyRevoked, Conflict, Malformed, NotFound, Refused, Unavailable
from cspd.x509.names import format_name, parse_name
from protocols.scep.intune.interfaces import IntuneService
from protocols.scep.intune.values import ResultCode, RevocationOrder, RevocationResult

MAX_ROUNDS = 50
"""Downloads in one run: a service that gives the same for ever must not keep the job."""
_SERIAL = re.compile(r"[0-9a-f]{1,40}")

_CODES: tuple[tuple[type[Refused], ResultCode], ...] = (
    (NotFound, ResultCode.CERTIFICATE_NOT_FOUND),
    (Conflict, ResultCode.CONFLICT),
    (Malformed, ResultCode.PARAMETER_DATA_INVALID),
    (Unavailable, ResultCode.SERVICE_UNAVAILABLE),
    (Refused, ResultCode.NON_RETRYABLE),
)
"""The first that fits."""


class Revocations:
    """Revokes for one CA."""

    _log = Logger()

    def __init__(
        self,
        *,
        service: IntuneService,
        authorities: Authorities,
        revocation: Revocation,
        ca: CAReference,
        siblings: Collection[CAReference],
        identity: str,
        limit: int,
    ) -> None:
        """``siblings`` are all CAs that the same application of Azure serves, ``ca`` among them.

        ``identity`` is who asks, for the audit trail; ``limit`` how many orders are fetched at a time.
        """
        self._service = service
        self._authorities = authorities
        self._revocation = revocation
        self._ca = ca
        self._siblings = siblings
        self._requester = Requester(protocol="intune", identity=identity)
        self._limit = limit

    async def run(self) -> None:
        """Carry out all orders that there are: for a job."""
        authority = await self._authorities.get(self._ca)
        issuer_name = format_name(authority.subject)
        for _ in range(MAX_ROUNDS):
            orders = await self._service.revocation_orders(issuer_name=issuer_name, limit=self._limit)
            if orders:
                results = [await self._carry_out(order) for order in orders]
                await self._service.report_revocations(results)
            if len(orders) < self._limit:
                return
        self._log.warn("Intune has more orders to revoke than a run carries out", ca=str(self._ca))

    async def _carry_out(self, order: RevocationOrder) -> RevocationResult:
        try:
            await self._revocation.revoke(
                RevocationRequest(
                    ca=await self._issuer(order.issuer_name),
                    serial=_serial(order.serial_number),
                    reason=RevocationReason.UNSPECIFIED,
                    requester=self._requester,
                )
            )
        except AlreadyRevoked:
            return RevocationResult(context=order.context)
        except Refused as refusal:
            code = next(code for kind, code in _CODES if isinstance(refusal, kind))
            self._log.warn(
                "the certificate {serial} that Intune wants revoked is not: {reason}",
                serial=order.serial_number[:80],
                reason=refusal.reason,
            )
            return RevocationResult(context=order.context, code=code, message=refusal.reason)
        except Exception:  # one order must not keep the others from being carried out
            self._log.failure("unexpected error in revoking for Intune", serial=order.serial_number[:80])
            return RevocationResult(context=order.context, code=ResultCode.RETRYABLE, message="internal error")
        return RevocationResult(context=order.context)

    async def _issuer(self, name: str | None) -> CAReference:
        """Whose certificate it is; raises NotFound for the name of a CA that Intune's devices do not enroll at."""
        if not name:
            return self._ca
        for reference in self._siblings:
            try:
                authority = await self._authorities.get(reference)
            except NotFound:
                continue
            if _is_called(authority, name):
                return reference
        raise NotFound("no CA of Intune has that name")


def _is_called(authority: Authority, text: str) -> bool:
    """Whether a CA has that name: as we tell it, in Windows' order, or its common name alone."""
    common_names = authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if any(text == each.value for each in common_names):
        return True
    try:
        name = parse_name(text)
    except ValueError:
        return False
    return authority.subject in (name, x509.Name(reversed(name.rdns)))


def _serial(text: str) -> int:
    """A serial number in hexadecimal, as people and products write it; raises Malformed."""
    digits = text.lower().translate({ord(" "): None, ord(":"): None}).removeprefix("0x")
    if not _SERIAL.fullmatch(digits):
        raise Malformed("the serial number is not hexadecimal")
    return int(digits, 16)
