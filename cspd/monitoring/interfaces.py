"""What is watched, and what may be asked about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from prometheus_client.registry import Collector

from cspd.health import Health
from cspd.monitoring.exposition import Exposition
from cspd.monitoring.report import HealthReport


class Source(Protocol):
    """Something that is watched; every :class:`cspd.plugin.ProtocolService` is one."""

    @property
    def health(self) -> Callable[[], Sequence[Health]] | None:
        """Tells how its parts are, from what is known now; must not wait."""
        ...

    @property
    def metrics(self) -> Sequence[Collector]:
        """Collectors of prometheus-client; their ``collect`` must not wait either."""
        ...


class Monitor(Protocol):
    """Asks the core and the protocols that are active, whichever configuration they were built by.

    Neither method raises, and neither costs the store or a token more than one question a second, however often it is
    called.
    """

    async def health(self) -> HealthReport:
        """How every part is; waits two seconds at most."""
        ...

    async def metrics(self, accept: str) -> Exposition:
        """Every metric, in the form that an ``Accept`` header asks for; waits two seconds at most."""
        ...
