"""MDM-SCEP: ``/scep/TENANT/DIGITAL-ID/mdm`` (R-CEG-008, R-CEG-093 to 095).

A device brings the challenge that its management ordered from the web service, and a key. Its subject and its names are
those of the order: what the request says of them does not count, since whoever has a challenge could say anything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cspd.authority.values import Issued
from cspd.digital_ids.service import DigitalIDs
from cspd.digital_ids.values import DigitalID
from cspd.refusals import NotFound, Unauthorized
from cspd.x509.names import format_name
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.interfaces import Authorization, Place, RequestForCertificate, Terms


class DigitalIDPlaces:
    """Implements :class:`protocols.scep.interfaces.Places` by tenant and digital ID."""

    def __init__(self, digital_ids: DigitalIDs | None, *, tenants: Collection[str], policy: AlgorithmPolicy) -> None:
        """Without ``digital_ids`` nothing is served."""
        self._digital_ids = digital_ids
        self._tenants = frozenset(tenants)
        self._policy = policy

    async def find(self, tenant: str, *names: str) -> Place:
        """See :class:`protocols.scep.interfaces.Places`."""
        if self._digital_ids is None or tenant not in self._tenants or len(names) != 1:
            raise NotFound("there is no such tenant or digital ID")
        digital_id = self._digital_ids.get(names[0])
        return Place(
            terms=Terms(ca=digital_id.ca, profile=digital_id.profile, policy=self._policy),
            authorizer=DigitalIDAuthorizer(self._digital_ids, tenant, digital_id),
        )


class DigitalIDAuthorizer:
    """Implements :class:`protocols.scep.interfaces.Authorizer` by the challenges of one digital ID."""

    def __init__(self, digital_ids: DigitalIDs, tenant: str, digital_id: DigitalID) -> None:
        self._challenges = digital_ids.challenges
        self._tenant = tenant
        self._digital_id = digital_id

    async def authorize(self, request: RequestForCertificate) -> Authorization:
        """See :class:`protocols.scep.interfaces.Authorizer`; a device renews with a new challenge, as it enrolled."""
        if not request.challenge_password:
            raise Unauthorized("a challenge is needed, as challengePassword of the request")
        challenge = await self._challenges.find(self._tenant, self._digital_id.name, request.challenge_password)
        return Authorization(
            identity=f"{self._tenant}/{self._digital_id.name}: {format_name(challenge.subject)}",
            protocol="mdm",
            recorded=self._challenges.use(challenge),
            subject=challenge.subject,
            subject_alt_names=None if self._digital_id.keeps_requested_names else challenge.subject_alt_names,
        )

    async def issued(self, request: RequestForCertificate, authorization: Authorization, issued: Issued) -> None:
        """Nobody waits to hear of it: the web service lists the certificate."""

    async def refused(self, request: RequestForCertificate, authorization: Authorization, reason: str) -> None:
        """The challenge is not used up: the device may come again."""

    async def passwords(self, terms: Terms) -> Sequence[bytes]:
        """None: the store has the digests of challenges alone."""
        return ()
