"""Intune's two services for certification authorities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cspd.health import Health
from cspd.keys.threads import SigningPool
from cspd.refusals import Unavailable
from plugins.intune import codec
from plugins.intune.calls import CALLER, NO_ANSWER, Calls, Service
from plugins.intune.codec import NotOfTheInterface, Object
from plugins.intune.condition import Condition
from protocols.scep.intune.values import IssuedNotice, RefusedNotice, RevocationOrder, RevocationResult

VALIDATION = Service(name="ScepRequestValidationFEService", api_version="2018-02-20")
CONNECTOR = Service(name="PkiConnectorFEService", api_version="5019-05-05")


class Intune:
    """Implements :class:`protocols.scep.intune.interfaces.IntuneService`."""

    def __init__(self, calls: Calls, condition: Condition, pool: SigningPool) -> None:
        """``pool`` is where tokens are asked for."""
        self._calls = calls
        self._condition = condition
        self._pool = pool

    async def validate(self, transaction_id: str, csr_der: bytes) -> None:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        await self._act("validateRequest", codec.validation(transaction_id, csr_der, CALLER))

    async def tell_issued(self, notice: IssuedNotice) -> None:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        await self._act("successNotification", codec.issued(notice, CALLER), attempts=1)

    async def tell_refused(self, notice: RefusedNotice) -> None:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        await self._act("failureNotification", codec.refused(notice, CALLER), attempts=1)

    async def revocation_orders(self, *, issuer_name: str, limit: int) -> Sequence[RevocationOrder]:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        path = "CertificateAuthorityRequests/downloadRevocationRequests"
        answer = await self._calls.post(CONNECTOR, path, codec.download(issuer_name, limit))
        try:
            return codec.orders(answer, limit)
        except NotOfTheInterface as error:
            raise self._unusable(str(error)) from error

    async def report_revocations(self, results: Sequence[RevocationResult]) -> None:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        path = "CertificateAuthorityRequests/uploadRevocationResults"
        if not codec.is_taken(await self._calls.post(CONNECTOR, path, codec.results(results))):
            raise self._unusable("it did not take the results of revocations")

    def health(self) -> Health:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        return self._condition.health()

    def start(self) -> None:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        self._pool.start()

    def stop(self) -> Any:
        """See :class:`protocols.scep.intune.interfaces.IntuneService`."""
        self._calls.stop()
        return self._pool.stop()

    async def _act(self, action: str, body: Object, **how: int) -> None:
        answer = await self._calls.post(VALIDATION, f"ScepActions/{action}", body, **how)
        try:
            codec.check_answer(answer)
        except NotOfTheInterface as error:
            raise self._unusable(f"{action}: {error}") from error

    def _unusable(self, detail: str) -> Unavailable:
        unusable = Unavailable(NO_ANSWER, detail=detail)
        self._condition.note_failure(unusable)
        return unusable
