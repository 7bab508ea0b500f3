"""Refusals in the audit log: each kind by a name of its own, with who asked for what (R-CEGI-048)."""

from __future__ import annotations

from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.refusals import Refused, Unauthorized, Unavailable
from protocols.wstep.errors import UNKNOWN_TEMPLATE

AUTHENTICATION_FAILED = "wstep-authentication-failed"
LOOKUP_FAILED = "wstep-lookup-failed"
REFUSED = "wstep-refused"


class RefusalAudit:
    """Records refusals; one that cannot be recorded stands all the same."""

    _log = Logger()

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    async def record(
        self,
        refusal: Refused,
        *,
        tenant: str,
        ca: str,
        user: str,
        template: str | None,
        address: str,
        request_id: str,
    ) -> None:
        """Record one; ``user`` is who the caller is, or says to be."""
        event = AuditEvent(
            event=event_of(refusal),
            actor=f"wstep:{user[:256]}",
            outcome=Outcome.FAILED if isinstance(refusal, Unavailable) else Outcome.REFUSED,
            fields={
                "tenant": tenant[:64],
                "ca": ca[:128],
                "template": None if template is None else template[:128],
                "code": refusal.refusal_code,
                "reason": refusal.reason,
                "detail": refusal.detail or None,
                "address": address,
                "request_id": request_id,
            },
        )
        self._log.warn(
            "Windows enrollment {request_id} of {user} from {address} was refused: {reason}",
            request_id=request_id,
            user=user,
            address=address,
            reason=refusal.reason,
            event=event.event,
            code=refusal.refusal_code,
            detail=refusal.detail,
        )
        try:
            await self._audit.record(event)
        except Unavailable as error:
            self._log.error("A refusal could not be audited: {reason}", reason=error.reason, refused=refusal.reason)


def event_of(refusal: Refused) -> str:
    """The name of a refusal's event."""
    if isinstance(refusal, Unauthorized):
        return AUTHENTICATION_FAILED
    if isinstance(refusal, Unavailable) or refusal.refusal_code == UNKNOWN_TEMPLATE:
        return LOOKUP_FAILED
    return REFUSED
