"""What users and devices have: lists, states, and their changes (R-CEGI-072 and the lifecycle of issue 5)."""

from __future__ import annotations

from cspd.authority.interfaces import Authorities, Revocation
from cspd.authority.values import CAReference, CertificateState, RevocationReason, RevocationRequest
from cspd.clock import Clock
from cspd.digital_ids.service import DigitalIDs
from cspd.digital_ids.values import HeldCertificate
from cspd.refusals import BadRevocationReason, Malformed
from protocols.mdm.messages import (
    Caller,
    CertificateDescription,
    CertificateList,
    FindCertificates,
    GetCertificate,
    HoldCertificate,
    ReleaseCertificate,
    RevokeCertificate,
    State,
)

_STATES = {
    CertificateState.GOOD: State.GOOD,
    CertificateState.RESERVED: State.GOOD,
    CertificateState.HELD: State.HELD,
    CertificateState.REVOKED: State.REVOKED,
}


class HeldCertificates:
    """Certificates of the users of a tenant; those of nobody else are found."""

    def __init__(
        self, *, clock: Clock, digital_ids: DigitalIDs, authorities: Authorities, revocation: Revocation
    ) -> None:
        self._clock = clock
        self._digital_ids = digital_ids
        self._authorities = authorities
        self._revocation = revocation

    async def find(self, message: FindCertificates, caller: Caller) -> CertificateList:
        """What a user has; raises Malformed, BadName, and NotFound for one that nothing was ordered for."""
        users = self._digital_ids.users
        if message.user_id is not None and message.digital_id is None and message.variables is None:
            user = await users.by_id(caller.tenant, message.user_id)
        elif message.user_id is None and message.digital_id is not None and message.variables is not None:
            subject = self._digital_ids.get(message.digital_id).subject(message.variables)
            user = await users.find(caller.tenant, subject)
        else:
            raise Malformed("either userId, or digitalId and variables")
        held = await users.certificates(user)
        return CertificateList(
            user_id=user.id,
            subject=user.subject,
            certificates=tuple([await self.describe(each) for each in held]),
        )

    async def get(self, message: GetCertificate, caller: Caller) -> CertificateDescription:
        """One certificate; raises Malformed and NotFound."""
        _, held = await self._one(message, caller)
        return await self.describe(held)

    async def revoke(self, message: RevokeCertificate, caller: Caller) -> CertificateDescription:
        """Revoke it; raises as :meth:`get`, AlreadyRevoked and BadRevocationReason."""
        if message.reason is RevocationReason.CERTIFICATE_HOLD:
            raise BadRevocationReason("certificateHold is for HoldCertificate")
        return await self._revoke(message, message.reason, caller)

    async def hold(self, message: HoldCertificate, caller: Caller) -> CertificateDescription:
        """Put it on hold; raises as :meth:`get`, and AlreadyRevoked."""
        return await self._revoke(message, RevocationReason.CERTIFICATE_HOLD, caller)

    async def release(self, message: ReleaseCertificate, caller: Caller) -> CertificateDescription:
        """Take it off hold; raises as :meth:`get`, and Conflict unless it is held."""
        ca, held = await self._one(message, caller)
        await self._revocation.unhold(ca, held.serial, caller.requester)
        return await self._again(held, caller)

    async def describe(self, held: HeldCertificate) -> CertificateDescription:
        """A certificate as callers see it."""
        authority = await self._authorities.by_id(held.authority_id)
        state = _STATES[held.state]
        if state is not State.REVOKED and held.not_after <= self._clock.now():
            state = State.EXPIRED
        return CertificateDescription(
            ca=str(authority.reference),
            serial_number=f"{held.serial:x}",
            digital_id=held.digital_id,
            user_id=held.user_id,
            delivery=held.delivery,
            subject=held.subject,
            not_before=held.not_before,
            not_after=held.not_after,
            state=state,
            revocation_reason=held.reason,
            revoked_at=held.revoked_at,
            certificate=held.certificate_der,
        )

    async def _revoke(
        self,
        message: RevokeCertificate | HoldCertificate,
        reason: RevocationReason,
        caller: Caller,
    ) -> CertificateDescription:
        ca, held = await self._one(message, caller)
        await self._revocation.revoke(
            RevocationRequest(ca=ca, serial=held.serial, reason=reason, requester=caller.requester)
        )
        return await self._again(held, caller)

    async def _one(
        self, message: GetCertificate | RevokeCertificate | HoldCertificate | ReleaseCertificate, caller: Caller
    ) -> tuple[CAReference, HeldCertificate]:
        ca = CAReference.parse(message.ca)
        authority = await self._authorities.get(ca)
        serial = int(message.serial_number, 16)
        return ca, await self._digital_ids.users.certificate(caller.tenant, authority.id, serial)

    async def _again(self, held: HeldCertificate, caller: Caller) -> CertificateDescription:
        changed = await self._digital_ids.users.certificate(caller.tenant, held.authority_id, held.serial)
        return await self.describe(changed)
