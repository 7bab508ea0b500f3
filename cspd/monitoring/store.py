"""The store: whether it answers, and what it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, literal, select

from cspd.authority.polling import Timers
from cspd.health import Health
from cspd.monitoring.probe import Probe
from cspd.store.interfaces import Database


class StoreSource:
    """Asks the store for a constant."""

    def __init__(self, database: Database, reactor: Timers) -> None:
        self._database = database
        self.probe = Probe(self._ask, reactor=reactor, what="the store")
        self.metrics: Sequence[Collector] = ()

    def health(self) -> Sequence[Health]:
        """The part ``store``."""
        return (self.probe.health("store"),)

    async def _ask(self) -> None:
        await self._database.read(_answer)


def _answer(connection: Connection) -> None:
    connection.execute(select(literal(1))).scalar_one()


class CountingDatabase(Protocol):
    """The counters of :class:`cspd.store.database.ThreadedDatabase`."""

    batches: int
    writes: int
    reads: int

    @property
    def waiting_writes(self) -> int:
        """Works in the writer's queue."""
        ...

    @property
    def waiting_reads(self) -> int:
        """Works in the readers' queue."""
        ...


class StoreCounters:
    """What a database with threads has counted, as metrics."""

    health = None

    def __init__(self, database: CountingDatabase) -> None:
        self._database = database
        self.metrics: Sequence[Collector] = (self,)

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        database = self._database
        works = CounterMetricFamily("cspd_store_works", "Works that the store was given.", labels=["kind"])
        works.add_metric(["read"], database.reads)
        works.add_metric(["write"], database.writes)
        yield works
        yield CounterMetricFamily("cspd_store_commits", "Commits; several writes share one.", value=database.batches)
        waiting = GaugeMetricFamily("cspd_store_waiting", "Works that wait for a thread.", labels=["kind"])
        waiting.add_metric(["read"], database.waiting_reads)
        waiting.add_metric(["write"], database.waiting_writes)
        yield waiting
