"""What SCEP asks of Intune; a connector of the kind ``scep-validation`` is one.

Calls may take as long as ``[outbound]`` lets them, and all of them raise :class:`cspd.refusals.Unavailable` when there
is no answer that can be trusted: no connection, no token, a status or a body that is none of the interface's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Protocol

from cspd.clock import Clock
from cspd.config.values import SecretReference
from cspd.health import Health
from cspd.http.outbound.values import Outbound
from protocols.scep.intune.config import IntuneConfig
from protocols.scep.intune.values import IssuedNotice, RefusedNotice, RevocationOrder, RevocationResult

CONNECTOR_KIND = "scep-validation"


class IntuneService(Protocol):
    """Intune, as one application of one Azure tenant sees it."""

    async def validate(self, transaction_id: str, csr_der: bytes) -> None:
        """Return if Intune sent this device, and its request is what Intune told it to ask for.

        Raises :class:`protocols.scep.intune.values.RefusedByIntune`, and Unavailable; nothing is issued after either.
        """
        ...

    async def tell_issued(self, notice: IssuedNotice) -> None:
        """Tell it once, without trying again; raises RefusedByIntune and Unavailable."""
        ...

    async def tell_refused(self, notice: RefusedNotice) -> None:
        """Tell it once, without trying again; raises RefusedByIntune and Unavailable."""
        ...

    async def revocation_orders(self, *, issuer_name: str, limit: int) -> Sequence[RevocationOrder]:
        """Which certificates of an issuer to revoke, at most ``limit`` (1 to 500) of them; raises Unavailable."""
        ...

    async def report_revocations(self, results: Sequence[RevocationResult]) -> None:
        """Tell what came of orders; raises Unavailable, also when Intune did not take it."""
        ...

    def health(self) -> Health:
        """How it is, from the last call of each kind, and how long the credential is good."""
        ...

    def start(self) -> None:
        """Called once, before the first of the above; must not wait."""
        ...

    def stop(self) -> Any:
        """Called when a reload replaced it, or at shutdown; may return a Deferred."""
        ...


class IntuneServiceFactory(Protocol):
    """Builds the connector."""

    def __call__(
        self,
        config: IntuneConfig,
        *,
        reactor: Any,
        clock: Clock,
        random: Random,
        outbound: Outbound,
        secret: Callable[[SecretReference], bytes],
        folder: Path,
    ) -> IntuneService:
        """Build it without I/O but reading the files and secrets that ``config`` names; raises a Refused."""
        ...
